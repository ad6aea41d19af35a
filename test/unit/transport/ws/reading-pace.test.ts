import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REST_MS, ReadingPace } from '../../../../src/transport/ws/reading-pace.ts';

/** Reads of `byteCount` each `gap` ms; after a rest as many bytes more as the pace brings meanwhile. Resolves with the reads made. */
function flow(
  pace: ReadingPace,
  byteCount: number,
  gap: number,
  duration: number,
  start = 0,
): { reads: number; rests: number } {
  let reads = 0;
  let rests = 0;
  let waiting = 0;
  let readableAt = start;
  for (let now = start; now < start + duration; now += gap) {
    waiting += byteCount;
    if (now < readableAt) continue;
    reads += 1;
    if (pace.read(waiting, now)) {
      rests += 1;
      readableAt = now + REST_MS;
    }
    waiting = 0;
  }
  return { reads, rests };
}

test('a message of a kilobyte each millisecond is soon read eight at a time', () => {
  const pace = new ReadingPace();
  assert.equal(flow(pace, 1144, 1, 39).rests, 0);
  const { reads, rests } = flow(pace, 1144, 1, 1_000, 39);
  assert.ok(rests >= 110 && reads <= 140, `${reads} reads, ${rests} rests`);
});

test('what people do is read at once', () => {
  assert.equal(flow(new ReadingPace(), 90, 1, 1_000).rests, 0, 'small');
  assert.equal(flow(new ReadingPace(), 1144, 20, 5_000).rests, 0, 'seldom');
});

test('a fast flow is read at once', () => {
  assert.equal(flow(new ReadingPace(), 65_536, 1, 1_000).rests, 0);
});

test('a flow that ebbs, or that turns fast, ends the rests', () => {
  const pace = new ReadingPace();
  flow(pace, 1144, 1, 200);
  assert.equal(pace.read(1144, 300), false);
  assert.equal(pace.read(1144, 301), false);
  flow(pace, 1144, 1, 200, 302);
  assert.equal(flow(pace, 65_536, 1, 100, 502).rests, 0);
});
