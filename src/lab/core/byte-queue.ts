/** Bytes in the order in which they came, as views of what was pushed; copied once, when they leave. */
export class ByteQueue {
  readonly #chunks: Buffer[] = [];
  /** Chunks before this index are used up. */
  #head = 0;
  /** Bytes of the first chunk that are used up. */
  #offset = 0;
  byteCount = 0;

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.byteCount += bytes.length;
  }

  /** Moves exactly `byteCount` bytes, at most what is queued, to `target` at `offset`. */
  copy(target: Buffer, offset: number, byteCount: number): void {
    let left = byteCount;
    let at = offset;
    while (left > 0) {
      const chunk = this.#chunks[this.#head]!;
      const end = Math.min(chunk.length, this.#offset + left);
      chunk.copy(target, at, this.#offset, end);
      const moved = end - this.#offset;
      at += moved;
      left -= moved;
      this.#advance(chunk, end);
    }
    this.byteCount -= byteCount;
  }

  /** Removes and returns the first chunk or what is left of it, at most `limit` bytes. */
  shift(limit = Number.POSITIVE_INFINITY): Buffer | undefined {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return undefined;
    const end = Math.min(chunk.length, this.#offset + limit);
    const part = this.#offset === 0 && end === chunk.length ? chunk : chunk.subarray(this.#offset, end);
    this.byteCount -= part.length;
    this.#advance(chunk, end);
    return part;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#head = 0;
    this.#offset = 0;
    this.byteCount = 0;
  }

  #advance(chunk: Buffer, end: number): void {
    if (end < chunk.length) {
      this.#offset = end;
      return;
    }
    this.#offset = 0;
    this.#head += 1;
    // Moving the rest down at each chunk would cost a copy of the array each time.
    if (this.#head === this.#chunks.length || this.#head >= 1_024) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
