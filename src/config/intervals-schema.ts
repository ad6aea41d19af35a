import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';
import { INTERVAL_NAMES, type Intervals } from '../domain/intervals.ts';

/** A loop without a pause would be one that hammers. */
const SHORTEST = 10;

const intervalSchema = z.string({ error: 'a duration of 10ms or more, such as 500ms or 30s' }).refine(
  (text) => {
    try {
      return (parseDuration(text, 'interval') ?? 0) >= SHORTEST;
    } catch {
      return false;
    }
  },
  { error: 'a duration of 10ms or more, such as 500ms or 30s' },
);

/** `defaults.intervals`: for tests and unusual networks (docs/guides/long-lived.md). */
export const intervalsSchema = z
  .strictObject(
    Object.fromEntries(INTERVAL_NAMES.map((name) => [name, intervalSchema.optional()])) as Record<
      keyof Intervals,
      z.ZodOptional<typeof intervalSchema>
    >,
  )
  .meta({ description: 'the times a tunnel lives by; for tests and unusual networks' });
