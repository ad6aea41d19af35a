import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import type { OpenedTunnel } from '../../../src/broker/broker-types.ts';
import type { ErrorCode } from '../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { ForwardEvent, ForwardLimits, ListenRule, RunningForward } from '../../../src/forward/forward-types.ts';
import { openForward } from '../../../src/forward/open-forward.ts';
import type { ProbedFarSide } from '../../../src/forward/probe.ts';
import type { PeerState } from '../../../src/runtime/peer-socket.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { FakeOpenedTunnel } from '../../support/fake-opened-tunnel.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { until } from '../../support/until.ts';

const MINUTE = 60_000;
const failure = (code: ErrorCode) => new CloudtunError(code, `because of ${code}`);
const sockets: Socket[] = [];
/** What each client received, and whether it saw a regular end or an error. */
const seen = new WeakMap<Socket, { text: string; hasEnded: boolean; error?: NodeJS.ErrnoException }>();
const sight = (client: Socket) => seen.get(client)!;

const forwards: RunningForward[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  // After a failed assertion they would keep the process alive.
  for (const forward of forwards.splice(0)) forward.cut('ended');
});

interface Setup {
  readonly tunnel?: FakeOpenedTunnel;
  readonly limits?: Partial<ForwardLimits>;
  readonly listen?: readonly ListenRule[];
  readonly open?: (signal: AbortSignal) => Promise<OpenedTunnel>;
  /** What the probe does with the stream it was given; by default it is found ready at once and the stream kept. */
  readonly probe?: (stream: FakeStream, signal: AbortSignal) => Promise<void>;
}

/** A forward whose far side is the test, on a clock driven by hand. */
async function forwarding(setup: Setup = {}) {
  const { world, clock, logs } = manualWorld();
  const tunnel = setup.tunnel ?? new FakeOpenedTunnel();
  let peer: PeerState = 'held';
  const peers = new PeerWatch(world, async (connections) => connections.map(() => peer));
  let accepted = 0;
  const watch = peers.watch.bind(peers);
  peers.watch = (...connection) => {
    accepted += 1;
    return watch(...connection);
  };
  const events: ForwardEvent[] = [];
  const released: number[] = [];
  let probes = 0;
  const forward = await openForward(
    {
      world,
      peers,
      probe: async (open, _subject, _world, signal): Promise<ProbedFarSide> => {
        const number = probes;
        probes += 1;
        const stream = (await open(signal)) as FakeStream;
        await setup.probe?.(stream, signal);
        let kept: FakeStream | undefined = stream;
        return {
          readiness: { kind: 'ready', greeting: 'MySQL 8.0.36' },
          takeOver: async () => {
            const taken = kept;
            kept = undefined;
            return taken;
          },
          release: async () => {
            released.push(number);
            kept?.destroy();
          },
        };
      },
    },
    {
      listen: setup.listen ?? [{ bind: ['127.0.0.1'], port: 0 }],
      open: async (_onEvent, signal) => setup.open?.(signal) ?? tunnel,
      limits: { ttl: undefined, idle: undefined, grace: 30_000, ...setup.limits },
      onEvent: (event) => events.push(event),
    },
  );
  forwards.push(forward);
  const join = async (rule = 0) => {
    const client = connect({ ...forward.local[rule]![0]!, allowHalfOpen: true });
    sockets.push(client);
    const view: { text: string; hasEnded: boolean; error?: NodeJS.ErrnoException } = { text: '', hasEnded: false };
    seen.set(client, view);
    client.on('data', (data) => {
      view.text += data;
    });
    client.on('end', () => {
      view.hasEnded = true;
    });
    client.on('error', (error) => {
      view.error = error;
    });
    await new Promise((resolve) => client.once('connect', resolve).once('close', resolve));
    return client;
  };
  return {
    world,
    clock,
    logs,
    tunnel,
    forward,
    events,
    released,
    join,
    /** How many connections the forward has taken in. */
    accepted: () => accepted,
    setPeer: (state: PeerState) => {
      peer = state;
    },
    types: () => events.map((event) => (event.type === 'client' ? `client ${event.change}` : event.type)),
  };
}

