/**
 * Whether an end of a websocket is followed by another attempt, and when (docs/protocol/iap.md, "Close codes", "Reconnect"). Counts what was
 * tried since the session last moved: a websocket that opens and breaks at once must not start the delays anew.
 */
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import { ALLOWANCE, type Trouble } from './close-codes.ts';
import { RECONNECT_LIMIT_MS, reconnectDelay } from './reconnect-delay.ts';

/** A websocket that carried nothing but stood this long has not failed like the one before. */
const STEADY_MS = 10_000;

export type NextTry =
  | { readonly do: 'try'; readonly attempt: number; readonly delay: Millis; readonly wantsNewToken: boolean }
  | { readonly do: 'give-up'; readonly error: CloudtunError };

export class Perseverance {
  readonly #limit: Millis;
  #attempts = 0;
  #troubleSince: Millis = 0;
  #openedAt: Millis | undefined;
  /** How often each verdict was followed. */
  readonly #followed = new Map<Trouble['do'], number>();

  /** @param limit for coming back to a session, in all */
  constructor(limit: Millis = RECONNECT_LIMIT_MS) {
    this.#limit = limit;
  }

  /** A websocket carries the session. */
  opened(now: Millis): void {
    this.#openedAt = now;
    this.#followed.delete('renew');
  }

  /** Bytes came, or were confirmed: what went wrong before is past. */
  moved(): void {
    this.#attempts = 0;
    this.#followed.clear();
  }

  /** The websocket that carried the session is lost. */
  lost(now: Millis): void {
    if (this.#openedAt !== undefined && now - this.#openedAt >= STEADY_MS) this.moved();
    this.#openedAt = undefined;
    if (this.#attempts === 0) this.#troubleSince = now;
  }

  /** @param fraction random in [0, 1) */
  next(trouble: Trouble, how: keyof typeof ALLOWANCE, now: Millis, fraction: number): NextTry {
    const { error } = trouble;
    if (trouble.do === 'fail') return { do: 'give-up', error };
    const count = (this.#followed.get(trouble.do) ?? 0) + 1;
    this.#followed.set(trouble.do, count);
    if (count > ALLOWANCE[how][trouble.do]) return { do: 'give-up', error };
    if (how === 'resume' && now - this.#troubleSince > this.#limit) {
      return { do: 'give-up', error: lostForGood(error, this.#limit) };
    }
    this.#attempts += 1;
    const wantsNewToken = trouble.do === 'renew';
    // Who asks for a session with a new token is a person who waits; an old websocket is not forgotten at once.
    const isAtOnce = wantsNewToken && how === 'connect';
    const step = this.#attempts + (trouble.do === 'wait' ? 1 : 0);
    return { do: 'try', attempt: this.#attempts, delay: isAtOnce ? 0 : reconnectDelay(step, fraction), wantsNewToken };
  }
}

function lostForGood(cause: CloudtunError, limit: Millis): CloudtunError {
  return new CloudtunError(
    'CT_TUNNEL_LOST',
    `the connection could not be resumed in ${Math.round(limit / 1000)} s: ${cause.message}`,
    { cause, hint: cause.hints },
  );
}
