import type { Millis } from './millis.ts';

/** When something ends, as people say it: the last whole day in UTC, `2027-03-31`, else the instant, `2027-03-31T18:00Z`. */
export function isoDay(end: Millis): string {
  const isDay = end % 86_400_000 === 0;
  const text = new Date(isDay ? end - 1 : end).toISOString();
  return isDay ? text.slice(0, 10) : `${text.slice(0, 16)}Z`;
}

/** An instant to the second, as policies write it: `2027-04-01T00:00:00Z`. */
export function isoSeconds(at: Millis): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
