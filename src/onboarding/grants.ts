import type { Catalogue, CatalogueTarget } from '../config/catalogue.ts';
import type { LogEntry, TeamEntry } from '../config/schema.ts';
import { GRANT_VERBS, type Grant, type GrantSubject, type GrantVerb, type Principal } from '../domain/grant.ts';
import type { Millis } from '../domain/millis.ts';
import { PROVIDER_IDS, type ProviderId } from '../domain/target.ts';

/** Something that the catalogue gives and that reaches nobody, or not whom it should. */
export interface GrantProblem {
  readonly team: string;
  readonly verb?: GrantVerb;
  /** The target or log. */
  readonly subject?: string;
  /** For people: what is wrong and what to write instead. */
  readonly text: string;
}

export interface CatalogueGrants {
  readonly grants: readonly Grant[];
  readonly problems: readonly GrantProblem[];
}

/**
 * All that the teams of a catalogue are given, taken apart: one principal, one verb, one thing. The same thing given twice to one
 * principal of one team is one grant. Pure.
 *
 * @param only names of teams; all when absent
 */
export function catalogueGrants(catalogue: Catalogue, only?: readonly string[]): CatalogueGrants {
  const grants = new Map<string, Grant>();
  const problems: GrantProblem[] = [];
  for (const [team, entry] of catalogue.teams) {
    if (only !== undefined && !only.includes(team)) continue;
    const until = entry.until === undefined ? undefined : endOf(entry.until);
    const asked = GRANT_VERBS.flatMap((verb) => subjectsOf(verb, entry, catalogue).map((name) => ({ verb, name })));
    if (asked.length === 0) problems.push({ team, text: 'it is given nothing: name targets under may' });
    const principals = principalsOf(entry);
    if (principals.length === 0) problems.push({ team, text: 'it names nobody in any cloud: add aws: or gcp:' });
    for (const { verb, name } of asked) {
      const subject = subjectOf(verb, name, catalogue);
      if (typeof subject === 'string') {
        problems.push({ team, verb, subject: name, text: subject });
        continue;
      }
      const those = principals.filter(({ cloud }) => cloud === subject.cloud);
      if (those.length === 0 && principals.length > 0)
        problems.push({
          team,
          verb,
          subject: name,
          text: `${name} is in ${subject.cloud}, where the team names nobody: add ${subject.cloud}:`,
        });
      for (const principal of those) {
        const key = [team, principal.kind, principal.name, verb, name].join('\n');
        grants.set(key, {
          team,
          principal,
          verb,
          subject,
          members: entry.members ?? [],
          ...(until !== undefined && { until }),
        });
      }
    }
  }
  return { grants: [...grants.values()], problems };
}

/** A day counts to its end in UTC, as people say "until Friday"; an instant as it is. */
export function endOf(until: string): Millis {
  const at = Date.parse(until);
  return /T/.test(until) ? at : at + 86_400_000;
}

/** Who a team is, in the clouds. */
export function principalsOf(team: TeamEntry): readonly Principal[] {
  const kinds: { readonly [Cloud in ProviderId]?: Readonly<Record<string, string | undefined>> | undefined } = team;
  return PROVIDER_IDS.flatMap((cloud) =>
    Object.entries(kinds[cloud] ?? {}).flatMap(([kind, name]) => (name === undefined ? [] : [{ cloud, kind, name }])),
  );
}

/** Names of the catalogue, groups replaced by what is in them. */
function subjectsOf(verb: GrantVerb, { may = {} }: TeamEntry, { groups, targets }: Catalogue): readonly string[] {
  const names = may[verb] ?? [];
  if (verb === 'logs') return names;
  return [...new Set(names.flatMap((name) => (targets.has(name) ? [name] : (groups.get(name) ?? [name]))))];
}

/** What a verb on a name is about, or a sentence that says why nothing can be given. */
export function subjectOf(verb: GrantVerb, name: string, catalogue: Catalogue): GrantSubject | string {
  if (verb === 'logs') {
    const log = catalogue.logs.get(name);
    return log === undefined ? `there is no log "${name}"` : logSubject(name, log, catalogue);
  }
  const target = catalogue.targets.get(name);
  if (target === undefined) return `there is no target "${name}"`;
  if (verb === 'connect') return connectSubject(target);
  if (target.kind === 'database') return `${name} is a database, and ${verb} needs a machine`;
  if (verb !== 'ssh' && target.kind === 'host')
    return `${name} is a host that no cloud knows, and ${verb} needs a machine`;
  return withPlace(target);
}

function connectSubject(target: CatalogueTarget): GrantSubject | string {
  if (target.kind === 'machine' && target.hostPort === undefined)
    return `which port of ${target.name}? add hostPort to it, or give ssh or socks`;
  return withPlace(target);
}

function logSubject(name: string, log: LogEntry, catalogue: Catalogue): GrantSubject | string {
  const target = catalogue.targets.get(log.target);
  if (target === undefined) return `its target "${log.target}" is not in the catalogue`;
  if (target.kind !== 'machine') return `its target ${log.target} is no machine of a cloud`;
  const subject = withPlace(target);
  if (typeof subject === 'string') return subject;
  for (const kind of ['file', 'unit', 'container'] as const) {
    const source = log[kind];
    if (source !== undefined) return { ...subject, name, log: { kind, name: source } };
  }
  return 'it has no source: file, unit or container';
}

function withPlace(target: CatalogueTarget): GrantSubject | string {
  const cloud = cloudOf(target);
  if (cloud === undefined) return `which cloud is ${target.name} in? write the cloud before its via, as in aws:bastion`;
  const [first, ...behind] = target.via ?? [];
  const own = target.kind === 'machine' ? target.instance : undefined;
  const machine = first?.text ?? own;
  const hops = behind.map((hop) => hop.written);
  const place = Object.fromEntries(
    (['profile', 'region', 'project', 'zone'] as const).flatMap((key) => (target[key] ? [[key, target[key]]] : [])),
  );
  return {
    name: target.name,
    cloud,
    place,
    ...(machine !== undefined && { machine }),
    ...(first?.port !== undefined && { machinePort: first.port }),
    ...(hops.length > 0 && { hops }),
    ...(target.user !== undefined && { user: target.user }),
    ...(target.iamAuth && { iamAuth: true }),
    ...(target.secret?.cloud === cloud && { secret: target.secret.name }),
    ...(target.kind === 'database' && { database: target.database }),
    ...(target.kind === 'host' && { host: target.host }),
    ...(target.kind !== 'database' && target.hostPort !== undefined && { port: target.hostPort }),
    // A machine behind others is, for the last of them, a host like any other.
    ...(target.kind === 'machine' && first !== undefined && { host: target.instance, isMachine: true as const }),
  };
}

function cloudOf(target: CatalogueTarget): ProviderId | undefined {
  return target.kind === 'host' ? (target.cloud ?? target.via[0]?.cloud) : target.cloud;
}
