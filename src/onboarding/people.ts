import type { Catalogue } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Principal } from '../domain/grant.ts';
import { nearestNames } from '../domain/nearest.ts';
import { principalsOf } from './grants.ts';

/** Somebody whom the catalogue gives something: a member of teams, or whoever a principal without members is. */
export interface TeamPerson {
  /** As the catalogue writes it: an address; the name of the principal where nobody is named. */
  readonly name: string;
  /** Nobody in particular: whoever the cloud takes for this principal. */
  readonly isStandIn: boolean;
  readonly teams: readonly string[];
  /** What the person is in the clouds by these teams. */
  readonly principals: readonly Principal[];
}

export const samePrincipal = (one: Principal, two: Principal) =>
  one.cloud === two.cloud && one.kind === two.kind && one.name === two.name;

const sameText = (one: string, two: string) => one.toLowerCase() === two.toLowerCase();

/** `alice` of `alice@example.com`. */
const shortName = (name: string) => name.replace(/@.*$/s, '');

/**
 * Everybody of a catalogue, members first, in its order. A principal of the kind `user` is one person: only the member of that name
 * (whole, or before the @) is it; where the team has none, the one member of another team who is called so; else it stands for itself.
 */
export function teamPeople({ teams }: Pick<Catalogue, 'teams'>): readonly TeamPerson[] {
  const people = new Map<string, { name: string; isStandIn: boolean; teams: string[]; principals: Principal[] }>();
  const add = (key: string, name: string, isStandIn: boolean, team: string, principals: readonly Principal[]) => {
    const found = people.get(key) ?? { name, isStandIn, teams: [], principals: [] };
    people.set(key, found);
    if (!found.teams.includes(team)) found.teams.push(team);
    for (const principal of principals) {
      if (!found.principals.some((one) => samePrincipal(one, principal))) found.principals.push(principal);
    }
  };
  for (const [team, { members = [], ...entry }] of teams) {
    const principals = principalsOf(entry);
    for (const member of members) {
      const own = principals.filter((principal) => principal.kind !== 'user' || isUser(member, principal));
      add(`member ${member.toLowerCase()}`, member, false, team, own);
    }
  }
  // Members of all teams are known by now: one of them may be the user of another team.
  for (const [team, { members = [], ...entry }] of teams) {
    for (const principal of principalsOf(entry)) {
      const { cloud, kind, name } = principal;
      const isUserKind = kind === 'user';
      if (isUserKind ? members.some((member) => isUser(member, principal)) : members.length > 0) continue;
      const found = isUserKind ? memberCalled([...people.values()], principal) : undefined;
      if (found !== undefined) add(`member ${found.toLowerCase()}`, found, false, team, [principal]);
      else add(`principal ${cloud} ${kind} ${name}`, name, true, team, [principal]);
    }
  }
  return [...people.values()].sort((one, two) => Number(one.isStandIn) - Number(two.isStandIn));
}

/** The one member of all teams whom a principal of the kind `user` names. */
function memberCalled(
  people: readonly { readonly name: string; readonly isStandIn: boolean }[],
  principal: Principal,
): string | undefined {
  const members = people.filter(({ isStandIn }) => !isStandIn);
  const whole = members.find(({ name }) => sameText(name, principal.name));
  const [short, ...others] = members.filter(({ name }) => isUser(name, principal));
  return whole?.name ?? (others.length === 0 ? short?.name : undefined);
}

/** Whether a member is this one person of a cloud. */
export function isUser(member: string, { name }: Principal): boolean {
  return sameText(member, name) || sameText(shortName(member), name);
}

/**
 * Who is meant by what somebody typed: a member by the whole name or by what is before the @, a principal by its name, a team for
 * whoever is in it. Undefined: nobody of the catalogue.
 *
 * @throws CT_CONFIG where several fit
 */
export function findPerson(catalogue: Pick<Catalogue, 'teams'>, text: string): TeamPerson | undefined {
  const people = teamPeople(catalogue);
  const members = people.filter(({ isStandIn }) => !isStandIn);
  const whole = members.find(({ name }) => sameText(name, text));
  if (whole !== undefined) return whole;
  const short = members.filter(({ name }) => sameText(shortName(name), text));
  const [found, ...others] = short;
  if (found !== undefined) {
    if (others.length === 0) return found;
    throw new CloudtunError('CT_USAGE', `"${text}" may be several people of the catalogue`, {
      hint: `say which: ${short.map(({ name }) => name).join(', ')}`,
    });
  }
  return standIn(catalogue, text);
}

function standIn({ teams }: Pick<Catalogue, 'teams'>, text: string): TeamPerson | undefined {
  const all = [...teams].flatMap(([team, entry]) => principalsOf(entry).map((principal) => ({ team, principal })));
  const named = all.filter(({ principal }) => sameText(principal.name, text));
  const those = named.length > 0 ? named : all.filter(({ team }) => team === text);
  if (those.length === 0) return undefined;
  const principals = those.map(({ principal }) => principal);
  return {
    name: text,
    isStandIn: true,
    teams: [...new Set(those.map(({ team }) => team))],
    principals: principals.filter((one, index) => principals.findIndex((each) => samePrincipal(each, one)) === index),
  };
}

/** Names of the catalogue that somebody may have meant who typed one that is not in it. */
export function namesLike(catalogue: Pick<Catalogue, 'teams'>, text: string): readonly string[] {
  const people = teamPeople(catalogue);
  const near = nearestNames(
    text,
    people.flatMap(({ name }) => [name, shortName(name)]),
  );
  return [
    ...new Set(
      near.map((name) => people.find((person) => person.name === name || shortName(person.name) === name)!.name),
    ),
  ];
}
