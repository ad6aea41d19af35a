import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultyLink } from '../../../../../src/lab/aws/core/faulty-link.ts';
import { CutSchedule } from '../../../../../src/lab/core/cut-schedule.ts';
import { seededFractions } from '../../../../../src/lab/core/seeded.ts';

const CLEAR = { latencyMs: 0, lossPercent: 0, duplicatePercent: 0, reorderPercent: 0, reorderMs: 5 };

function run(faults: typeof CLEAR, count: number, seed = 1) {
  const link = new FaultyLink(seededFractions(seed));
  const fates = { carried: 0, lost: 0, duplicated: 0, reordered: 0 };
  for (let index = 0; index < count; index++) {
    for (const fate of link.offer(Buffer.from([index >> 8, index & 255]), faults, index)) fates[fate] += 1;
  }
  const arrived = link.arrived(Number.POSITIVE_INFINITY).map((frame) => frame.readUInt16BE(0));
  return { fates, arrived };
}

test('latency delays everything and keeps the order', () => {
  const link = new FaultyLink(seededFractions(1));
  const faults = { ...CLEAR, latencyMs: 20 };
  assert.equal(link.isClear(faults), false);
  link.offer(Buffer.from('a'), faults, 0);
  link.offer(Buffer.from('b'), faults, 1);
  assert.deepEqual(link.arrived(19), []);
  assert.equal(link.wakeAt, 20);
  assert.deepEqual(link.arrived(21).map(String), ['a', 'b']);
  assert.equal(link.isClear(CLEAR), true);
});

test('loss, duplication and reordering come about as often as asked, and the same seed picks the same messages', () => {
  const faults = { ...CLEAR, lossPercent: 5, duplicatePercent: 10, reorderPercent: 20 };
  const first = run(faults, 10_000);
  const { lost, duplicated, reordered } = first.fates;
  assert.ok(Math.abs(lost - 500) < 80, `${lost} lost`);
  assert.ok(Math.abs(duplicated - 950) < 120, `${duplicated} duplicated`);
  assert.ok(Math.abs(reordered - 1_900) < 160, `${reordered} reordered`);
  assert.equal(first.arrived.length, 10_000 - lost + duplicated);
  assert.notDeepEqual(
    first.arrived,
    first.arrived.toSorted((a, b) => a - b),
  );
  assert.deepEqual(run(faults, 10_000), first);
  assert.notDeepEqual(run(faults, 10_000, 2), first);
});

test('more loss does not change which messages are duplicated', () => {
  const few = run({ ...CLEAR, duplicatePercent: 10 }, 2_000);
  const more = run({ ...CLEAR, duplicatePercent: 10, lossPercent: 30 }, 2_000);
  const twice = ({ arrived }: { arrived: number[] }) =>
    new Set(arrived.filter((number, index) => arrived.indexOf(number) !== index));
  for (const number of twice(more)) assert.ok(twice(few).has(number), `message ${number}`);
});

test('what is under way at a cut is lost', () => {
  const link = new FaultyLink(seededFractions(1));
  link.offer(Buffer.from('a'), { ...CLEAR, latencyMs: 5 }, 0);
  assert.equal(link.size, 1);
  assert.equal(link.clear(), 1);
  assert.deepEqual(link.arrived(10), []);
});

test('cuts: at a message, inside the message that holds a byte, and every so many bytes', () => {
  const cuts = { messages: [2], bytes: [250], everyBytes: 0 };
  const schedule = new CutSchedule();
  assert.deepEqual(
    [100, 100, 100, 100].map((size) => schedule.next(size, cuts)),
    // Byte 250 is the 50th of the third message, so 49 bytes of it arrive.
    ['none', 'message', 49, 'none'],
  );
  const periodic = new CutSchedule();
  assert.deepEqual(
    [100, 100, 100, 100, 100].map((size) => periodic.next(size, { messages: [], bytes: [], everyBytes: 200 })),
    ['none', 99, 'none', 99, 'none'],
  );
});
