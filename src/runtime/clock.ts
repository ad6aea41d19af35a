import type { Millis } from '../domain/millis.ts';

/** A pending call that can be called off. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic; only differences mean anything. */
  now(): Millis;
  /** Milliseconds since 1970 UTC. */
  wall(): Millis;
  /** Runs `call` once after `delay`; a timer never keeps the process alive by itself when `background` is set. */
  after(delay: Millis, call: () => void, options?: { readonly background?: boolean }): Timer;
  /** Runs `call` in the next turn of the event loop, after pending I/O. */
  soon(call: () => void): Timer;
  /** Resolves after `delay`; rejects with the signal's reason when it aborts. */
  sleep(delay: Millis, signal?: AbortSignal): Promise<void>;
}

/** Node takes a longer delay for 1 ms; `--ttl 60d` is longer. */
const LONGEST_TIMEOUT: Millis = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delay, call, options) {
    let timer: NodeJS.Timeout;
    const arm = (left: Millis) => {
      timer = setTimeout(
        () => (left > LONGEST_TIMEOUT ? arm(left - LONGEST_TIMEOUT) : call()),
        Math.min(left, LONGEST_TIMEOUT),
      );
      if (options?.background) timer.unref();
    };
    arm(delay);
    return { cancel: () => clearTimeout(timer) };
  },
  soon(call) {
    const immediate = setImmediate(call);
    return { cancel: () => clearImmediate(immediate) };
  },
  sleep: (delay, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = systemClock.after(delay, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};
