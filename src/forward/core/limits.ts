import type { Millis } from '../../domain/millis.ts';

/*
 * How long a forward may live (spec sections 5.4 and 5.9), without I/O: when to tell the user that the end is near, when it has come,
 * and when a drain is over. The driver is forward/limit-watch.ts.
 *
 * Time is measured twice. A machine that sleeps stops the monotonic clock, and a tunnel must not live on after the time that was
 * printed; a wall clock that is set back must not lengthen its life either. The larger of the two counts.
 */

export interface Instant {
  /** Monotonic. */
  readonly now: Millis;
  /** Since 1970 UTC. */
  readonly wall: Millis;
}

/** What time may end; `hours`: those in which a policy allows it. */
type TimeLimit = 'ttl' | 'idle' | 'hours';

export type LimitStep =
  | { readonly do: 'tell'; readonly because: TimeLimit; readonly left: Millis }
  | { readonly do: 'end'; readonly because: TimeLimit };

/** Guessed: time to finish what one does, and time to save. */
const WARNINGS: Readonly<Record<TimeLimit, readonly Millis[]>> = {
  ttl: [5 * 60_000, 60_000],
  idle: [60_000],
  hours: [5 * 60_000, 60_000],
};
/** A sleeping machine wakes up with timers that are late by its sleep, so nothing waits longer than this for a look at the clock. */
const LONGEST_WAIT: Millis = 30_000;
/** Streams on which nothing moved for this long are not in the middle of something (spec section 5.9). */
export const QUIET: Millis = 2_000;

/** When to tell, in time left, for a limit of this length: never in its first half, and once at a quarter when it is short. */
export function warningLeads(because: TimeLimit, limit: Millis): readonly Millis[] {
  const leads = WARNINGS[because].filter((lead) => lead <= limit / 2);
  return leads.length > 0 ? leads : [limit / 4];
}

export class LifeLimits {
  readonly #ttl: Limit | undefined;
  readonly #idle: Limit | undefined;
  readonly #hours: Limit | undefined;
  #isBusy = false;

  /** @param limits `hoursEnd`: since 1970 UTC */
  constructor(
    limits: {
      readonly ttl: Millis | undefined;
      readonly idle: Millis | undefined;
      readonly hoursEnd?: Millis | undefined;
    },
    at: Instant,
  ) {
    const { hoursEnd } = limits;
    // Counted as a length from now on, so that a wall clock that is set back does not make the day longer.
    this.#hours = hoursEnd === undefined ? undefined : new Limit('hours', hoursEnd - at.wall, at);
    this.#ttl = limits.ttl === undefined ? undefined : new Limit('ttl', limits.ttl, at);
    this.#idle = limits.idle === undefined ? undefined : new Limit('idle', limits.idle, at);
  }

  /** Streams are open, or none is any more. */
  busy(isBusy: boolean, at: Instant): void {
    if (!isBusy && this.#isBusy) this.#idle?.restart(at);
    this.#isBusy = isBusy;
  }

  /** What is due now; call until it gives undefined, or an end. */
  next(at: Instant): LimitStep | undefined {
    const step = this.#hours?.next(at) ?? this.#ttl?.next(at);
    return step ?? (this.#isBusy ? undefined : this.#idle?.next(at));
  }

  /** How long until something may be due; undefined without limits. */
  wait(at: Instant): Millis | undefined {
    const waits = [this.#hours?.wait(at), this.#ttl?.wait(at), this.#isBusy ? undefined : this.#idle?.wait(at)].filter(
      (wait) => wait !== undefined,
    );
    return waits.length === 0 ? undefined : Math.min(...waits, LONGEST_WAIT);
  }
}

class Limit {
  readonly #because: TimeLimit;
  readonly #limit: Millis;
  readonly #leads: readonly Millis[];
  #start: Instant;
  /** How many of the leads were passed. */
  #told = 0;

  constructor(because: TimeLimit, limit: Millis, at: Instant) {
    this.#because = because;
    this.#limit = limit;
    this.#leads = warningLeads(because, limit);
    this.#start = at;
  }

  restart(at: Instant): void {
    this.#start = at;
    this.#told = 0;
  }

  next(at: Instant): LimitStep | undefined {
    const left = this.#left(at);
    if (left <= 0) return { do: 'end', because: this.#because };
    const passed = this.#leads.filter((lead) => left <= lead).length;
    if (passed <= this.#told) return undefined;
    // After a sleep several may be due at once: the last one says it all.
    this.#told = passed;
    return { do: 'tell', because: this.#because, left };
  }

  wait(at: Instant): Millis {
    const left = this.#left(at);
    return Math.max(left - (this.#leads[this.#told] ?? 0), 0);
  }

  #left(at: Instant): Millis {
    return this.#limit - Math.max(at.now - this.#start.now, at.wall - this.#start.wall);
  }
}

export type DrainStep = { readonly do: 'close' } | { readonly do: 'wait'; readonly for: Millis };

/**
 * Whether a drain is over.
 *
 * @param quiet for each stream that is open, how long nothing moved on it
 */
export function drainStep(elapsed: Millis, grace: Millis, quiet: readonly Millis[]): DrainStep {
  const busiest = Math.min(...quiet);
  if (busiest >= QUIET || elapsed >= grace) return { do: 'close' };
  return { do: 'wait', for: Math.min(QUIET - busiest, grace - elapsed) };
}
