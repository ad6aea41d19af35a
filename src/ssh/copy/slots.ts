/** A number of buffers that are lent, oldest request first: what bounds the memory of a copy, and the requests that are under way. */
export class Slots {
  readonly #free: Buffer[];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];

  /** @param count how many @param byteCount of each; they are made at once, and used again and again */
  constructor(count: number, byteCount: number) {
    const all = Buffer.allocUnsafeSlow(count * byteCount);
    this.#free = Array.from({ length: count }, (_, index) => all.subarray(index * byteCount, (index + 1) * byteCount));
  }

  take(): Promise<Buffer> {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return Promise.resolve(buffer);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next) next(buffer);
    else this.#free.push(buffer);
  }
}
