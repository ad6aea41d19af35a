/** Memory for many small frames: one allocation for hundreds, which costs a fraction of one each. Frames are views; a slab lives as long as any. */
const SLAB_BYTES = 256 * 1024;

export class FrameSlab {
  memory: Buffer = Buffer.alloc(0);
  #end = 0;

  /** Room for `byteCount` bytes in `memory`; returns its offset. What was there before is not cleared. */
  reserve(byteCount: number): number {
    if (this.memory.length - this.#end < byteCount) {
      this.memory = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, byteCount));
      this.#end = 0;
    }
    const offset = this.#end;
    this.#end += byteCount;
    return offset;
  }
}
