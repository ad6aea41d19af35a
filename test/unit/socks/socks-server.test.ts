import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { ForwardLimits } from '../../../src/forward/forward-types.ts';
import { parseHostPattern } from '../../../src/socks/rules.ts';
import { openSocks } from '../../../src/socks/socks-server.ts';
import type { SocksEvent } from '../../../src/socks/socks-types.ts';
import { LocalMemory } from '../../../src/transport/local-memory.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { FakeOpenedTunnel } from '../../support/fake-opened-tunnel.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { until } from '../../support/until.ts';

interface Options {
  readonly only?: readonly string[];
  readonly limits?: Partial<ForwardLimits>;
  readonly open?: () => Promise<FakeOpenedTunnel>;
}

/** A port whose far side is the test: every dial is a stream that echoes. */
async function socks(t: { after(call: () => Promise<void>): void }, options: Options = {}) {
  const { world, clock } = manualWorld();
  const opened = new FakeOpenedTunnel([]);
  opened.newStream = () => new FakeStream('connected').echo();
  const events: SocksEvent[] = [];
  const server = await openSocks(
    { world, peers: new PeerWatch(world), memory: new LocalMemory() },
    {
      listen: { bind: ['127.0.0.1'], port: 0 },
      rules: { only: (options.only ?? []).map((text) => parseHostPattern(text, '--only')), except: [] },
      open: options.open ?? (async () => opened),
      limits: { ttl: undefined, idle: undefined, grace: 5_000, ...options.limits },
      onEvent: (event) => events.push(event),
    },
  );
  t.after(async () => server[Symbol.asyncDispose]());
  const client = (): Socket => connect(server.local[0]!).on('error', () => {});
  return { clock, opened, events, server, client };
}

const named = (name: string, port = 80) =>
  Buffer.concat([
    Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length]),
    Buffer.from(name),
    Buffer.from([port >> 8, port & 255]),
  ]);

/** Everything the socket says until it ends or says `bytes` bytes. */
async function said(socket: Socket, byteCount = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
  });
  await until(() => length >= byteCount || socket.readableEnded || socket.destroyed);
  return Buffer.concat(pieces);
}

test('SOCKS5: the reply comes when the stream stands, and early bytes are not lost', async (t) => {
  const { client, opened, events, server } = await socks(t);
  const gate = Promise.withResolvers<FakeStream>();
  opened.newStream = () => gate.promise;
  const socket = client();
  socket.write(Buffer.concat([named('db.internal', 5432), Buffer.from('early ')]));
  assert.equal((await said(socket, 2)).toString('hex'), '0500');
  await settle();
  assert.equal(socket.bytesRead, 2, 'no reply before the dial succeeded');
  gate.resolve(new FakeStream('connected').echo());
  socket.write('late');
  socket.end();
  const answer = await said(socket);
  assert.equal(answer.toString('latin1').slice(-10), 'early late');
  await until(() => events.some((event) => event.type === 'client' && event.change === 'closed'));
  assert.deepEqual(
    opened.clients.map(({ change, to, bytesUp, bytesDown }) => ({ change, to, bytesUp, bytesDown })),
    [
      { change: 'connected', to: { host: 'db.internal', port: 5432 }, bytesUp: 0, bytesDown: 0 },
      { change: 'closed', to: { host: 'db.internal', port: 5432 }, bytesUp: 10, bytesDown: 10 },
    ],
  );
  server.cut('ended');
  const report = await server.closed;
  assert.deepEqual(report.destinations, [
    { to: 'db.internal:5432', connections: 1, failed: 0, bytesUp: 10, bytesDown: 10 },
  ]);
});

test('localhost is the machine at the far end itself', async (t) => {
  const { client, opened } = await socks(t);
  client().write(named('localhost', 8080));
  await until(() => opened.dials.length === 1);
  assert.equal(opened.dials[0]!.to, 'localhost:8080');
});

test('a denied rule is refused with a reason, in each protocol, and nothing is dialled', async (t) => {
  const { client, opened, events } = await socks(t, { only: ['*.internal'] });
  const five = client();
  five.write(named('example.com'));
  assert.equal((await said(five)).toString('hex'), '050005020001000000000000');
  const four = client();
  four.write(Buffer.concat([Buffer.from([4, 1, 0, 80, 0, 0, 0, 1, 0]), Buffer.from('example.com\0')]));
  assert.equal((await said(four)).toString('hex'), '005b000000000000');
  const http = client();
  http.write('CONNECT example.com:443 HTTP/1.1\r\n\r\n');
  assert.match(
    (await said(http)).toString(),
    /^HTTP\/1.1 403 [\s\S]*example\.com is not among --only \*\.internal \(CT_POLICY\)\n$/,
  );
  await until(() => events.filter(({ type }) => type === 'refused').length === 3);
  assert.equal(opened.dials.length, 0);
  assert.deepEqual(opened.clients, []);
});

test('a dial that fails is told with the reply of its error, and counted', async (t) => {
  const { client, opened, server, events } = await socks(t);
  opened.newStream = () => Promise.reject(new CloudtunError('CT_REMOTE_REFUSED', 'nobody listens'));
  const socket = client();
  socket.write(named('db.internal'));
  assert.equal((await said(socket)).toString('hex'), '050005050001000000000000');
  await until(() => events.some((event) => event.type === 'client' && event.error?.code === 'CT_REMOTE_REFUSED'));
  server.cut('ended');
  assert.equal((await server.closed).destinations[0]?.failed, 1);
});

