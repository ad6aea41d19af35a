import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Journal } from '../../../src/audit/journal.ts';
import { openTunnel } from '../../../src/broker/open-tunnel.ts';
import { SessionLedger } from '../../../src/broker/session-ledger.ts';
import { StartLimiter } from '../../../src/broker/start-limiter.ts';
import type { ErrorCode } from '../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { FakeProvider, ORDERS } from '../../support/fake-provider.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { fakeTransport, noHop } from '../../support/fake-tunnel.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/*
 * A tunnel without a session of its own, as through Identity-Aware Proxy: it is open as soon as it is made, each stream is a
 * conversation of its own with the service, and each may be refused while the others go on.
 */

const never = new AbortController().signal;
const failure = (code: ErrorCode) => new CloudtunError(code, `because of ${code}`);

async function opened(t: Parameters<typeof temporaryDirectory>[0]) {
  const { world, clock } = manualWorld({ home: await temporaryDirectory(t) });
  const provider = new FakeProvider();
  const transport = fakeTransport();
  transport.prepare = (tunnel) => {
    tunnel.newStream = () => new FakeStream('connected');
  };
  const journal = new Journal(world);
  t.after(() => journal[Symbol.asyncDispose]());
  const context = {
    world,
    provider,
    journal,
    ledger: new SessionLedger(world),
    connect: transport.connect,
    openHop: noHop,
    starts: new StartLimiter(world),
  };
  const tunnel = await openTunnel(context, { kind: 'database', text: 'prod' }, { onEvent: () => {} }, never);
  t.after(async () => tunnel[Symbol.asyncDispose]());
  let lost: CloudtunError | undefined;
  void tunnel.lost.then((error) => {
    lost = error;
  });
  return {
    clock,
    provider,
    transport,
    dial: () => tunnel.dialer.dial(ORDERS.endpoint, never),
    lost: async () => {
      await settle();
      return lost?.code;
    },
    events: () => journalRecords(journal.path).map(({ event }) => String(event)),
  };
}

suite('a stream that is refused by a tunnel that goes on', () => {
  for (const code of ['CT_REMOTE_REFUSED', 'CT_NETWORK', 'CT_CREDENTIALS_EXPIRED', 'CT_THROTTLED'] as const) {
    test(`${code}: is that client's alone, and the next one is tried`, async (t) => {
      const { dial, transport, lost } = await opened(t);
      await dial();
      const [tunnel] = transport.tunnels;
      tunnel!.openFailure = failure(code);
      await assert.rejects(dial(), { code });
      assert.equal(await lost(), undefined);
      tunnel!.openFailure = undefined;
      await dial();
      assert.equal(transport.tunnels.length, 1);
    });
  }

  test('denied at the very first: the dial fails with it, nothing is lost, and the journal has it', async (t) => {
    const { dial, transport, lost, events } = await opened(t);
    transport.prepare = (tunnel) => {
      tunnel.openFailure = failure('CT_DENIED');
    };
    await assert.rejects(dial(), { code: 'CT_DENIED' });
    assert.equal(await lost(), undefined);
    assert.deepEqual(events().slice(0, 3), ['open', 'session', 'denial']);
  });

  test('denied later, with nothing else open: the tunnel is lost', async (t) => {
    const { dial, transport, lost } = await opened(t);
    const stream = await dial();
    await settle();
    stream.destroy();
    await settle();
    transport.tunnels[0]!.openFailure = failure('CT_DENIED');
    await assert.rejects(dial(), { code: 'CT_DENIED' });
    assert.equal(await lost(), 'CT_DENIED');
  });

  test('denied later, while others work: they go on, and the one after the last of them ends it', async (t) => {
    const { dial, transport, lost } = await opened(t);
    const stream = await dial();
    await settle();
    transport.tunnels[0]!.openFailure = failure('CT_DENIED');
    await assert.rejects(dial(), { code: 'CT_DENIED' });
    assert.equal(await lost(), undefined);
    assert.equal(stream.destroyed, false);
    stream.destroy();
    await settle();
    await assert.rejects(dial(), { code: 'CT_DENIED' });
    assert.equal(await lost(), 'CT_DENIED');
  });

  test('a stream that breaks after its far connection stood says nothing of the others', async (t) => {
    const { dial, lost } = await opened(t);
    (await dial()).destroy();
    await settle();
    const stream = await dial();
    stream.on('error', () => {});
    stream.destroy(failure('CT_DENIED'));
    assert.equal(await lost(), undefined, 'its far connection stood: it ended for a reason of its own');
  });

  test('a machine in between that stopped: the next dial asks for the way again', async (t) => {
    const { dial, transport, provider, lost } = await opened(t);
    await dial();
    transport.tunnels[0]!.openFailure = failure('CT_TARGET_STOPPED');
    await assert.rejects(dial(), { code: 'CT_TARGET_STOPPED' });
    assert.equal(await lost(), undefined);
    const before = provider.calls.filter((call) => call.startsWith('routeTo')).length;
    await dial();
    assert.equal(transport.tunnels.length, 2);
    assert.equal(provider.calls.filter((call) => call.startsWith('routeTo')).length, before + 1);
  });
});
