import type { Catalogue, CatalogueTarget } from '../config/catalogue.ts';
import type { GrantVerb } from '../domain/grant.ts';
import { pinnedName } from '../domain/pinned-name.ts';
import type { SessionOptions } from '../providers/provider.ts';

/**
 * The document that the teams of the catalogue are given for a target (`team apply`), where any is given this: it is tried first, and
 * whoever may do without it still can.
 *
 * @param entry undefined where something else is meant than the catalogue's own far end
 */
export function pinnedBy(
  entry: CatalogueTarget | undefined,
  verb: GrantVerb,
  { teams, groups }: Pick<Catalogue, 'teams' | 'groups'>,
): Pick<SessionOptions, 'pinned'> {
  if (entry === undefined || verb === 'logs') return {};
  const { name } = entry;
  const isGiven = [...teams.values()].some(({ may }) =>
    may?.[verb]?.some((each) => each === name || groups.get(each)?.includes(name)),
  );
  if (!isGiven) return {};
  return {
    pinned: { document: pinnedName(name, verb), subject: name, ...(verb === 'socks' && { isOpen: true as const }) },
  };
}
