import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CHUNK, copyBytes } from '../../../../src/ssh/copy/copy-bytes.ts';
import type { SourceFile, TargetFile } from '../../../../src/ssh/copy/file-store.ts';
import { Slots } from '../../../../src/ssh/copy/slots.ts';
import { settle } from '../../../support/manual-world.ts';

const signal = new AbortController().signal;
const COUNT = 6;

/** A source that gives its pieces when the test says so. */
function sides(breaksAt?: number) {
  const reads = new Map<number, () => void>();
  const written: number[] = [];
  const source = {
    read: (_buffer: Buffer, length: number, position: number) =>
      new Promise<number>((resolve) => reads.set(position / CHUNK, () => resolve(length))),
  } as Pick<SourceFile, 'read'> as SourceFile;
  const target = {
    write: async (_buffer: Buffer, _length: number, position: number) => {
      if (position / CHUNK === breaksAt) throw new Error('the connection broke');
      written.push(position / CHUNK);
    },
  } as Pick<TargetFile, 'write'> as TargetFile;
  const copying = copyBytes(
    source,
    target,
    { start: 0, end: COUNT * CHUNK },
    new Slots(COUNT, CHUNK),
    () => {},
    signal,
  );
  return { reads, written, copying };
}

suite('copying bytes', () => {
  test('pieces that were read in the wrong order are written in the order of the file', async () => {
    const { reads, written, copying } = sides();
    await settle();
    for (const index of [3, 5, 1, 0, 4, 2]) {
      reads.get(index)!();
      await settle();
    }
    assert.equal(await copying, COUNT * CHUNK);
    assert.deepEqual(written, [0, 1, 2, 3, 4, 5]);
  });

  test('behind a piece that could not be written nothing is written any more', async () => {
    const { reads, written, copying } = sides(2);
    const failed = assert.rejects(copying, /the connection broke/);
    await settle();
    for (const index of [5, 4, 3, 2, 1, 0]) reads.get(index)!();
    await failed;
    assert.deepEqual(written.slice(0, 2), [0, 1]);
    assert.ok(!written.includes(5));
  });
});