async function refused(forward: Awaited<ReturnType<typeof forwarding>>['forward']): Promise<void> {
  const late = connect(forward.local[0]![0]!);
  const [error] = await once(late, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
}

test('a busy port ends it before anything is asked of the cloud, and the other rules are free again', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const busy = holder.address();
  assert.ok(typeof busy === 'object' && busy !== null);
  const { world } = manualWorld();
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const first = free.address();
  assert.ok(typeof first === 'object' && first !== null);
  free.close();
  const opening = openForward(
    { world, peers: new PeerWatch(world) },
    {
      listen: [
        { bind: ['127.0.0.1'], port: first.port },
        { bind: ['127.0.0.1'], port: busy.port },
      ],
      open: () => assert.fail('the cloud is not asked'),
      limits: { ttl: undefined, idle: undefined, grace: 0 },
      onEvent: () => assert.fail('nothing happens'),
    },
  );
  await assert.rejects(opening, { code: 'CT_PORT_BUSY' });
  const again = createServer().listen(first.port, '127.0.0.1');
  await once(again, 'listening');
  again.close();
  holder.close();
});

test('ready comes after the probe; its stream goes to the first client, a fresh one to the second', async () => {
  const { forward, events, tunnel, join, released, clock } = await forwarding({ limits: { ttl: 60 * MINUTE } });
  await forward.ready;
  const [ready] = events;
  assert.ok(ready?.type === 'ready');
  assert.deepEqual(ready.local, forward.local[0]);
  assert.deepEqual(ready.readiness, { kind: 'ready', greeting: 'MySQL 8.0.36' });
  assert.equal(ready.expiresAt, clock.wall() + 60 * MINUTE);
  assert.equal(tunnel.dials.length, 1);
  const one = await join();
  one.write('first');
  await until(() => tunnel.dials[0]!.stream.text === 'first');
  assert.equal(tunnel.dials.length, 1);
  const two = await join();
  two.write('second');
  await until(() => tunnel.dials[1]?.stream.text === 'second');
  forward.cut('interrupted');
  const report = await forward.closed;
  assert.deepEqual(report, { reason: 'interrupted', duration: 0, connections: 2, bytesUp: 11, bytesDown: 0 });
  assert.deepEqual(released, [0]);
  assert.deepEqual(tunnel.ends, [report]);
  assert.ok(tunnel.isDisposed);
  assert.equal(clock.pending, 0);
  await refused(forward);
});

test('clients that come before it is ready wait, and are served in order', async () => {
  let found = () => {};
  const { forward, tunnel, join, types } = await forwarding({
    probe: () =>
      new Promise((resolve) => {
        found = resolve;
      }),
  });
  const one = await join();
  one.write('early');
  const two = await join();
  two.write('early too');
  await settle();
  assert.deepEqual(types(), []);
  found();
  await forward.ready;
  await until(() => tunnel.dials[0]!.stream.text === 'early' && tunnel.dials[1]?.stream.text === 'early too');
  assert.deepEqual(types(), ['ready', 'client connected', 'client connected']);
  forward.cut('ended');
  await forward.closed;
});

test('a client that gave up waiting is not dialled for; one that left its bytes behind is', async () => {
  let found = () => {};
  const { forward, tunnel, join, setPeer, accepted, clock } = await forwarding({
    probe: () =>
      new Promise((resolve) => {
        found = resolve;
      }),
  });
  const silent = await join();
  const talker = await join();
  talker.write('log line');
  // A connection that came later is seen: so are the bytes.
  await join();
  await until(() => accepted() === 3);
  await settle();
  setPeer('released');
  silent.destroy();
  talker.destroy();
  await clock.advance(1_000);
  found();
  await forward.ready;
  await clock.advance(1_000);
  assert.deepEqual(
    tunnel.dials.map(({ stream }) => stream.text),
    ['log line'],
  );
  forward.cut('ended');
  assert.equal((await forward.closed).connections, 1);
});

test('more than 64 waiting clients are too many: the others are reset', async () => {
  const { forward, join, logs } = await forwarding({
    probe: (_stream, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  });
  const clients = await Promise.all(Array.from({ length: 66 }, () => join()));
  await until(() => clients.filter((client) => client.destroyed).length === 2);
  assert.equal(logs.filter(({ level }) => level === 'warn').length, 1);
  forward.cut('interrupted');
  await until(() => clients.every((client) => client.destroyed));
  assert.equal((await forward.closed).connections, 0);
});

test('a failure before it is ready closes everything, then rejects ready with it', async () => {
  const { forward, tunnel, join, clock } = await forwarding({
    probe: async () => {
      throw failure('CT_REMOTE_REFUSED');
    },
  });
  const waiting = await join();
  await assert.rejects(forward.ready, { code: 'CT_REMOTE_REFUSED' });
  assert.ok(tunnel.isDisposed);
  await until(() => waiting.destroyed);
  const report = await forward.closed;
  assert.equal(report.reason, 'failed');
  assert.equal(report.error?.code, 'CT_REMOTE_REFUSED');
  assert.equal(report.duration, 0);
  assert.equal(clock.pending, 0);
  await refused(forward);
});

test('one rule that fails calls the others off', async () => {
  const tunnel = new FakeOpenedTunnel([{ port: 80 }, { port: 81 }]);
  let calledOff = false;
  const { forward } = await forwarding({
    tunnel,
    listen: [
      { bind: ['127.0.0.1'], port: 0 },
      { bind: ['127.0.0.1'], port: 0 },
    ],
    probe: (stream, signal) => {
      if (stream === tunnel.dials[1]?.stream) return Promise.reject(failure('CT_REMOTE_REFUSED'));
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          calledOff = true;
          reject(signal.reason);
        });
      });
    },
  });
  await assert.rejects(forward.ready, { code: 'CT_REMOTE_REFUSED' });
  assert.ok(calledOff);
});

