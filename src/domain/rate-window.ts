import type { Millis } from './millis.ts';

/** The span that a rate speaks of: short enough to follow a transfer, long enough not to follow its messages. */
const BUCKET: Millis = 250;
const BUCKET_COUNT = 8;

/**
 * Bytes a second over the last two seconds, of a counter that only grows. It has no timer: it is told the counter when bytes move, and
 * asked when somebody wants to know. What moved since it was told last counts as moved just now.
 */
export class RateWindow {
  readonly #buckets = new Float64Array(BUCKET_COUNT);
  #total = 0;
  /** Index of the newest bucket since the clock began; undefined before the first sample. */
  #newest: number | undefined;
  #beganAt: Millis = 0;

  /** @param total the counter as it is now */
  sample(total: number, now: Millis): void {
    const index = Math.floor(now / BUCKET);
    if (this.#newest === undefined) {
      this.#beganAt = now;
      this.#newest = index;
    }
    this.#advance(index);
    this.#buckets[index % BUCKET_COUNT]! += total - this.#total;
    this.#total = total;
  }

  /** Bytes a second, the counter's last change included. */
  rate(total: number, now: Millis): number {
    this.sample(total, now);
    const oldest = (Math.floor(now / BUCKET) - BUCKET_COUNT + 1) * BUCKET;
    const span = Math.max(BUCKET, now - Math.max(oldest, this.#beganAt));
    return (this.#buckets.reduce((sum, bytes) => sum + bytes, 0) / span) * 1_000;
  }

  #advance(index: number): void {
    const newest = this.#newest!;
    if (index <= newest) return;
    for (let step = Math.max(newest + 1, index - BUCKET_COUNT + 1); step <= index; step += 1) {
      this.#buckets[step % BUCKET_COUNT] = 0;
    }
    this.#newest = index;
  }
}
