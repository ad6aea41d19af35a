import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { loopbackAddresses } from '../../../src/runtime/loopback.ts';
import { findPortHolder } from '../../../src/runtime/port-holder.ts';
import { bindError } from '../../../src/transport/bind-error.ts';
import { openListener } from '../../../src/transport/listener.ts';
import { manualWorld, turn } from '../../support/manual-world.ts';

const { world } = manualWorld();
const refuse = () => assert.fail('nobody connects in this test');

async function isBound(host: string, port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(true));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(false)));
  });
}

test('port 0 gives one free port on every loopback address, and connections come from each', async () => {
  const bind = loopbackAddresses();
  const accepted: Socket[] = [];
  await using listener = await openListener(world, {
    bind: ['localhost'],
    port: 0,
    onConnection: (socket) => accepted.push(socket),
  });
  assert.deepEqual(
    listener.local.map((endpoint) => endpoint.host),
    bind,
  );
  assert.equal(new Set(listener.local.map((endpoint) => endpoint.port)).size, 1);
  assert.ok(listener.local[0]!.port > 0);
  for (const { host, port } of listener.local) {
    const client = connect({ host, port });
    await once(client, 'connect');
    while (accepted.length <= listener.local.findIndex((endpoint) => endpoint.host === host)) await turn();
    client.destroy();
  }
  for (const socket of accepted) socket.destroy();
});

test('all or none: a port that is busy on the second address is free again on the first', async () => {
  const bind = loopbackAddresses();
  assert.ok(bind.length === 2, 'the test machine has IPv6 loopback');
  const other = createServer().listen({ host: bind[1]!, port: 0, ipv6Only: true });
  await once(other, 'listening');
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await assert.rejects(openListener(world, { bind, port: address.port, onConnection: refuse }), (error) => {
      assert.ok(error instanceof CloudtunError);
      assert.equal(error.code, 'CT_PORT_BUSY');
      assert.equal(error.exitCode, 7);
      assert.match(error.message, /^\[::1\]:\d+ is held by /);
      if (process.platform === 'linux') assert.ok(error.message.includes(`(pid ${process.pid})`), error.message);
      return true;
    });
    assert.equal(await isBound(bind[0]!, address.port), false);
  } finally {
    other.close();
  }
});

test('the holder is found on all addresses too, and nobody holds a free port', {
  skip: process.platform !== 'linux' && 'only Linux tells',
}, async () => {
  const other = createServer().listen({ host: '0.0.0.0', port: 0 });
  await once(other, 'listening');
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  assert.equal((await findPortHolder('127.0.0.1', address.port))?.pid, process.pid);
  assert.ok((await findPortHolder('127.0.0.1', address.port))?.command);
  other.close();
  await once(other, 'close');
  assert.equal(await findPortHolder('127.0.0.1', address.port), undefined);
});

test('a holder that cannot be told does not hide the error', async () => {
  const other = createServer().listen({ host: '127.0.0.1', port: 0 });
  await once(other, 'listening');
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  const options = { bind: ['127.0.0.1'], port: address.port, onConnection: refuse };
  const untold = openListener(world, options, async () => undefined);
  await assert.rejects(untold, {
    code: 'CT_PORT_BUSY',
    message: `127.0.0.1:${address.port} is in use by another process`,
  });
  const broken = openListener(world, options, () => Promise.reject(new Error('no /proc')));
  await assert.rejects(broken, { code: 'CT_PORT_BUSY' });
  other.close();
});

test('an address that is not of this machine is CT_BIND, by its name', async () => {
  const opening = openListener(world, { bind: ['127.0.0.1', '203.0.113.9'], port: 0, onConnection: refuse });
  await assert.rejects(opening, { code: 'CT_BIND', message: '203.0.113.9 is not an address of this machine' });
});

test('binding all addresses warns, once for each address, and both families share the port', async () => {
  const { world: warned, logs } = manualWorld();
  await using listener = await openListener(warned, { bind: ['*', '0.0.0.0'], port: 0, onConnection: refuse });
  assert.equal(logs.filter((line) => line.level === 'warn').length, 2);
  assert.match(logs[0]!.message, /^0\.0\.0\.0:\d+ is not a loopback address/);
  assert.equal(listener.local[0]!.port, listener.local[1]!.port);
});

test('after disposing, connections are refused and those that were accepted live on', async () => {
  const accepted: Socket[] = [];
  const listener = await openListener(world, {
    bind: ['127.0.0.1'],
    port: 0,
    onConnection: (socket) => accepted.push(socket),
  });
  const { port } = listener.local[0]!;
  const client = connect({ host: '127.0.0.1', port });
  client.write('hello');
  await once(client, 'connect');
  while (accepted.length === 0) await turn();
  await listener[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
  const late = connect({ host: '127.0.0.1', port });
  const [error] = await once(late, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
  // Accepted sockets are paused: whoever wants their bytes reads.
  const received = once(accepted[0]!, 'data');
  accepted[0]!.resume();
  const [data] = await received;
  assert.equal(String(data), 'hello');
  client.destroy();
  accepted[0]!.destroy();
});

test('every reason of the system has its words, and a low port its hint', async () => {
  const reason = async (code: string, port = 13_306) => {
    const cause = Object.assign(new Error(`listen ${code}`), { code });
    const error = await bindError(cause, { host: '127.0.0.1', port }, async () => ({ uid: 0 }));
    assert.equal(error.cause, cause);
    return `${error.code}: ${error.message} | ${error.hints.join(' ')}`;
  };
  assert.match(await reason('EADDRINUSE'), /^CT_PORT_BUSY: 127\.0\.0\.1:13306 is held by a process of uid 0 \| choose/);
  assert.match(
    await reason('EACCES', 80),
    /^CT_BIND: 127\.0\.0\.1:80 may not be bound by this user \| ports below 1024/,
  );
  assert.match(await reason('EACCES', 8080), /^CT_BIND: .* \| the system forbids it/);
  assert.match(await reason('EADDRNOTAVAIL'), /^CT_BIND: 127\.0\.0\.1 is not an address of this machine/);
  assert.match(await reason('EMFILE'), /^CT_BIND: 127\.0\.0\.1:13306 cannot be bound \(EMFILE\)/);
});
