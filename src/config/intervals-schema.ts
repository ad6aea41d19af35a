import { z } from 'zod';
import { formatDuration, parseDuration } from '../domain/duration.ts';
import { INTERVAL_NAMES, INTERVALS, type Intervals } from '../domain/intervals.ts';

/** A loop without a pause would be one that hammers. */
const SHORTEST = 10;

const intervalSchema = z
  .string({ error: 'a duration of 10ms or more, such as 500ms or 30s' })
  .refine(
    (text) => {
      try {
        return (parseDuration(text, 'interval') ?? 0) >= SHORTEST;
      } catch {
        return false;
      }
    },
    { error: 'a duration of 10ms or more, such as 500ms or 30s' },
  )
  .meta({ examples: ['500ms', '30s'] });

const ABOUT: Readonly<Record<keyof Intervals, string>> = {
  keepAlive: 'between two pings of a websocket that is otherwise quiet',
  deadPeer: 'from a ping to its pong',
  wakeProbe: 'the same after a sleep or a change of the network',
  resume: 'how long a lost websocket is tried again',
  hold: 'how long new connections are held while a session is sought',
  signIn: 'how long new connections are held for a person to sign in',
  signInCheck: 'how soon credentials are asked for again meanwhile',
  retry: 'after the first failure; doubled with each further one',
  longestRetry: 'the longest pause between two tries',
  shortLife: 'a session that lives shorter counts as a failure',
  gone: 'how long a target is away until it counts as gone for good',
  watch: 'between two looks at where a tunnel in use leads',
  drain: 'how long connections may stay on a session to where the target was before',
  wake: 'how often it is looked whether this machine slept',
};

/** `defaults.intervals`: for tests and unusual networks (docs/guides/long-lived.md). */
export const intervalsSchema = z
  .strictObject(
    Object.fromEntries(
      INTERVAL_NAMES.map((name) => [
        name,
        intervalSchema.optional().meta({ description: `${ABOUT[name]}; usually ${formatDuration(INTERVALS[name])}` }),
      ]),
    ) as Record<keyof Intervals, z.ZodOptional<typeof intervalSchema>>,
  )
  .meta({ description: 'the times a tunnel lives by; for tests and unusual networks' });
