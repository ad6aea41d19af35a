import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Journal } from '../../../src/audit/journal.ts';
import type { BrokerContext, TunnelRequest } from '../../../src/broker/broker-types.ts';
import { explainTunnel, openTunnel } from '../../../src/broker/open-tunnel.ts';
import { SessionLedger } from '../../../src/broker/session-ledger.ts';
import { StartLimiter } from '../../../src/broker/start-limiter.ts';
import type { ErrorCode } from '../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { parseHopName } from '../../../src/domain/hop-name.ts';
import type { TunnelEvent } from '../../../src/domain/tunnel-event.ts';
import { ALICE, BASTION, FakeProvider, ORDERS } from '../../support/fake-provider.ts';
import { fakeTransport, noHop } from '../../support/fake-tunnel.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const PROD: TunnelRequest = { kind: 'database', text: 'prod', reason: 'ticket 42' };
const never = new AbortController().signal;
const failure = (code: ErrorCode) => new CloudtunError(code, `because of ${code}`);

async function broker(t: Parameters<typeof temporaryDirectory>[0], env: Record<string, string> = {}) {
  const { world, clock, logs } = manualWorld({ home: await temporaryDirectory(t), env });
  const provider = new FakeProvider();
  const transport = fakeTransport();
  const journal = new Journal(world);
  t.after(() => journal[Symbol.asyncDispose]());
  const ledger = new SessionLedger(world);
  const context: BrokerContext = {
    world,
    provider,
    journal,
    ledger,
    connect: transport.connect,
    openHop: noHop,
    starts: new StartLimiter(world),
  };
  const events: TunnelEvent[] = [];
  return {
    context,
    world,
    clock,
    logs,
    provider,
    transport,
    events,
    open: (request: TunnelRequest = PROD, signal = never) =>
      openTunnel(context, request, { onEvent: (event) => events.push(event) }, signal),
    records: (): Record<string, unknown>[] => journalRecords(journal.path),
  };
}

test('a database is resolved, routed and identified, and nothing is started or written before the first dial', async (t) => {
  const { open, provider, transport, records, events } = await broker(t);
  await using opened = await open();
  assert.equal(opened.target, ORDERS);
  assert.equal(opened.identity, ALICE);
  assert.deepEqual(
    opened.routes.map(({ node, to }) => ({ node: node.id, to })),
    [{ node: BASTION.id, to: ORDERS.endpoint }],
  );
  assert.deepEqual(provider.calls.toSorted(), ['findDatabase prod', 'routeTo orders-prod 3306', 'whoami']);
  assert.deepEqual(events.map((event) => event.type === 'phase' && event.phase).toSorted(), [
    'choose route',
    'find target',
    'identity',
  ]);
  assert.equal(transport.tunnels.length, 0);
  assert.deepEqual(records(), []);
});

test('the first dial records, then starts a session; further dials share it; disposing ends it and the record', async (t) => {
  const { open, provider, transport, records, clock } = await broker(t);
  const opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await opened.dialer.dial(ORDERS.endpoint, never);
  assert.equal(transport.tunnels.length, 1);
  assert.equal(transport.tunnels[0]!.streams.length, 2);
  const [first] = records();
  assert.deepEqual(
    { ...first, tunnel: typeof first!.tunnel, hostUser: typeof first!.hostUser, host: typeof first!.host, pid: 0 },
    {
      time: '2026-11-22T09:00:00.000Z',
      event: 'open',
      tunnel: 'string',
      person: ALICE.id,
      name: 'alice',
      account: '111122223333',
      by: 'profile prod',
      hostUser: 'string',
      host: 'string',
      pid: 0,
      place: 'aws prod/ap-northeast-1',
      asked: 'prod',
      target: 'orders-prod',
      targetId: 'orders-prod',
      node: 'i-0bastion',
      to: 'orders-prod.example.com:3306',
      document: 'AWS-StartPortForwardingSessionToRemoteHost',
      reason: 'ticket 42',
    },
  );
  opened.client({ change: 'connected', to: ORDERS.endpoint, from: '127.0.0.1:5', bytesUp: 0, bytesDown: 0 });
  clock.tick(2_000);
  const reset = failure('CT_TUNNEL_LOST');
  opened.client({ change: 'closed', to: ORDERS.endpoint, from: '127.0.0.1:5', bytesUp: 3, bytesDown: 4, error: reset });
  opened.ended({ reason: 'ttl', duration: 2_000, connections: 1, bytesUp: 3, bytesDown: 4 });
  await opened[Symbol.asyncDispose]();
  await opened[Symbol.asyncDispose]();
  assert.deepEqual(
    records().map(({ event, change }) => (change ? `${event} ${change}` : event)),
    ['open', 'session started', 'client connected', 'client closed', 'end', 'session ended'],
  );
  assert.deepEqual(new Set(records().map(({ tunnel }) => tunnel)).size, 1);
  const end = records().find(({ event }) => event === 'end')!;
  assert.deepEqual([end.why, end.durationMs, end.bytesUp, end.bytesDown], ['ttl', 2_000, 3, 4]);
  assert.equal(records()[3]!.code, 'CT_TUNNEL_LOST');
  assert.equal(provider.running.size, 0);
  assert.equal(clock.pending, 0);
  assert.doesNotMatch(JSON.stringify(records()), /token-that-nobody/);
});

