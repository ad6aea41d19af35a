import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Heap, HeapKeeper } from '../../../src/runtime/heap-keeper.ts';
import { ManualClock } from '../../support/manual-world.ts';
import { until } from '../../support/until.ts';

/** A heap of which a whole collection leaves `live`. */
function heap(live = 20_000_000): Heap & { used: number; collections: string[] } {
  return {
    used: live,
    collections: [],
    usedBytes() {
      return this.used;
    },
    collect(type) {
      if (type === 'major') this.used = live;
      this.collections.push(type);
    },
  };
}

function kept(target: Heap) {
  const clock = new ManualClock();
  const keeper = new HeapKeeper(clock, target);
  return {
    clock,
    keeper,
    /** Some bytes move, and then it is looked. */
    turn: (connections = 0) => {
      for (let index = 0; index < connections; index++) keeper.connected();
      keeper.busy(1_000);
      clock.tick(50);
    },
  };
}

test('what many connections leave behind is collected when it is worth it, and only then', () => {
  const target = heap();
  const { turn } = kept(target);
  turn();
  target.used += 9_000_000;
  turn(200);
  assert.deepEqual(target.collections, []);
  target.used += 2_000_000;
  turn();
  assert.deepEqual(target.collections, ['major']);
  target.used += 20_000_000;
  turn(49);
  assert.equal(target.collections.length, 1, 'few connections since then, and a moment ago');
  turn(1);
  assert.equal(target.collections.length, 2);
});

test('without connections it is collected once in one and a half seconds at most', () => {
  const target = heap();
  const { turn } = kept(target);
  turn();
  for (let index = 0; index < 60; index++) {
    target.used += 15_000_000;
    turn();
  }
  assert.deepEqual(target.collections, ['major', 'major']);
});

test('what lives on is not taken for garbage again and again', () => {
  let used = 20_000_000;
  const collections: string[] = [];
  const { turn } = kept({ usedBytes: () => used, collect: (type) => collections.push(type) });
  turn();
  used = 60_000_000;
  for (let index = 0; index < 10; index++) turn(100);
  assert.deepEqual(collections, ['major']);
});

test('a bulk transfer costs a minor collection every 8 MB', () => {
  const target = heap();
  const { keeper } = kept(target);
  for (let moved = 0; moved < 80_000_000; moved += 100_000) keeper.busy(100_000);
  assert.deepEqual(
    target.collections,
    Array.from({ length: 10 }, () => 'minor'),
  );
});

test('an idle tunnel has no timer', () => {
  const { clock, keeper } = kept(heap());
  assert.equal(clock.pending, 0);
  keeper.busy(1);
  keeper.busy(1);
  assert.equal(clock.pending, 1);
  clock.tick(50);
  clock.tick(50);
  assert.equal(clock.pending, 0);
});

test('the real heap is collected', async () => {
  const keeper = new HeapKeeper(new ManualClock());
  const buffers = Array.from({ length: 20 }, () => Buffer.alloc(1_000_000));
  const before = process.memoryUsage().arrayBuffers;
  buffers.length = 0;
  keeper.busy(8_000_000);
  // The memory itself is given back by another thread.
  await until(() => process.memoryUsage().arrayBuffers <= before - 18_000_000);
});
