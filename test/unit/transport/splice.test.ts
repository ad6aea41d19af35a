import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import type { Borrow } from '../../../src/domain/dialer.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { type PeerState, readPeerStates } from '../../../src/runtime/peer-socket.ts';
import { LocalMemory } from '../../../src/transport/local-memory.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { Splice } from '../../../src/transport/splice.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { socketPair } from '../../support/socket-pair.ts';
import { until } from '../../support/until.ts';

const opened: Socket[] = [];

afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

/** A connection and a stream joined on a clock driven by hand; `peer` is what the system says of the client. */
async function spliced(options: { peer?: PeerState; stream?: FakeStream } = {}) {
  const { world, clock } = manualWorld();
  const { client, accepted } = await socketPair();
  opened.push(client, accepted);
  let peer: PeerState = options.peer ?? 'held';
  let looks = 0;
  const peers = new PeerWatch(world, async (connections) => {
    looks += 1;
    return connections.map(() => peer);
  });
  const stream = options.stream ?? new FakeStream();
  const join = new Splice(world, peers, new LocalMemory(), accepted, stream);
  const received: Buffer[] = [];
  client.on('data', (chunk) => received.push(chunk));
  client.on('error', () => {});
  return {
    clock,
    client,
    accepted,
    stream,
    join,
    text: () => Buffer.concat(received).toString(),
    setPeer: (state: PeerState) => {
      peer = state;
    },
    looks: () => looks,
  };
}

test('bytes go both ways and are counted; a regular end on both sides closes both', async () => {
  const { client, stream, join, text, clock } = await spliced();
  client.write('question');
  await until(() => stream.text === 'question');
  stream.say('answer');
  await until(() => text() === 'answer');
  stream.sayEnd();
  await once(client, 'end');
  client.end();
  assert.deepEqual(await join.closed, { end: 'closed', bytesUp: 8, bytesDown: 6 });
  assert.ok(stream.destroyed);
  assert.equal(clock.pending, 0);
});

test('a client that half closes still gets its answer, however long that takes', async () => {
  const { client, stream, join, text, clock } = await spliced({ peer: 'held' });
  client.end('question');
  await until(() => stream.isEndedByNearSide);
  await clock.advance(3_600_000);
  assert.equal(stream.destroyed, false);
  stream.say('answer');
  stream.sayEnd();
  await once(client, 'end');
  assert.equal(text(), 'answer');
  assert.deepEqual(await join.closed, { end: 'closed', bytesUp: 8, bytesDown: 6 });
  assert.equal(clock.pending, 0);
});

test('a client that closed altogether is found at the next look and its stream destroyed, without an error', async () => {
  const { client, stream, join, clock, setPeer, looks } = await spliced({ peer: 'held' });
  client.end();
  await until(() => stream.isEndedByNearSide);
  await clock.advance(100);
  setPeer('released');
  const before = looks();
  await clock.advance(1_000);
  assert.deepEqual(await join.closed, { end: 'local-gone', bytesUp: 0, bytesDown: 0 });
  assert.equal(looks() - before, 1);
  assert.ok(stream.destroyed);
  assert.equal(stream.errored, null);
  assert.equal(clock.pending, 0);
});

test('what a client sent before it closed altogether is delivered before the stream is destroyed', async () => {
  const { client, stream, join, clock } = await spliced({ peer: 'released', stream: new FakeStream().hold() });
  client.end('last words');
  await until(() => stream.text === 'last words');
  await clock.advance(1_000);
  assert.equal(stream.destroyed, false);
  stream.takeAll();
  assert.deepEqual(await join.closed, { end: 'local-gone', bytesUp: 10, bytesDown: 0 });
  assert.equal(clock.pending, 0);
});

test('a far side that never takes the last words is given up after a minute', async () => {
  const { client, stream, join, clock } = await spliced({ peer: 'released', stream: new FakeStream().hold() });
  client.end('last words');
  await until(() => stream.text === 'last words');
  await clock.advance(59_000);
  assert.equal(stream.destroyed, false);
  await clock.advance(62_000);
  assert.equal((await join.closed).end, 'local-gone');
  assert.equal(clock.pending, 0);
});

