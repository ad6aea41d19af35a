import type { Clock, Timer } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/runtime/log.ts';
import { xdgPaths } from '../../src/runtime/paths.ts';
import type { Random } from '../../src/runtime/random.ts';
import type { World } from '../../src/runtime/world.ts';

/** One turn of the real event loop: everything that is already on its way (promises, nextTicks, ready sockets) has run after it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Several turns, for chains of promises and streams that hand over to each other. Costs microseconds; never waits for time. */
export async function settle(turns = 8): Promise<void> {
  for (let count = 0; count < turns; count += 1) await turn();
}

interface Waiting {
  readonly due: number;
  readonly order: number;
  readonly call: () => void;
}

/**
 * A clock that stands still until it is told. Timers run in the order in which they are due. `soon` is about turns of the event
 * loop and not about time, so it runs by itself on the real loop.
 */
export class ManualClock implements Clock {
  #now = 1_000;
  /** 2026-11-22T09:00:00Z at the start. */
  #wall = Date.UTC(2026, 10, 22, 9);
  #order = 0;
  readonly #waiting = new Set<Waiting>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(delay: number, call: () => void): Timer {
    this.#order += 1;
    const waiting: Waiting = { due: this.#now + Math.max(0, delay), order: this.#order, call };
    this.#waiting.add(waiting);
    return { cancel: () => void this.#waiting.delete(waiting) };
  }

  soon(call: () => void): Timer {
    const immediate = setImmediate(call);
    return { cancel: () => clearImmediate(immediate) };
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = this.after(delay, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** How many timers wait: 0 proves that nothing was left behind. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Milliseconds until the next timer is due; undefined when none waits. */
  get next(): number | undefined {
    const first = this.#first();
    return first && first.due - this.#now;
  }

  /** Moves time on and runs what is due, in order, without a turn of the event loop in between: for cores and plain callbacks. */
  tick(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#first(end); due; due = this.#first(end)) this.#run(due);
    this.#moveTo(end);
  }

  /** Moves time on like `tick`, and lets promises and streams settle before, between timers that are due, and after. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#now + ms;
    for (let due = this.#first(end); due; due = this.#first(end)) {
      this.#run(due);
      await settle(3);
    }
    this.#moveTo(end);
    await settle();
  }

  #first(until = Number.POSITIVE_INFINITY): Waiting | undefined {
    let first: Waiting | undefined;
    for (const waiting of this.#waiting) {
      if (waiting.due > until) continue;
      if (!first || waiting.due < first.due || (waiting.due === first.due && waiting.order < first.order))
        first = waiting;
    }
    return first;
  }

  #run(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    this.#moveTo(waiting.due);
    waiting.call();
  }

  #moveTo(instant: number): void {
    // A callback may have moved time on by itself; it never goes back.
    if (instant <= this.#now) return;
    this.#wall += instant - this.#now;
    this.#now = instant;
  }
}

/** Repeatable "randomness" (mulberry32): the same seed gives the same run. */
export function seededRandom(seed = 1): Random {
  let state = seed >>> 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const bytes = (byteCount: number) =>
    Buffer.from(Array.from({ length: byteCount }, () => Math.floor(fraction() * 256)));
  return {
    fraction,
    bytes,
    uuid: () => {
      const raw = bytes(16);
      raw[6] = (raw[6]! & 0x0f) | 0x40;
      raw[8] = (raw[8]! & 0x3f) | 0x80;
      return raw.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    },
  };
}

export interface LogLine {
  readonly level: 'info' | 'debug' | 'warn';
  readonly message: string;
}

export interface ManualWorld {
  readonly world: World;
  readonly clock: ManualClock;
  /** Every line that was logged, `-vv` included. */
  readonly logs: LogLine[];
}

/**
 * A World for tests: time by hand, randomness by seed, an empty environment, a log that remembers. Directories are below `home`,
 * which does not exist unless the test gives one (test/support/temporary-directory.ts).
 */
export function manualWorld(
  options: {
    readonly env?: World['env'];
    readonly home?: string;
    readonly seed?: number;
    readonly platform?: string;
  } = {},
): ManualWorld {
  const clock = new ManualClock();
  const logs: LogLine[] = [];
  const line = (level: LogLine['level']) => (message: string) => void logs.push({ level, message });
  const log: Log = { level: 2, info: line('info'), debug: line('debug'), warn: line('warn') };
  const env = { HOME: options.home ?? '/nonexistent/home', ...options.env };
  const world: World = {
    clock,
    random: seededRandom(options.seed),
    env,
    paths: xdgPaths(env),
    log,
    pid: process.pid,
    platform: options.platform ?? process.platform,
    cwd: env.HOME,
  };
  return { world, clock, logs };
}
