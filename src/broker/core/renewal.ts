import type { ErrorCode } from '../../domain/error-catalogue.ts';
import { ERROR_CATALOGUE } from '../../domain/error-catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import { INTERVALS, type Intervals } from '../../domain/intervals.ts';
import type { Millis } from '../../domain/millis.ts';

/*
 * When and how to open a tunnel again whose session is over (spec section 5.3): the policy of one destination, without I/O. The
 * driver (broker/destinations.ts) asks for a step whenever a client wants a stream and there is no tunnel.
 *
 * A session that ended is opened again at once, on the same route. After a failure it waits, longer each time, and asks for the
 * route anew when the failure says that the machine is not there, or when the same route failed several times. One round of trying
 * lasts `hold`, then the clients that wait are refused; the next client starts the next round, so an outage costs nothing while
 * nobody needs the tunnel. Where a person has to sign in, a round lasts `signIn`, and credentials are asked for ever more seldom.
 * Three things end it for good: a denial, a policy, and a target that stays away for `gone`.
 *
 * Left out on purpose: resuming a session, which is the transport's own business, and trying again before the first success, since
 * a person is waiting for an answer then.
 */

export type RenewalStep =
  /** `resolve`: ask the provider for the route again first. */
  | { readonly do: 'open'; readonly route: 'same' | 'resolve' }
  | { readonly do: 'wait'; readonly until: Millis }
  /** Those who wait now get the error; the next client may try again. */
  | { readonly do: 'refuse'; readonly error: CloudtunError }
  /** It makes no sense to try again. */
  | { readonly do: 'lost'; readonly error: CloudtunError };

/** A person who just signed in is not kept waiting, and clients that hammer do not become calls that hammer. */
const PERSON_DELAY: Millis = 1_000;
/** Guessed, like those below. */
const SIGN_IN_GROWTH = 1.5;
const LONGEST_SIGN_IN_CHECK = 4;
const RESOLVE_EVERY = 3;
const GONE_ATTEMPTS = 20;
/** The far address is looked up once for each session (docs/protocol/ssm.md, "Documents"), so one that stops answering may have moved. */
const FIRST_ROTATION: Millis = 10_000;
const LONGEST_ROTATION: Millis = 5 * 60_000;

/** Failures that no waiting mends. `auth` is not among them: a person may sign in while the listener stays. */
const FINAL_KINDS: ReadonlySet<string> = new Set(['denied', 'policy', 'usage', 'config']);
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set(['CT_AGENT_TOO_OLD', 'CT_DOCUMENT_INVALID', 'CT_REMOTE_FORBIDDEN']);
/** About what lies behind the machine in between, which is there. */
const FAR_SIDE_CODES: ReadonlySet<ErrorCode> = new Set([
  'CT_REMOTE_REFUSED',
  'CT_REMOTE_SILENT',
  'CT_REMOTE_UNEXPECTED',
  'CT_DATABASE_REFUSED',
]);
/** Not of this round's making, and not mended by waiting: each client gets the answer at once. */
const LOCAL_KINDS: ReadonlySet<string> = new Set(['local', 'internal']);

export class Renewal {
  readonly #intervals: Intervals;
  #hasOpened = false;
  #hasAnswered = false;
  #openedAt: Millis = 0;
  #attempts = 0;
  #notBefore: Millis = 0;
  #goneSince: Millis | undefined;
  #goneAttempts = 0;
  #lastError: CloudtunError | undefined;
  #rotation: Millis = FIRST_ROTATION;
  /** The route leads to where the target was. */
  #isMoved = false;
  #failedAt: Millis = 0;
  #signInChecks = 0;

  constructor(intervals: Intervals = INTERVALS) {
    this.#intervals = intervals;
  }