test('rules have a listener and a route each, in order', async () => {
  const tunnel = new FakeOpenedTunnel([{ port: 80 }, { host: 'db.internal', port: 5432 }]);
  const { forward, join, events } = await forwarding({
    tunnel,
    listen: [
      { bind: ['127.0.0.1'], port: 0 },
      { bind: ['127.0.0.1'], port: 0 },
    ],
  });
  await forward.ready;
  const client = await join(1);
  client.write('select');
  const stream = () => tunnel.dials.find(({ to }) => to === 'db.internal:5432')!.stream;
  await until(() => stream().text === 'select');
  const connected = events.find((event) => event.type === 'client');
  assert.ok(connected?.type === 'client');
  assert.equal(connected.rule, 1);
  assert.match(connected.from, /^127\.0\.0\.1:\d+$/);
  forward.cut('ended');
  await forward.closed;
});

test('interrupted before it is ready: what is being opened is called off, and its result closed', async () => {
  const tunnel = new FakeOpenedTunnel();
  let give = (_tunnel: OpenedTunnel) => {};
  const { forward } = await forwarding({
    open: () =>
      new Promise((resolve) => {
        give = resolve;
      }),
  });
  await settle();
  forward.drain('interrupted');
  give(tunnel);
  await assert.rejects(forward.ready, { code: 'CT_INTERRUPTED' });
  assert.ok(tunnel.isDisposed);
  assert.equal((await forward.closed).reason, 'interrupted');
  assert.equal((await forward.closed).error, undefined);
});

test('each client is counted, told of and recorded, with its bytes and its error', async () => {
  const { forward, tunnel, join, events } = await forwarding();
  await forward.ready;
  const one = await join();
  one.write('12345');
  const first = tunnel.dials[0]!.stream;
  await until(() => first.text === '12345');
  first.say('123');
  await until(() => sight(one).text === '123');
  first.destroy(failure('CT_STREAM_STALLED'));
  await until(() => one.destroyed);
  const closed = () => events.find((event) => event.type === 'client' && event.change === 'closed');
  await until(() => closed() !== undefined);
  const event = closed();
  assert.ok(event?.type === 'client');
  assert.deepEqual(
    [event.connection, event.clients, event.bytesUp, event.bytesDown, event.error?.code],
    [1, 0, 5, 3, 'CT_STREAM_STALLED'],
  );
  assert.deepEqual(
    tunnel.clients.map(({ change, bytesUp, bytesDown }) => [change, bytesUp, bytesDown]),
    [
      ['connected', 0, 0],
      ['closed', 5, 3],
    ],
  );
  tunnel.newStream = () => Promise.reject(failure('CT_NETWORK'));
  const two = await join();
  await until(() => two.destroyed);
  await until(() => tunnel.clients.length === 4);
  assert.equal(tunnel.clients[3]!.error?.code, 'CT_NETWORK');
  forward.cut('ended');
  const report = await forward.closed;
  assert.deepEqual([report.connections, report.bytesUp, report.bytesDown], [2, 5, 3]);
});

test('a client that leaves while its stream is being opened calls that off, without an error', async () => {
  const { forward, tunnel, join } = await forwarding();
  await forward.ready;
  let dialling = false;
  let aborted = false;
  tunnel.newStream = (_to, signal) =>
    new Promise((_resolve, reject) => {
      dialling = true;
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(signal.reason);
      });
    });
  (await join()).write('takes the kept stream');
  await until(() => tunnel.clients.length === 1);
  const leaving = await join();
  await until(() => dialling);
  leaving.resetAndDestroy();
  await until(() => tunnel.clients.length === 3);
  assert.ok(aborted);
  assert.equal(tunnel.clients[2]!.error, undefined);
  forward.cut('ended');
  await forward.closed;
});

