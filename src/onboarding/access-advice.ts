import type { Catalogue } from '../config/catalogue.ts';
import type { TeamEntry } from '../config/schema.ts';
import { GRANT_VERBS, type GrantVerb } from '../domain/grant.ts';
import { isoDay } from '../domain/iso-day.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import { namesText } from './findings.ts';
import { endOf, principalsOf, subjectOf } from './grants.ts';
import { isUser, type TeamPerson } from './people.ts';

/** A change of the catalogue that would give somebody something. */
export interface AccessAdvice {
  /** For people, no full stop: `team readers gives it until 2027-03-31: make alice a member`. */
  readonly text: string;
  /** What is set, by the keys that lead to it: `teams`, `readers`, `members`. */
  readonly path: readonly string[];
  readonly value: string | readonly string[] | { readonly [key: string]: unknown };
  /** What is left to do beside the file. */
  readonly beside?: string;
}

const DAY: Millis = 86_400_000;
/** What is proposed where an end has to be named: a quarter, which somebody has to think about again. */
const USUAL_TERM: Millis = 90 * DAY;

/** What a cloud's principals are called in a catalogue where nothing better is known, to be replaced by whoever reads it. */
const KINDS: Readonly<Record<string, readonly [kind: string, name: string]>> = {
  aws: ['permissionSet', 'NAME-OF-THE-PERMISSION-SET'],
  gcp: ['group', 'NAME-OF-THE-GROUP@example.com'],
};

/**
 * How the catalogue would give a person a verb on something, the smallest change first: an end that is moved, a team that has it, a
 * team of the person that gets it, a new team. Empty where nothing can give it. Pure.
 */
export function accessAdvice(
  catalogue: Catalogue,
  person: TeamPerson,
  verb: GrantVerb,
  name: string,
  at: Millis,
): readonly AccessAdvice[] {
  const subject = subjectOf(verb, name, catalogue);
  if (typeof subject === 'string') return [];
  const { cloud } = subject;
  const teams = [...catalogue.teams].map(([team, entry]) => ({
    team,
    entry,
    isOwn: person.teams.includes(team),
  }));
  const giving = teams.filter(({ entry }) => isGiven(catalogue, entry, verb, name) && hasPlace(entry, cloud));
  const isOver = ({ until }: TeamEntry) => until !== undefined && endOf(until) <= at;

  const ended = giving
    .filter(({ isOwn, entry }) => isOwn && isOver(entry) && isAnybody(entry, cloud, person))
    .map(({ team, entry }) => ({
      text: `team ${team} gave it until ${isoDay(endOf(entry.until!))}: move its end`,
      path: ['teams', team, 'until'],
      value: isoDay(Math.ceil((at + USUAL_TERM) / DAY) * DAY),
    }));
  const joinable = giving.filter(({ isOwn, entry }) => !isOwn && !isOver(entry) && mayJoin(entry, cloud, person.name));
  const joined = person.isStandIn ? [] : joinable.map(({ team, entry }) => joinAdvice(team, entry, person.name, cloud));
  const widened = teams
    .filter(({ isOwn, entry }) => isOwn && !isOver(entry) && isAnybody(entry, cloud, person))
    .map(({ team, entry }) => widenAdvice(team, entry, verb, name, person.name));
  const all = [...ended, ...joined, ...widened];
  return all.length > 0 ? all : [newTeamAdvice(catalogue, person.name, verb, name, cloud, at)];
}

/** Verbs that something of the catalogue can be given with, the usual one first. */
export function verbsFor(catalogue: Catalogue, name: string): readonly GrantVerb[] {
  return GRANT_VERBS.filter((verb) => typeof subjectOf(verb, name, catalogue) !== 'string');
}

function isGiven({ targets, groups }: Catalogue, { may = {} }: TeamEntry, verb: GrantVerb, name: string): boolean {
  const names = may[verb] ?? [];
  if (names.includes(name)) return true;
  return verb !== 'logs' && names.some((group) => !targets.has(group) && groups.get(group)?.includes(name) === true);
}

const hasPlace = (entry: TeamEntry, cloud: ProviderId) => principalsOf(entry).some((one) => one.cloud === cloud);

/** One more member is somebody to the cloud only where the team is a group of people, or is this one. */
const mayJoin = (entry: TeamEntry, cloud: ProviderId, name: string) =>
  principalsOf(entry).some((one) => one.cloud === cloud && (one.kind !== 'user' || isUser(name, one)));

const isAnybody = (entry: TeamEntry, cloud: ProviderId, person: TeamPerson) =>
  principalsOf(entry).some(
    (one) => one.cloud === cloud && person.principals.some(({ kind, name }) => kind === one.kind && name === one.name),
  );

function joinAdvice(team: string, entry: TeamEntry, name: string, cloud: ProviderId): AccessAdvice {
  const until = entry.until === undefined ? 'without an end' : `until ${isoDay(endOf(entry.until))}`;
  const isShort = !name.includes('@') && (entry.members ?? []).some((member) => member.includes('@'));
  const principals = principalsOf(entry).filter((one) => one.cloud === cloud);
  const groups = principals.filter(({ kind }) => kind !== 'user').map((one) => `${wordsFor(one.kind)} ${one.name}`);
  return {
    text: `team ${team} gives it ${until}: make ${name} a member${isShort ? ' (by the whole address)' : ''}`,
    path: ['teams', team, 'members'],
    value: [...(entry.members ?? []), name],
    ...(groups.length > 0 && { beside: `and in the directory: ${name} into ${groups.join(', ')}` }),
  };
}

function widenAdvice(
  team: string,
  { may = {}, members = [] }: TeamEntry,
  verb: GrantVerb,
  name: string,
  who: string,
): AccessAdvice {
  const others = members.filter((member) => member !== who);
  const also = others.length === 0 ? '' : ` (${namesText(others)} would get it too)`;
  return {
    text: `give it to team ${team}${also}`,
    path: ['teams', team, 'may', verb],
    value: [...(may[verb] ?? []), name],
  };
}

function newTeamAdvice(
  { teams }: Catalogue,
  who: string,
  verb: GrantVerb,
  name: string,
  cloud: ProviderId,
  at: Millis,
): AccessAdvice {
  const wanted = `${name}-${verb}`;
  const team = teams.has(wanted) ? `${wanted}-2` : wanted;
  const [kind, principal] = KINDS[cloud] ?? ['user', 'NAME'];
  return {
    text: 'no team gives it: a team of its own, whose name in the cloud is yours to choose',
    path: ['teams', team],
    value: {
      [cloud]: { [kind]: principal },
      members: [who],
      may: { [verb]: [name] },
      until: isoDay(Math.ceil((at + USUAL_TERM) / DAY) * DAY),
    },
  };
}

/** `permission set` */
const wordsFor = (kind: string) => kind.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
