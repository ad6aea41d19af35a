import { isMap, isScalar, isSeq, parseDocument } from 'yaml';

/** A place of a catalogue that names somebody. */
export interface NamedPlace {
  readonly team: string;
  /** `members`, `aws.user`, `gcp.user`. */
  readonly key: string;
  /** As written. */
  readonly value: string;
}

/**
 * A catalogue without one person: taken out of the members of every team, and as a principal of their own. Everything else stays as it is,
 * comments included.
 *
 * @param names that stand for the person, in small letters
 */
export function withoutPerson(
  text: string,
  names: readonly string[],
): { readonly text: string; readonly places: readonly NamedPlace[] } {
  const document = parseDocument(text);
  const places: NamedPlace[] = [];
  const isOne = (value: unknown) => names.includes(String(value).toLowerCase());
  const teams = document.get('teams', true);
  for (const pair of isMap(teams) ? teams.items : []) {
    const { value: entry } = pair;
    if (!isMap(entry)) continue;
    const team = String(isScalar(pair.key) ? pair.key.value : pair.key);
    const members = entry.get('members', true);
    if (isSeq(members)) {
      const kept = members.items.filter((item) => {
        const value = isScalar(item) ? item.value : undefined;
        if (!isOne(value)) return true;
        places.push({ team, key: 'members', value: String(value) });
        return false;
      });
      members.items = kept;
    }
    for (const cloud of [...entry.items]) {
      const { value: kinds } = cloud;
      const user = isMap(kinds) ? kinds.get('user') : undefined;
      if (!isMap(kinds) || !isOne(user)) continue;
      places.push({
        team,
        key: `${String(isScalar(cloud.key) ? cloud.key.value : cloud.key)}.user`,
        value: String(user),
      });
      kinds.delete('user');
      if (kinds.items.length === 0) entry.delete(cloud.key);
    }
  }
  return places.length === 0
    ? { text, places }
    : { text: document.toString({ lineWidth: 0, flowCollectionPadding: true }), places };
}
