/**
 * Which of a tunnel's sessions gets the next stream, and when another session is worth its start (docs/protocol/ssm.md, "Pace";
 * docs/adr/0011-session-pool.md). A stream cannot move once it is open, so the only decision is taken when it comes.
 *
 * The agent sends one message of at most 1,024 bytes in about 1.5 ms, whatever is in it: a session is full by messages, not by bytes.
 * A fixed number of sessions is filled as connections come, one each, then evenly. `auto` begins with one and grows while all there
 * are deliver near that pace: each step at most doubles them, then waits for what the new ones make of it. Whatever the number, a
 * session that stalls behind a slow reader gets no company while there may be another one.
 *
 * Left out on purpose: moving load away from a session that slows down, and starting sessions that no connection waits for.
 */
import type { Millis } from '../../../domain/millis.ts';
import { MAX_SESSIONS, type SessionCount } from '../../../domain/session-count.ts';
import type { SessionHealth } from '../../../domain/session-figures.ts';

/** Measured with the official agent: 650 to 700 messages a second (docs/protocol/ssm.md, "Pace"). */
export const AGENT_MESSAGE_RATE = 700;
/** Share of the pace from which on a session counts as full: below the slowest agent that was measured, above what leaves room. */
const FULL_SHARE = 0.65;
/** An agent that delivers this much more is not held by that pace, and a further session would change nothing. */
const UNPACED_SHARE = 2.5;
/** What a stream weighs before it moved anything, as a share of the pace. */
const STREAM_WEIGHT = 1 / MAX_SESSIONS;
/** After a step of growth: as long as it takes to see what the new sessions carry. */
const GROWTH_PAUSE: Millis = 1_000;
/** A session that nobody needs is ended after this time without a stream, so that batches a few seconds apart keep theirs. */
export const SPARE_LIFE: Millis = 60_000;
/** After a further session was refused; doubles up to the longest. */
const FIRST_BACKOFF: Millis = 5_000;
const LONGEST_BACKOFF: Millis = 5 * 60_000;
/** A connection goes at the limit of its session for so long before a person is told. */
const HINT_AFTER: Millis = 10_000;

/** What a session looks like to the one who chooses. */
export interface PlaceableSession {
  readonly canOpen: boolean;
  readonly health: SessionHealth;
  readonly openStreams: number;
  /** Messages a second from the agent. */
  readonly messageRate: number;
}

/** `connection`: the agent carries one connection in a session. `asked`: the wished number is not reached. */
export type StartCause = 'connection' | 'stalled' | 'asked' | 'load';

export type Placement =
  | { readonly do: 'use'; readonly index: number }
  /** Start a session and come again; where that takes long or fails, `orUse` will do. */
  | { readonly do: 'start'; readonly because: StartCause; readonly orUse: number | undefined }
  /** A session is being started that will do. */
  | { readonly do: 'join'; readonly orUse: number | undefined }
  /** Nothing can be used or started before a session ends. */
  | { readonly do: 'wait' };

/** Starts under way, and how many connections wait for them; those of the asking connection not counted. */
export interface StartsUnderWay {
  readonly starting: number;
  readonly waiting: number;
}

export class SessionPlacement {
  readonly #wish: SessionCount;
  #failures = 0;
  #notBefore: Millis = 0;
  #step: { readonly most: number; starts: number } | undefined;
  #grownAt: Millis = Number.NEGATIVE_INFINITY;
  #fullSince: Millis | undefined;
  #hasHinted = false;

  constructor(wish: SessionCount) {
    this.#wish = wish;
  }

