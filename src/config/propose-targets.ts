import {
  type CloudTarget,
  type DatabaseTarget,
  type MachineTarget,
  PLACE_KEYS,
  type ProviderId,
} from '../domain/target.ts';
import { DATABASE_FORMS } from './catalogue.ts';

/*
 * From what clouds have to entries of a catalogue: the databases that can be reached, and the machines that reach them, by names that a
 * person would give. Pure.
 */

/** What was found in one cloud. */
export interface FoundPlace {
  readonly cloud: ProviderId;
  readonly region?: string;
  readonly project?: string;
  readonly profile?: string;
  readonly databases: readonly {
    readonly target: DatabaseTarget;
    /** The machine that its way leads through; undefined when it is reached without one, or not at all. */
    readonly via?: CloudTarget;
    /** Why it is left out. */
    readonly problem?: string;
  }[];
  /** Reachable ones. */
  readonly machines: readonly CloudTarget[];
}

/** An entry for cloudtun.yaml. */
export interface ProposedTarget {
  readonly name: string;
  readonly entry: Readonly<Record<string, unknown>>;
  /** Written behind it: `PostgreSQL 15`. */
  readonly comment?: string;
}

/** Without a database that says which machines matter, so many of them are proposed. */
const MACHINE_LIMIT = 20;

/** @param taken names that the catalogue has already */
export function proposeTargets(places: readonly FoundPlace[], taken: ReadonlySet<string>): readonly ProposedTarget[] {
  const names = new Set(taken);
  const proposed: ProposedTarget[] = [];
  for (const place of places) {
    const machineNames = new Map<string, string>();
    const machine = (target: CloudTarget): string => {
      const known = machineNames.get(target.id);
      if (known !== undefined) return known;
      const name = freeName(target.name ?? target.id, place.cloud, names);
      machineNames.set(target.id, name);
      proposed.push({ name, entry: { [place.cloud]: machineEntry(target, place) } });
      return name;
    };
    const found = place.databases.filter(({ problem }) => problem === undefined);
    for (const { target, via } of found) {
      // A machine that the way leads through stands before what leads through it.
      const through = via?.kind === 'machine' ? machine(via) : via?.id;
      const name = freeName(target.name ?? target.id, place.cloud, names);
      const entry = { ...databaseEntry(target, place), ...(through !== undefined && { via: through }) };
      proposed.push({ name, entry, comment: target.engineLabel });
    }
    if (found.length === 0) for (const target of place.machines.slice(0, MACHINE_LIMIT)) machine(target);
  }
  return proposed;
}

function machineEntry(target: CloudTarget, place: FoundPlace): Readonly<Record<string, string>> {
  const { project = place.project, zone } = target as MachineTarget;
  const { region, profile } = place;
  return { instance: target.name ?? target.id, ...placeKeys(place.cloud, { region, profile, project, zone }) };
}

function databaseEntry(target: DatabaseTarget, place: FoundPlace): Readonly<Record<string, string>> {
  const form = Object.entries(DATABASE_FORMS).find(([, cloud]) => cloud === place.cloud)?.[0] ?? place.cloud;
  // One that is named whole says its project and region itself.
  const isWhole = target.id.split(':').length > 2;
  return { [form]: target.id, ...(isWhole ? {} : placeKeys(place.cloud, { ...place })) };
}

function placeKeys(cloud: ProviderId, values: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const said = PLACE_KEYS[cloud].map((key) => [key, values[key]] as const);
  return Object.fromEntries(said.filter((pair): pair is [(typeof pair)[0], string] => typeof pair[1] === 'string'));
}

/** A readable name that nothing has yet: the last part of a long one, then with its cloud, then counted. */
function freeName(text: string, cloud: ProviderId, names: Set<string>): string {
  const last = text.slice(Math.max(text.lastIndexOf('/'), text.lastIndexOf(':')) + 1);
  const slug =
    last
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
      .replace(/^-+|-+$/g, '') || cloud;
  let name = slug;
  for (let count = 1; names.has(name); count += 1)
    name = count === 1 ? `${slug}-${cloud}` : `${slug}-${cloud}-${count}`;
  names.add(name);
  return name;
}
