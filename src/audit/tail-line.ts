import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const BLOCK = 16_384;
/** A line is a few hundred bytes; whatever is longer than this is not one of ours. */
const LIMIT = 4_194_304;

/** The last whole line of a file, without its end, from a look at the end of the file; undefined when there is none. */
export function tailLine(path: string): { readonly line: Buffer; readonly isTorn: boolean } | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    for (let length = Math.min(BLOCK, size); length > 0; length = Math.min(length * 4, size)) {
      const tail = Buffer.alloc(length);
      const count = readSync(file, tail, 0, length, size - length);
      const end = tail.lastIndexOf(0x0a, count - 1);
      const start = end <= 0 ? -1 : tail.lastIndexOf(0x0a, end - 1);
      const isWhole = end >= 0 && (start >= 0 || length === size);
      if (isWhole) return { line: tail.subarray(start + 1, end), isTorn: end < count - 1 };
      if (length === size || length >= LIMIT) return undefined;
    }
    return undefined;
  } finally {
    closeSync(file);
  }
}
