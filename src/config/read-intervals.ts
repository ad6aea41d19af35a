import { parseDuration } from '../domain/duration.ts';
import { INTERVALS, type Intervals } from '../domain/intervals.ts';

/** What `defaults.intervals` says over what is usual. Checked when the file was read. */
export function readIntervals(said: { readonly [Name in keyof Intervals]?: string | undefined }): Intervals {
  const given = Object.entries(said).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, parseDuration(text, `intervals.${name}`)] as const],
  );
  return { ...INTERVALS, ...Object.fromEntries(given) };
}
