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

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delay, call, options) {
    const timer = setTimeout(call, delay);
    if (options?.background) timer.unref();
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
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delay);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};
