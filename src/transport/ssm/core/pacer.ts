/**
 * How many bytes may be unacknowledged: SSM has no window of its own, a sender that runs ahead fills the agent until the session
 * dies (docs/protocol/ssm.md, "Flow control"). The window follows the delay of acknowledges, not their loss: it grows while the queue
 * it makes is short and shrinks while the queue is long, so that a bulk upload does not spoil the echo of a neighbour.
 */
import type { Millis } from '../../../domain/millis.ts';

/** Bounds: what worked in the field is 256 KiB to 1.5 MiB; the floor keeps a slow link busy. */
export const MIN_WINDOW_BYTES = 64 * 1024;
export const MAX_WINDOW_BYTES = 1536 * 1024;
const INITIAL_WINDOW_BYTES = 128 * 1024;
/** Guessed: a queue below this is not felt by a person; above the second one it is. */
const SHORT_QUEUE_MS = 12;
const LONG_QUEUE_MS = 60;
const SHRINK_FACTOR = 0.85;

export class Pacer {
  windowBytes = INITIAL_WINDOW_BYTES;
  #nextShrinkAt: Millis = 0;

  /** Called for each acknowledged message: its size, its own round trip, the smallest one seen, and whether the window was full. */
  acknowledged(byteCount: number, roundTrip: Millis, minRoundTrip: Millis, wasFull: boolean, now: Millis): void {
    const queue = roundTrip - minRoundTrip;
    if (queue > LONG_QUEUE_MS) {
      if (now < this.#nextShrinkAt) return;
      this.windowBytes = Math.max(MIN_WINDOW_BYTES, this.windowBytes * SHRINK_FACTOR);
      this.#nextShrinkAt = now + roundTrip;
    } else if (queue < SHORT_QUEUE_MS && wasFull) {
      this.windowBytes = Math.min(MAX_WINDOW_BYTES, this.windowBytes + byteCount);
    }
  }
}
