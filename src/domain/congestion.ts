/**
 * Whether a tunnel has enough waiting to be sent: then its local clients should not be read, however many they are. Memory is bounded
 * for a whole tunnel this way, where a high-water mark bounds one stream.
 */
export class Congestion {
  readonly #listeners = new Set<(isCongested: boolean) => void>();
  #isCongested = false;

  get isCongested(): boolean {
    return this.#isCongested;
  }

  /** Tells listeners about a change, in the order in which they came. */
  set(isCongested: boolean): void {
    if (isCongested === this.#isCongested) return;
    this.#isCongested = isCongested;
    for (const listener of [...this.#listeners]) {
      // Those who were told to go on may have filled it up again.
      if (this.#isCongested !== isCongested) return;
      listener(isCongested);
    }
  }

  /** Returns the way to stop listening. */
  subscribe(listener: (isCongested: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
