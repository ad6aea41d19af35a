import { type Slab, SlabPool } from '../domain/slab-pool.ts';
import type { HeapKeeper } from '../runtime/heap-keeper.ts';

/** Bytes of a client that wait for the tunnel. */
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

  /** Keeps a copy of what a client sent; `giveBack` when the tunnel took it. */
  lend(bytes: Uint8Array): LentBytes {
    return this.#slabs.copy(bytes);
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
