import { ChunkLedger } from './core/chunk-ledger.ts';
import type { SourceFile, TargetFile } from './file-store.ts';
import type { Slots } from './slots.ts';

/**
 * OpenSSH takes 255 kB in one message; for servers that take 32 kB, as all must (draft-ietf-secsh-filexfer-02, section 3), ssh2 makes
 * several of one. Measured with 2 MiB under way: a quarter less CPU than with pieces of 32 KiB, at the same speed.
 */
export const CHUNK = 131_072;

export interface Range {
  readonly start: number;
  /** Undefined: to the end of the file, one piece after the other, for files that do not tell their size (`/proc`). */
  readonly end: number | undefined;
}

/** The end of a file that came before its size. */
export class ShortFile extends Error {
  override readonly name = 'ShortFile';
}

/**
 * Copies bytes of an open file to the same place in another, with many pieces under way at once: each is read, then written. Reading
 * ends in any order, and writing begins in the order of the file: what a connection that breaks leaves on the far side has no holes,
 * since nobody could cut it there. The buffers are those of the slots taken: what is held is bounded by them, whatever the sides do.
 *
 * @param progress is told how much has arrived, the part before `start` included; and up to where nothing is missing
 * @returns up to where the file is there
 * @throws ShortFile; what reading and writing throw; the reason of `signal`. Nothing is under way any more then
 */
export async function copyBytes(
  from: SourceFile,
  to: TargetFile,
  { start, end }: Range,
  slots: Slots,
  progress: (ledger: ChunkLedger) => void,
  signal: AbortSignal,
): Promise<number> {
  const ledger = new ChunkLedger(start);
  if (end === undefined) return await copyToEnd(from, to, ledger, slots, progress, signal);
  let next = start;
  let failure: { readonly reason: unknown } | undefined;
  const fail = (reason: unknown) => {
    failure ??= { reason };
  };
  const copyChunk = async (
    position: number,
    length: number,
    buffer: Buffer,
    before: Promise<void>,
    begun: () => void,
  ) => {
    for (let done = 0; done < length; ) {
      const count = await from.read(buffer, length - done, position + done);
      if (count === 0) throw new ShortFile(`ends at ${position + done} of ${end}`);
      await before;
      if (failure !== undefined) return;
      const writing = to.write(buffer, count, position + done);
      if (done + count >= length) begun();
      await writing;
      ledger.add(position + done, position + done + count);
      done += count;
      progress(ledger);
    }
  };
  const underWay = new Set<Promise<void>>();
  /** When every piece before the next one has begun to be written. */
  let turn = Promise.resolve();
  while (next < end && failure === undefined) {
    const slot = await slots.take();
    if (signal.aborted) fail(signal.reason);
    if (failure !== undefined) {
      slots.give(slot);
      break;
    }
    const position = next;
    next = Math.min(end, next + CHUNK);
    const before = turn;
    const { promise, resolve: begun } = Promise.withResolvers<void>();
    turn = promise;
    const chunk: Promise<void> = copyChunk(position, next - position, slot, before, begun)
      .catch(fail)
      .finally(() => {
        begun();
        slots.give(slot);
        underWay.delete(chunk);
      });
    underWay.add(chunk);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure.reason;
  return end;
}

async function copyToEnd(
  from: SourceFile,
  to: TargetFile,
  ledger: ChunkLedger,
  slots: Slots,
  progress: (ledger: ChunkLedger) => void,
  signal: AbortSignal,
): Promise<number> {
  const buffer = await slots.take();
  try {
    for (;;) {
      signal.throwIfAborted();
      const position = ledger.whole;
      const count = await from.read(buffer, buffer.length, position);
      if (count === 0) return position;
      await to.write(buffer, count, position);
      ledger.add(position, position + count);
      progress(ledger);
    }
  } finally {
    slots.give(buffer);
  }
}
