import type { Catalogue } from '../config/catalogue.ts';
import type { Grant, GrantVerb } from '../domain/grant.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import type { Identity } from '../providers/provider.ts';
import { catalogueGrants, principalsOf } from './grants.ts';

/** Who somebody is in one cloud. */
export interface KnownIdentity {
  readonly cloud: ProviderId;
  readonly identity: Identity;
}

/** What somebody is given, once for each thing. */
export interface GivenThing {
  readonly verb: GrantVerb;
  /** The target or log. */
  readonly name: string;
  readonly cloud: ProviderId;
  /** The teams that give it. */
  readonly teams: readonly string[];
  /** The latest end of them; undefined: one of them has none. */
  readonly until?: Millis;
}

export interface Standing {
  /** With why: `its member alice@example.com`, `the role readers`. */
  readonly teams: readonly { readonly team: string; readonly because: string }[];
  readonly given: readonly GivenThing[];
}

/**
 * What a catalogue gives to somebody, by what the clouds say of them and by the members that the teams name. A directory may know of
 * more: whether it does is seen by trying.
 */
export function standingOf(catalogue: Catalogue, who: readonly KnownIdentity[], at: Millis): Standing {
  const names = who.flatMap(({ identity }) => namesOf(identity));
  if (catalogue.teams.size === 0) return { teams: [], given: everything(catalogue) };
  const teams = [...catalogue.teams].flatMap(([team, entry]) => {
    const member = entry.members?.find((each) => names.includes(each.toLowerCase()));
    const principal = principalsOf(entry).find((each) => who.some(({ identity }) => isOne(identity, each)));
    if (member !== undefined) return [{ team, because: `its member ${member}` }];
    return principal === undefined ? [] : [{ team, because: `${principal.kind} ${principal.name}` }];
  });
  const { grants } = catalogueGrants(
    catalogue,
    teams.map(({ team }) => team),
  );
  const standing = grants.filter((grant) => grant.until === undefined || grant.until > at);
  const things = Map.groupBy(standing, ({ verb, subject }) => `${verb} ${subject.name}`);
  return { teams, given: [...things.values()].map(thingOf) };
}

/** Without teams nobody is told apart: what can be opened by its name is everybody's. */
function everything({ targets }: Catalogue): readonly GivenThing[] {
  return [...targets.values()].flatMap((target): readonly GivenThing[] => {
    const cloud = target.kind === 'host' ? (target.cloud ?? target.via[0]?.cloud) : target.cloud;
    if (cloud === undefined) return [];
    const verb = target.kind === 'machine' && target.hostPort === undefined ? 'ssh' : 'connect';
    return [{ verb, name: target.name, cloud, teams: [] }];
  });
}

function thingOf(grants: readonly Grant[]): GivenThing {
  const { verb, subject } = grants[0]!;
  const ends = grants.map(({ until }) => until ?? Number.POSITIVE_INFINITY);
  const last = Math.max(...ends);
  return {
    verb,
    name: subject.name,
    cloud: subject.cloud,
    teams: [...new Set(grants.map(({ team }) => team))],
    ...(last !== Number.POSITIVE_INFINITY && { until: last }),
  };
}

/** What a member may be written as: the address, or the name in front of it where the cloud knows no address. */
const namesOf = ({ id, name }: Identity) => [id.toLowerCase(), name.toLowerCase()];

const isOne = ({ principals = [] }: Identity, principal: { cloud: ProviderId; kind: string; name: string }) =>
  principals.some(
    (each) =>
      each.cloud === principal.cloud &&
      each.kind === principal.kind &&
      each.name.toLowerCase() === principal.name.toLowerCase(),
  );
