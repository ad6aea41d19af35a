import type { CatalogueDefaults, TargetEntry } from './schema.ts';

/** Where a catalogue entry stands, for errors: `cloudtun.yaml:5:3`. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

interface TargetBase {
  readonly name: string;
  readonly place: Place;
  /** The local port, when the catalogue fixes one. */
  readonly port?: number;
  readonly profile?: string;
  readonly region?: string;
  /** The login that a client should use, for the line to type after `ready`. */
  readonly user?: string;
}

/** A target of the catalogue, its form told apart, its place in the cloud completed from its `via`. */
export type CatalogueTarget =
  | (TargetBase & { readonly kind: 'machine'; readonly instance: string })
  | (TargetBase & { readonly kind: 'database'; readonly rds: string; readonly via?: string })
  | (TargetBase & { readonly kind: 'host'; readonly host: string; readonly hostPort: number; readonly via: string })
  | (TargetBase & { readonly kind: 'gcp' });

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
 * profile and region where the target names none.
 */
export function completeTargets(entries: ReadonlyMap<string, PlacedEntry>): ReadonlyMap<string, CatalogueTarget> {
  return new Map([...entries].map(([name, placed]) => [name, completeTarget(name, placed, entries)]));
}

function completeTarget(
  name: string,
  { entry, place }: PlacedEntry,
  all: ReadonlyMap<string, PlacedEntry>,
): CatalogueTarget {
  const viaMachine = entry.via === undefined ? undefined : all.get(entry.via)?.entry.aws;
  const profile = entry.aws?.profile ?? entry.profile ?? viaMachine?.profile;
  const region = entry.aws?.region ?? entry.region ?? viaMachine?.region;
  const base = {
    name,
    place,
    ...(entry.port !== undefined && { port: entry.port }),
    ...(profile !== undefined && { profile }),
    ...(region !== undefined && { region }),
    ...(entry.user !== undefined && { user: entry.user }),
  };
  const via = viaMachine?.instance ?? entry.via;
  if (entry.aws) return { ...base, kind: 'machine', instance: entry.aws.instance };
  if (entry.rds !== undefined) return { ...base, kind: 'database', rds: entry.rds, ...(via !== undefined && { via }) };
  // The schema's forms leave only these two; a host without via and hostPort does not pass it.
  if (entry.host !== undefined)
    return { ...base, kind: 'host', host: entry.host, hostPort: entry.hostPort!, via: via! };
  return { ...base, kind: 'gcp' };
}
