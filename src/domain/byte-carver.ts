/**
 * Memory for bytes of unknown life: pieces are cut one after another from large blocks, and a block is garbage when all of its pieces
 * are. The allocator sees one large block now and then instead of a small one for each piece.
 */

const BLOCK_BYTES = 256 * 1024;
/** Larger pieces get memory of their own: they would waste what is left of a block. */
const LARGEST_CUT = 64 * 1024;

export class ByteCarver {
  #block = Buffer.alloc(0);
  #used = 0;

  /** A copy of `bytes`. */
  copy(bytes: Uint8Array): Buffer {
    const piece = this.#take(bytes.length);
    piece.set(bytes);
    return piece;
  }

  /** A copy of several pieces as one. */
  concat(pieces: readonly Uint8Array[], byteCount: number): Buffer {
    const whole = this.#take(byteCount);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  #take(byteCount: number): Buffer {
    if (byteCount > LARGEST_CUT) return Buffer.allocUnsafeSlow(byteCount);
    if (this.#block.length - this.#used < byteCount) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#used = 0;
    }
    const piece = this.#block.subarray(this.#used, this.#used + byteCount);
    this.#used += byteCount;
    return piece;
  }
}
