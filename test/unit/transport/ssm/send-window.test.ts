import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageWriter } from '../../../../src/transport/ssm/core/message-writer.ts';
import { MAX_WINDOW_BYTES } from '../../../../src/transport/ssm/core/pacer.ts';
import { SendWindow } from '../../../../src/transport/ssm/core/send-window.ts';
import { PAYLOAD_OFFSET } from '../../../../src/transport/ssm/core/wire-format.ts';
import { seededRandom } from '../../../support/manual-world.ts';
import { SentFrames } from '../../../support/sent-frames.ts';

/** A window, a clock that is a number, and what left. */
class Bench {
  readonly window: SendWindow;
  readonly sent = new SentFrames();
  readonly #writer = new MessageWriter('input_stream_data', 0, seededRandom().bytes);
  now = 1_000;

  constructor(firstNumber = 0) {
    this.window = new SendWindow(firstNumber);
  }

  /** Sends `count` messages of `byteCount` payload bytes, each filled with its number. */
  send(count: number, byteCount = 10): void {
    for (let index = 0; index < count; index++) {
      const slab = this.window.slabs.reserve(PAYLOAD_OFFSET + byteCount);
      slab.bytes.fill(
        this.window.nextNumber & 0xff,
        slab.used + PAYLOAD_OFFSET,
        slab.used + PAYLOAD_OFFSET + byteCount,
      );
      const offset = this.window.slabs.take(slab, PAYLOAD_OFFSET + byteCount);
      this.#writer.writeHeader(slab.bytes, offset, 1, byteCount, this.window.nextNumber, 1);
      this.window.send(slab, offset, PAYLOAD_OFFSET + byteCount, this.now, this.sent.transmit);
    }
  }

  acknowledge(...numbers: number[]): void {
    for (const number of numbers) this.window.acknowledge(number, this.now);
  }

  repair(): number[] {
    this.window.repair(this.now, this.sent.transmit);
    return this.sent.takeNumbers();
  }

  /** Moves to when the window wants to be woken, runs its time-out, and tells how long that was and what left. */
  timeout(): { after: number; numbers: number[] } {
    const { timeoutAt } = this.window;
    assert.ok(
      timeoutAt !== undefined && timeoutAt > this.now,
      `a time-out in the future: ${timeoutAt}, now ${this.now}`,
    );
    const after = timeoutAt - this.now;
    this.now = timeoutAt;
    this.window.onTimeout(this.now, this.sent.transmit);
    return { after, numbers: this.sent.takeNumbers() };
  }
}

test('messages leave at once, numbered, and are forgotten when acknowledged in any order', () => {
  const bench = new Bench();
  bench.send(5);
  assert.deepEqual(bench.sent.takeNumbers(), [0, 1, 2, 3, 4]);
  assert.equal(bench.window.outstandingBytes, 5 * 130);
  bench.acknowledge(1, 3);
  assert.equal(bench.window.acknowledgedBelow, 0);
  bench.acknowledge(0);
  assert.equal(bench.window.acknowledgedBelow, 2);
  bench.acknowledge(2, 4);
  assert.equal(bench.window.acknowledgedBelow, 5);
  assert.equal(bench.window.outstandingBytes, 0);
  assert.equal(bench.window.timeoutAt, undefined, 'nothing to wait for');
});

test('repeated acknowledges and those of long ago change nothing', () => {
  const bench = new Bench();
  bench.send(3);
  bench.acknowledge(0, 0, 1, 1, 0, -1);
  assert.equal(bench.window.acknowledgedBelow, 2);
  assert.equal(bench.window.outstandingBytes, 130);
});

test('an acknowledge of what was never sent ends the tunnel', () => {
  const bench = new Bench();
  assert.throws(() => bench.acknowledge(0), { code: 'CT_PROTO_FRAME' });
  bench.send(2);
  bench.acknowledge(1);
  assert.throws(() => bench.acknowledge(2), { code: 'CT_PROTO_FRAME' });
  assert.throws(() => bench.acknowledge(Number.MAX_SAFE_INTEGER), { code: 'CT_PROTO_FRAME' });
});

