import type { HopName } from '../domain/hop-name.ts';
import type { Catalogue, CatalogueTarget } from './catalogue.ts';
import type { PolicyEntry } from './schema.ts';

/** The catalogue's policy, with what its names stand for: so it can be held against what is asked of a cloud, however it was called. */
export interface TargetPolicy extends Omit<PolicyEntry, 'requireReason'> {
  /** True: always. Else for these, and for machines that they are reached through. */
  readonly requireReason: true | readonly CatalogueTarget[];
  /** Hosts of the catalogue that need no reason, though they are behind such a machine. */
  readonly freeHosts: readonly Extract<CatalogueTarget, { kind: 'host' }>[];
}

/** A user's own file cannot weaken it: the files were merged to the stricter word of each (config/merge-policy.ts). */
export function targetPolicy({ policy, targets, groups }: Catalogue): TargetPolicy {
  const { requireReason = false, ...rest } = policy;
  const names = new Set(
    typeof requireReason === 'boolean' ? [] : requireReason.flatMap((name) => groups.get(name) ?? [name]),
  );
  const all = [...targets.values()];
  return {
    ...rest,
    requireReason: requireReason === true || all.filter(({ name }) => names.has(name)),
    freeHosts: all.filter((target) => target.kind === 'host').filter(({ name }) => !names.has(name)),
  };
}

/** The last machine before a target, where the catalogue names one. */
export function lastHop({ via }: CatalogueTarget): HopName | undefined {
  return via?.at(-1);
}