test('a refusal that comes after the dial (Session Manager) is still told', async (t) => {
  const { client, opened } = await socks(t);
  opened.newStream = () => new FakeStream('acknowledged');
  const socket = client();
  socket.write(named('db.internal'));
  await until(() => opened.dials.length === 1);
  await settle();
  opened.dials[0]!.stream.destroy(new CloudtunError('CT_REMOTE_REFUSED', 'nobody listens'));
  assert.equal((await said(socket)).toString('hex'), '050005050001000000000000');
});

test('without a refusal for a moment, or at the first byte of the far side, the reply is given', async (t) => {
  const { client, opened, clock } = await socks(t);
  opened.newStream = () => new FakeStream('acknowledged');
  const [one, two] = [client(), client()];
  one.write(named('one.internal'));
  two.write(named('two.internal'));
  await until(() => opened.dials.length === 2);
  await settle();
  opened.dials.find(({ to }) => to === 'one.internal:80')!.stream.say('banner');
  assert.equal((await said(one, 18)).toString('latin1').slice(-6), 'banner');
  assert.equal(two.bytesRead, 2);
  clock.advance(40);
  assert.equal((await said(two, 12)).length, 10 + 2);
});

test('a client that says half a greeting and then nothing is let go after 10 s; so is one that leaves', async (t) => {
  const { client, clock, events } = await socks(t);
  const socket = client();
  socket.write(Buffer.from([5]));
  const leaver = client();
  leaver.write(Buffer.from([5, 1]));
  await once(leaver, 'connect');
  leaver.destroy();
  await until(() => socket.bytesWritten === 1);
  await settle(20);
  clock.advance(9_999);
  await settle();
  assert.equal(socket.destroyed, false);
  clock.advance(1);
  await until(() => socket.destroyed);
  await until(() => events.some(({ type }) => type === 'refused'));
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'refused' ? [event.error.code] : [])),
    ['CT_TIMEOUT'],
  );
});

test('a client that leaves while it is dialled for calls the dial off', async (t) => {
  const { client, opened } = await socks(t);
  const aborted = Promise.withResolvers<void>();
  opened.newStream = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted.resolve();
        reject(signal.reason);
      });
    });
  const socket = client();
  socket.write(named('silent.internal'));
  await said(socket, 2);
  socket.resetAndDestroy();
  await aborted.promise;
});

test('the PAC file is served to who asks for the port by its address, and to nobody else', async (t) => {
  const { client, server, events } = await socks(t, { only: ['*.internal'] });
  const { port } = server.local[0]!;
  const ask = async (path: string, host: string) => {
    const socket = client();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return (await said(socket)).toString();
  };
  const file = await ask('/proxy.pac', `127.0.0.1:${port}`);
  assert.match(file, /^HTTP\/1.1 200 OK\r\nContent-Type: application\/x-ns-proxy-autoconfig\r\n/);
  assert.match(file, new RegExp(`SOCKS5 127.0.0.1:${port}`));
  assert.match(await ask('/', 'localhost'), /^HTTP\/1.1 404 /);
  assert.match(await ask('/proxy.pac', 'evil.example'), /^HTTP\/1.1 421 /);
  assert.equal(events.filter(({ type }) => type === 'client').length, 0);
});

test('clients that come before the target is found wait for it', async (t) => {
  const gate = Promise.withResolvers<FakeOpenedTunnel>();
  const { client, events } = await socks(t, { open: () => gate.promise });
  const socket = client();
  socket.write(named('db.internal'));
  await said(socket, 2);
  const opened = new FakeOpenedTunnel([]);
  opened.newStream = () => new FakeStream('connected').echo();
  gate.resolve(opened);
  await until(() => opened.dials.length === 1);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['serving', 'client'],
  );
});

test('a target that is not found ends it, and those who wait', async (t) => {
  const gate = Promise.withResolvers<FakeOpenedTunnel>();
  const { client, server } = await socks(t, { open: () => gate.promise });
  const socket = client();
  socket.write(named('db.internal'));
  await said(socket, 2);
  gate.reject(new CloudtunError('CT_TARGET_NOT_FOUND', 'no such machine'));
  await assert.rejects(server.ready, { code: 'CT_TARGET_NOT_FOUND' });
  assert.equal((await server.closed).reason, 'failed');
  await until(() => socket.destroyed);
});

test('drain lets a connection finish, and takes nobody new', async (t) => {
  const { client, server, opened, clock } = await socks(t);
  const socket = client();
  socket.write(named('db.internal'));
  await said(socket, 12);
  server.drain('interrupted');
  const late = client();
  await until(() => late.destroyed);
  socket.write('last words');
  await until(() => socket.bytesRead === 22);
  clock.advance(2_500);
  const report = await server.closed;
  assert.deepEqual([report.reason, report.connections, report.bytesUp], ['interrupted', 1, 10]);
  assert.equal(opened.isDisposed, true);
});

test('idle ends it when no client is there, and not while one is that came before it was ready', async (t) => {
  const gate = Promise.withResolvers<FakeOpenedTunnel>();
  const { client, clock, server } = await socks(t, { limits: { idle: 60_000 }, open: () => gate.promise });
  const socket = client();
  socket.write(named('db.internal'));
  await said(socket, 2);
  const opened = new FakeOpenedTunnel([]);
  opened.newStream = () => new FakeStream('connected').echo();
  gate.resolve(opened);
  await until(() => opened.dials.length === 1);
  clock.advance(120_000);
  await settle();
  assert.equal(opened.isDisposed, false);
  socket.destroy();
  await until(() => opened.clients.length === 2);
  clock.advance(60_000);
  assert.equal((await server.closed).reason, 'idle');
});