test('a message is sent again when one that left three sends later is acknowledged', () => {
  const bench = new Bench();
  bench.send(6);
  bench.sent.take();
  bench.now += 5;
  bench.acknowledge(1, 2);
  assert.deepEqual(bench.repair(), [], 'two later ones may have overtaken it');
  bench.acknowledge(3);
  assert.deepEqual(bench.repair(), [0]);
  assert.deepEqual(bench.repair(), [], 'once for each evidence');
  bench.acknowledge(4, 5);
  assert.deepEqual(bench.repair(), [], 'what was sent before the second attempt says nothing about it');
  bench.send(3);
  bench.sent.take();
  bench.acknowledge(6, 7, 8);
  assert.deepEqual(bench.repair(), [0], 'three sends after the second attempt do');
});

test('a burst of losses is repaired in one go, oldest first', () => {
  const bench = new Bench();
  bench.send(40);
  bench.sent.take();
  bench.now += 5;
  bench.acknowledge(...Array.from({ length: 10 }, (_, index) => index + 30));
  assert.deepEqual(
    bench.repair(),
    Array.from({ length: 30 }, (_, index) => index),
  );
});

test("a resent message gives no round-trip sample (Karn's rule), a message sent once does", () => {
  const bench = new Bench();
  bench.send(1);
  bench.now += 20;
  bench.acknowledge(0);
  assert.equal(bench.window.roundTrip.srtt, 20);
  bench.send(1);
  const { after } = bench.timeout();
  bench.now += 1;
  bench.acknowledge(1);
  assert.equal(bench.window.roundTrip.srtt, 20, `not ${after + 1} and not 1`);
  assert.equal(bench.window.roundTrip.min, 20);
});

test('the first time-out is that of the official ends, later ones follow the path', () => {
  const bench = new Bench();
  bench.send(1);
  assert.equal(bench.window.timeoutAt, bench.now + 200);
  bench.now += 40;
  bench.acknowledge(0);
  bench.send(1);
  assert.equal(bench.window.timeoutAt, bench.now + 40 + 4 * 20);
});

test('a time-out sends a burst, then one message at a time, ever more slowly, for as long as it takes', () => {
  const bench = new Bench();
  bench.send(100);
  bench.sent.take();
  const first = bench.timeout();
  assert.equal(first.after, 200);
  assert.deepEqual(
    first.numbers,
    Array.from({ length: 32 }, (_, index) => index),
  );
  // A peer that is silent is stalled or gone: the window must not be poured into it again and again.
  const delays: number[] = [];
  let resent = 0;
  const began = bench.now;
  while (bench.now - began < 60_000) {
    const { after, numbers } = bench.timeout();
    delays.push(after);
    assert.equal(numbers.length, 1, `one probe, not ${numbers}`);
    resent += numbers.length;
  }
  assert.deepEqual(delays.slice(0, 4), [400, 800, 1_000, 1_000]);
  assert.ok(resent < 65, `${resent} probes in a minute`);
});

test('the first acknowledge after a stall sends nothing again by itself', () => {
  const bench = new Bench();
  bench.send(100);
  for (let count = 0; count < 20; count++) bench.timeout();
  bench.sent.take();
  // The target reads again: what was received meanwhile is acknowledged piece by piece.
  for (let number = 0; number < 100; number += 10) {
    bench.acknowledge(...Array.from({ length: 10 }, (_, index) => number + index));
    const { timeoutAt } = bench.window;
    assert.ok(timeoutAt === undefined || timeoutAt > bench.now, 'the time-out starts anew');
    assert.deepEqual(bench.repair(), []);
    bench.now += 5;
  }
  assert.equal(bench.window.outstandingBytes, 0);
});

test('an acknowledge ends the backing off', () => {
  const bench = new Bench();
  bench.send(50);
  bench.sent.take();
  for (let count = 0; count < 5; count++) bench.timeout();
  bench.acknowledge(0);
  const { after, numbers } = bench.timeout();
  assert.ok(after <= 200 && numbers.length === 32, `after ${after} ms: ${numbers.length}`);
});

test('a new websocket: everything unacknowledged again, oldest first, the same bytes', () => {
  const bench = new Bench();
  bench.send(6);
  const original = bench.sent.take();
  bench.acknowledge(0, 3);
  bench.timeout();
  bench.window.resendAll(bench.now, bench.sent.transmit);
  const again = bench.sent.take();
  assert.deepEqual(again, [original[1], original[2], original[4], original[5]]);
  bench.now += 30;
  bench.acknowledge(1, 2, 4, 5);
  assert.equal(bench.window.acknowledgedBelow, 6);
  bench.send(1);
  assert.deepEqual(bench.sent.takeNumbers(), [6], 'numbers go on');
});

