import { ERROR_CATALOGUE, type ErrorCode } from '../../domain/error-catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';

/*
 * When to log in again after a login was lost, without I/O. Whatever the network does meanwhile, the exposure has an expiry, so it goes
 * on until then, slower and slower; only what no waiting mends ends it before.
 *
 * A port that is taken is most likely held by the login that was lost: its sshd hears of a cut line late, when a keep-alive of its own
 * fails. So that is waited for like everything else. Left out on purpose: taking another port, which nobody on the far side knows.
 */

export type ReconnectStep =
  | { readonly do: 'wait'; readonly for: Millis; readonly attempt: number }
  | { readonly do: 'lost' };

/** Guessed: a changed network is often there in a second, and an outage needs no more than two tries a minute. */
const FIRST_DELAY: Millis = 500;
const LONGEST_DELAY: Millis = 30_000;
/** A login that lives shorter than this counts as one more failure. */
const SHORT_LIFE: Millis = 10_000;

const FINAL_KINDS: ReadonlySet<string> = new Set(['denied', 'policy', 'usage', 'config', 'internal']);
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set(['CT_HOST_KEY_CHANGED', 'CT_JOURNAL', 'CT_STATE']);

export class Reconnecting {
  #attempt = 0;
  #openedAt: Millis = Number.NEGATIVE_INFINITY;

  /** A login stands. */
  opened(now: Millis): void {
    this.#openedAt = now;
  }

  /** A login that stood is over. @param jitter in [0, 1) */
  closed(now: Millis, jitter: number): ReconnectStep {
    if (now - this.#openedAt >= SHORT_LIFE) this.#attempt = 0;
    return this.#wait(jitter);
  }

  /** One could not be made, or its sshd does not listen. @param jitter in [0, 1) */
  failed(error: CloudtunError, jitter: number): ReconnectStep {
    if (FINAL_KINDS.has(ERROR_CATALOGUE[error.code].kind) || FINAL_CODES.has(error.code)) return { do: 'lost' };
    return this.#wait(jitter);
  }

  #wait(jitter: number): ReconnectStep {
    const delay = Math.min(FIRST_DELAY * 2 ** this.#attempt, LONGEST_DELAY);
    this.#attempt += 1;
    return { do: 'wait', for: delay * (0.5 + jitter / 2), attempt: this.#attempt };
  }
}
