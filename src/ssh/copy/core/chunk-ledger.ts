/*
 * Which parts of a file have arrived, when many are under way at once and end in any order. What counts for going on later is the
 * part without holes.
 */
export class ChunkLedger {
  /** Start → end of parts beyond a hole; never more than there are chunks under way. */
  readonly #beyond = new Map<number, number>();
  #whole: number;
  #arrived: number;

  /** @param start everything before it was there already */
  constructor(start: number) {
    this.#whole = start;
    this.#arrived = start;
  }

  /** The file is there without holes up to here. */
  get whole(): number {
    return this.#whole;
  }

  /** How many bytes are there, holes left out. */
  get arrived(): number {
    return this.#arrived;
  }

  add(start: number, end: number): void {
    this.#arrived += end - start;
    this.#beyond.set(start, end);
    for (let next = this.#beyond.get(this.#whole); next !== undefined; next = this.#beyond.get(this.#whole)) {
      this.#beyond.delete(this.#whole);
      this.#whole = next;
    }
  }
}
