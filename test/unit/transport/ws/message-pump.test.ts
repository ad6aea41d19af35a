import assert from 'node:assert/strict';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type WebSocket from 'ws';
import { WebSocketServer } from 'ws';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { WakeListener } from '../../../../src/runtime/wake-watch.ts';
import {
  type ConnectOptions,
  connectPump,
  KEEP_ALIVE_INTERVAL_MS,
  type MessagePump,
  PONG_DEADLINE_MS,
  type PumpEnd,
} from '../../../../src/transport/ws/message-pump.ts';
import { manualWorld, turn } from '../../../support/manual-world.ts';
import { rawFrame, rawWebsocket } from '../../../support/raw-websocket.ts';

const LOOPBACK = '127.0.0.1';
const { signal: never } = new AbortController();
const cleanUp: (() => void)[] = [];
after(() => {
  for (const close of cleanUp) close();
});

/** Turns of the event loop until it is so; loopback sockets need a few, never a wait for time. */
async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let count = 0; count < 20_000; count++) {
    if (isSo()) return;
    await turn();
  }
  assert.fail(`never: ${what}`);
}

/** What a pump handed over. */
class Heard {
  readonly messages: string[] = [];
  readonly ends: PumpEnd[] = [];
  batches: number[] = [];
  drained = 0;
  #inBatch = 0;

  readonly handler = {
    message: (bytes: Buffer) => {
      this.messages.push(bytes.toString('latin1'));
      this.#inBatch++;
    },
    batchEnd: () => {
      this.batches.push(this.#inBatch);
      this.#inBatch = 0;
    },
    drained: () => void this.drained++,
    closed: (end: PumpEnd) => void this.ends.push(end),
  };
}

interface Peer {
  readonly socket: WebSocket;
  readonly received: string[];
  readonly closes: number[];
  pings: number;
}

/** A websocket server on loopback, one connection of it, and a pump at the other end. */
async function connect(
  options: { readonly autoPong?: boolean; readonly onPeer?: (peer: Peer) => void } & Pick<ConnectOptions, 'wake'> = {},
) {
  const server = new WebSocketServer({ host: LOOPBACK, port: 0, autoPong: options.autoPong ?? true });
  cleanUp.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  let peer: Peer | undefined;
  server.on('connection', (socket) => {
    const found: Peer = { socket, received: [], closes: [], pings: 0 };
    peer = found;
    socket.on('message', (data: Buffer) => found.received.push(data.toString('latin1')));
    socket.on('ping', () => found.pings++);
    socket.on('close', (code) => found.closes.push(code));
    socket.on('error', () => {});
    options.onPeer?.(found);
  });
  await until(() => server.address() !== null, 'listening');
  const { world, clock } = manualWorld();
  const url = `ws://${LOOPBACK}:${(server.address() as AddressInfo).port}/`;
  const pump = await connectPump(world, url, { timeout: 15_000, wake: options.wake }, never);
  await until(() => peer !== undefined, 'the peer sees the connection');
  const heard = new Heard();
  return { pump, heard, clock, peer: peer! };
}

const send = (pump: MessagePump, text: string) => {
  const bytes = Buffer.from(text);
  pump.transmit(bytes, 0, bytes.length);
};

/** Everything that the peer sent so far has arrived, pongs included: bytes stay in order. */
async function arrived(peer: Peer, heard: Heard): Promise<void> {
  const count = heard.messages.length;
  peer.socket.send(Buffer.from('.'));
  await until(() => heard.messages.length > count, 'what the peer sent');
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, LOOPBACK);
  cleanUp.push(() => server.close());
  await until(() => server.address() !== null, 'listening');
  return `ws://${LOOPBACK}:${(server.address() as AddressInfo).port}/`;
}

test('messages go both ways; one batch end for what came in one piece', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  pump.sendText('hello');
  send(pump, 'one');
  send(pump, 'two');
  await until(() => peer.received.length === 1, 'only the text before the flush');
  pump.flush();
  await until(() => peer.received.length === 3, 'all of it');
  assert.deepEqual(peer.received, ['hello', 'one', 'two']);
  const transport = (peer.socket as unknown as { _socket: Socket })._socket;
  transport.cork();
  for (const text of ['a', 'b', 'c']) peer.socket.send(Buffer.from(text));
  transport.uncork();
  await until(() => heard.messages.length === 3, 'the answers');
  assert.deepEqual(heard.messages, ['a', 'b', 'c']);
  await turn();
  assert.deepEqual(heard.batches, [3]);
  pump.terminate();
});

