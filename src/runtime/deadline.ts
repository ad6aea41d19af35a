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
