import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteCarver } from '../../../src/domain/byte-carver.ts';
import { SlabPool } from '../../../src/domain/slab-pool.ts';

test('carved pieces are copies that do not overlap, many to a block', () => {
  const carver = new ByteCarver();
  const source = Buffer.from('abc');
  const pieces = Array.from({ length: 1_000 }, (_, index) => carver.copy(Buffer.from(`piece ${index}`)));
  const first = carver.copy(source);
  source.fill(0);
  assert.equal(first.toString(), 'abc');
  assert.ok(pieces.every((piece, index) => piece.toString() === `piece ${index}`));
  assert.equal(new Set(pieces.map(({ buffer }) => buffer)).size, 1);
});

test('several pieces become one; a large one has memory of its own, a full block is followed by another', () => {
  const carver = new ByteCarver();
  assert.equal(carver.concat([Buffer.from('ab'), Buffer.from('cd')], 4).toString(), 'abcd');
  const large = carver.copy(Buffer.alloc(100_000, 7));
  assert.equal(large.buffer.byteLength, 100_000);
  const blocks = new Set(Array.from({ length: 10 }, () => carver.copy(Buffer.alloc(60_000)).buffer));
  assert.equal(blocks.size, 3);
});

test('a slab is used again when all of its pieces are given back', () => {
  const pool = new SlabPool();
  const take = () => pool.copy(Buffer.alloc(30_000, 1));
  const [one, two] = [take(), take()];
  assert.equal(one.slab, two.slab);
  const three = take();
  assert.notEqual(three.slab, one.slab);
  pool.release(one.slab);
  pool.release(two.slab);
  const [, again] = [take(), take()];
  assert.equal(again!.slab, one.slab);
});