  place(sessions: readonly PlaceableSession[], under: StartsUnderWay, now: Millis): Placement {
    const usable = sessions.flatMap((session, index) => (session.canOpen ? [{ session, index }] : []));
    const best = leastLoaded(usable.filter(({ session }) => session.health !== 'stalled'));
    const mayStart = sessions.length + under.starting < MAX_SESSIONS;
    if (best === undefined) return this.#placeBehind(leastLoaded(usable)?.index, mayStart, sessions.length, under, now);
    const orUse = best.index;
    if (best.session.openStreams === 0 || best.session.health !== 'healthy' || now < this.#notBefore) {
      return { do: 'use', index: orUse };
    }
    if (this.#wish === 'auto') return this.#grow(best.session, orUse, mayStart, sessions.length, under, now);
    if (under.starting > under.waiting) return { do: 'join', orUse };
    if (sessions.length + under.starting < this.#wish) return { do: 'start', because: 'asked', orUse };
    // Those that come at once with the first ones share what is being started as well.
    const isEmptierSoon = under.starting > 0 && under.waiting / under.starting < best.session.openStreams;
    if (isEmptierSoon) return { do: 'join', orUse };
    return { do: 'use', index: orUse };
  }

  started(now: Millis): void {
    this.#failures = 0;
    this.#notBefore = 0;
    this.#grownAt = now;
  }

  /** The cloud gave no further session. @param jitter in [0, 1) @returns whether that is news */
  startFailed(now: Millis, jitter: number): boolean {
    const delay = Math.min(FIRST_BACKOFF * 2 ** this.#failures, LONGEST_BACKOFF);
    this.#failures += 1;
    this.#notBefore = now + delay * (0.75 + jitter / 2);
    return this.#failures === 1;
  }

  /** How many sessions are worth keeping while nobody uses them. */
  get spareCount(): number {
    return this.#wish === 'auto' ? 1 : this.#wish;
  }

  /**
   * Called now and then while bytes move: what a person may want to know about the pace, once.
   *
   * @returns how many connections share a session that has been full for a while
   */
  observe(sessions: readonly PlaceableSession[], now: Millis): number | undefined {
    const [only, ...others] = sessions;
    const isFullOne = only !== undefined && others.length === 0 && only.openStreams > 0 && isFull(only);
    if (this.#hasHinted || this.#wish !== 1 || !isFullOne) {
      this.#fullSince = undefined;
      return undefined;
    }
    this.#fullSince ??= now;
    if (now - this.#fullSince < HINT_AFTER) return undefined;
    this.#hasHinted = true;
    return only.openStreams;
  }

  /** Every session is behind a slow reader, taken by its one connection, or gone. */
  #placeBehind(
    stalled: number | undefined,
    mayStart: boolean,
    sessionCount: number,
    { starting, waiting }: StartsUnderWay,
    now: Millis,
  ): Placement {
    if (stalled !== undefined) {
      if (starting > 0) return { do: 'join', orUse: stalled };
      const isWorthATry = mayStart && now >= this.#notBefore;
      return isWorthATry ? { do: 'start', because: 'stalled', orUse: stalled } : { do: 'use', index: stalled };
    }
    // One session will do for all who wait, unless those that there are carry one connection each.
    if (starting > waiting || (starting > 0 && sessionCount === 0)) return { do: 'join', orUse: undefined };
    if (mayStart) return { do: 'start', because: 'connection', orUse: undefined };
    return starting > 0 ? { do: 'join', orUse: undefined } : { do: 'wait' };
  }

  #grow(
    best: PlaceableSession,
    orUse: number,
    mayStart: boolean,
    sessionCount: number,
    { starting, waiting }: StartsUnderWay,
    now: Millis,
  ): Placement {
    if (!isFull(best)) return { do: 'use', index: orUse };
    if (starting === 0) {
      this.#step = undefined;
      if (!mayStart || now - this.#grownAt < GROWTH_PAUSE) return { do: 'use', index: orUse };
    }
    this.#step ??= { most: sessionCount, starts: 0 };
    if (starting > waiting || !mayStart || this.#step.starts >= this.#step.most) return { do: 'join', orUse };
    this.#step.starts += 1;
    return { do: 'start', because: 'load', orUse };
  }
}

/** What is measured looks back two seconds: of a session whose streams are gone it says nothing of what comes. */
function loadOf({ messageRate, openStreams }: PlaceableSession): number {
  return openStreams === 0 ? 0 : messageRate / AGENT_MESSAGE_RATE;
}

function isFull(session: PlaceableSession): boolean {
  const load = loadOf(session);
  return load >= FULL_SHARE && load <= UNPACED_SHARE;
}

const RANK: Readonly<Record<SessionHealth, number>> = { healthy: 0, slow: 1, reconnecting: 2, stalled: 3 };

interface Candidate {
  readonly session: PlaceableSession;
  readonly index: number;
}

/** Healthy before ill, room before full, then by what is measured and by what may come of the streams that there are. */
function leastLoaded(candidates: readonly Candidate[]): Candidate | undefined {
  const order = ({ session }: Candidate) => [
    RANK[session.health],
    isFull(session) ? 1 : 0,
    loadOf(session) + session.openStreams * STREAM_WEIGHT,
  ];
  let least: Candidate | undefined;
  for (const candidate of candidates) {
    if (least === undefined || isBefore(order(candidate), order(least))) least = candidate;
  }
  return least;
}

function isBefore(left: readonly number[], right: readonly number[]): boolean {
  const index = left.findIndex((value, at) => value !== right[at]);
  return index >= 0 && left[index]! < right[index]!;
}
