import type { Millis } from '../domain/millis.ts';
import type { Clock } from './clock.ts';

/**
 * Runs something with a signal of its own that aborts after `delay`, and when `parent` aborts. The reason of an overrun is a
 * DOMException named TimeoutError, as with `AbortSignal.timeout`, which cannot be used because it does not know our clock.
 */
export async function withDeadline<Result>(
  clock: Clock,
  delay: Millis,
  run: (signal: AbortSignal) => Promise<Result>,
  parent?: AbortSignal,
): Promise<Result> {
  const overrun = new AbortController();
  const timer = clock.after(delay, () => overrun.abort(new DOMException('out of time', 'TimeoutError')), {
    background: true,
  });
  try {
    return await run(parent === undefined ? overrun.signal : AbortSignal.any([parent, overrun.signal]));
  } finally {
    timer.cancel();
  }
}

/** The promise, or the reason of the signal, whichever is first; the promise goes on. */
export function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
