import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CloudTarget } from '../domain/target.ts';
import { writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { DATABASE_FORMS, type DatabaseForm } from './catalogue.ts';
import type { RawName } from './raw-names.ts';

/*
 * What clouds had when they were asked last, by place, for completion alone: names, nothing else. Nobody is asked for the sake of it, and
 * nothing is opened by it.
 */

interface NameCache {
  readonly version: 1;
  /** By the label of the place, the one that was asked last at the end. */
  readonly places: Readonly<Record<string, readonly RawName[]>>;
}

const PLACE_LIMIT = 32;
const NAME_LIMIT = 2_000;

const pathOf = ({ paths }: Pick<World, 'paths'>) => join(paths.cache, 'names.json');

/** Remembers what a place has; what cannot be written is not remembered. */
export function rememberNames(world: Pick<World, 'paths' | 'log'>, place: string, names: readonly RawName[]): void {
  const { [place]: _, ...others } = read(world).places;
  const kept = Object.entries(others).slice(-(PLACE_LIMIT - 1));
  const places = Object.fromEntries([...kept, [place, names.slice(0, NAME_LIMIT)]]);
  try {
    writePrivateFile(pathOf(world), `${JSON.stringify({ version: 1, places } satisfies NameCache)}\n`);
  } catch (error) {
    world.log.debug(`names are not remembered: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Of every place. */
export function rememberedNames(world: Pick<World, 'paths'>): readonly RawName[] {
  return Object.values(read(world).places).flat();
}

/** Targets of a cloud as names of a catalogue are: a database by the command that opens it. */
export function rememberedAs(targets: readonly CloudTarget[]): readonly RawName[] {
  return targets.flatMap((target): readonly RawName[] => {
    const name = target.name ?? target.id;
    if (target.kind !== 'database') return [{ name, kind: target.kind === 'machine' ? 'machine' : 'host' }];
    const form = DATABASE_FORM_NAMES.find((each) => DATABASE_FORMS[each] === target.provider);
    return form === undefined ? [] : [{ name, kind: form }];
  });
}

const DATABASE_FORM_NAMES = Object.keys(DATABASE_FORMS) as DatabaseForm[];

function read(world: Pick<World, 'paths'>): NameCache {
  const nothing: NameCache = { version: 1, places: {} };
  try {
    const found: unknown = JSON.parse(readFileSync(pathOf(world), 'utf8'));
    return isCache(found) ? found : nothing;
  } catch {
    return nothing;
  }
}

function isCache(value: unknown): value is NameCache {
  if (typeof value !== 'object' || value === null) return false;
  const { version, places } = value as Partial<NameCache>;
  if (version !== 1 || typeof places !== 'object') return false;
  return Object.values(places).every(
    (names) => Array.isArray(names) && names.every((each) => typeof each?.name === 'string'),
  );
}
