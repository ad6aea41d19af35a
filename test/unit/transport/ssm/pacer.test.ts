import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES, Pacer } from '../../../../src/transport/ssm/core/pacer.ts';

const MESSAGE = 1_144;

/** Acknowledges `count` messages, one a millisecond. */
function acknowledge(pacer: Pacer, count: number, roundTrip: number, wasFull: boolean, from = 0): void {
  for (let index = 0; index < count; index++) pacer.acknowledged(MESSAGE, roundTrip, 10, wasFull, from + index);
}

test('the window grows with what was acknowledged, while it is full and the queue short', () => {
  const pacer = new Pacer();
  const before = pacer.windowBytes;
  acknowledge(pacer, 10, 12, true);
  assert.equal(pacer.windowBytes, before + 10 * MESSAGE);
  acknowledge(pacer, 10_000, 12, true);
  assert.equal(pacer.windowBytes, MAX_WINDOW_BYTES);
});

test('a sender that does not fill the window does not grow it', () => {
  const pacer = new Pacer();
  const before = pacer.windowBytes;
  acknowledge(pacer, 1_000, 10, false);
  assert.equal(pacer.windowBytes, before);
});

test('a queue of 12 to 60 ms changes nothing', () => {
  const pacer = new Pacer();
  const before = pacer.windowBytes;
  for (const queue of [12, 30, 60]) acknowledge(pacer, 100, 10 + queue, true);
  assert.equal(pacer.windowBytes, before);
});

test('a long queue shrinks the window once a round trip, down to a floor', () => {
  const pacer = new Pacer();
  const before = pacer.windowBytes;
  acknowledge(pacer, 90, 100, true);
  assert.equal(pacer.windowBytes, before * 0.85, 'one step, however many acknowledges say the same');
  acknowledge(pacer, 50, 100, true, 100);
  assert.equal(pacer.windowBytes, before * 0.85 * 0.85);
  acknowledge(pacer, 10_000, 100, true, 200);
  assert.equal(pacer.windowBytes, MIN_WINDOW_BYTES);
});
