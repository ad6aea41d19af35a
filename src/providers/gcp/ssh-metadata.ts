import type { Millis } from '../../domain/millis.ts';
import { isoTime, parseIsoTime } from '../../runtime/iso-time.ts';

/*
 * The item `ssh-keys` of instance metadata: one entry a line, `USER:TYPE DATA COMMENT`, or with an end
 * `USER:TYPE DATA google-ssh {"userName":"USER","expireOn":"2099-01-02T03:04:05+0000"}`.
 */

/** Documented: a value has at most 256 KiB. */
const LARGEST_VALUE = 262_144;

/** An entry with an end, as the guest software reads it: no spaces in the JSON, `userName` first, no fractions of a second. */
export function expiringEntry(user: string, publicKey: string, expiresAt: Millis): string {
  const [type, data] = publicKey.split(' ');
  const expireOn = isoTime(expiresAt).replace(/(\.\d+)?Z$/, '+0000');
  return `${user}:${type} ${data} google-ssh ${JSON.stringify({ userName: user, expireOn })}`;
}

/** The value with an entry added and those that are over left out; the oldest go when it would be too long. */
export function withEntry(value: string | undefined, entry: string, now: Millis): string {
  const kept = (value ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !isOver(line, now));
  const entries = [...kept, entry];
  while (entries.length > 1 && Buffer.byteLength(entries.join('\n')) > LARGEST_VALUE) entries.shift();
  return entries.join('\n');
}

/** The value without the entries of a key, whoever they are for; every other line as it is. */
export function withoutKey(value: string | undefined, publicKey: string): string {
  const [type, data] = publicKey.split(' ');
  return (value ?? '')
    .split('\n')
    .filter((line) => !line.includes(`:${type} ${data} `))
    .join('\n');
}

/** An end that cannot be read counts as none. */
function isOver(line: string, now: Millis): boolean {
  const [, json] = /\sgoogle-ssh\s+(\{.*\})\s*$/.exec(line) ?? [];
  if (json === undefined) return false;
  try {
    const { expireOn } = JSON.parse(json) as { readonly expireOn?: unknown };
    const end = typeof expireOn === 'string' ? parseIsoTime(expireOn.replace(/\+0000$/, 'Z')) : undefined;
    return end !== undefined && end <= now;
  } catch {
    return false;
  }
}
