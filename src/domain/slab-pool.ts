/**
 * Memory for pieces of bytes that wait: for an acknowledge, for room in a tunnel. Pieces are cut from slabs one after another; a slab
 * is used again when all of its pieces are gone, so that a steady transfer allocates nothing.
 */

export const SLAB_BYTES = 64 * 1024;
/** Free slabs that are kept; more go to the garbage collector. */
const MAX_FREE_SLABS = 32;
const ALIGNMENT = 4;

export interface Slab {
  readonly bytes: Buffer;
  used: number;
  live: number;
}

export class SlabPool {
  readonly #free: Slab[] = [];
  #current: Slab | undefined;

  /** A slab with at least `byteCount` bytes behind `used`; the caller fills them, then calls `take`. */
  reserve(byteCount: number): Slab {
    if (this.#current && this.#current.bytes.length - this.#current.used >= byteCount) return this.#current;
    const retired = this.#current;
    this.#current = undefined;
    if (retired && retired.live === 0) this.#recycle(retired);
    const recycled = byteCount <= SLAB_BYTES ? this.#free.pop() : undefined;
    // Not from Node's shared pool: the masking of websocket frames wants 32-bit alignment from offset 0.
    this.#current = recycled ?? { bytes: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, byteCount)), used: 0, live: 0 };
    return this.#current;
  }

  /** Claims `byteCount` bytes of a reserved slab; returns their offset. Each claim is answered by one `release`. */
  take(slab: Slab, byteCount: number): number {
    const offset = slab.used;
    slab.used = Math.min(slab.bytes.length, Math.ceil((offset + byteCount) / ALIGNMENT) * ALIGNMENT);
    slab.live++;
    return offset;
  }

  /** Keeps a copy of `bytes`; `release` the slab when it is not needed any more. */
  copy(bytes: Uint8Array): { readonly slab: Slab; readonly bytes: Buffer } {
    const slab = this.reserve(bytes.length);
    const offset = this.take(slab, bytes.length);
    slab.bytes.set(bytes, offset);
    return { slab, bytes: slab.bytes.subarray(offset, offset + bytes.length) };
  }

  /** One piece of the slab is not needed any more. */
  release(slab: Slab): void {
    slab.live--;
    if (slab.live === 0 && slab !== this.#current) this.#recycle(slab);
  }

  #recycle(slab: Slab): void {
    slab.used = 0;
    if (slab.bytes.length === SLAB_BYTES && this.#free.length < MAX_FREE_SLABS) this.#free.push(slab);
  }
}
