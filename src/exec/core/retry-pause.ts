import type { Millis } from '../../domain/millis.ts';

/** Guessed: a throttled call is let through after a second or two; nobody waits for half a minute between tries. */
const FIRST: Millis = 1_000;
const LONGEST: Millis = 20_000;

/** The pause after a failed try: twice as long each time, up to half of it by chance. @param attempt counted from 0 @param luck 0 to 1 */
export function pauseBefore(attempt: number, luck: number): Millis {
  const whole = Math.min(LONGEST, FIRST * 2 ** attempt);
  return whole / 2 + (whole / 2) * luck;
}
