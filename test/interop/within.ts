/** Settles as `promise` does, or fails when the time is over: nothing in a run waits without an end. */
export async function within<T>(limitMs: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`${typeof what === 'string' ? what : what()} (within ${(limitMs / 1000).toFixed(0)} s)`));
  }, limitMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again every few milliseconds until the answer is yes; false when the time is over. */
export async function eventually(limitMs: number, isTrue: () => Promise<boolean> | boolean): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
