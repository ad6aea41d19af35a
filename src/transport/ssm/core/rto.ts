/**
 * Round-trip estimators (docs/protocol/ssm.md, "Retransmission").
 *
 * `OfficialRto` is what both official ends compute, bit for bit (vectors `retransmission`): the lab's agent uses it, and we must know
 * it to stay below its time-out with our acknowledges. `RoundTrip` is ours: it believes its first sample instead of 100 ms.
 */
import type { Millis } from '../../../domain/millis.ts';

const INITIAL_SRTT_MS = 100;
const INITIAL_RTO_MS = 200;
const CLOCK_GRANULARITY_MS = 10;
export const MAX_RTO_MS = 1_000;

export class OfficialRto {
  srtt: Millis = INITIAL_SRTT_MS;
  variation: Millis = 0;
  rto: Millis = INITIAL_RTO_MS;

  sample(roundTrip: Millis): void {
    this.variation = 0.75 * this.variation + 0.25 * Math.abs(this.srtt - roundTrip);
    this.srtt = 0.875 * this.srtt + 0.125 * roundTrip;
    this.rto = Math.min(MAX_RTO_MS, this.srtt + Math.max(CLOCK_GRANULARITY_MS, 4 * this.variation));
  }
}

export class RoundTrip {
  srtt: Millis | undefined;
  /** The smallest sample of this connection: what the path takes without queues. */
  min: Millis = Number.POSITIVE_INFINITY;
  #variation: Millis = 0;

  /** Only samples of messages that were sent once may be given (Karn's rule). */
  sample(roundTrip: Millis): void {
    this.min = Math.min(this.min, roundTrip);
    if (this.srtt === undefined) {
      this.srtt = roundTrip;
      this.#variation = roundTrip / 2;
      return;
    }
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.srtt - roundTrip);
    this.srtt = 0.875 * this.srtt + 0.125 * roundTrip;
  }

  /** Another websocket may take another way: the smallest sample of the old one says nothing about its queues. */
  newPath(): void {
    this.min = Number.POSITIVE_INFINITY;
  }

  get rto(): Millis {
    if (this.srtt === undefined) return INITIAL_RTO_MS;
    return Math.min(MAX_RTO_MS, this.srtt + Math.max(CLOCK_GRANULARITY_MS, 4 * this.#variation));
  }
}
