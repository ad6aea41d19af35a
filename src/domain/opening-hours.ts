import type { Millis } from './millis.ts';

/*
 * In which hours of which days something is allowed, in the time of a place: `mon` to `fri`, 08:00 to 18:00, Europe/Berlin. Worked out
 * as instants day by day, so that the days on which clocks are changed are as long as they are there.
 */

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

export interface OpeningHours {
  /** Every day when absent. A window over midnight belongs to the day on which it begins. */
  readonly days?: readonly (typeof DAYS)[number][] | undefined;
  /** `08:00` */
  readonly from: string;
  /** `18:00`; `24:00` is midnight. Not after `from`: that time of the next day. */
  readonly to: string;
  /** IANA name, `Europe/Berlin`. */
  readonly zone: string;
}

const DAY: Millis = 86_400_000;
const MINUTE: Millis = 60_000;
/** A week and a day to either side: what touches on for as long as that has no end. */
const DAYS_AHEAD = 8;

interface Window {
  readonly start: Millis;
  readonly end: Millis;
}

/** When the hours that it is in now are over; Infinity where they never are; undefined outside of them. @param wall since 1970 UTC */
export function openUntil(hours: OpeningHours, wall: Millis): Millis | undefined {
  const now = windowsAround(hours, wall).find(({ start, end }) => start <= wall && wall < end);
  if (now === undefined) return undefined;
  return now.end - wall > (DAYS_AHEAD - 1) * DAY ? Number.POSITIVE_INFINITY : now.end;
}

/** When hours begin next after a time. */
export function opensAfter(hours: OpeningHours, wall: Millis): Millis | undefined {
  return windowsAround(hours, wall).find(({ start }) => start > wall)?.start;
}

/** `mon, tue 08:00-18:00 Europe/Berlin` */
export function formatHours({ days, from, to, zone }: OpeningHours): string {
  return `${days === undefined ? 'every day' : days.join(', ')} ${from}-${to} ${zone}`;
}

/** `sat 12:13` in the zone of the hours. */
export function formatIn({ zone }: Pick<OpeningHours, 'zone'>, wall: Millis): string {
  const local = new Date(localTime(zone)(wall));
  return `${DAYS[local.getUTCDay()]} ${local.toISOString().slice(11, 16)}`;
}

/** Those that begin from the day before to a week ahead, in order; what touches is one. */
function windowsAround({ days, from, to, zone }: OpeningHours, wall: Millis): readonly Window[] {
  const local = localTime(zone);
  const today = Math.floor(local(wall) / DAY) * DAY;
  const [begin, end] = [minutes(from), minutes(to)];
  const windows: Window[] = [];
  for (let day = today - DAY; day <= today + DAYS_AHEAD * DAY; day += DAY) {
    if (days !== undefined && !days.includes(DAYS[new Date(day).getUTCDay()]!)) continue;
    const start = instantOf(day + begin, local);
    const stop = instantOf(day + end + (end <= begin ? DAY : 0), local);
    const last = windows.at(-1);
    if (last !== undefined && last.end >= start) windows[windows.length - 1] = { start: last.start, end: stop };
    else windows.push({ start, end: stop });
  }
  return windows;
}

function minutes(time: string): Millis {
  const [hour, minute] = time.split(':').map(Number);
  return (hour! * 60 + minute!) * MINUTE;
}

/** What clocks there show at an instant, as if it were UTC; whole seconds. */
function localTime(zone: string): (wall: Millis) => Millis {
  const format = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (wall) => {
    const parts = Object.fromEntries(format.formatToParts(wall).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute, second } = parts;
    return Date.UTC(year!, month! - 1, day, hour, minute, second);
  };
}

/**
 * The instant at which clocks show a time. Where they show it twice, the first; where they leap over it, the one after the leap by as
 * much.
 */
function instantOf(shown: Millis, local: (wall: Millis) => Millis): Millis {
  const guesses = [shown - DAY, shown + DAY].map((near) => shown - (local(near) - near));
  return guesses.find((guess) => local(guess) === shown) ?? guesses[0]!;
}
