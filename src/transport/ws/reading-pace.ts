/**
 * Whether a socket may rest between two reads. An SSM agent sends one message of a kilobyte each millisecond, and each of them wakes the
 * process by itself: a hundred microseconds of processor time for five of work. When such a steady flow is seen, the socket is left alone
 * for some milliseconds, and ten messages cost one wake-up. Anything else is read at once: few or small reads (people at work), reads
 * that bring a lot (a fast flow is limited by how soon it is read), and a flow that ebbs.
 */
import type { Millis } from '../../domain/millis.ts';

/** What a read is delayed by at most. Acknowledges wait as long: below the 10 ms that they may. */
export const REST_MS: Millis = 8;
/** So many reads in a row, none of them small or late, make a steady flow. */
const STEADY_READS = 40;
/** A small read is a word, not a flow; a late one is no flow either. */
const LEAST_BYTES = 700;
const LATEST_MS: Millis = 6;
/** A read that brings more than this after so short a time belongs to a flow that wants to be read at once. */
const MOST_BYTES_PER_MS = 3_000;
/** What a rest must bring for another one to be worth it. */
const LEAST_BYTES_OF_REST = 3_000;

export class ReadingPace {
  #steadyReads = 0;
  #lastAt: Millis = Number.NEGATIVE_INFINITY;
  #isResting = false;

  /** A read brought so many bytes. Returns whether to rest for REST_MS now. */
  read(byteCount: number, now: Millis): boolean {
    const waited = now - this.#lastAt;
    this.#lastAt = now;
    const wasResting = this.#isResting;
    this.#isResting = false;
    const isFast = byteCount > MOST_BYTES_PER_MS * Math.max(1, waited);
    const isSteady = wasResting
      ? byteCount >= LEAST_BYTES_OF_REST && !isFast
      : byteCount >= LEAST_BYTES && waited <= LATEST_MS && !isFast;
    if (!isSteady) {
      this.#steadyReads = 0;
      return false;
    }
    this.#steadyReads += 1;
    this.#isResting = this.#steadyReads >= STEADY_READS;
    return this.#isResting;
  }
}