test('where the system does not tell, a minute without bytes in either direction decides', async () => {
  const { client, stream, join, clock, text } = await spliced({ peer: 'unknown' });
  client.end('question');
  await until(() => stream.isEndedByNearSide);
  await clock.advance(50_000);
  stream.say('a part');
  await until(() => text() === 'a part');
  await clock.advance(59_000);
  assert.equal(stream.destroyed, false);
  await clock.advance(1_100);
  assert.deepEqual(await join.closed, { end: 'local-gone', bytesUp: 8, bytesDown: 6 });
  assert.equal(clock.pending, 0);
});

test('a client that resets takes the stream with it', async () => {
  const { client, stream, join, clock } = await spliced();
  client.write('half a quest');
  await until(() => stream.text === 'half a quest');
  client.resetAndDestroy();
  assert.deepEqual(await join.closed, { end: 'local-reset', bytesUp: 12, bytesDown: 0 });
  assert.ok(stream.destroyed);
  assert.equal(stream.errored, null);
  assert.equal(clock.pending, 0);
});

test('a stream that fails resets the client, who never sees a regular end', async () => {
  const { client, stream, join, clock } = await spliced();
  let ended = false;
  client.on('end', () => {
    ended = true;
  });
  stream.say('the first half');
  await once(client, 'data');
  const failure = new CloudtunError('CT_TUNNEL_LOST', 'the websocket is gone');
  stream.destroy(failure);
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'ECONNRESET');
  const report = await join.closed;
  assert.equal(report.end, 'remote-failed');
  assert.equal(report.error, failure);
  assert.equal(ended, false);
  assert.equal(clock.pending, 0);
});

test('a stream that is closed without an end or an error is a break as well', async () => {
  const { client, stream, join } = await spliced();
  stream.destroy();
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'ECONNRESET');
  assert.equal((await join.closed).error?.code, 'CT_TUNNEL_LOST');
});

test('a stream that failed before it was joined resets the client', async () => {
  const stream = new FakeStream();
  stream.on('error', () => {});
  const failure = new CloudtunError('CT_REMOTE_REFUSED', 'nobody listens');
  stream.destroy(failure);
  await settle();
  const { client, join } = await spliced({ stream });
  const [error] = await once(client, 'error');
  assert.equal(error.code, 'ECONNRESET');
  const report = await join.closed;
  assert.equal(report.end, 'remote-failed');
  assert.equal(report.error, failure);
});

test('a client that is closed before it was joined takes the stream with it', async () => {
  const { world } = manualWorld();
  const { client, accepted } = await socketPair();
  opened.push(client);
  accepted.destroy();
  await once(accepted, 'close');
  const stream = new FakeStream();
  const join = new Splice(world, new PeerWatch(world), new LocalMemory(), accepted, stream);
  assert.equal((await join.closed).end, 'local-gone');
  assert.ok(stream.destroyed);
});

test('a stream that is over both ways closes the client after a linger that swallows what was on its way', async () => {
  const { client, accepted, stream, join, clock, text } = await spliced();
  stream.say('413 too large');
  stream.sayEnd();
  stream.end();
  await once(client, 'end');
  client.write('more of the upload');
  await until(() => accepted.bytesRead > 0);
  assert.equal(text(), '413 too large');
  assert.equal(client.errored, null);
  await clock.advance(2_000);
  assert.deepEqual(await join.closed, { end: 'closed', bytesUp: 0, bytesDown: 13 });
  assert.equal(clock.pending, 0);
});

test('a client that does not close after the far side has ended is closed after a minute of silence', async () => {
  const { client, accepted, stream, join, clock } = await spliced();
  stream.sayEnd();
  await once(client, 'end');
  await clock.advance(59_000);
  client.write('x');
  await until(() => accepted.bytesRead === 1);
  await clock.advance(59_000);
  assert.equal(accepted.destroyed, false);
  await clock.advance(2_000);
  assert.deepEqual(await join.closed, { end: 'closed', bytesUp: 1, bytesDown: 0 });
  assert.ok(stream.destroyed);
  assert.equal(clock.pending, 0);
});

