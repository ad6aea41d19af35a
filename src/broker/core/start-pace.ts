/**
 * How fast sessions are started, over all tunnels of a process (docs/protocol/ssm.md, "HTTP API side": StartSession has a rate that
 * nobody publishes). At most ten starts are under way at once; tunnels take turns, so that one which wants many does not keep the
 * others waiting. After an account said that this is too much, its starts come one after another with a pause between them, a longer
 * one after every further complaint and a shorter one after every success, until the pace is forgotten. Other accounts do not suffer.
 *
 * Left out on purpose: calls that keep a tunnel alive or end it, which must not wait behind calls that ask for more.
 */
import type { Millis } from '../../domain/millis.ts';

/** Guessed: enough for 200 tunnels in a few seconds, and few enough to be answered. */
const MAX_AT_ONCE = 10;
const FIRST_INTERVAL: Millis = 500;
const LONGEST_INTERVAL: Millis = 10_000;
/** Below this the pace is forgotten. */
const SHORTEST_INTERVAL: Millis = 60;
/** What a service says of itself is believed up to here. */
const LONGEST_RETRY_AFTER: Millis = 120_000;

/** A start that somebody waits for. */
export interface PacedStart {
  /** Whose turn it is: starts of the same tunnel keep their order. */
  readonly tunnel: object;
  /** Which account, as the one who counts sees it. */
  readonly account: string;
}

export type StartStep =
  | { readonly do: 'start'; readonly start: PacedStart }
  /** Nothing before then, unless a start ends. */
  | { readonly do: 'wait'; readonly until: Millis };

interface Account {
  interval: Millis;
  notBefore: Millis;
  /** Counts complaints: what was started before the last one says nothing of the pace since. */
  complaints: number;
}

export class StartPace {
  /** Tunnels in the order of their turns, each with what it waits for. */
  readonly #turns = new Map<object, PacedStart[]>();
  readonly #accounts = new Map<string, Account>();
  /** What is under way, with the complaints of its account when it began. */
  readonly #running = new Map<PacedStart, number>();

  /** @param isAgain it was refused for the pace, and keeps its place before later ones of its tunnel */
  ask(start: PacedStart, isAgain = false): void {
    const queue = this.#turns.get(start.tunnel) ?? [];
    this.#turns.set(start.tunnel, queue);
    if (isAgain) queue.unshift(start);
    else queue.push(start);
  }

  /** It is not wanted any more; nothing happens where it was not waiting. */
  withdraw(start: PacedStart): void {
    this.#take(start);
  }

  /** What to do now; to be asked again until it is undefined or `wait`. */
  next(now: Millis): StartStep | undefined {
    if (this.#running.size >= MAX_AT_ONCE) return undefined;
    let until = Number.POSITIVE_INFINITY;
    for (const [tunnel, [start]] of this.#turns) {
      if (start === undefined) continue;
      const account = this.#account(start.account);
      if (account.notBefore > now) {
        until = Math.min(until, account.notBefore);
        continue;
      }
      const rest = this.#take(start);
      // The next one of this tunnel comes after everybody else's.
      this.#turns.delete(tunnel);
      if (rest.length > 0) this.#turns.set(tunnel, rest);
      this.#running.set(start, account.complaints);
      account.notBefore = now + account.interval;
      return { do: 'start', start };
    }
    return until === Number.POSITIVE_INFINITY ? undefined : { do: 'wait', until };
  }

  /** A start is over, with a session or without. */
  done(start: PacedStart): void {
    const account = this.#account(start.account);
    const isOfThisPace = this.#running.get(start) === account.complaints;
    this.#running.delete(start);
    if (isOfThisPace) account.interval /= 2;
    if (account.interval < SHORTEST_INTERVAL) this.#accounts.delete(start.account);
  }

  /**
   * The account said that this was too much.
   *
   * @param retryAfter as the service said, if it did
   * @param jitter in [0, 1)
   */
  throttled(start: PacedStart, now: Millis, retryAfter: Millis | undefined, jitter: number): void {
    const account = this.#account(start.account);
    const isNews = this.#running.get(start) === account.complaints;
    this.#running.delete(start);
    if (isNews) {
      account.interval = Math.min(Math.max(account.interval * 2, FIRST_INTERVAL), LONGEST_INTERVAL);
      account.complaints += 1;
    }
    const pause = Math.max(account.interval * (1 + jitter / 2), Math.min(retryAfter ?? 0, LONGEST_RETRY_AFTER));
    account.notBefore = Math.max(account.notBefore, now + pause);
  }

  #account(name: string): Account {
    const known = this.#accounts.get(name) ?? { interval: 0, notBefore: 0, complaints: 0 };
    this.#accounts.set(name, known);
    return known;
  }

  /** What the tunnel waits for besides. */
  #take(start: PacedStart): PacedStart[] {
    const queue = this.#turns.get(start.tunnel) ?? [];
    const index = queue.indexOf(start);
    if (index >= 0) queue.splice(index, 1);
    if (queue.length === 0) this.#turns.delete(start.tunnel);
    return queue;
  }
}
