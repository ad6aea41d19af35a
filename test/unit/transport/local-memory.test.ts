import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalMemory } from '../../../src/transport/local-memory.ts';

const pattern = (byteCount: number) => Buffer.from(Array.from({ length: byteCount }, (_, index) => (index * 7) & 0xff));

test('several pieces are kept as one copy', () => {
  const memory = new LocalMemory();
  const pieces = [Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cde')];
  const [lent, ...more] = memory.lendAll(pieces, 5);
  for (const piece of pieces) piece.fill(0);
  assert.equal(lent!.bytes.toString(), 'abcde');
  assert.deepEqual(more, []);
});

test('more than a slab holds is kept in several copies, wherever the pieces were cut', () => {
  const memory = new LocalMemory();
  const all = pattern(200_000);
  for (const length of [1_021, 65_535, 65_536, 65_537, 200_000]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < all.length; at += length) pieces.push(all.subarray(at, at + length));
    const lent = memory.lendAll(pieces, all.length);
    assert.ok(Buffer.concat(lent.map(({ bytes }) => bytes)).equals(all));
    assert.ok(lent.every(({ bytes }) => bytes.length <= 65_536));
    for (const one of lent) memory.giveBack(one);
  }
});

test('what is given back is used again: a long run takes no more memory than a short one', () => {
  const memory = new LocalMemory();
  const blocks = new Set<ArrayBufferLike>();
  const piece = pattern(40_000);
  for (let round = 0; round < 1_000; round++) {
    const lent = memory.lendAll([piece, piece], 80_000);
    for (const one of lent) blocks.add(one.bytes.buffer);
    for (const one of lent) memory.giveBack(one);
  }
  assert.ok(blocks.size <= 3, `${blocks.size} blocks`);
});
