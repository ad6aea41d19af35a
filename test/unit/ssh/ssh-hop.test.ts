import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { connectSsh } from '../../../src/ssh/ssh-connection.ts';
import { sshHop } from '../../../src/ssh/ssh-hop.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { hostKeysOf, keyLogin, loggedIn } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { loopbackDialer, TestSshd } from '../../support/test-sshd.ts';
import { until } from '../../support/until.ts';

const never = () => new AbortController().signal;
const SIZE = 20 * 1024 * 1024;

function* load(): Generator<Buffer> {
  for (let index = 0; index < SIZE / 65_536; index += 1) yield Buffer.alloc(65_536, `${index} `);
}

async function rig(t: TestContext) {
  const { world } = manualWorld({ home: await temporaryDirectory(t) });
  let open = 0;
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    open += 1;
    socket.on('error', () => {});
    socket.on('close', () => {
      open -= 1;
    });
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const echoPort = (echo.address() as AddressInfo).port;
  const inner = await new TestSshd({ forward: () => echoPort }).listen();
  const sshd = await new TestSshd({
    forward: ({ host, port }) => {
      if (host === 'silent.internal') return 'silent';
      if (host === 'inner.internal') return inner.port;
      return port === 7 ? echoPort : 'refused';
    },
  }).listen();
  const connection = await loggedIn(world, sshd);
  t.after(async () => {
    await connection[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
    await inner[Symbol.asyncDispose]();
    echo.close();
  });
  return { world, sshd, inner, connection, hop: sshHop(connection), openSockets: () => open };
}

async function digestOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

test('20 MiB through a hop and back, byte-exact, ended by the half close', async (t) => {
  const { hop, openSockets } = await rig(t);
  const stream = await hop.dial({ host: 'db.internal', port: 7 }, never());
  assert.equal(await stream.accepted, 'connected');
  const [digest] = await Promise.all([digestOf(stream), pipeline(Readable.from(load()), stream, { end: true })]);
  assert.equal(digest, await digestOf(Readable.from(load())));
  await until(() => openSockets() === 0);
});

test('many streams at once, each its own', async (t) => {
  const { hop, openSockets } = await rig(t);
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const stream = await hop.dial({ port: 7 }, never());
      stream.end(`stream ${index}`);
      return Buffer.concat(await stream.toArray()).toString();
    }),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 20 }, (_, index) => `stream ${index}`),
  );
  await until(() => openSockets() === 0);
});

test('a reader that does not read leaves its siblings alone', async (t) => {
  const { hop } = await rig(t);
  const slow = await hop.dial({ port: 7 }, never());
  let taken = 0;
  Readable.from(load()).pipe(slow);
  slow.on('drain', () => {
    taken += 1;
  });
  await until(() => taken > 0 && slow.writableNeedDrain);
  const other = await hop.dial({ port: 7 }, never());
  other.end('here');
  assert.equal(Buffer.concat(await other.toArray()).toString(), 'here');
  slow.destroy();
});

test('prohibited and refused are told apart', async (t) => {
  const { world, hop } = await rig(t);
  await assert.rejects(hop.dial({ port: 8 }, never()), {
    code: 'CT_REMOTE_REFUSED',
    message: 'web-1 could not open a connection to localhost:8',
  });
  await using strict = await new TestSshd().listen();
  const server = { to: { port: strict.port }, label: 'web-2', hostKeys: hostKeysOf(world, 'web-2') };
  const key = ephemeralKey();
  strict.accepted.add(key.publicKey);
  await using other = sshHop(await connectSsh(world, loopbackDialer(), server, keyLogin(key), {}, never()));
  await assert.rejects(other.dial({ host: 'secret.internal', port: 7 }, never()), {
    code: 'CT_FORWARD_PROHIBITED',
    message: 'the sshd of web-2 does not allow a connection to secret.internal:7',
  });
});

test('a dial that is not answered: called off, or lost with the hop', async (t) => {
  const { sshd, hop } = await rig(t);
  const calledOff = new AbortController();
  const dial = (signal: AbortSignal) => hop.dial({ host: 'silent.internal', port: 7 }, signal);
  const waiting = dial(calledOff.signal);
  const other = dial(never());
  calledOff.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  sshd.cut();
  await assert.rejects(other, { code: 'CT_TUNNEL_LOST' });
});

test('a hop that dies takes its streams along, with the reason', async (t) => {
  const { sshd, hop } = await rig(t);
  const stream = await hop.dial({ port: 7 }, never());
  const failed = once(stream, 'error');
  stream.write('hello');
  sshd.cut();
  const [error] = await failed;
  assert.equal(error.code, 'CT_TUNNEL_LOST');
  await assert.rejects(hop.dial({ port: 7 }, never()), { code: 'CT_TUNNEL_LOST' });
});

test('destroyed here, closed there', async (t) => {
  const { hop, openSockets } = await rig(t);
  const stream = await hop.dial({ port: 7 }, never());
  await until(() => openSockets() === 1);
  stream.destroy();
  await until(() => openSockets() === 0);
});

test('hops compose: a login over a login', async (t) => {
  const { world, inner, hop } = await rig(t);
  const key = ephemeralKey();
  inner.accepted.add(key.publicKey);
  const server = {
    to: { host: 'inner.internal', port: 22 },
    label: 'inner',
    hostKeys: hostKeysOf(world, 'inner'),
  };
  await using second = sshHop(await connectSsh(world, hop, server, keyLogin(key), {}, never()));
  const stream = await second.dial({ host: 'far.internal', port: 1 }, never());
  stream.end('through two');
  assert.equal(Buffer.concat(await stream.toArray()).toString(), 'through two');
});
