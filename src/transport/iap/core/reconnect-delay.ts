/**
 * How long to wait before the next attempt to come back (docs/protocol/iap.md, "Reconnect"). The first is made at once: a lost
 * websocket is an ordinary event. The others are as far apart as the official client plans them.
 */
import type { Millis } from '../../../domain/millis.ts';

const FIRST_DELAY_MS = 1_500;
const GROWTH = 1.1;
const MOST_JITTER_MS = 1_000;
const LONGEST_DELAY_MS = 20_000;
/** When a session that cannot be reached is given up. The service's own patience is not known; the official client plans this. */
export const RECONNECT_LIMIT_MS = 15 * 60_000;

/**
 * @param attempt from 1
 * @param fraction random in [0, 1): spreads many clients of one outage
 */
export function reconnectDelay(attempt: number, fraction: number): Millis {
  return attempt <= 1 ? 0 : backoffDelay(attempt - 2, fraction);
}

/** @param step from 0 */
export function backoffDelay(step: number, fraction: number): Millis {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * GROWTH ** step + MOST_JITTER_MS * fraction);
}
