import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrokerContext, OpenedTunnel } from '../../../src/broker/broker-types.ts';
import { openTunnel } from '../../../src/broker/open-tunnel.ts';
import { SessionLedger } from '../../../src/broker/session-ledger.ts';
import { StartLimiter } from '../../../src/broker/start-limiter.ts';
import type { AuditEvent } from '../../../src/domain/audit-sink.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { HostTarget, Route } from '../../../src/domain/target.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { fakeTransport, noHop } from '../../support/fake-tunnel.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const never = new AbortController().signal;
const host = (number: number) => ({ host: `host-${number}.internal`, port: 80 });

async function anywhere(t: Parameters<typeof temporaryDirectory>[0], provider = new FakeProvider()) {
  const { world, clock } = manualWorld({ home: await temporaryDirectory(t) });
  const transport = fakeTransport();
  const records: AuditEvent[] = [];
  const journal = {
    record: (event: AuditEvent) => void records.push(event),
    [Symbol.asyncDispose]: async () => {},
  };
  const context: BrokerContext = {
    world,
    provider,
    journal,
    ledger: new SessionLedger(world),
    openHop: noHop,
    starts: new StartLimiter(world),
    ...transport,
  };
  const request = { kind: 'machine', text: 'bastion', to: [], anywhere: true } as const;
  const opened: OpenedTunnel = await openTunnel(context, request, { onEvent: () => {} }, never);
  t.after(async () => opened[Symbol.asyncDispose]());
  return {
    clock,
    provider,
    transport,
    records,
    opened,
    dial: (to: Parameters<typeof opened.dialer.dial>[0]) => opened.dialer.dial(to, never),
  };
}

test('each destination gets a session of its own, without asking for the machine again, and one record', async (t) => {
  const { dial, provider, transport, records, opened } = await anywhere(t);
  assert.deepEqual(opened.routes, []);
  await dial(host(1));
  await dial(host(2));
  await dial({ host: 'HOST-1.internal', port: 80 });
  assert.equal(transport.tunnels.length, 2);
  assert.equal(provider.calls.filter((call) => call.startsWith('findMachine')).length, 1);
  const opens = records.filter(({ event }) => event === 'open').map(({ to }) => to);
  assert.deepEqual(opens, ['host-1.internal:80', 'host-2.internal:80']);
});

test('a destination that is unused for a while is closed, one in use is not, and it opens again without a second record', async (t) => {
  const { dial, clock, transport, records } = await anywhere(t);
  const [one, two] = [await dial(host(1)), await dial(host(2))];
  one.destroy();
  await settle();
  await clock.advance(3 * 60_000 - 1);
  await settle();
  assert.equal(transport.tunnels[0]!.isDisposed, false);
  await clock.advance(1);
  await settle();
  assert.deepEqual(
    transport.tunnels.map(({ isDisposed }) => isDisposed),
    [true, false],
  );
  await clock.advance(60 * 60_000);
  await settle();
  assert.equal(transport.tunnels[1]!.isDisposed, false, two.destroyed ? 'it was destroyed' : 'it is in use');
  await dial(host(1));
  assert.equal(transport.tunnels.length, 3);
  assert.equal(records.filter(({ event }) => event === 'open').length, 2);
});

test('the 17th destination takes the place of the one that was unused the longest, or is refused when all are in use', async (t) => {
  const { dial, transport } = await anywhere(t);
  const streams = [];
  for (let number = 0; number < 16; number += 1) streams.push(await dial(host(number)));
  await assert.rejects(dial(host(16)), (error: CloudtunError) => {
    assert.equal(error.code, 'CT_DESTINATION_LIMIT');
    assert.match(error.message, /^host-16\.internal:80 would be one more than the 16 destinations/);
    return error.details.length === 16;
  });
  // Used again last, so 3 goes first although it was opened later.
  const again = await dial(host(1));
  for (const stream of [streams[1]!, streams[3]!, again]) stream.destroy();
  await settle();
  await dial(host(16));
  assert.equal(transport.tunnels[3]!.isDisposed, true);
  assert.equal(transport.tunnels[1]!.isDisposed, false);
  assert.equal(transport.tunnels.length, 17);
});

test('a destination whose session cannot be opened holds up no other, and does not end the tunnel', async (t) => {
  const { dial, provider, opened } = await anywhere(t);
  await dial(host(1));
  let isLost = false;
  void opened.lost.then(() => {
    isLost = true;
  });
  provider.failures.set('issue', new CloudtunError('CT_DENIED', 'not allowed to call ssm:StartSession'));
  await assert.rejects(dial(host(2)), { code: 'CT_DENIED' });
  provider.failures.clear();
  await dial(host(3));
  await dial(host(1));
  await settle();
  assert.equal(isLost, false);
});

test('where nothing behind the machine can be reached, that is said at once and takes no place', async (t) => {
  const provider = new FakeProvider();
  const { routeTo } = provider.finder;
  Object.assign(provider.finder, {
    routeTo: async (...[target, port, options, signal]: Parameters<typeof routeTo>): Promise<Route> => {
      if (options.host !== undefined) {
        throw new CloudtunError('CT_NO_BASTION', `web-1 cannot forward to ${options.host}`, { hint: 'name a group' });
      }
      return routeTo(target, port, options, signal);
    },
  });
  const { dial, transport, records } = await anywhere(t, provider);
  for (let number = 0; number < 20; number += 1) {
    await assert.rejects(dial(host(number)), { code: 'CT_REMOTE_FORBIDDEN', hints: ['name a group'] });
  }
  assert.deepEqual(records, []);
  await dial({ port: 80 });
  assert.equal(transport.tunnels.length, 1);
});

test('beside a host of a destination group, other hosts are reached through the same group', async (t) => {
  const group = (name: string): HostTarget => ({
    kind: 'host',
    provider: 'gcp',
    id: `${name}@asia-northeast1/default/private-sql`,
    host: name,
    project: 'acme',
    region: 'asia-northeast1',
    networkId: 'default',
    group: 'private-sql',
  });
  const provider = new FakeProvider();
  const asked: string[] = [];
  Object.assign(provider.finder, {
    findMachine: async (text: string) => {
      asked.push(text);
      return group(text === 'bastion' ? 'db.internal' : text.slice(0, text.indexOf('@')));
    },
    routeTo: async (target: HostTarget, port: number): Promise<Route> => ({
      provider: 'gcp',
      target,
      node: target,
      to: { port },
      reasons: [],
      rejected: [],
    }),
  });
  const { dial, records } = await anywhere(t, provider);
  await dial({ host: 'db.internal', port: 5432 }).catch(() => {});
  await dial({ host: 'fd00::5', port: 5432 });
  assert.deepEqual(asked, ['bastion', '[fd00::5]@asia-northeast1/default/private-sql']);
  assert.equal(
    records.find(({ event }) => event === 'open')?.target,
    'db.internal@asia-northeast1/default/private-sql',
  );
});