test('a journal that cannot be written keeps the session from being started', {
  skip: !existsSync('/dev/full') && 'the system has no /dev/full',
}, async (t) => {
  const { open, provider, transport } = await broker(t, { CLOUDTUN_JOURNAL: '/dev/full' });
  await using opened = await open();
  await assert.rejects(opened.dialer.dial(ORDERS.endpoint, never), { code: 'CT_JOURNAL' });
  assert.deepEqual(
    provider.calls.filter((call) => call.startsWith('issue')),
    [],
  );
  assert.equal(transport.tunnels.length, 0);
});

test('a journal that fails later is one warning, and the tunnel goes on', async (t) => {
  const { context, open, logs } = await broker(t);
  const opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await context.journal[Symbol.asyncDispose]();
  const record = { to: ORDERS.endpoint, from: '127.0.0.1:5', bytesUp: 0, bytesDown: 0 };
  opened.client({ change: 'connected', ...record });
  opened.client({ change: 'closed', ...record });
  await opened.dialer.dial(ORDERS.endpoint, never);
  await opened[Symbol.asyncDispose]();
  const warnings = logs.filter((line) => line.level === 'warn');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!.message, /the tunnel goes on, and the journal has a gap$/);
});

test('sessions are in the ledger from issue to release, with where to end them', async (t) => {
  const { context, open, world } = await broker(t);
  const opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  const path = `${world.paths.state}/sessions`;
  const [name] = readdirSync(path);
  assert.deepEqual(JSON.parse(readFileSync(`${path}/${name}`, 'utf8')).sessions, [
    {
      id: 'alice-1',
      place: { provider: 'aws', scope: 'ap-northeast-1', profile: 'prod' },
      target: 'orders-prod',
      startedAt: '2026-11-22T09:00:00.000Z',
    },
  ]);
  assert.equal(context.ledger.orphans().length, 0);
  await opened[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(path), []);
});

test('a session whose start was called off midway is ended as soon as it is there', async (t) => {
  const { provider, open, world } = await broker(t);
  const opened = await open();
  const { gatekeeper } = provider;
  let finish = () => {};
  const original = gatekeeper.ticketSource;
  Object.assign(gatekeeper, {
    ticketSource: (...args: Parameters<typeof original>) => {
      const source = original(...args);
      return {
        ...source,
        issue: async (...issueArgs: Parameters<typeof source.issue>) => {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return source.issue(...issueArgs);
        },
      };
    },
  });
  const dialing = opened.dialer.dial(ORDERS.endpoint, never);
  dialing.catch(() => {});
  await settle();
  const closing = opened[Symbol.asyncDispose]();
  await settle();
  finish();
  await closing;
  await assert.rejects(dialing, { code: 'CT_INTERRUPTED' });
  assert.deepEqual(provider.calls.slice(-2), ['issue i-0bastion', 'release alice-1']);
  assert.equal(provider.running.size, 0);
  assert.deepEqual(readdirSync(`${world.paths.state}/sessions`), []);
});

test('a machine has a route for each endpoint, and a session for each that is dialled', async (t) => {
  const { open, provider, transport, records } = await broker(t);
  const db = { host: 'db.internal', port: 5432 };
  await using opened = await open({ kind: 'machine', text: 'bastion-a', to: [{ port: 80 }, db] });
  assert.deepEqual(
    opened.routes.map(({ to }) => to),
    [{ port: 80 }, db],
  );
  await opened.dialer.dial(db, never);
  await opened.dialer.dial({ port: 80 }, never);
  await opened.dialer.dial({ host: 'DB.internal', port: 5432 }, never);
  assert.equal(transport.tunnels.length, 2);
  assert.deepEqual(
    records()
      .filter(({ event }) => event === 'open')
      .map(({ to }) => to),
    ['db.internal:5432', 'localhost:80'],
  );
  assert.ok(provider.calls.includes('routeTo i-0bastion 5432 host db.internal'));
});