  /** @param startedAt when this round of trying began */
  next(now: Millis, startedAt: Millis): RenewalStep {
    const error = this.#lastError;
    if (error === undefined) return this.#paced(now, startedAt);
    if (isFinal(error) || this.#isGoneForGood(now)) return { do: this.#hasOpened ? 'lost' : 'refuse', error };
    return this.#paced(now, startedAt, error);
  }

  /** A new round begins: the failure of the last one does not answer for this one, but its pace stays. */
  begin(): void {
    if (this.#lastError !== undefined && needsPerson(this.#lastError)) {
      this.#notBefore = Math.min(this.#notBefore, this.#failedAt + PERSON_DELAY);
      this.#signInChecks = 0;
    }
    this.#lastError = undefined;
  }

  opened(now: Millis): void {
    this.#hasOpened = true;
    this.#openedAt = now;
    this.#goneSince = undefined;
    this.#goneAttempts = 0;
    this.#lastError = undefined;
    this.#isMoved = false;
    this.#signInChecks = 0;
  }

  /** Where the route leads is not where the target is: the next session is opened on a new one, at once. */
  moved(): void {
    this.#isMoved = true;
    this.#notBefore = 0;
  }

  /** This machine slept, or its network is another one: what failed before says nothing any more. */
  woke(): void {
    this.#notBefore = 0;
    this.#attempts = Math.min(this.#attempts, 1);
  }

  /** @param jitter in [0, 1) */
  failed(error: CloudtunError, now: Millis, jitter: number): void {
    this.#lastError = error;
    this.#failedAt = now;
    if (ERROR_CATALOGUE[error.code].kind === 'target') {
      this.#goneSince ??= now;
      this.#goneAttempts += 1;
    }
    if (needsPerson(error)) this.#askLater(now, jitter);
    else if (isLocal(error)) this.#notBefore = now + PERSON_DELAY;
    else this.#slowDown(now, jitter);
  }

  /** A tunnel that was open is over. */
  closed(now: Millis, jitter: number): void {
    if (now - this.#openedAt < this.#intervals.shortLife) this.#slowDown(now, jitter);
    else {
      this.#attempts = 0;
      this.#notBefore = 0;
    }
  }

  /** A stream was refused by the far side. True when the next one should have a session of its own, with a fresh look-up. */
  refused(now: Millis): boolean {
    if (now - this.#openedAt < this.#rotation) return false;
    this.#rotation = Math.min(this.#rotation * 2, LONGEST_ROTATION);
    return true;
  }

  /**
   * What a tunnel without a session of its own says at a stream (Identity-Aware Proxy has a websocket for each). `lost`: no further
   * stream makes sense. `elsewhere`: the machine in between is not there, so the way is asked for again. `refuse`: that client alone.
   *
   * @param othersWork whether other streams of the tunnel are open: then it is of use to them, whatever the new one was told
   */
  streamFailed(error: CloudtunError, now: Millis, othersWork: boolean): 'refuse' | 'elsewhere' | 'lost' {
    if (isFinal(error)) return this.#hasAnswered && !othersWork ? 'lost' : 'refuse';
    const isAway = ERROR_CATALOGUE[error.code].kind === 'target' && !FAR_SIDE_CODES.has(error.code);
    if (!isAway) return 'refuse';
    this.#goneSince ??= now;
    return 'elsewhere';
  }

  /** The far side answered on a stream, or its connection stands. */
  reached(): void {
    this.#hasAnswered = true;
  }

  /** The far side answered on a stream. */
  answered(): void {
    this.#rotation = FIRST_ROTATION;
  }

  #paced(now: Millis, startedAt: Millis, error?: CloudtunError): RenewalStep {
    if (error && (!this.#hasOpened || isLocal(error))) return { do: 'refuse', error };
    if (error && Math.max(now, this.#notBefore) - startedAt > this.holds(error)) return { do: 'refuse', error };
    if (now < this.#notBefore) return { do: 'wait', until: this.#notBefore };
    const isAway = this.#goneSince !== undefined;
    const isStubborn = this.#attempts > 0 && this.#attempts % RESOLVE_EVERY === 0;
    return { do: 'open', route: isAway || isStubborn || this.#isMoved ? 'resolve' : 'same' };
  }

  /** How long a client is held after this failure, from when its round began. */
  holds(error: CloudtunError): Millis {
    return needsPerson(error) ? this.#intervals.signIn : this.#intervals.hold;
  }

  #askLater(now: Millis, jitter: number): void {
    const { signInCheck } = this.#intervals;
    const delay = Math.min(signInCheck * SIGN_IN_GROWTH ** this.#signInChecks, signInCheck * LONGEST_SIGN_IN_CHECK);
    this.#signInChecks += 1;
    this.#notBefore = now + delay * (0.5 + jitter / 2);
  }

  #slowDown(now: Millis, jitter: number): void {
    const { retry, longestRetry } = this.#intervals;
    const delay = Math.min(retry * 2 ** this.#attempts, longestRetry);
    this.#attempts += 1;
    this.#notBefore = now + delay * (0.5 + jitter / 2);
  }

  #isGoneForGood(now: Millis): boolean {
    if (this.#goneSince === undefined) return false;
    return now - this.#goneSince >= this.#intervals.gone && this.#goneAttempts >= GONE_ATTEMPTS;
  }
}

function isFinal(error: CloudtunError): boolean {
  return FINAL_KINDS.has(ERROR_CATALOGUE[error.code].kind) || FINAL_CODES.has(error.code);
}

/** New credentials are needed. What waits for them goes on by itself once they are there. */
export function needsPerson(error: CloudtunError): boolean {
  return ERROR_CATALOGUE[error.code].kind === 'auth';
}

function isLocal(error: CloudtunError): boolean {
  return LOCAL_KINDS.has(ERROR_CATALOGUE[error.code].kind);
}
