import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelStream } from '../../../../src/domain/dialer.ts';
import { SMUX_COMMAND, smuxFrame } from '../../../../src/transport/smux/core/frame.ts';
import { MAX_HELD_PER_STREAM } from '../../../../src/transport/smux/mux.ts';
import { ACTIVITY_INTERVAL_MS, MAX_SIBLING_STALL_MS, MuxPort } from '../../../../src/transport/ssm/mux-port.ts';
import { manualWorld, settle } from '../../../support/manual-world.ts';

class Bench {
  readonly clock;
  readonly port: MuxPort;
  readonly said: string[] = [];
  isPaused = false;

  constructor(keepActive = false) {
    const { world, clock } = manualWorld();
    this.clock = clock;
    this.port = new MuxPort(world, {
      destination: 'db.internal:3306',
      outputWaiting: () => {},
      pause: () => {
        this.isPaused = true;
      },
      resume: () => {
        this.isPaused = false;
        this.said.push('read');
        // As DataLink does: what waited is delivered, and that is a batch of its own.
        this.port.batchEnd(0);
      },
      stalled: (heldByteCount) => {
        assert.ok(heldByteCount >= MAX_HELD_PER_STREAM);
        this.said.push('stalled');
      },
      streamReset: (error) => void this.said.push(error.code),
      nextNumber: () => 0,
      keepActive,
    });
  }

  open(id: number): { readonly id: number; readonly stream: TunnelStream; errors: string[] } {
    const stream = this.port.open();
    const errors: string[] = [];
    stream.on('error', (error: Error & { code?: string }) => errors.push(error.code ?? error.message));
    return { id, stream, errors };
  }

  feed(id: number, byteCount: number): void {
    for (let left = byteCount; left > 0; left -= 32_768) {
      this.port.deliver(smuxFrame(SMUX_COMMAND.psh, id, Buffer.alloc(Math.min(left, 32_768))));
      this.port.batchEnd(0);
    }
  }
}

test('kept active, it sends a frame that does nothing when nothing else was sent, and stops with the session', async () => {
  const bench = new Bench(true);
  const target = Buffer.alloc(64);
  const pulled = () => target.subarray(0, bench.port.pull(target, 0, target.length)).toString('hex');
  await bench.clock.advance(ACTIVITY_INTERVAL_MS - 1);
  assert.equal(pulled(), '');
  await bench.clock.advance(1);
  assert.equal(pulled(), '0103000000000000');
  assert.equal(pulled(), '');
  const { stream } = bench.open(3);
  stream.write('x');
  assert.equal(pulled(), '0100000003000000010201000300000078');
  await bench.clock.advance(ACTIVITY_INTERVAL_MS);
  assert.equal(pulled(), '', 'what was sent counts as well');
  await bench.clock.advance(ACTIVITY_INTERVAL_MS);
  assert.equal(pulled(), '0103000000000000');
  bench.port.abort(undefined);
  assert.equal(bench.clock.pending, 0);
});

test('a frame that does nothing is never in the middle of another one', async () => {
  const bench = new Bench(true);
  const { stream } = bench.open(3);
  stream.write('abcdef');
  const target = Buffer.alloc(64);
  const first = bench.port.pull(target, 0, 19);
  await bench.clock.advance(2 * ACTIVITY_INTERVAL_MS);
  const rest = bench.port.pull(target, first, 64 - first);
  const text = target.subarray(0, first + rest).toString('latin1');
  assert.ok(text.includes('abcdef'));
  assert.ok(text.endsWith('\u0001\u0003\0\0\0\0\0\0'));
  bench.port.abort(undefined);
});

test('without being told to, it sends nothing that nobody wrote', async () => {
  const bench = new Bench();
  await bench.clock.advance(100 * ACTIVITY_INTERVAL_MS);
  assert.equal(bench.port.pull(Buffer.alloc(64), 0, 64), 0);
  assert.equal(bench.clock.pending, 0);
});