test('messages right behind the answer to the upgrade are not lost', async () => {
  const far = await rawWebsocket(Buffer.concat(['early', 'bird'].map((text) => rawFrame(0x82, Buffer.from(text)))));
  cleanUp.push(() => far.server.close());
  const { world } = manualWorld();
  const pump = await connectPump(world, far.url, { timeout: 15_000 }, never);
  // Whoever opened it may take a while before it listens.
  for (let count = 0; count < 20; count++) await turn();
  const heard = new Heard();
  pump.start(heard.handler);
  await until(() => heard.messages.length === 2, 'both messages');
  assert.deepEqual(heard.messages, ['early', 'bird']);
  pump.terminate();
});

test('a ping every 25 s; no deadline before the first pong', async () => {
  const { pump, heard, peer, clock } = await connect({ autoPong: false });
  pump.start(heard.handler);
  clock.tick(KEEP_ALIVE_INTERVAL_MS - 1);
  await turn();
  assert.equal(peer.pings, 0);
  clock.tick(1);
  await until(() => peer.pings === 1, 'the first ping');
  for (let count = 2; count <= 6; count++) {
    clock.tick(KEEP_ALIVE_INTERVAL_MS);
    await until(() => peer.pings === count, `ping ${count}`);
  }
  assert.ok(pump.isOpen, 'a peer that never answers pings is let be');
  assert.deepEqual(heard.ends, []);
  pump.terminate();
});

test('the first pong arms the deadline: a peer that falls silent is cut within a minute', async () => {
  let answers = true;
  const { pump, heard, peer, clock } = await connect({
    autoPong: false,
    onPeer: ({ socket }) => socket.on('ping', () => answers && socket.pong()),
  });
  pump.start(heard.handler);
  for (const count of [1, 2]) {
    clock.tick(KEEP_ALIVE_INTERVAL_MS);
    await until(() => peer.pings === count, `ping ${count}`);
    await arrived(peer, heard);
  }
  clock.tick(PONG_DEADLINE_MS);
  assert.ok(pump.isOpen, 'answered in time');
  answers = false;
  clock.tick(KEEP_ALIVE_INTERVAL_MS - PONG_DEADLINE_MS);
  await until(() => peer.pings === 3, 'the third ping');
  clock.tick(PONG_DEADLINE_MS - 1);
  assert.ok(pump.isOpen);
  clock.tick(1);
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.error?.code, 'CT_NETWORK');
  assert.equal(heard.ends[0]!.code, 1006);
  assert.equal(clock.pending, 0, 'no timer is left');
});

test('while paused the deadline rests, and messages wait', async () => {
  const { pump, heard, peer, clock } = await connect();
  pump.start(heard.handler);
  clock.tick(KEEP_ALIVE_INTERVAL_MS);
  await until(() => peer.pings === 1, 'a ping');
  await arrived(peer, heard);
  pump.pause();
  peer.socket.send(Buffer.from('later'));
  clock.tick(10 * KEEP_ALIVE_INTERVAL_MS);
  for (let count = 0; count < 50; count++) await turn();
  assert.ok(pump.isOpen);
  assert.deepEqual(heard.messages, ['.']);
  pump.resume();
  await until(() => heard.messages.length === 2, 'the message');
  pump.terminate();
});

test('close: what waits leaves, then a close frame; the end is told once and nothing is left', async () => {
  const { pump, heard, peer, clock } = await connect();
  pump.start(heard.handler);
  send(pump, 'last words');
  pump.close();
  pump.close();
  assert.ok(!pump.isOpen);
  send(pump, 'too late');
  pump.flush();
  pump.sendText('too late');
  await until(() => heard.ends.length === 1 && peer.closes.length === 1, 'both ends');
  assert.deepEqual(peer.received, ['last words']);
  assert.deepEqual(peer.closes, [1000]);
  assert.deepEqual(heard.ends, [{ code: 1000, reason: '' }]);
  pump.close();
  pump.terminate();
  await turn();
  assert.equal(heard.ends.length, 1);
  assert.equal(clock.pending, 0);
});

