import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { SMUX_COMMAND, SmuxParser, smuxFrame } from '../../../../src/transport/smux/core/frame.ts';
import { MAX_HELD_PER_SESSION, MAX_HELD_PER_STREAM, Mux } from '../../../../src/transport/smux/mux.ts';
import type { SmuxStream } from '../../../../src/transport/smux/smux-stream.ts';
import { settle } from '../../../support/manual-world.ts';

const { fin, psh } = SMUX_COMMAND;
const MiB = 1024 * 1024;

/** A mux without a wire: what it wants to send is parsed, what the far side sends is framed. */
class Bench {
  readonly stalls: boolean[] = [];
  readonly far: string[] = [];
  wakes = 0;
  number = 0;
  readonly mux = new Mux({
    destination: 'db.internal:3306',
    soon: (call) => call(),
    outputWaiting: () => void this.wakes++,
    stalled: (isStalled) => void this.stalls.push(isStalled),
  });
  readonly #farParser = new SmuxParser({
    syn: (id) => void this.far.push(`syn ${id}`),
    fin: (id) => void this.far.push(`fin ${id}`),
    data: (id, bytes) =>
      void this.far.push(`data ${id} ${bytes.length > 20 ? bytes.length : bytes.toString('latin1')}`),
  });

  /** One message; returns its byte count. */
  pull(maxBytes = 1_024): number {
    const target = Buffer.alloc(maxBytes);
    const byteCount = this.mux.pull(target, 0, maxBytes, this.number);
    if (byteCount > 0) this.number++;
    this.#farParser.receive(target.subarray(0, byteCount));
    return byteCount;
  }

  pullAll(): string[] {
    while (this.pull(1 << 20) > 0);
    return this.far.splice(0);
  }

  /** Bytes from the far side, a batch for each frame. */
  feed(stream: SmuxStream, bytes: string | Buffer): void {
    const payload = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    for (let at = 0; at < payload.length; at += 32_768) {
      this.mux.receive(smuxFrame(psh, stream.id, payload.subarray(at, at + 32_768)));
      this.mux.endBatch();
    }
  }

  refuse(stream: SmuxStream): void {
    this.mux.connectFailed();
    this.finish(stream);
  }

  finish(stream: SmuxStream): void {
    this.mux.receive(smuxFrame(fin, stream.id));
    this.mux.endBatch();
  }
}

/** Counts the calls of a write's callback. */
function counted(stream: SmuxStream, bytes: Buffer | string): { calls: number; errors: number } {
  const count = { calls: 0, errors: 0 };
  stream.write(bytes, (error) => {
    count.calls++;
    if (error) count.errors++;
  });
  return count;
}

const collect = (stream: SmuxStream) => {
  const seen = { text: '', ended: false, closed: false, error: '' };
  stream.on('data', (bytes: Buffer) => {
    seen.text += bytes.toString('latin1');
  });
  stream.on('end', () => {
    seen.ended = true;
  });
  stream.on('close', () => {
    seen.closed = true;
  });
  stream.on('error', (error: Error & { code?: string }) => {
    seen.error = error.code ?? error.message;
  });
  return seen;
};

const lost = () => new CloudtunError('CT_TUNNEL_LOST', 'gone');

test('bytes go both ways; a batch arrives as one piece', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  assert.ok(bench.wakes > 0);
  const pieces: string[] = [];
  stream.on('data', (bytes: Buffer) => pieces.push(bytes.toString()));
  stream.write('hello');
  assert.deepEqual(bench.pullAll(), ['syn 3', 'data 3 hello']);
  for (const text of ['a', 'b', 'c']) bench.mux.receive(smuxFrame(psh, 3, Buffer.from(text)));
  assert.deepEqual(pieces, [], 'nothing in the middle of a batch');
  bench.mux.endBatch();
  await settle();
  assert.deepEqual(pieces, ['abc']);
  assert.deepEqual([bench.mux.bytesUp, bench.mux.bytesDown], [5, 3]);
  stream.destroy();
});

test('a write is called back once, when its last byte left', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  const first = counted(stream, Buffer.alloc(3_000));
  const second = counted(stream, 'x');
  bench.pull();
  await settle();
  assert.equal(first.calls, 0);
  while (bench.pull() > 0) await settle(2);
  await settle();
  assert.deepEqual(
    [first, second],
    [
      { calls: 1, errors: 0 },
      { calls: 1, errors: 0 },
    ],
  );
});

