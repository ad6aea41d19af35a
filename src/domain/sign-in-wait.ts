import { ERROR_CATALOGUE } from './error-catalogue.ts';
import type { CloudtunError } from './errors.ts';
import type { Intervals } from './intervals.ts';
import type { Millis } from './millis.ts';
import type { TunnelEventListener } from './tunnel-event.ts';

/**
 * A connection that was lost while the credentials are over. The cloud keeps its session for a while, so a person who signs in in time
 * loses nothing: it is tried on, gently, and told about once.
 */
export class SignInWait {
  readonly #intervals: Intervals;
  readonly #onEvent: TunnelEventListener;
  #since: Millis | undefined;

  constructor(intervals: Intervals, onEvent: TunnelEventListener) {
    this.#intervals = intervals;
    this.#onEvent = onEvent;
  }

  get isOn(): boolean {
    return this.#since !== undefined;
  }

  /** At least so long between two attempts. */
  get pause(): Millis {
    return this.isOn ? this.#intervals.signInCheck : 0;
  }

  /** Whether to go on after this failure for the sake of a sign-in. */
  isWorthIt(error: CloudtunError, now: Millis): boolean {
    if (ERROR_CATALOGUE[error.code].kind !== 'auth') return false;
    const heldFor = this.#intervals.signIn;
    if (this.#since === undefined) this.#onEvent({ type: 'sign-in-needed', error, heldFor });
    this.#since ??= now;
    return now - this.#since <= heldFor;
  }

  /** The cloud takes the credentials. */
  passed(now: Millis): void {
    if (this.#since !== undefined) this.#onEvent({ type: 'signed-in', after: now - this.#since });
    this.#since = undefined;
  }
}