test('a document and a reason reach the cloud; a reason the cloud would not take does not leave the machine', async (t) => {
  const { open, provider } = await broker(t);
  await using opened = await open({ ...PROD, via: [parseHopName('i-0via')], reader: true, document: 'cloudtun-prod' });
  await opened.dialer.dial(ORDERS.endpoint, never);
  assert.equal(provider.options[0]!.document, 'cloudtun-prod');
  assert.equal(provider.options[0]!.reason, 'ticket 42');
  assert.ok(provider.calls.includes('findDatabase prod reader'));
  assert.ok(provider.calls.includes('routeTo orders-prod 3306 via i-0via'));
  const before = provider.calls.length;
  await assert.rejects(open({ ...PROD, reason: '' }), { code: 'CT_USAGE' });
  await assert.rejects(open({ ...PROD, reason: 'x'.repeat(257) }), { code: 'CT_USAGE' });
  assert.equal(provider.calls.length, before);
});

test('a denial is recorded, while resolving and while starting the session, and thrown as it is', async (t) => {
  const { open, provider, records } = await broker(t);
  const denied = failure('CT_DENIED');
  provider.failures.set('findDatabase', denied);
  await assert.rejects(open(), (error) => error === denied);
  assert.deepEqual([records()[0]!.event, records()[0]!.person, records()[0]!.code], ['denial', ALICE.id, 'CT_DENIED']);
  provider.failures.clear();
  provider.failures.set('issue', denied);
  await using opened = await open();
  await assert.rejects(opened.dialer.dial(ORDERS.endpoint, never), (error) => error === denied);
  assert.deepEqual(
    records().map(({ event }) => event),
    ['denial', 'open', 'denial'],
  );
  assert.equal(records()[2]!.target, 'orders-prod');
});

test('where a login is wanted, only a missing route leads to one; any other error is told', async (t) => {
  const { open, provider } = await broker(t);
  const request: TunnelRequest = {
    kind: 'machine',
    text: 'bastion',
    login: { user: 'alice' },
    to: [{ host: 'vault.internal', port: 443 }],
  };
  for (const code of ['CT_DENIED', 'CT_TARGET_OFFLINE', 'CT_CREDENTIALS_EXPIRED'] as const) {
    const error = failure(code);
    provider.failures.set('routeTo', error);
    await assert.rejects(open(request), (thrown) => thrown === error);
  }
  provider.failures.set('routeTo', failure('CT_NO_BASTION'));
  await using opened = await open(request);
  assert.deepEqual(
    opened.routes.map(({ to, node }) => [to, node.id]),
    [[{ host: 'vault.internal', port: 443 }, BASTION.id]],
  );
});

test('whether sessions are kept active reaches whoever opens them', async (t) => {
  const { context } = await broker(t);
  const kept: unknown[] = [];
  const connect: BrokerContext['connect'] = (source, to, onEvent, signal, options) => {
    kept.push(options?.keepActive);
    return context.connect(source, to, onEvent, signal);
  };
  for (const request of [PROD, { ...PROD, keepActive: true as const }]) {
    await using opened = await openTunnel({ ...context, connect }, request, { onEvent: () => {} }, never);
    await opened.dialer.dial(ORDERS.endpoint, never);
  }
  assert.deepEqual(kept, [false, true]);
});

test('a login on the way that is refused is recorded as a denial, once for all who waited for it', async (t) => {
  const { context, provider, records } = await broker(t);
  provider.node = { ...BASTION, privateIp: '10.0.0.1' };
  const refused = failure('CT_LOGIN_REFUSED');
  const request: TunnelRequest = {
    kind: 'machine',
    text: 'inner',
    via: [parseHopName('bastion')],
    to: [{ host: 'vault.internal', port: 80 }],
  };
  const openHop = () => Promise.reject(refused);
  await using opened = await openTunnel({ ...context, openHop }, request, { onEvent: () => {} }, never);
  for (const to of [...request.to, ...request.to]) await assert.rejects(opened.dialer.dial(to, never), refused);
  opened.denied(refused);
  const denials = records().filter(({ event }) => event === 'denial');
  assert.deepEqual(
    denials.map(({ code, to }) => [code, to]),
    [['CT_LOGIN_REFUSED', 'vault.internal:80']],
  );
});

