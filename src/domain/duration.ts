import { CloudtunError } from './errors.ts';
import type { Millis } from './millis.ts';

const UNIT_MS: Readonly<Record<string, Millis>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Parses a duration with units: `500ms`, `30s`, `1h30m`, `8h`; `none` gives undefined (no limit).
 *
 * @param what names the value in the error, for example `--ttl`
 * @throws CT_USAGE when a unit is missing or unknown (spec section 4: durations carry units)
 */
export function parseDuration(text: string, what: string): Millis | undefined {
  if (text === 'none') return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new CloudtunError('CT_USAGE', `${what} "${text}" is not a duration`, {
      hint: 'write a number with its unit, such as 30s, 15m, 8h or 1h30m',
    });
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2]!] ?? 0), 0);
}

/** `42m`, `7h18m`, `1m12s`, `0.4s`: the two largest units, as a person would say it. */
export function formatDuration(ms: Millis): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 || minutes >= 10 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
}
