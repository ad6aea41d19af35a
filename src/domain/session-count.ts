import { CloudtunError } from './errors.ts';

/** Over how many sessions the connections of one tunnel may spread; `auto`: as many as the load asks for. */
export type SessionCount = number | 'auto';

/**
 * Sessions of one tunnel at the same time. Guessed: accounts have limits that nobody publishes, and eight carry 5 MB/s, where a
 * bastion is seldom what such bytes should go through.
 */
export const MAX_SESSIONS = 8;

/** @param name of the flag, for the error @throws CT_USAGE */
export function parseSessionCount(text: string, name: string): SessionCount {
  if (text === 'auto') return text;
  const count = /^\d$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_SESSIONS) return count;
  throw new CloudtunError('CT_USAGE', `${name} "${text}" is no number of sessions`, {
    hint: `a number from 1 to ${MAX_SESSIONS}, or auto`,
  });
}
