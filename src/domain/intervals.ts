import type { Millis } from './millis.ts';

/** The times that a tunnel lives by. `defaults.intervals` of cloudtun.yaml sets them, for tests and for unusual networks. */
export interface Intervals {
  /** Between two pings of a websocket that is otherwise quiet. */
  readonly keepAlive: Millis;
  /** From a ping to its pong, where the peer has shown that it answers pings. */
  readonly deadPeer: Millis;
  /** The same for the ping that is sent at once after a sleep or a change of the network. */
  readonly wakeProbe: Millis;
  /** How long a lost websocket is tried again before its session counts as lost. */
  readonly resume: Millis;
  /** How long new connections are held while a session is sought. */
  readonly hold: Millis;
  /** How long new connections are held for a person to sign in. */
  readonly signIn: Millis;
  /** How soon credentials are asked for again meanwhile; each time half as long again, up to six times this. */
  readonly signInCheck: Millis;
  /** After the first failure; doubled with each further one. */
  readonly retry: Millis;
  readonly longestRetry: Millis;
  /** A session that lives shorter counts as a failure to open it. */
  readonly shortLife: Millis;
  /** How long a target has to be away until it counts as gone for good. */
  readonly gone: Millis;
  /** Between two looks at where a tunnel in use leads: has the database moved, is the bastion still there? */
  readonly watch: Millis;
  /** How long connections may stay on a session that leads to where the target was before. */
  readonly drain: Millis;
  /** How often it is looked whether this machine slept or its network changed. */
  readonly wake: Millis;
}

/**
 * All guessed, but for: `keepAlive`, below common middlebox limits (spec section 5.6); `hold`, which most database clients wait for a
 * connection at least.
 */
export const INTERVALS: Intervals = {
  keepAlive: 25_000,
  deadPeer: 20_000,
  wakeProbe: 3_000,
  resume: 5 * 60_000,
  hold: 20_000,
  signIn: 2 * 60_000,
  signInCheck: 5_000,
  retry: 500,
  longestRetry: 8_000,
  shortLife: 10_000,
  gone: 10 * 60_000,
  watch: 30_000,
  drain: 5 * 60_000,
  wake: 5_000,
};

export const INTERVAL_NAMES = Object.keys(INTERVALS) as readonly (keyof Intervals)[];
