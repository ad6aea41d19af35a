import { CloudtunError } from './errors.ts';

/** `18.4 MB`, `0.9 MB`, `80 kB`, `12 B`: decimal units, one decimal from a tenth of a megabyte up. */
export function formatByteCount(byteCount: number): string {
  if (byteCount >= 1e9) return `${(byteCount / 1e9).toFixed(1)} GB`;
  if (byteCount >= 1e5) return `${(byteCount / 1e6).toFixed(1)} MB`;
  if (byteCount >= 1e3) return `${Math.round(byteCount / 1e3)} kB`;
  return `${byteCount} B`;
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/**
 * Parses a size with its unit: `500MB`, `1.5 GB`, `64MiB`; `none` gives undefined (no limit).
 *
 * @param what names the value in the error, for example `--max-bytes`
 * @returns whole bytes
 * @throws CT_USAGE when a unit is missing or unknown
 */
export function parseByteCount(text: string, what: string): number | undefined {
  if (text === 'none') return undefined;
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kKMGT]?i?B)$/.exec(text) ?? [];
  const factor = UNITS[unit === 'KB' ? 'kB' : (unit ?? '')];
  const byteCount = digits === undefined || factor === undefined ? 0 : Math.round(Number(digits) * factor);
  if (byteCount > 0 && Number.isSafeInteger(byteCount)) return byteCount;
  throw new CloudtunError('CT_USAGE', `${what} "${text}" is not a size`, {
    hint: 'write a number with its unit, such as 500MB, 2GB or 64MiB',
  });
}