test('a stream is finished before it is destroyed, so that it need not drop what it took', async () => {
  let wasFinished: boolean | undefined;
  class Watched extends FakeStream {
    override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
      wasFinished = this.writableFinished;
      done(error);
    }
  }
  const { client, join, stream, clock } = await spliced({ peer: 'released', stream: new Watched().hold() });
  client.end('last words');
  await until(() => stream.text === 'last words');
  await clock.advance(1_000);
  stream.takeAll();
  await join.closed;
  assert.equal(wasFinished, true);
});

test('a far side that does not take bytes stops the reading of the client, and goes on when it does', async () => {
  const { client, accepted, stream, join, clock } = await spliced({ stream: new FakeStream().hold() });
  const big = Buffer.alloc(4_000_000, 7);
  client.end(big);
  await until(() => accepted.isPaused());
  const held = join.bytesUp;
  await clock.advance(1_000);
  assert.equal(join.bytesUp, held);
  assert.ok(held < 512 * 1024, `${held} bytes were taken in`);
  assert.equal(join.quietFor(), 0);
  stream.takeAll();
  await until(() => stream.isEndedByNearSide);
  assert.equal(Buffer.concat(stream.written).equals(big), true);
  stream.sayEnd();
  assert.equal((await join.closed).bytesUp, big.length);
  assert.equal(clock.pending, 0);
});

test('a client that does not read stops the reading of the stream', async () => {
  const { client, accepted, stream, join } = await spliced();
  client.pause();
  const chunk = Buffer.alloc(64 * 1024, 1);
  // Far more than the buffers of both sockets hold.
  for (let count = 0; count < 400; count += 1) stream.say(chunk);
  await until(() => stream.isPaused());
  await settle();
  assert.ok(accepted.writableLength < 1_000_000);
  assert.equal(join.quietFor(), 0);
  stream.sayEnd();
  let total = 0;
  client.on('data', (data: Buffer) => {
    total += data.length;
  });
  client.resume();
  await once(client, 'end');
  assert.equal(total, 400 * chunk.length);
  client.end();
  assert.equal((await join.closed).end, 'closed');
});

test('a client that is gone while the far side takes nothing is released in the end', async () => {
  const { client, accepted, stream, join, clock } = await spliced({
    peer: 'released',
    stream: new FakeStream().hold(),
  });
  client.write(Buffer.alloc(4_000_000));
  await until(() => accepted.isPaused());
  client.destroy();
  await clock.advance(59_000);
  assert.equal(stream.destroyed, false);
  await clock.advance(130_000);
  assert.equal((await join.closed).end, 'local-gone');
  assert.equal(clock.pending, 0);
});

test('cut resets, close ends regularly; both are idempotent', async () => {
  const first = await spliced();
  first.join.cut();
  first.join.cut();
  const [error] = await once(first.client, 'error');
  assert.equal(error.code, 'ECONNRESET');
  assert.deepEqual(await first.join.closed, { end: 'cut', bytesUp: 0, bytesDown: 0 });
  const second = await spliced();
  second.join.close();
  second.join.close();
  second.join.cut();
  await once(second.client, 'end');
  assert.equal((await second.join.closed).end, 'cut');
  assert.equal(second.client.errored, null);
});

test('a reset while the end is on its way still closes the socket', async () => {
  const { stream, join, client } = await spliced();
  stream.sayEnd();
  stream.once('end', () => process.nextTick(() => join.cut()));
  await once(client, 'end');
  assert.equal((await join.closed).end, 'cut');
});

