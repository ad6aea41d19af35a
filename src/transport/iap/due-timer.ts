import type { Millis } from '../../domain/millis.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';

/** Timers may fire a fraction of a millisecond early, and would then be armed again for nothing. */
const SLACK_MS = 1;

/** One timer that follows an instant which moves. An earlier one that fires for nothing is cheaper than a new one for every move. */
export class DueTimer {
  readonly #clock: Clock;
  readonly #call: () => void;
  #timer: Timer | undefined;
  #at: Millis = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, call: () => void) {
    this.#clock = clock;
    this.#call = call;
  }

  /** Calls at `instant` at the latest; undefined leaves what is armed. */
  by(instant: Millis | undefined): void {
    if (instant === undefined || this.#at <= instant) return;
    this.#timer?.cancel();
    this.#at = instant;
    const delay = Math.max(1, Math.ceil(instant - this.#clock.now()) + SLACK_MS);
    this.#timer = this.#clock.after(delay, () => this.#fire(), { background: true });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#at = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.cancel();
    this.#call();
  }
}
