import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import { CloudtunError } from '../domain/errors.ts';
import { type HopName, parseHopName } from '../domain/hop-name.ts';
import { type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type {
  AuditEntry,
  CatalogueDefaults,
  LogEntry,
  PolicyEntry,
  TargetEntry,
  TeamEntry,
  TLS_MODES,
} from './schema.ts';

/** Where a catalogue entry stands, for errors: `cloudtun.yaml:5:3`. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** The forms of a managed database, each also the command that opens one, and the cloud it is in. */
export const DATABASE_FORMS = { rds: 'aws', sql: 'gcp' } as const satisfies Record<string, ProviderId>;
export type DatabaseForm = keyof typeof DATABASE_FORMS;

/** How a client checks the server it talks to. */
export type TlsMode = (typeof TLS_MODES)[number];

/** Where a password is kept: a secret of one of the clouds. */
export type SecretSource = { readonly cloud: 'aws' | 'gcp'; readonly name: string };

interface TargetBase extends Readonly<Partial<Record<PlaceKey, string>>> {
  readonly name: string;
  readonly place: Place;
  /** The local port, when the catalogue fixes one. */
  readonly port?: number;
  /** The login that a client should use, for the line to type after `ready`. */
  readonly user?: string;
  /** Logins are made with a token of the cloud instead of a password. */
  readonly iamAuth?: boolean;
  /** The database on the server that clients open. */
  readonly dbName?: string;
  /** Where the password is kept. */
  readonly secret?: SecretSource;
  readonly tls?: TlsMode;
  /** As written: `8h`. */
  readonly ttl?: string;
  readonly idle?: string;
  /** As written: `500MB`. */
  readonly maxBytes?: string;
  readonly sessions?: number | 'auto';
  /** Machines to go through, from here outwards; names of the catalogue are replaced by what they stand for. */
  readonly via?: readonly HopName[];
}

/** A target of the catalogue, its form told apart, its place in the cloud completed from its `via`. */
export type CatalogueTarget =
  | (TargetBase & {
      readonly kind: 'machine';
      readonly cloud: ProviderId;
      readonly instance: string;
      /** The port of the machine that is meant where none is named. */
      readonly hostPort?: number;
    })
  | (TargetBase & {
      readonly kind: 'database';
      readonly form: DatabaseForm;
      readonly cloud: ProviderId;
      /** As the cloud names it. */
      readonly database: string;
    })
  | (TargetBase & {
      readonly kind: 'host';
      /** Undefined when only its `via` tells, which is no name of the catalogue and has no cloud prefix. */
      readonly cloud?: ProviderId;
      readonly host: string;
      readonly hostPort: number;
      readonly via: readonly HopName[];
    });

/** The files of spec section 4, merged: the project's over the user's, target by target and default by default. */
export interface Catalogue {
  /** Paths of the files that were read, the stronger first; empty when there is none. */
  readonly files: readonly string[];
  /** What the permissions that are made of it are marked with. */
  readonly name: string;
  /** Whom to ask for access. */
  readonly contact?: string;
  readonly defaults: CatalogueDefaults;
  readonly targets: ReadonlyMap<string, CatalogueTarget>;
  /** Names of targets under one name. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly logs: ReadonlyMap<string, LogEntry>;
  readonly teams: ReadonlyMap<string, TeamEntry>;
  /** Of all files together, the stricter word of each. */
  readonly policy: PolicyEntry;
  readonly audit: AuditEntry;
}

export const NO_CATALOGUE: Catalogue = {
  files: [],
  name: 'default',
  defaults: {},
  targets: new Map(),
  groups: new Map(),
  logs: new Map(),
  teams: new Map(),
  policy: {},
  audit: {},
};

/** An entry of one file with its place, before names are looked up in each other. */
export interface PlacedEntry {
  readonly entry: TargetEntry;
  readonly place: Place;
}

/**
 * Tells the forms apart and completes them: a `via` that is a catalogue name is replaced by that machine's TARGET text, and gives
 * cloud, profile, region, project and zone where the target names none.
 */
export function completeTargets(entries: ReadonlyMap<string, PlacedEntry>): ReadonlyMap<string, CatalogueTarget> {
  return new Map([...entries].map(([name, placed]) => [name, completeTarget(name, placed, entries)]));
}

/** A machine of an entry: `aws: {…}`, `gcp: {…}`. */
type MachineEntry = { readonly cloud: ProviderId; readonly instance: string } & Partial<Record<PlaceKey, string>>;

/** The machine that an entry is, if it is one. */
export function machineOf(entry: TargetEntry): MachineEntry | undefined {
  for (const cloud of PROVIDER_IDS) {
    const machine = entry[cloud];
    if (machine) return { ...definedOnly(machine), cloud, instance: splitCloudPrefix(machine.instance).text };
  }
  return undefined;
}

function completeTarget(name: string, placed: PlacedEntry, all: ReadonlyMap<string, PlacedEntry>): CatalogueTarget {
  const { entry, place } = placed;
  const via = entry.via === undefined ? undefined : hopsOf(listed(entry.via), all, [name]);
  const viaMachine = via && firstMachine(listed(entry.via!), all);
  const machine = machineOf(entry);
  const keys = (['profile', 'region', 'project', 'zone'] as const).flatMap((key) => {
    const value = machine?.[key] ?? entry[key] ?? viaMachine?.[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  const base = {
    name,
    place,
    ...Object.fromEntries(keys),
    ...(entry.port !== undefined && { port: entry.port }),
    ...(entry.user !== undefined && { user: entry.user }),
    ...(via !== undefined && { via }),
    ...clientKeys(entry),
  };
  const viaCloud = via?.[0]?.cloud;
  const agreed = (cloud: ProviderId) => {
    if (viaCloud !== undefined && viaCloud !== cloud) throw twoClouds(name, place, cloud, viaCloud);
    return cloud;
  };
  if (machine) {
    const { cloud, instance } = machine;
    const hostPort = entry.hostPort !== undefined && { hostPort: entry.hostPort };
    return { ...base, kind: 'machine', cloud: agreed(cloud), instance, ...hostPort };
  }
  for (const form of Object.keys(DATABASE_FORMS) as DatabaseForm[]) {
    const database = entry[form];
    if (database !== undefined)
      return { ...base, kind: 'database', form, cloud: agreed(DATABASE_FORMS[form]), database };
  }
  // The schema's forms leave only this one; a host without via and hostPort does not pass it.
  const far = { host: entry.host!, hostPort: entry.hostPort!, via: via! };
  return { ...base, kind: 'host', ...(viaCloud !== undefined && { cloud: viaCloud }), ...far };
}

/** What an entry says of clients and limits, which needs no completing. */
function clientKeys({ iamAuth, dbName, secret, tls, ttl, idle, maxBytes, sessions }: TargetEntry) {
  return definedOnly({ iamAuth, dbName, secret: secretOf(secret), tls, ttl, idle, maxBytes, sessions });
}

function secretOf(secret: TargetEntry['secret']): SecretSource | undefined {
  if (secret?.secretsManager !== undefined) return { cloud: 'aws', name: secret.secretsManager };
  return secret?.secretManager === undefined ? undefined : { cloud: 'gcp', name: secret.secretManager };
}

const listed = (via: string | readonly string[]) => (typeof via === 'string' ? [via] : via);

/**
 * What a list of hops stands for: a name of the catalogue for its machine or host, and for what that is reached through itself.
 *
 * @param within names that are being looked up, so that a circle is found
 */
function hopsOf(
  names: readonly string[],
  all: ReadonlyMap<string, PlacedEntry>,
  within: readonly string[],
): readonly HopName[] {
  return names.flatMap((written, index): readonly HopName[] => {
    const hop = parseHopName(written);
    const placed = hop.cloud === undefined ? all.get(hop.text) : undefined;
    if (placed === undefined) return [hop];
    const { entry, place } = placed;
    if (within.includes(hop.text)) throw circle(place, [...within, hop.text]);
    const before = entry.via === undefined ? [] : hopsOf(listed(entry.via), all, [...within, hop.text]);
    return [...before, hopOf(hop, placed, index + before.length > 0)];
  });
}

/** @param isBehind another hop: it is logged in to in any case, and its login of the catalogue counts */
function hopOf(hop: HopName, { entry, place }: PlacedEntry, isBehind: boolean): HopName {
  const machine = machineOf(entry);
  const text = machine ? nameAnywhere(machine, entry) : entry.host;
  if (text === undefined) throw noWay(hop.text, place);
  const user = hop.user ?? (isBehind ? entry.user : undefined);
  const usualUser = user === undefined ? entry.user : undefined;
  const port = hop.port ?? (machine ? undefined : entry.hostPort);
  return {
    written: `${text}${port === undefined ? '' : `:${port}`}`,
    text,
    ...(machine && { cloud: machine.cloud }),
    ...(user !== undefined && { user }),
    ...(usualUser !== undefined && { usualUser }),
    ...(port !== undefined && { port }),
  };
}

/** A machine on the way to one in another zone must not be looked for there: what the file says of its place goes into its name. */
function nameAnywhere({ cloud, instance, ...place }: MachineEntry, entry: TargetEntry): string {
  const { project = entry.project, zone = entry.zone } = place;
  const isWhole = cloud !== 'gcp' || project === undefined || zone === undefined || !/^[a-z][a-z0-9-]*$/.test(instance);
  return isWhole ? instance : `${project}/${zone}/${instance}`;
}

/** The entry of the catalogue at which a way begins, whose place is the place of what is behind it. */
function firstMachine(names: readonly string[], all: ReadonlyMap<string, PlacedEntry>): MachineEntry | undefined {
  const { cloud, text } = parseHopName(names[0]!);
  // With a cloud in front it is that cloud's own name, also where an entry is called the same.
  const entry = cloud === undefined ? all.get(text)?.entry : undefined;
  if (entry === undefined) return undefined;
  return entry.via === undefined ? machineOf(entry) : firstMachine(listed(entry.via), all);
}

/** The hops that flags name, with the catalogue's names in them replaced. @throws CT_CONFIG, CT_USAGE */
export function resolveHops(names: readonly string[], catalogue: Pick<Catalogue, 'targets'>): readonly HopName[] {
  return names.flatMap((written, index): readonly HopName[] => {
    const hop = parseHopName(written);
    const target = hop.cloud === undefined ? catalogue.targets.get(hop.text) : undefined;
    if (target === undefined) return [hop];
    if (target.kind === 'database') throw noWay(target.name, target.place);
    const before = target.via ?? [];
    const entry: TargetEntry =
      target.kind === 'host'
        ? { host: target.host, hostPort: target.hostPort, user: target.user }
        : {
            [target.cloud]: { instance: target.instance },
            user: target.user,
            project: target.project,
            zone: target.zone,
          };
    return [...before, hopOf(hop, { entry, place: target.place }, index + before.length > 0)];
  });
}

const at = ({ file, line, column }: Place) => `${file}:${line}:${column}`;

function circle(place: Place, names: readonly string[]): CloudtunError {
  return new CloudtunError('CT_CONFIG', `${at(place)}: the via of "${names[0]}" leads back to itself`, {
    details: [['way', names.join(' > ')]],
  });
}

function noWay(name: string, place: Place): CloudtunError {
  return new CloudtunError('CT_CONFIG', `${at(place)}: "${name}" is a database, and nothing goes through it`);
}

function twoClouds(name: string, place: Place, cloud: ProviderId, viaCloud: ProviderId): CloudtunError {
  return new CloudtunError('CT_CONFIG', `${at(place)}: target "${name}" is in ${cloud}, its via in ${viaCloud}`);
}

function definedOnly<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never;
}
