/**
 * Memory for frames: cut from slabs one after another. A slab is used again when nothing of it is needed any more, so that a steady
 * transfer allocates nothing.
 */
const SLAB_BYTES = 256 * 1024;
/** Free slabs that are kept; more go to the garbage collector. */
const MAX_FREE = 64;

export interface FrameSlab {
  readonly memory: Buffer;
  end: number;
  /** Frames that are still needed. */
  live: number;
}

export class FrameSlabs {
  readonly #free: FrameSlab[] = [];
  #current: FrameSlab | undefined;

  /**
   * A slab with room for `byteCount` bytes at its `end`. The caller moves `end`, and counts `live` up if the frame is kept; one that
   * is not kept is gone with the next reservation.
   */
  reserve(byteCount: number): FrameSlab {
    const current = this.#current;
    if (current !== undefined && current.memory.length - current.end >= byteCount) return current;
    this.#current = undefined;
    if (current?.live === 0) this.#recycle(current);
    const recycled = byteCount <= SLAB_BYTES ? this.#free.pop() : undefined;
    this.#current = recycled ?? {
      memory: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, byteCount)),
      end: 0,
      live: 0,
    };
    return this.#current;
  }

  /** A frame that was kept is not needed any more. */
  release(slab: FrameSlab): void {
    slab.live -= 1;
    if (slab.live === 0 && slab !== this.#current) this.#recycle(slab);
  }

  #recycle(slab: FrameSlab): void {
    slab.end = 0;
    if (slab.memory.length === SLAB_BYTES && this.#free.length < MAX_FREE) this.#free.push(slab);
  }
}
