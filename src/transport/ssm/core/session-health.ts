/**
 * Whether a session should get another stream, from what its data channel and its carrier know. A session that is not healthy keeps
 * its streams, which cannot move; only new ones go elsewhere.
 */
import type { Millis } from '../../../domain/millis.ts';
import type { SessionHealth } from '../../../domain/session-figures.ts';

/** Time-outs in a row without an acknowledge between them: one is a lost message, and repaired within a round trip. */
const SILENT_TIMEOUTS = 2;
/** Guessed: our own queue stays below 60 ms (pacer.ts), so a round trip that is this much longer is the far end's or the path's. */
const SLOW_ABOVE: Millis = 400;
const SLOW_FACTOR = 3;
/** Without traffic nothing is measured, and an old verdict would keep the traffic away for ever. */
const VERDICT_LIFE: Millis = 10_000;

export interface SessionSigns {
  readonly isConnected: boolean;
  readonly isStalled: boolean;
  /** Time-outs since the last acknowledge. */
  readonly timeouts: number;
  readonly roundTrip: Millis | undefined;
  /** The shortest one of this connection. */
  readonly shortestRoundTrip: Millis;
  /** Since anything came from the service. */
  readonly quietFor: Millis;
}

export function sessionHealth(signs: SessionSigns): SessionHealth {
  const { roundTrip, shortestRoundTrip } = signs;
  if (signs.isStalled) return 'stalled';
  if (!signs.isConnected) return 'reconnecting';
  if (signs.timeouts >= SILENT_TIMEOUTS) return 'slow';
  if (roundTrip === undefined || signs.quietFor > VERDICT_LIFE) return 'healthy';
  const isGrown = roundTrip > shortestRoundTrip + SLOW_ABOVE && roundTrip > shortestRoundTrip * SLOW_FACTOR;
  return isGrown ? 'slow' : 'healthy';
}
