/**
 * Memory that the streams of one tunnel share for bytes on their way up, or for bytes that wait for slow readers. Each stream has a bound
 * of its own; this one keeps many of them together within reason, and leaves every stream a share so that none waits for another.
 */
export class MemoryBudget {
  readonly #limit: number;
  readonly #share: number;
  readonly #waiting = new Set<() => void>();
  #total = 0;

  /** @param limit of all together @param share what a stream may hold in any case */
  constructor(limit: number, share: number) {
    this.#limit = limit;
    this.#share = share;
  }

  get total(): number {
    return this.#total;
  }

  /** Whether a stream that holds `own` bytes may hold more. */
  allows(own: number): boolean {
    return own < this.#share || this.#total < this.#limit;
  }

  /** Bytes more (or fewer) are held. */
  add(byteCount: number): void {
    this.#total += byteCount;
    if (byteCount >= 0 || this.#waiting.size === 0 || this.#total >= this.#limit) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Calls back once when there is room again; the same callback waits once only. */
  wait(wake: () => void): void {
    this.#waiting.add(wake);
  }

  forget(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}