for (const [how, end] of [
  ['the stream is destroyed', (_bench, stream) => stream.destroy()],
  ['the stream is destroyed with an error', (_bench, stream) => stream.destroy(lost())],
  ['the far side finishes', (bench, stream) => bench.finish(stream)],
  ['the connect is refused', (bench, stream) => bench.refuse(stream)],
  ['the session ends', (bench) => bench.mux.abort(undefined)],
  ['the session is lost', (bench) => bench.mux.abort(lost())],
] as readonly (readonly [string, (bench: Bench, stream: SmuxStream) => void])[]) {
  test(`every write is called back once when ${how}, also in the middle of a frame`, async () => {
    for (const pulls of [0, 1, 2]) {
      const bench = new Bench();
      const stream = bench.mux.open();
      collect(stream);
      const writes = [counted(stream, Buffer.alloc(5_000)), counted(stream, 'queued'), counted(stream, 'also queued')];
      for (let count = 0; count < pulls; count++) bench.pull();
      end(bench, stream);
      // Nobody pulls any more.
      await settle();
      assert.deepEqual(
        writes.map(({ calls }) => calls),
        [1, 1, 1],
        `after ${pulls} messages`,
      );
      const late = counted(stream, 'too late');
      await settle();
      assert.equal(late.calls, 1);
      const frames = bench.pullAll();
      assert.equal(frames.filter((frame) => frame === 'fin 3').length, 1, 'and FIN once');
    }
  });
}

test('a half close keeps the reply; FIN follows when the reply is over', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  const seen = collect(stream);
  stream.end('request');
  await settle();
  assert.deepEqual(bench.pullAll(), ['syn 3', 'data 3 request'], 'no FIN: it would lose the reply');
  bench.feed(stream, 'the reply');
  await settle();
  assert.equal(seen.text, 'the reply');
  bench.finish(stream);
  await settle();
  assert.deepEqual(seen, { text: 'the reply', ended: true, closed: true, error: '' });
  assert.deepEqual(bench.pullAll(), ['fin 3']);
  assert.equal(bench.mux.openCount, 0);
});

test('a full local close sends what is queued, then FIN', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  const seen = collect(stream);
  bench.pullAll();
  stream.end(Buffer.alloc(5_000));
  while (bench.pull() > 0) await settle(2);
  stream.destroy();
  await settle();
  assert.deepEqual([...bench.far, ...bench.pullAll()].at(-1), 'fin 3');
  assert.ok(seen.closed);
});

test('the far side finishing ends the stream both ways, after what it sent was read', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  const seen = collect(stream);
  bench.pullAll();
  bench.feed(stream, 'bye');
  bench.finish(stream);
  await settle();
  assert.deepEqual(seen, { text: 'bye', ended: true, closed: true, error: '' });
  assert.deepEqual(bench.pullAll(), ['fin 3']);
});

test('a refused connect destroys the stream with CT_REMOTE_REFUSED', async () => {
  const bench = new Bench();
  const [refused, fine] = [bench.mux.open(), bench.mux.open()];
  const [first, second] = [collect(refused), collect(fine)];
  bench.pullAll();
  bench.mux.connectFailed();
  bench.finish(refused);
  bench.finish(fine);
  await settle();
  assert.deepEqual(first, { text: '', ended: false, closed: true, error: 'CT_REMOTE_REFUSED' });
  assert.equal(second.error, '');
  await assert.rejects(refused.accepted, { code: 'CT_REMOTE_REFUSED' });
});

test('accepted: acknowledged when the message with the SYN was, answered when bytes come first', async () => {
  const bench = new Bench();
  const [quiet, greeting, cut] = [bench.mux.open(), bench.mux.open(), bench.mux.open()];
  bench.pull(8);
  bench.pull(8);
  bench.pull(8);
  const order: string[] = [];
  void quiet.accepted.then((how) => order.push(`quiet ${how}`));
  void greeting.accepted.then((how) => order.push(`greeting ${how}`));
  bench.mux.acknowledgedBelow(0);
  await settle();
  assert.deepEqual(order, []);
  bench.feed(greeting, 'hello');
  await settle();
  bench.mux.acknowledgedBelow(1);
  bench.mux.acknowledgedBelow(2);
  await settle();
  assert.deepEqual(order, ['greeting answered', 'quiet acknowledged']);
  cut.on('error', () => {});
  cut.destroy(lost());
  await assert.rejects(cut.accepted, { code: 'CT_TUNNEL_LOST' });
  bench.mux.abort(undefined);
});

