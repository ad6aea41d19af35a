import { SLAB_BYTES, type Slab, SlabPool } from '../domain/slab-pool.ts';
import type { HeapKeeper } from '../runtime/heap-keeper.ts';

/** Bytes that wait: of a client for the tunnel, or the other way round. */
export interface LentBytes {
  readonly slab: Slab;
  readonly bytes: Buffer;
}

/** What the connections of a process keep in memory; how much that may be, their congestion says. */
export class LocalMemory {
  readonly #slabs = new SlabPool();
  readonly #keeper: Pick<HeapKeeper, 'busy' | 'connected'> | undefined;

  /** @param keeper absent: garbage is left to V8 alone */
  constructor(keeper?: Pick<HeapKeeper, 'busy' | 'connected'>) {
    this.#keeper = keeper;
  }

  /** Keeps a copy; `giveBack` when the next hop took it. */
  lend(bytes: Uint8Array): LentBytes {
    return this.#slabs.copy(bytes);
  }

  /** The same for several pieces, `byteCount` bytes in all, put together into as few as a slab allows. */
  lendAll(pieces: readonly Uint8Array[], byteCount: number): LentBytes[] {
    const lent: LentBytes[] = [];
    let index = 0;
    let from = 0;
    for (let left = byteCount; left > 0; ) {
      const length = Math.min(left, SLAB_BYTES);
      const slab = this.#slabs.reserve(length);
      const offset = this.#slabs.take(slab, length);
      const bytes = slab.bytes.subarray(offset, offset + length);
      for (let filled = 0; filled < length; ) {
        const piece = pieces[index]!;
        const part = piece.subarray(from, from + length - filled);
        bytes.set(part, filled);
        filled += part.length;
        from += part.length;
        if (from < piece.length) continue;
        index += 1;
        from = 0;
      }
      lent.push({ slab, bytes });
      left -= length;
    }
    return lent;
  }

  giveBack(lent: LentBytes): void {
    this.#slabs.release(lent.slab);
  }

  /** A connection begins. */
  connected(): void {
    this.#keeper?.connected();
  }

  /** So many bytes move. */
  busy(byteCount: number): void {
    this.#keeper?.busy(byteCount);
  }
}
