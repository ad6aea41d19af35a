import { networkInterfaces } from 'node:os';
import type { Millis } from '../domain/millis.ts';
import type { Clock, Timer } from './clock.ts';

/** What was noticed about this machine. */
export interface Wake {
  /** How long it slept; 0 where only its network is another one. */
  readonly sleptFor: Millis;
  /** Addresses came or went. */
  readonly isNetworkNew: boolean;
  /** The addresses it has now. */
  readonly addresses: ReadonlySet<string>;
}

export type WakeListener = (wake: Wake) => void;

/** A timer that comes so much too late slept, or stood still long enough for peers to be gone (guessed; a busy moment is shorter). */
const LATE: Millis = 5_000;

/**
 * Notices that this machine slept (the clock on the wall jumped against the monotonic one, which stands still in sleep on some systems,
 * or a timer came late, where it does not), and that its network changed. Looks only while somebody listens.
 */
export class WakeWatch {
  readonly #clock: Clock;
  readonly #readAddresses: () => ReadonlySet<string>;
  readonly #listeners = new Map<WakeListener, Millis>();
  #timer: Timer | undefined;
  #lookedAt: Millis = 0;
  #wallThen: Millis = 0;
  #every: Millis = 0;
  #addresses: ReadonlySet<string> = new Set();

  /** @param readAddresses for tests */
  constructor(clock: Clock, readAddresses: () => ReadonlySet<string> = ownAddresses) {
    this.#clock = clock;
    this.#readAddresses = readAddresses;
  }

  /** @param every how often to look; the shortest of all listeners' counts. Returns how to stop listening. */
  onWake(listener: WakeListener, every: Millis): () => void {
    const isFirst = this.#listeners.size === 0;
    this.#listeners.set(listener, every);
    if (isFirst) {
      this.#remember(this.#readAddresses());
      this.#arm();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#timer?.cancel();
    };
  }

  /** Looks now: something broke, and a new network may be why. */
  look(): void {
    if (this.#listeners.size === 0) return;
    const now = this.#clock.now();
    const jump = this.#clock.wall() - this.#wallThen - (now - this.#lookedAt);
    const late = now - this.#lookedAt - this.#every;
    const sleptFor = Math.max(jump > LATE ? jump : 0, late > LATE ? late : 0);
    const addresses = this.#readAddresses();
    const isNetworkNew = !isSame(addresses, this.#addresses);
    this.#remember(addresses);
    if (sleptFor === 0 && !isNetworkNew) return;
    for (const listener of [...this.#listeners.keys()]) listener({ sleptFor, isNetworkNew, addresses });
  }

  #remember(addresses: ReadonlySet<string>): void {
    this.#addresses = addresses;
    this.#lookedAt = this.#clock.now();
    this.#wallThen = this.#clock.wall();
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#listeners.size === 0) return;
    this.#every = Math.min(...this.#listeners.values());
    const onTimer = () => {
      this.look();
      this.#arm();
    };
    this.#timer = this.#clock.after(this.#every, onTimer, { background: true });
  }
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)));
}

function isSame(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  return left.size === right.size && [...left].every((address) => right.has(address));
}

/** A pause that ends early where this machine wakes up: what the pause was for may be over. @throws the reason of `signal` */
export async function pauseUnlessWoken(
  clock: Clock,
  delay: Millis,
  wake: { readonly watch: WakeWatch; readonly every: Millis } | undefined,
  signal: AbortSignal,
): Promise<'woken' | 'over'> {
  const woken = new AbortController();
  const stop = wake?.watch.onWake(() => woken.abort(), wake.every);
  try {
    await clock.sleep(delay, wake ? AbortSignal.any([signal, woken.signal]) : signal);
    return 'over';
  } catch (error) {
    if (signal.aborted || !woken.signal.aborted) throw error;
    return 'woken';
  } finally {
    stop?.();
  }
}