test('a reader that does not read holds 4 MiB, then the session must stop reading', async () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  bench.feed(stream, Buffer.alloc(MAX_HELD_PER_STREAM - 40_000));
  assert.deepEqual(bench.stalls, []);
  bench.feed(stream, Buffer.alloc(40_000));
  assert.deepEqual(bench.stalls, [true]);
  assert.ok(bench.mux.isStalled);
  assert.ok(bench.mux.heldBytes >= MAX_HELD_PER_STREAM);
  // What the owner still reads is held, not refused: the agent would need a time-out for each message to repeat it.
  bench.feed(stream, Buffer.alloc(32_768));
  assert.ok(bench.mux.heldBytes >= MAX_HELD_PER_STREAM + 32_768);
  stream.resume();
  await settle(20);
  assert.deepEqual(bench.stalls, [true, false]);
  bench.feed(stream, 'again');
  stream.destroy();
});

test('destroying the stream that holds most ends the stall', async () => {
  const bench = new Bench();
  const [slow, quick] = [bench.mux.open(), bench.mux.open()];
  const seen = collect(slow);
  slow.pause();
  bench.feed(slow, Buffer.alloc(MAX_HELD_PER_STREAM));
  bench.feed(quick, Buffer.alloc(50_000));
  assert.deepEqual(bench.stalls, [true]);
  const error = bench.mux.resetGreediest();
  assert.equal(error?.code, 'CT_STREAM_STALLED');
  await settle();
  assert.equal(seen.error, 'CT_STREAM_STALLED');
  assert.deepEqual(bench.stalls, [true, false]);
  assert.equal(bench.mux.openCount, 1);
  assert.ok(bench.pullAll().includes('fin 3'), 'the far side is told');
  quick.destroy();
});

test('all streams of a session hold 16 MiB together', async () => {
  const bench = new Bench();
  const streams = Array.from({ length: 40 }, () => bench.mux.open());
  let fed = 0;
  for (let round = 0; bench.stalls.length === 0; round++) {
    for (const stream of streams) {
      bench.feed(stream, Buffer.alloc(32_768));
      fed += 32_768;
    }
    assert.ok(round < 1_000);
  }
  assert.ok(fed >= MAX_HELD_PER_SESSION && fed < MAX_HELD_PER_SESSION + 2 * MiB, `${fed} bytes`);
  for (const stream of streams) stream.resume();
  await settle(20);
  assert.deepEqual(bench.stalls, [true, false]);
  bench.mux.abort(undefined);
});

test('a slice that waits for its reader does not keep the whole receive buffer', () => {
  const bench = new Bench();
  const stream = bench.mux.open();
  const received = Buffer.alloc(64 * 1024);
  smuxFrame(psh, stream.id, Buffer.from('tiny')).copy(received);
  bench.mux.receive(received.subarray(0, 12));
  bench.mux.endBatch();
  const waiting = stream.read() as Buffer;
  assert.equal(waiting.toString(), 'tiny');
  assert.notEqual(waiting.buffer, received.buffer);
  stream.destroy();
});

test('a thousand streams, each with its own bytes both ways', async () => {
  const bench = new Bench();
  const streams = Array.from({ length: 1_000 }, () => bench.mux.open());
  const seen = streams.map(collect);
  for (const [index, stream] of streams.entries()) stream.write(`q${index}`);
  const frames = bench.pullAll();
  for (const [index, stream] of streams.entries()) {
    assert.ok(frames.includes(`data ${stream.id} q${index}`));
    bench.mux.receive(smuxFrame(psh, stream.id, Buffer.from(`a${index}`)));
    bench.mux.receive(smuxFrame(fin, stream.id));
  }
  bench.mux.endBatch();
  await settle();
  assert.ok(seen.every(({ text, ended }, index) => text === `a${index}` && ended));
  for (const stream of streams) stream.end();
  await settle();
  assert.equal(bench.mux.openCount, 0);
  assert.equal(bench.pullAll().length, 1_000, 'a FIN each');
});