test('an unknown target is no denial, and does not wait for who asks', async (t) => {
  const { open, provider, records } = await broker(t);
  provider.identity = () => new Promise(() => {});
  provider.failures.set('findDatabase', failure('CT_TARGET_NOT_FOUND'));
  await assert.rejects(open(), { code: 'CT_TARGET_NOT_FOUND' });
  assert.deepEqual(records(), []);
});

test('a cloud that does not say who asks is a warning after 5 s; expired credentials are an error', async (t) => {
  const { open, provider, logs, clock, records } = await broker(t);
  provider.identity = () =>
    new Promise((_resolve, reject) => {
      clock.after(5_000, () => reject(new DOMException('out of time', 'TimeoutError')));
    });
  const opening = open();
  await clock.advance(5_000);
  const opened = await opening;
  assert.equal(opened.identity, undefined);
  assert.equal(logs.filter((line) => line.level === 'warn').length, 1);
  await opened.dialer.dial(ORDERS.endpoint, never);
  assert.equal(records()[0]!.person, undefined);
  assert.equal(typeof records()[0]!.hostUser, 'string');
  await opened[Symbol.asyncDispose]();
  provider.identity = () => Promise.reject(failure('CT_CREDENTIALS_EXPIRED'));
  await assert.rejects(open(), { code: 'CT_CREDENTIALS_EXPIRED' });
});

test('where the first byte is waited for, who asks is asked and recorded after the session stands', async (t) => {
  const { open, provider, records } = await broker(t);
  const quick = { kind: 'machine', text: BASTION.id, to: [{ port: 22 }], isQuick: true } as const;
  const opened = await open(quick);
  assert.ok(!provider.calls.includes('whoami'));
  await opened.dialer.dial({ port: 22 }, never);
  assert.equal(records()[0]!.person, undefined);
  await opened[Symbol.asyncDispose]();
  const identity = records().find(({ event }) => event === 'identity');
  assert.deepEqual([identity?.person, identity?.tunnel], [ALICE.id, records()[0]!.tunnel]);
  assert.equal(records().filter(({ event }) => event === 'identity').length, 1);
  provider.failures.set('issue', failure('CT_DENIED'));
  const denied = await open(quick);
  await assert.rejects(denied.dialer.dial({ port: 22 }, never), { code: 'CT_DENIED' });
  assert.equal(records().find(({ event }) => event === 'denial')?.person, ALICE.id);
  await denied[Symbol.asyncDispose]();
});

test('a tunnel that was lost is opened again by the next dial, on the same route, and told', async (t) => {
  const { open, provider, transport, clock, events, records } = await broker(t);
  await using opened = await open();
  const stream = await opened.dialer.dial(ORDERS.endpoint, never);
  stream.on('error', () => {});
  await clock.advance(60_000);
  transport.tunnels[0]!.lose(failure('CT_TUNNEL_LOST'));
  await settle();
  assert.ok(transport.tunnels[0]!.isDisposed);
  assert.equal(transport.tunnels.length, 1, 'nothing is opened before somebody needs it');
  const lookups = () => provider.calls.filter((call) => call.startsWith('findDatabase')).length;
  const before = lookups();
  await opened.dialer.dial(ORDERS.endpoint, never);
  assert.equal(transport.tunnels.length, 2);
  assert.deepEqual(
    events.filter((event) => event.type === 'renewed'),
    [{ type: 'renewed', sessionId: 'alice-2', how: 'new-session', downtime: 0 }],
  );
  assert.deepEqual(
    records().map(({ event }) => event),
    ['open', 'session', 'session', 'session', 'renewal'],
  );
  assert.equal(lookups(), before);
});

test('a machine that is gone is found again under its name, and the new one is recorded', async (t) => {
  const { open, provider, transport, clock, events, records } = await broker(t);
  await using opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  transport.tunnels[0]!.lose(failure('CT_TUNNEL_LOST'));
  await settle();
  provider.failures.set('issue', failure('CT_TARGET_OFFLINE'));
  const dialing = opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(2_000);
  provider.failures.clear();
  provider.node = { ...BASTION, id: 'i-0next' };
  await clock.advance(4_000);
  await dialing;
  assert.equal(transport.tunnels.at(-1)!.ticket.targetId, 'i-0next');
  assert.ok(events.some((event) => event.type === 'reconnecting' && /CT_TARGET_OFFLINE/.test(event.reason)));
  assert.deepEqual(
    records()
      .filter(({ event }) => event === 'open')
      .map(({ node }) => node),
    ['i-0bastion', 'i-0next'],
  );
});

