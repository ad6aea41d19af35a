import { parseDuration } from '../domain/duration.ts';
import type { PolicyEntry } from './schema.ts';

/**
 * What several files say of policy, together: the stricter word of each rule, so that a user's own file can tighten what the project's
 * says and never weaken it.
 *
 * @param entries the project's first; its `hours` stand where both have some, since two windows have no common zone
 */
export function mergePolicy(entries: readonly PolicyEntry[]): PolicyEntry {
  const all = <Key extends keyof PolicyEntry>(key: Key) =>
    entries.map((entry) => entry[key]).filter((value) => value !== undefined);
  const reasons = all('requireReason');
  const [hours] = all('hours');
  const shortest = all('maxTtl').sort((one, two) => lengthOf(one) - lengthOf(two))[0];
  return {
    ...(reasons.length > 0 && {
      requireReason: reasons.includes(true) || reasons.flatMap((each) => (typeof each === 'boolean' ? [] : each)),
    }),
    ...(shortest !== undefined && { maxTtl: shortest }),
    ...(all('loopbackOnly').length > 0 && { loopbackOnly: all('loopbackOnly').includes(true) }),
    ...(hours !== undefined && { hours }),
    ...(all('encryptedShells').length > 0 && { encryptedShells: all('encryptedShells').includes(true) }),
    ...(all('allowKeepActive').length > 0 && { allowKeepActive: !all('allowKeepActive').includes(false) }),
    ...(all('journal').length > 0 && { journal: all('journal').includes('required') ? 'required' : 'warn' }),
  };
}

function lengthOf(text: string): number {
  return parseDuration(text, 'maxTtl') ?? Number.POSITIVE_INFINITY;
}