test('close cuts a peer that does not answer after a second', async () => {
  const { pump, heard, peer, clock } = await connect();
  pump.start(heard.handler);
  peer.socket.pause();
  pump.close();
  clock.tick(999);
  assert.equal(heard.ends.length, 0);
  clock.tick(1);
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.code, 1006);
});

test('terminate: 1006, with the reason that was given', async () => {
  const { pump, heard, clock } = await connect();
  pump.start(heard.handler);
  pump.terminate();
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.code, 1006);
  assert.equal(clock.pending, 0);
});

for (const [code, reason] of [
  [1000, 'Bye'],
  [1011, ''],
  [4_000, 'own'],
] as const) {
  test(`a close by the peer tells its code ${code}`, async () => {
    const { pump, heard, peer } = await connect();
    pump.start(heard.handler);
    peer.socket.close(code, reason);
    await until(() => heard.ends.length === 1, 'the end');
    assert.deepEqual(heard.ends, [{ code, reason }]);
    assert.ok(!pump.isOpen);
  });
}

test('a socket that is cut by the peer is 1006', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  peer.socket.terminate();
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.code, 1006);
});

test('broken websocket frames end the pump with a typed error', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  (peer.socket as unknown as { _socket: Socket })._socket.write(Buffer.from([0xff, 0xff, 0xff]));
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.error?.code, 'CT_PROTO_FRAME');
});

test('a message inside of one that comes in parts is against the protocol, however whole it is', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  const bytes = Buffer.from('a');
  const frames = [rawFrame(0x82, bytes), rawFrame(0x02, bytes), rawFrame(0x82, bytes), rawFrame(0x80, bytes)];
  (peer.socket as unknown as { _socket: Socket })._socket.write(Buffer.concat(frames));
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.error?.code, 'CT_PROTO_FRAME');
  assert.deepEqual(heard.messages, ['a']);
});

for (const byteCount of [16_384, 65_536, 131_072]) {
  test(`${byteCount} bytes right before the end of the connection are not lost behind it`, async () => {
    const far = await rawWebsocket();
    cleanUp.push(() => far.server.close());
    const { world } = manualWorld();
    const pump = await connectPump(world, far.url, { timeout: 15_000 }, never);
    const heard = new Heard();
    pump.start(heard.handler);
    const socket = await far.socket;
    // A read as long as it can be makes the reader wait for more in the same turn.
    socket.end(
      Buffer.concat([rawFrame(0x82, Buffer.alloc(byteCount - 14, 'x')), rawFrame(0x82, Buffer.alloc(2, 'y'))]),
    );
    await until(() => heard.ends.length === 1, 'the end');
    assert.deepEqual(
      heard.messages.map(({ length }) => length),
      [byteCount - 14, 2],
    );
    assert.equal(heard.ends[0]!.code, 1006);
  });
}

test('a message beyond 8 MiB is not waited for', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  // A header that claims 16 MiB, and nothing behind it.
  const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0]);
  (peer.socket as unknown as { _socket: Socket })._socket.write(header);
  await until(() => heard.ends.length === 1, 'the end');
  assert.equal(heard.ends[0]!.error?.code, 'CT_PROTO_FRAME');
  assert.deepEqual(heard.messages, []);
});

test('a peer that does not read fills the backlog; room is told when it reads again', async () => {
  const { pump, heard, peer } = await connect();
  pump.start(heard.handler);
  peer.socket.pause();
  const block = Buffer.alloc(128 * 1024);
  let sent = 0;
  while (pump.hasRoom) {
    assert.ok(sent < 64 * 1024 * 1024, 'the backlog must fill');
    pump.transmit(block, 0, block.length);
    pump.flush();
    sent += block.length;
    await turn();
  }
  assert.equal(heard.drained, 0);
  peer.socket.resume();
  await until(() => heard.drained === 1, 'drained');
  assert.ok(pump.hasRoom);
  pump.terminate();
});

for (const [status, code] of [
  [403, 'CT_UPGRADE_REFUSED'],
  [407, 'CT_PROXY'],
  [302, 'CT_UPGRADE_REFUSED'],
  [200, 'CT_UPGRADE_REFUSED'],
] as const) {
  test(`HTTP ${status} instead of an upgrade is ${code}`, async () => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status, { 'x-amzn-RequestId': 'request-7', location: '/elsewhere' }).end('no');
    });
    const { world, clock } = manualWorld();
    const url = await listen(server);
    await assert.rejects(connectPump(world, url, { timeout: 15_000 }, never), (error: CloudtunError) => {
      assert.equal(error.code, code);
      assert.match(error.message, new RegExp(String(status)));
      return true;
    });
    assert.equal(clock.pending, 0);
    server.closeAllConnections();
  });
}

