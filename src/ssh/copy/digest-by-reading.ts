import { createHash } from 'node:crypto';
import { CHUNK } from './copy-bytes.ts';
import type { FileStore, SourceFile } from './file-store.ts';

/** Reads under way at once; their buffers are what this holds. */
const AHEAD = 16;

/**
 * SHA-256 of a file, or of its first bytes, by reading it over the wire: for a side that cannot compute it.
 *
 * @throws as the store; the reason of `signal`
 */
export async function digestByReading(
  store: FileStore,
  path: string,
  byteCount: number | undefined,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const source = await store.openSource(path);
  const ahead: Promise<Buffer>[] = [];
  try {
    const end = byteCount ?? (await source.facts()).byteCount;
    for (let next = 0; next < end || ahead.length > 0; ) {
      signal.throwIfAborted();
      if (next < end && ahead.length < AHEAD) {
        const chunk = readWhole(source, next, Math.min(CHUNK, end - next));
        // Looked at in its turn.
        chunk.catch(() => {});
        ahead.push(chunk);
        next += CHUNK;
      } else hash.update(await ahead.shift()!);
    }
    return hash.digest('hex');
  } finally {
    await Promise.allSettled(ahead);
    await source.close().catch(() => {});
  }
}

async function readWhole(source: SourceFile, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const count = await source.read(buffer.subarray(done), length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}
