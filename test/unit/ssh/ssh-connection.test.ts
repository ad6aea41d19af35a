import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { CloudtunError } from '../../../src/domain/errors.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import type { HostKeyVerdict } from '../../../src/ssh/host-keys.ts';
import { connectSsh } from '../../../src/ssh/ssh-connection.ts';
import { type ManualWorld, manualWorld } from '../../support/manual-world.ts';
import { hostKeysOf, keyLogin, loggedIn } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { loopbackDialer, TestSshd } from '../../support/test-sshd.ts';
import { until } from '../../support/until.ts';

const never = () => new AbortController().signal;
const worldIn = async (t: TestContext): Promise<ManualWorld> => manualWorld({ home: await temporaryDirectory(t) });
const failureOf = (promise: Promise<unknown>): Promise<CloudtunError> =>
  promise.then(
    () => assert.fail('it succeeded'),
    (error: CloudtunError) => error,
  );

/** A port where something else than an sshd is. */
async function oddServer(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('a login, and a goodbye that leaves nothing open', async (t) => {
  const { world, clock } = await worldIn(t);
  await using sshd = await new TestSshd().listen();
  const verdicts: HostKeyVerdict[] = [];
  const connection = await loggedIn(world, sshd, { onHostKey: (verdict) => verdicts.push(verdict) });
  assert.deepEqual(sshd.users, ['alice']);
  assert.deepEqual(
    verdicts.map(({ trust }) => trust),
    ['first-use'],
  );
  await connection[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();
  assert.equal(await connection.closed, undefined);
  await until(() => sshd.connections === 0);
  assert.equal(clock.pending, 0);
});

test('a key that is not admitted is refused, with what was tried', async (t) => {
  const { world, clock } = await worldIn(t);
  await using sshd = await new TestSshd().listen();
  const server = { to: { port: sshd.port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const error = await failureOf(connectSsh(world, loopbackDialer(), server, keyLogin(ephemeralKey()), {}, never()));
  assert.equal(error.code, 'CT_LOGIN_REFUSED');
  assert.equal(error.exitCode, 4);
  assert.deepEqual(error.details, [
    ['user', 'alice'],
    ['tried', 'the test key'],
    ['accepts', 'publickey'],
  ]);
  await until(() => sshd.connections === 0);
  assert.equal(clock.pending, 0);
});

test('a key that arrives late is tried again, over a new stream', async (t) => {
  const { world, clock } = await worldIn(t);
  await using sshd = await new TestSshd({ admits: (attempt) => attempt === 3 }).listen();
  const key = ephemeralKey();
  sshd.accepted.add(key.publicKey);
  const dialer = loopbackDialer();
  const server = { to: { port: sshd.port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const pauses: number[] = [];
  const onRetry = (pause: number) => {
    pauses.push(pause);
    // The sleep begins after this call.
    clock.soon(() => clock.tick(pause));
  };
  await using _connection = await connectSsh(
    world,
    dialer,
    server,
    keyLogin(key, [1_000, 3_000]),
    { onRetry },
    never(),
  );
  assert.deepEqual(pauses, [1_000, 3_000]);
  assert.equal(dialer.dials.length, 3);
});

test('a changed host key stops before any login', async (t) => {
  const { world } = await worldIn(t);
  await using first = await new TestSshd().listen();
  await (await loggedIn(world, first))[Symbol.asyncDispose]();
  await using second = await new TestSshd().listen();
  const error = await failureOf(loggedIn(world, second));
  assert.equal(error.code, 'CT_HOST_KEY_CHANGED');
  assert.deepEqual(second.users, []);
  await until(() => second.connections === 0);
});

test('no sshd: refused, silent, something else, closed at once, closed in the key exchange', async (t) => {
  const { world, clock } = await worldIn(t);
  const attempt = (port: number) => {
    const server = { to: { port }, label: 'web-1', hostKeys: hostKeysOf(world) };
    return failureOf(connectSsh(world, loopbackDialer(), server, keyLogin(ephemeralKey()), {}, never()));
  };
  const gone = await oddServer(t, (socket) => socket.destroy());
  const silence = await oddServer(t, () => {});
  const http = await oddServer(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const half = await oddServer(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  const garbage = await oddServer(t, (socket) =>
    socket.write(Buffer.concat([Buffer.from('SSH-2.0-X\r\n'), Buffer.alloc(4096, 0xff)])),
  );

  assert.equal((await attempt(gone)).code, 'CT_PROTO_SSH');
  assert.equal((await attempt(http)).code, 'CT_REMOTE_UNEXPECTED');
  assert.match((await attempt(half)).message, /key exchange .* failed/);
  assert.equal((await attempt(garbage)).code, 'CT_PROTO_SSH');
  const silent = attempt(silence);
  await until(() => clock.pending === 1);
  clock.tick(20_000);
  assert.equal((await silent).code, 'CT_REMOTE_SILENT');
  const refused = await attempt(1);
  assert.equal(refused.code, 'CT_REMOTE_REFUSED');
  assert.match(refused.message, /no SSH server answers on localhost:1 of web-1/);
  assert.equal(clock.pending, 0);
});

test('called off in the middle of a handshake', async (t) => {
  const { world, clock } = await worldIn(t);
  const port = await oddServer(t, (socket) => socket.write('SSH-2.0-slow\r\n'));
  const calledOff = new AbortController();
  const server = { to: { port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const attempt = failureOf(
    connectSsh(world, loopbackDialer(), server, keyLogin(ephemeralKey()), {}, calledOff.signal),
  );
  await until(() => clock.pending === 1);
  const reason = new Error('enough');
  calledOff.abort(reason);
  assert.equal(await attempt, reason);
  assert.equal(clock.pending, 0);
});

test('called off while the stream was dialled, by a dialer that does not look', async (t) => {
  const { world, clock } = await worldIn(t);
  const port = await oddServer(t, (socket) => socket.write('SSH-2.0-slow\r\n'));
  const calledOff = new AbortController();
  const reason = new Error('enough');
  const { dial } = loopbackDialer();
  const dialer: ReturnType<typeof loopbackDialer> = {
    ...loopbackDialer(),
    dial: async (to, signal) => {
      const stream = await dial(to, signal);
      calledOff.abort(reason);
      return stream;
    },
  };
  const server = { to: { port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const attempt = connectSsh(world, dialer, server, keyLogin(ephemeralKey()), {}, calledOff.signal);
  assert.equal(await failureOf(attempt), reason);
  assert.equal(clock.pending, 0);
});

test('a connection that breaks says so', async (t) => {
  const { world } = await worldIn(t);
  await using sshd = await new TestSshd().listen();
  await using connection = await loggedIn(world, sshd);
  sshd.cut();
  const error = await connection.closed;
  assert.equal(error?.code, 'CT_TUNNEL_LOST');
  assert.match(error?.message ?? '', /web-1/);
});