test('nobody listens: CT_NETWORK with the system code', async () => {
  const server = createTcpServer();
  const url = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const { world, clock } = manualWorld();
  await assert.rejects(connectPump(world, url, { timeout: 15_000 }, never), (error: CloudtunError) => {
    assert.equal(error.code, 'CT_NETWORK');
    assert.match(error.message, /ECONNREFUSED/);
    return true;
  });
  assert.equal(clock.pending, 0);
});

test('a server that accepts and says nothing: CT_TIMEOUT, or the reason of whoever gave up', async () => {
  const sockets: Socket[] = [];
  const url = await listen(createTcpServer((socket) => void sockets.push(socket.on('error', () => {}))));
  cleanUp.push(() => sockets.forEach((socket) => void socket.destroy()));
  const { world, clock } = manualWorld();
  const timedOut = assert.rejects(connectPump(world, url, { timeout: 15_000 }, never), { code: 'CT_TIMEOUT' });
  await until(() => sockets.length === 1, 'the connection');
  clock.tick(15_000);
  await timedOut;
  const giveUp = new AbortController();
  const reason = new Error('enough');
  const aborted = assert.rejects(connectPump(world, url, { timeout: 15_000 }, giveUp.signal), reason);
  await until(() => sockets.length === 2, 'the second connection');
  giveUp.abort(reason);
  await aborted;
  assert.equal(clock.pending, 0);
});

test('a caller that gave up before it began gets its reason', async () => {
  const giveUp = new AbortController();
  giveUp.abort(new Error('before it began'));
  const { world } = manualWorld();
  await assert.rejects(
    async () => connectPump(world, 'ws://127.0.0.1:1/', { timeout: 1 }, giveUp.signal),
    /before it began/,
  );
});

test('a whole read right before a reset is not lost with it, nor the code of its close frame', async () => {
  const far = await rawWebsocket();
  cleanUp.push(() => far.server.close());
  const heard = new Heard();
  const pump = await connectPump(manualWorld().world, far.url, { timeout: 1_000 }, never);
  pump.start(heard.handler);
  const socket = await far.socket;
  const goodbye = rawFrame(0x88, Buffer.from([4_003 >> 8, 4_003 & 0xff]));
  // What a read of 64 KiB brings waits for what the next one brings, and that is the reset.
  const messages = Array.from({ length: 64 }, (_, index) => String.fromCharCode(64 + index).repeat(1_020));
  messages[63] = 'z'.repeat(1_020 - goodbye.length);
  const frames = messages.map((message) => rawFrame(0x82, Buffer.from(message, 'latin1')));
  socket.write(Buffer.concat([...frames, goodbye]), () => socket.resetAndDestroy());
  await until(() => heard.ends.length > 0, 'closed');
  assert.equal(heard.messages.length, messages.length);
  assert.ok(heard.messages.every((message, index) => message === messages[index]));
  assert.equal(heard.ends[0]?.code, 4_003);
});

test('after a sleep the peer is asked at once, and has less time to answer', async () => {
  let answers = true;
  const woken: WakeListener[] = [];
  const watch = {
    onWake: (listener: WakeListener) => {
      woken.push(listener);
      return () => void woken.pop();
    },
  };
  const { pump, heard, peer, clock } = await connect({
    autoPong: false,
    wake: { watch, every: 5_000, probe: 3_000 },
    onPeer: ({ socket }) => socket.on('ping', () => answers && socket.pong()),
  });
  pump.start(heard.handler);
  const wake = () => woken[0]?.({ sleptFor: 60_000, isNetworkNew: false, addresses: new Set() });
  wake();
  await until(() => peer.pings === 1, 'a ping at once');
  await arrived(peer, heard);
  clock.tick(3_000);
  assert.ok(pump.isOpen, 'it answered');
  answers = false;
  wake();
  await until(() => peer.pings === 2, 'a ping at once');
  clock.tick(3_000);
  await until(() => heard.ends.length === 1, 'cut');
  assert.equal(heard.ends[0]?.error?.code, 'CT_NETWORK');
  assert.equal(woken.length, 0, 'nobody listens any more');
});