test('the end of the time is told, then drained; quiet connections end regularly, and it says why', async () => {
  const { forward, events, join, clock, tunnel, types } = await forwarding({ limits: { ttl: 10 * MINUTE } });
  await forward.ready;
  const client = await join();
  client.write('x');
  await until(() => tunnel.dials[0]!.stream.text === 'x');
  await clock.advance(5 * MINUTE);
  await clock.advance(4 * MINUTE);
  assert.deepEqual(
    events.filter((event) => event.type === 'expiring'),
    [
      { type: 'expiring', left: 5 * MINUTE, because: 'ttl' },
      { type: 'expiring', left: MINUTE, because: 'ttl' },
    ],
  );
  await clock.advance(MINUTE);
  await until(() => sight(client).hasEnded);
  const report = await forward.closed;
  assert.equal(report.reason, 'ttl');
  assert.equal(report.duration, 10 * MINUTE);
  assert.deepEqual(types().slice(-2), ['draining', 'client closed']);
  assert.equal(clock.pending, 0);
});

test('the byte limit is told twice over all connections, then drained, and says so with an error', async () => {
  const { forward, events, join, clock, tunnel } = await forwarding({ limits: { maxBytes: 1_000 } });
  await forward.ready;
  const said = () => events.filter((event) => event.type === 'expiring');
  const first = await join();
  first.write('x'.repeat(850));
  await until(() => tunnel.dials[0]!.stream.text.length === 850);
  const second = await join();
  second.write('y'.repeat(100));
  await until(() => said().length === 2);
  assert.deepEqual(said(), [
    { type: 'expiring', leftBytes: 150, because: 'max-bytes' },
    { type: 'expiring', leftBytes: 50, because: 'max-bytes' },
  ]);
  second.write('z'.repeat(50));
  await until(() => events.some((event) => event.type === 'draining'));
  await settle();
  assert.ok(!tunnel.isDisposed, 'both may still be in the middle of something');
  await clock.advance(2_000);
  const report = await forward.closed;
  assert.equal(report.reason, 'max-bytes');
  assert.equal(report.error?.code, 'CT_MAX_BYTES');
  assert.equal(report.bytesUp, 1_000);
  assert.ok(sight(first).hasEnded);
  assert.equal(clock.pending, 0);
});

test('what goes on while the byte limit drains is cut a tenth beyond it', async () => {
  const { forward, join, tunnel } = await forwarding({ limits: { maxBytes: 1_000 } });
  await forward.ready;
  const client = await join();
  client.write('x'.repeat(1_000));
  await until(() => tunnel.dials[0]!.stream.text.length === 1_000);
  client.write('x'.repeat(100));
  const report = await forward.closed;
  assert.equal(report.reason, 'max-bytes');
  await until(() => sight(client).error !== undefined);
});

test('the end of the hours is told like the end of the time, and is no error', async () => {
  const hoursEnd = manualWorld().clock.wall() + 30 * MINUTE;
  const { forward, events, clock: its } = await forwarding({ limits: { hoursEnd, ttl: 8 * 60 * MINUTE } });
  await forward.ready;
  assert.equal(forward.status().expiresAt, hoursEnd);
  await its.advance(25 * MINUTE);
  await its.advance(4 * MINUTE);
  await its.advance(MINUTE);
  const report = await forward.closed;
  assert.equal(report.reason, 'policy');
  assert.equal(report.error, undefined);
  assert.deepEqual(
    events.filter((event) => event.type === 'expiring'),
    [
      { type: 'expiring', left: 5 * MINUTE, because: 'hours' },
      { type: 'expiring', left: MINUTE, because: 'hours' },
    ],
  );
});

test('an idle forward ends; a client that is connected keeps it', async () => {
  const { forward, clock, join, tunnel } = await forwarding({ limits: { idle: 30 * MINUTE } });
  await forward.ready;
  await clock.advance(29 * MINUTE);
  const client = await join();
  client.write('x');
  await until(() => tunnel.dials[0]!.stream.text === 'x');
  await clock.advance(300 * MINUTE);
  client.resetAndDestroy();
  await until(() => tunnel.clients.length === 2);
  await clock.advance(30 * MINUTE - 1);
  assert.ok(!tunnel.isDisposed);
  await clock.advance(1);
  const report = await forward.closed;
  assert.equal(report.reason, 'idle');
  assert.equal(report.connections, 1);
});