test('a slow reader alone is left in peace; the socket is read for a moment every 20 s', async () => {
  const bench = new Bench();
  const { stream, errors } = bench.open(3);
  bench.feed(3, MAX_HELD_PER_STREAM);
  assert.ok(bench.isPaused);
  assert.deepEqual(bench.said, ['stalled']);
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.said, ['stalled', 'read'], 'so that pings are answered');
  assert.ok(!bench.isPaused, 'until something comes');
  bench.feed(3, 1_000);
  assert.ok(bench.isPaused, 'which is held, and then paused again');
  // Nobody reads for hours: what single reads bring has a bound too.
  for (let read = 0; read < 1_000; read++) {
    await bench.clock.advance(20_000);
    if (!bench.isPaused) bench.feed(3, 131_072);
  }
  assert.ok(bench.isPaused);
  assert.ok(stream.readableLength <= 25 * 1024 * 1024, `${stream.readableLength} bytes held`);
  assert.deepEqual(errors, []);
  stream.resume();
  await settle();
  assert.ok(!bench.isPaused);
  assert.equal(bench.clock.pending, 0);
});

test('a stalled stream that holds up a sibling is reset after 60 s, not before', async () => {
  const bench = new Bench();
  const [slow, sibling] = [bench.open(3), bench.open(5)];
  bench.feed(3, MAX_HELD_PER_STREAM);
  await bench.clock.advance(MAX_SIBLING_STALL_MS - 1);
  assert.deepEqual([slow.errors, sibling.errors], [[], []]);
  await bench.clock.advance(1);
  assert.deepEqual(slow.errors, ['CT_STREAM_STALLED']);
  assert.deepEqual(sibling.errors, []);
  assert.ok(bench.said.includes('CT_STREAM_STALLED'));
  assert.ok(!bench.isPaused);
  assert.equal(bench.clock.pending, 0, 'nothing is watched any more');
});

test('several greedy streams are reset one after another until the session reads again', async () => {
  const bench = new Bench();
  const greedy = [3, 5, 7, 9, 11, 13].map((id) => bench.open(id));
  const sibling = bench.open(15);
  // None of them holds 4 MiB, all together more than 16.
  for (const { id } of greedy) bench.feed(id, MAX_HELD_PER_STREAM - 65_536);
  assert.ok(bench.isPaused);
  await bench.clock.advance(MAX_SIBLING_STALL_MS);
  const isReset = () => greedy.filter(({ errors }) => errors.length > 0).length;
  assert.equal(isReset(), 1);
  assert.ok(bench.port.isStalled, 'the others still hold too much');
  await bench.clock.advance(120_000);
  assert.ok(isReset() >= 3, `${isReset()} were reset`);
  assert.ok(!bench.isPaused, 'it does not stay stuck');
  assert.deepEqual(sibling.errors, []);
  assert.equal(bench.clock.pending, 0);
  bench.port.abort(undefined);
});

test('a second stall counts its own time', async () => {
  const bench = new Bench();
  const [slow, sibling] = [bench.open(3), bench.open(5)];
  bench.feed(3, MAX_HELD_PER_STREAM);
  await bench.clock.advance(50_000);
  slow.stream.resume();
  await settle();
  slow.stream.pause();
  bench.feed(3, MAX_HELD_PER_STREAM + 65_536);
  assert.ok(bench.isPaused);
  await bench.clock.advance(50_000);
  assert.deepEqual(slow.errors, []);
  await bench.clock.advance(10_000);
  assert.deepEqual(slow.errors, ['CT_STREAM_STALLED']);
  assert.deepEqual(sibling.errors, []);
});

test('abort in the middle of a stall leaves no timer', async () => {
  const bench = new Bench();
  bench.open(3);
  bench.feed(3, MAX_HELD_PER_STREAM);
  bench.port.abort(undefined);
  await settle();
  assert.equal(bench.port.openCount, 0);
  assert.equal(bench.clock.pending, 0);
});
