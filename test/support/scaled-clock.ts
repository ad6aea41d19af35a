import { type Clock, systemClock } from '../../src/runtime/clock.ts';

/** A clock on which time runs `factor` times faster: long limits with real sockets in a short test. */
export function scaledClock(factor: number): Clock {
  const began = systemClock.now();
  return {
    now: () => began + (systemClock.now() - began) * factor,
    wall: systemClock.wall,
    after: (delay, call, options) => systemClock.after(delay / factor, call, options),
    soon: systemClock.soon,
    sleep: (delay, signal) => systemClock.sleep(delay / factor, signal),
  };
}
