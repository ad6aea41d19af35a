import { parseDuration } from '../domain/duration.ts';
import { INTERVALS, type Intervals } from '../domain/intervals.ts';

/** What `defaults.intervals` says over what is usual; undefined where it says nothing. Checked when the file was read. */
export function readIntervals(
  said: { readonly [Name in keyof Intervals]?: string | undefined } | undefined,
): Intervals | undefined {
  if (said === undefined) return undefined;
  const given = Object.entries(said).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, parseDuration(text, `intervals.${name}`)] as const],
  );
  return { ...INTERVALS, ...Object.fromEntries(given) };
}
