import type { Millis } from './millis.ts';

/** When something ends, as people say it: the last whole day in UTC, `2027-03-31`, else the instant, `2027-03-31T18:00Z`. */
export function isoDay(end: Millis): string {
  const isDay = end % 86_400_000 === 0;
  const text = new Date(isDay ? end - 1 : end).toISOString();
  return isDay ? text.slice(0, 10) : `${text.slice(0, 16)}Z`;
}