test('quiet is measured from the last byte in either direction', async () => {
  const { client, stream, join, clock, text } = await spliced();
  await clock.advance(5_000);
  assert.equal(join.quietFor(), 5_000);
  client.write('x');
  await until(() => stream.text === 'x');
  assert.equal(join.quietFor(), 0);
  await clock.advance(700);
  stream.say('y');
  await until(() => text() === 'y');
  await clock.advance(300);
  assert.equal(join.quietFor(), 300);
  join.cut();
  await join.closed;
});

test('on Linux, the real table tells a half close from a close', {
  skip: process.platform !== 'linux' && 'only Linux tells',
}, async () => {
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    const { world, clock } = manualWorld();
    const { client, accepted } = await socketPair(host);
    opened.push(client, accepted);
    let looks = 0;
    const peers = new PeerWatch(world, async (connections) => {
      const states = await readPeerStates(connections);
      looks += 1;
      return states;
    });
    const stream = new FakeStream();
    const join = new Splice(world, peers, new LocalMemory(), accepted, stream);
    const look = async (count: number) => {
      for (const goal = looks + count; looks < goal && !accepted.destroyed; ) {
        const before = looks;
        await clock.advance(clock.next ?? 0);
        await until(() => looks > before || accepted.destroyed);
      }
    };
    client.end('half');
    await until(() => stream.isEndedByNearSide);
    await look(4);
    assert.equal(stream.destroyed, false, `${host}: half closed`);
    client.destroy();
    await look(2);
    assert.equal((await join.closed).end, 'local-gone', `${host}: closed`);
    assert.equal(clock.pending, 0);
  }
});

/** A stream that lends what its far side says, out of memory that is written over at once. */
class LendingStream extends FakeStream {
  #borrow: Borrow | undefined;

  lendTo(borrow: Borrow): void {
    this.#borrow = borrow;
  }

  /** False: it does not flow, so nothing was lent. */
  lend(...pieces: readonly Buffer[]): boolean {
    if (!this.#borrow || this.readableFlowing !== true || this.readableLength > 0) return false;
    const views = pieces.map((piece) => Buffer.from(piece));
    this.#borrow(views, Buffer.concat(views).length);
    for (const view of views) view.fill('!');
    return true;
  }
}

test('what a stream lends reaches the client as it was, in order with what it says otherwise', async () => {
  const stream = new LendingStream();
  const { client, join, text } = await spliced({ stream });
  await until(() => stream.readableFlowing === true);
  assert.ok(stream.lend(Buffer.from('one '), Buffer.from('two ')));
  stream.say('three ');
  await until(() => stream.readableLength === 0);
  assert.ok(stream.lend(Buffer.from('four')));
  stream.sayEnd();
  await once(client, 'end');
  client.end();
  assert.equal(text(), 'one two three four');
  assert.deepEqual(await join.closed, { end: 'closed', bytesUp: 0, bytesDown: 18 });
});

test('what was lent waits unchanged for a client that does not read, and the stream stands still', async () => {
  const stream = new LendingStream();
  const { client, text } = await spliced({ stream });
  await until(() => stream.readableFlowing === true);
  client.pause();
  let sent = '';
  for (let count = 0; stream.readableFlowing === true; count++) {
    assert.ok(count < 1_000, 'a client that does not read must stop the stream');
    const byte = String.fromCharCode(97 + (count % 26));
    const pieces = [Buffer.alloc(100_000, byte), Buffer.alloc(1, '.')];
    assert.ok(stream.lend(...pieces));
    sent += Buffer.concat(pieces).toString();
  }
  assert.ok(!stream.lend(Buffer.from('not now')));
  client.resume();
  await until(() => text().length === sent.length);
  assert.equal(text(), sent);
  await until(() => stream.readableFlowing === true);
});

test('lent bytes for a client that is gone are counted and dropped', async () => {
  const stream = new LendingStream();
  const { client, accepted, join } = await spliced({ stream });
  await until(() => stream.readableFlowing === true);
  accepted.end();
  assert.ok(stream.lend(Buffer.alloc(100_000)));
  client.destroy();
  assert.equal((await join.closed).bytesDown, 100_000);
});