test('many dials during an outage share one attempt, and those who give up do not stop it', async (t) => {
  const { open, provider, transport, clock } = await broker(t);
  await using opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  transport.tunnels[0]!.lose(failure('CT_TUNNEL_LOST'));
  await settle();
  provider.failures.set('issue', failure('CT_NETWORK'));
  const impatient = new AbortController();
  const first = opened.dialer.dial(ORDERS.endpoint, impatient.signal);
  const others = Array.from({ length: 50 }, () => opened.dialer.dial(ORDERS.endpoint, never));
  await clock.advance(100);
  assert.equal(provider.calls.filter((call) => call.startsWith('issue')).length, 2);
  impatient.abort(new Error('the client left'));
  await assert.rejects(first, /the client left/);
  provider.failures.clear();
  await clock.advance(1_000);
  await Promise.all(others);
  assert.equal(transport.tunnels.length, 2);
  assert.equal(transport.tunnels[1]!.streams.length, 50);
});

test('an outage refuses those who wait after 20 s; the next one starts anew', async (t) => {
  const { open, provider, transport, clock } = await broker(t);
  await using opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  transport.tunnels[0]!.lose(failure('CT_TUNNEL_LOST'));
  await settle();
  provider.failures.set('issue', failure('CT_NETWORK'));
  const refused = opened.dialer.dial(ORDERS.endpoint, never);
  const asserted = assert.rejects(refused, { code: 'CT_NETWORK' });
  await clock.advance(20_000);
  await asserted;
  provider.failures.clear();
  const next = opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(8_000);
  await next;
});

test('a denial after it was open is the end of it', async (t) => {
  const { open, provider, transport, clock, records } = await broker(t);
  await using opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  transport.tunnels[0]!.lose(failure('CT_TUNNEL_LOST'));
  await settle();
  const denied = failure('CT_DENIED');
  provider.failures.set('issue', denied);
  await assert.rejects(opened.dialer.dial(ORDERS.endpoint, never), (error) => error === denied);
  assert.equal(await opened.lost, denied);
  assert.equal(records().at(-1)!.event, 'denial');
});

test('a far side that refuses gets a new session, while streams of the old one live on', async (t) => {
  const { open, transport, clock, provider } = await broker(t);
  await using opened = await open();
  const works = await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  const refused = await opened.dialer.dial(ORDERS.endpoint, never);
  refused.on('error', () => {});
  refused.destroy(failure('CT_REMOTE_REFUSED'));
  await settle();
  await opened.dialer.dial(ORDERS.endpoint, never);
  assert.equal(transport.tunnels.length, 2);
  assert.equal(works.destroyed, false);
  assert.equal(provider.running.size, 2);
  works.destroy();
  await clock.advance(1_000);
  assert.deepEqual([...provider.running], ['alice-2']);
});

test('a tunnel that ended between two lines is replaced without the client seeing it', async (t) => {
  const { open, transport, clock } = await broker(t);
  await using opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  await clock.advance(60_000);
  const [old] = transport.tunnels;
  old!.openFailure = failure('CT_SESSION_ENDED');
  const dialing = opened.dialer.dial(ORDERS.endpoint, never);
  old!.lose(failure('CT_SESSION_ENDED'));
  await dialing;
  assert.equal(transport.tunnels.length, 2);
});

test('a cloud that does not confirm the end of a session holds nobody up for more than 10 s', async (t) => {
  const { open, transport, clock, logs } = await broker(t);
  const opened = await open();
  await opened.dialer.dial(ORDERS.endpoint, never);
  Object.assign(transport.tunnels[0]!, { [Symbol.asyncDispose]: () => new Promise(() => {}) });
  const closing = opened[Symbol.asyncDispose]();
  await clock.advance(10_000);
  await closing;
  assert.match(logs.at(-1)!.message, /did not confirm/);
});

test('dialling after the end is refused', async (t) => {
  const { open } = await broker(t);
  const opened = await open();
  await opened[Symbol.asyncDispose]();
  await assert.rejects(opened.dialer.dial(ORDERS.endpoint, never), { code: 'CT_INTERRUPTED' });
});

test('an explanation asks for routes and opens nothing', async (t) => {
  const { context, provider } = await broker(t);
  const [explained] = await explainTunnel(context, PROD, never);
  assert.equal(explained!.access.document, 'AWS-StartPortForwardingSessionToRemoteHost');
  assert.equal(explained!.route.node.id, 'i-0bastion');
  assert.deepEqual(provider.calls, ['findDatabase prod', 'routeTo orders-prod 3306']);
});
