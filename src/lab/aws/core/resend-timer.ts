/**
 * The agent's estimate of the round trip (docs/protocol/ssm.md, "Timers"): no Karn rule, no lower limit beyond the formula. Times in
 * milliseconds. Pinned by the `retransmission` vectors.
 */
import type { Millis } from '../../../domain/millis.ts';

const FIRST_ROUND_TRIP: Millis = 100;
const FIRST_TIMEOUT: Millis = 200;
const LEAST_MARGIN: Millis = 10;
const MAX_TIMEOUT: Millis = 1_000;

/** How often the agent looks at its oldest unacknowledged message. */
export const RESEND_TICK: Millis = 100;

export class RoundTripEstimate {
  roundTrip: Millis = FIRST_ROUND_TRIP;
  variance: Millis = 0;
  /** The oldest unacknowledged message is sent again when it is older than this. */
  timeout: Millis = FIRST_TIMEOUT;

  /** @param sample time between sending a message and its acknowledge */
  add(sample: Millis): void {
    this.variance = 0.75 * this.variance + 0.25 * Math.abs(this.roundTrip - sample);
    this.roundTrip = 0.875 * this.roundTrip + 0.125 * sample;
    this.timeout = Math.min(MAX_TIMEOUT, this.roundTrip + Math.max(LEAST_MARGIN, 4 * this.variance));
  }
}