test('a drain refuses newcomers, waits for a connection that is busy, and ends when it is done', async () => {
  const { forward, join, tunnel, clock, events } = await forwarding();
  await forward.ready;
  const client = await join();
  const { stream } = tunnel.dials[0]!;
  client.write('dump');
  await until(() => stream.text === 'dump');
  forward.drain('interrupted');
  forward.drain('ttl');
  await refused(forward);
  for (let count = 0; count < 10; count += 1) {
    await clock.advance(1_500);
    stream.say('rows');
    await until(() => sight(client).text === 'rows'.repeat(count + 1));
  }
  assert.ok(!tunnel.isDisposed);
  stream.sayEnd();
  await until(() => sight(client).hasEnded);
  client.end();
  const report = await forward.closed;
  assert.equal(report.reason, 'interrupted');
  assert.equal(report.bytesDown, 40);
  assert.deepEqual(
    events.filter((event) => event.type === 'draining'),
    [{ type: 'draining', clients: 1, because: 'interrupted' }],
  );
  assert.equal(clock.pending, 0);
});

test('after the grace time a busy connection is reset, never ended as if it were whole', async () => {
  const { forward, join, tunnel, clock } = await forwarding({ limits: { grace: 5_000 } });
  await forward.ready;
  const client = await join();
  const { stream } = tunnel.dials[0]!;
  stream.say('rows');
  await until(() => sight(client).text === 'rows');
  forward.drain('ttl');
  for (let count = 0; count < 5; count += 1) {
    stream.say('rows');
    await until(() => sight(client).text === 'rows'.repeat(count + 2));
    await clock.advance(1_000);
  }
  await until(() => client.destroyed);
  assert.equal(sight(client).error?.code, 'ECONNRESET');
  assert.equal(sight(client).hasEnded, false);
  assert.equal((await forward.closed).reason, 'ttl');
});

test('a second word cuts a drain short, and its reason stands', async () => {
  const { forward, join, tunnel } = await forwarding();
  await forward.ready;
  const client = await join();
  tunnel.dials[0]!.stream.say('rows');
  await until(() => sight(client).text === 'rows');
  forward.drain('ttl');
  forward.cut('interrupted');
  await until(() => client.destroyed);
  assert.equal((await forward.closed).reason, 'ttl');
});

test('a tunnel that cannot be had again ends it as lost, with why', async () => {
  const { forward, tunnel, join } = await forwarding();
  await forward.ready;
  const client = await join();
  client.write('x');
  await until(() => tunnel.clients.length === 1);
  tunnel.lose(failure('CT_DENIED'));
  await until(() => client.destroyed);
  const report = await forward.closed;
  assert.equal(report.reason, 'lost');
  assert.equal(report.error?.code, 'CT_DENIED');
});

test('disposing cuts, and is the same as often as it is done', async () => {
  const { forward, tunnel, join } = await forwarding();
  await forward.ready;
  const client = await join();
  client.write('x');
  await until(() => tunnel.clients.length === 1);
  await forward[Symbol.asyncDispose]();
  await forward[Symbol.asyncDispose]();
  assert.equal((await forward.closed).reason, 'ended');
  assert.ok(tunnel.isDisposed);
  await until(() => client.destroyed);
});

test('a thousand clients at once are all served, each its own bytes, and nothing is left', async () => {
  const { forward, tunnel, clock } = await forwarding();
  tunnel.newStream = () => new FakeStream().echo();
  await forward.ready;
  const echo = async (number: number) => {
    const client = connect({ ...forward.local[0]![0]!, allowHalfOpen: true });
    sockets.push(client);
    let got = '';
    client.setEncoding('utf8').on('data', (text: string) => {
      got += text;
    });
    client.end(`client ${number}`);
    await once(client, 'end');
    return got === `client ${number}`;
  };
  // The kept stream was made before streams echoed: the first client takes it.
  const first = connect(forward.local[0]![0]!);
  sockets.push(first);
  await until(() => tunnel.clients.length === 1);
  const answers = await Promise.all(Array.from({ length: 1_000 }, (_, number) => echo(number)));
  assert.equal(answers.filter((isRight) => isRight).length, 1_000);
  first.resetAndDestroy();
  await until(() => tunnel.clients.length === 2_002);
  forward.drain('ended');
  const report = await forward.closed;
  assert.equal(report.connections, 1_001);
  assert.equal(report.bytesUp, report.bytesDown);
  assert.ok(tunnel.dials.every(({ stream }) => stream.destroyed));
  assert.equal(clock.pending, 0);
});
