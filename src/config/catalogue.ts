import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import { CloudtunError } from '../domain/errors.ts';
import { type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type { CatalogueDefaults, TargetEntry } from './schema.ts';

/** Where a catalogue entry stands, for errors: `cloudtun.yaml:5:3`. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** The forms of a managed database, each also the command that opens one, and the cloud it is in. */
export const DATABASE_FORMS = { rds: 'aws', sql: 'gcp' } as const satisfies Record<string, ProviderId>;
export type DatabaseForm = keyof typeof DATABASE_FORMS;

interface TargetBase extends Readonly<Partial<Record<PlaceKey, string>>> {
  readonly name: string;
  readonly place: Place;
  /** The local port, when the catalogue fixes one. */
  readonly port?: number;
  /** The login that a client should use, for the line to type after `ready`. */
  readonly user?: string;
}

/** A target of the catalogue, its form told apart, its place in the cloud completed from its `via`. */
export type CatalogueTarget =
  | (TargetBase & { readonly kind: 'machine'; readonly cloud: ProviderId; readonly instance: string })
  | (TargetBase & {
      readonly kind: 'database';
      readonly form: DatabaseForm;
      readonly cloud: ProviderId;
      /** As the cloud names it. */
      readonly database: string;
      readonly via?: string;
    })
  | (TargetBase & {
      readonly kind: 'host';
      /** Undefined when only its `via` tells, which is no name of the catalogue and has no cloud prefix. */
      readonly cloud?: ProviderId;
      readonly host: string;
      readonly hostPort: number;
      readonly via: string;
    });

/** The files of spec section 4, merged: the project's over the user's, target by target and default by default. */
export interface Catalogue {
  /** Paths of the files that were read, the stronger first; empty when there is none. */
  readonly files: readonly string[];
  readonly defaults: CatalogueDefaults;
  readonly targets: ReadonlyMap<string, CatalogueTarget>;
  /** Sections that were read past. */
  readonly unused: readonly string[];
}

export const NO_CATALOGUE: Catalogue = { files: [], defaults: {}, targets: new Map(), unused: [] };

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

function completeTarget(
  name: string,
  { entry, place }: PlacedEntry,
  all: ReadonlyMap<string, PlacedEntry>,
): CatalogueTarget {
  const viaEntry = entry.via === undefined ? undefined : all.get(entry.via)?.entry;
  const viaMachine = viaEntry && machineOf(viaEntry);
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
  };
  if (machine) return { ...base, kind: 'machine', cloud: machine.cloud, instance: machine.instance };
  const named = entry.via === undefined ? undefined : splitCloudPrefix(entry.via);
  const via = viaMachine?.instance ?? named?.text;
  const viaCloud = viaMachine?.cloud ?? named?.cloud;
  for (const form of Object.keys(DATABASE_FORMS) as DatabaseForm[]) {
    const database = entry[form];
    if (database === undefined) continue;
    const cloud = DATABASE_FORMS[form];
    if (viaCloud !== undefined && viaCloud !== cloud) throw twoClouds(name, place, cloud, viaCloud);
    return { ...base, kind: 'database', form, cloud, database, ...(via !== undefined && { via }) };
  }
  // The schema's forms leave only this one; a host without via and hostPort does not pass it.
  const far = { host: entry.host!, hostPort: entry.hostPort!, via: via! };
  return { ...base, kind: 'host', ...(viaCloud !== undefined && { cloud: viaCloud }), ...far };
}

function twoClouds(name: string, place: Place, cloud: ProviderId, viaCloud: ProviderId): CloudtunError {
  const where = `${place.file}:${place.line}:${place.column}`;
  return new CloudtunError('CT_CONFIG', `${where}: target "${name}" is in ${cloud}, its via in ${viaCloud}`);
}

function definedOnly<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never;
}
