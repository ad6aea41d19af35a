import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Heap, HeapKeeper } from '../../../src/runtime/heap-keeper.ts';
import { ManualClock } from '../../support/manual-world.ts';

/** A heap of which a collection leaves `live`. */
function heap(live = 20_000_000): Heap & { used: number; collections: number } {
  return {
    used: live,
    collections: 0,
    usedBytes() {
      return this.used;
    },
    collect() {
      this.used = live;
      this.collections += 1;
    },
  };
}

test('garbage of a busy tunnel is collected when it is worth it, and only then', () => {
  const clock = new ManualClock();
  const target = heap();
  const keeper = new HeapKeeper(clock, target);
  keeper.busy();
  clock.tick(50);
  target.used += 11_000_000;
  keeper.busy();
  clock.tick(50);
  assert.equal(target.collections, 0);
  target.used += 2_000_000;
  keeper.busy();
  clock.tick(50);
  assert.equal(target.collections, 1);
  keeper.busy();
  clock.tick(50);
  assert.equal(target.collections, 1, 'from the new floor on');
});

test('what lives on is not taken for garbage again and again', () => {
  const clock = new ManualClock();
  const target = { ...heap(), collect: () => {} };
  let collections = 0;
  const keeper = new HeapKeeper(clock, { usedBytes: () => target.used, collect: () => (collections += 1) });
  keeper.busy();
  clock.tick(50);
  target.used = 60_000_000;
  for (let turn = 0; turn < 10; turn++) {
    keeper.busy();
    clock.tick(50);
  }
  assert.equal(collections, 1);
});

test('an idle tunnel has no timer', () => {
  const clock = new ManualClock();
  const keeper = new HeapKeeper(clock, heap());
  assert.equal(clock.pending, 0);
  keeper.busy();
  keeper.busy();
  assert.equal(clock.pending, 1);
  clock.tick(50);
  clock.tick(50);
  assert.equal(clock.pending, 0);
});

test('the real heap is measured and collected', () => {
  const clock = new ManualClock();
  const keeper = new HeapKeeper(clock);
  keeper.busy();
  clock.tick(50);
  const kept: Buffer[] = [];
  for (let index = 0; index < 20; index++) kept.push(Buffer.alloc(1_000_000));
  const before = process.memoryUsage().arrayBuffers;
  kept.length = 0;
  keeper.busy();
  clock.tick(50);
  assert.ok(process.memoryUsage().arrayBuffers <= before - 18_000_000, 'the buffers are gone');
});
