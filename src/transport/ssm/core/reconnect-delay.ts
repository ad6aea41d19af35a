/**
 * How long to wait before the next attempt to get a session back. The service's hourly close is routine, so the first attempt is
 * nearly immediate; then it doubles with jitter, and goes on for minutes where the official client stops after six seconds.
 */
import type { Millis } from '../../../domain/millis.ts';

const FIRST_DELAY_MS = 10;
const SECOND_DELAY_MS = 200;
const MAX_DELAY_MS = 15_000;
/** @param attempt from 1 @param fraction random in [0, 1): spreads many clients of one outage */
export function reconnectDelay(attempt: number, fraction: number): Millis {
  if (attempt <= 1) return FIRST_DELAY_MS * fraction;
  const full = Math.min(MAX_DELAY_MS, SECOND_DELAY_MS * 2 ** (attempt - 2));
  return full * (0.5 + fraction / 2);
}