test('a new websocket may be another path: its queue is measured anew', () => {
  const bench = new Bench();
  bench.send(1);
  bench.now += 2;
  bench.acknowledge(0);
  bench.window.resendAll(bench.now, bench.sent.transmit);
  const before = bench.window.windowBytes;
  for (let count = 0; count < 50; count++) {
    bench.send(1);
    bench.now += 150;
    bench.acknowledge(bench.window.nextNumber - 1);
  }
  assert.equal(bench.window.windowBytes, before, 'a longer way is no queue');
});

test('4,096 messages at most, however small they are', () => {
  const bench = new Bench();
  bench.send(4_095, 1);
  assert.ok(bench.window.hasSlot());
  bench.send(1, 1);
  assert.ok(!bench.window.hasSlot() && !bench.window.hasRoom());
  // The oldest one holds the ring: acknowledges behind it free no slot.
  bench.acknowledge(...Array.from({ length: 4_095 }, (_, index) => index + 1));
  assert.ok(!bench.window.hasSlot());
  bench.acknowledge(0);
  assert.ok(bench.window.hasSlot());
  assert.equal(bench.window.acknowledgedBelow, 4_096);
  bench.send(4_096, 1);
  assert.equal(bench.window.nextNumber, 8_192);
});

test('the window is in bytes, grows while it is full and answers are quick, and is bounded', () => {
  const bench = new Bench();
  const initial = bench.window.windowBytes;
  let largest = 0;
  for (let round = 0; round < 40; round++) {
    const first = bench.window.nextNumber;
    while (bench.window.hasRoom()) bench.send(1, 1_024);
    largest = Math.max(largest, bench.window.outstandingBytes);
    bench.now += 1;
    for (let number = first; number < bench.window.nextNumber; number++) bench.acknowledge(number);
  }
  assert.ok(largest > 4 * initial, `it grew to ${largest}`);
  assert.ok(largest <= MAX_WINDOW_BYTES + 1_144, `one message beyond at most: ${largest}`);
});

test('slabs are used again: a long upload does not grow', () => {
  const bench = new Bench();
  const buffers = new Set<ArrayBufferLike>();
  for (let round = 0; round < 300; round++) {
    const first = bench.window.nextNumber;
    for (let count = 0; count < 64; count++) {
      buffers.add(bench.window.slabs.reserve(PAYLOAD_OFFSET + 1_024).bytes.buffer);
      bench.send(1, 1_024);
    }
    bench.sent.take();
    for (let number = first; number < bench.window.nextNumber; number++) bench.acknowledge(number);
  }
  assert.ok(buffers.size <= 4, `${buffers.size} slabs for 19 MB`);
});

for (const [name, start] of [
  ['2^31', 2 ** 31],
  ['2^32', 2 ** 32],
] as const) {
  test(`numbers cross ${name}`, () => {
    const bench = new Bench(start - 20);
    bench.send(40);
    const numbers = Array.from({ length: 40 }, (_, index) => start - 20 + index);
    assert.deepEqual(bench.sent.takeNumbers(), numbers);
    bench.now += 5;
    bench.acknowledge(...numbers.slice(10));
    assert.deepEqual(bench.repair(), numbers.slice(0, 10));
    bench.window.resendAll(bench.now, bench.sent.transmit);
    assert.deepEqual(bench.sent.takeNumbers(), numbers.slice(0, 10));
    bench.acknowledge(...numbers.slice(0, 10));
    assert.equal(bench.window.acknowledgedBelow, start + 20);
  });
}

test('numbers end at 2^53: the last one is sent, the one after it is refused', () => {
  const bench = new Bench(Number.MAX_SAFE_INTEGER - 2);
  bench.send(3);
  const numbers = [-2, -1, 0].map((step) => Number.MAX_SAFE_INTEGER + step);
  assert.deepEqual(bench.sent.takeNumbers(), numbers);
  bench.acknowledge(...numbers);
  assert.throws(() => bench.send(1), { code: 'CT_INTERNAL' });
  assert.deepEqual(bench.sent.take(), []);
});
