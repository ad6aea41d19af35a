import type { Millis } from './millis.ts';

/**
 * Whether a session should get another stream: `slow` answers far later than it did, `stalled` waits for a local reader, `reconnecting`
 * lost its websocket.
 */
export type SessionHealth = 'healthy' | 'slow' | 'stalled' | 'reconnecting';

/** One session of a tunnel whose protocol puts several streams into one. */
export interface SessionFigures {
  /** As the cloud calls it. */
  readonly id: string;
  readonly health: SessionHealth;
  readonly openStreams: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Bytes a second over the last two seconds. */
  readonly rateUp: number;
  readonly rateDown: number;
  /** Smoothed; undefined before anything was acknowledged. */
  readonly roundTripMs: Millis | undefined;
}
