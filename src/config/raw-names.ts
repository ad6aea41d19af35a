import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';

/** A name of a catalogue, as far as completion tells them apart. */
export interface RawName {
  readonly name: string;
  readonly kind: 'rds' | 'sql' | 'host' | 'machine' | 'group';
}

/** The names of the file that was completed from last: parsing a large one takes longer than a key may. */
interface ParsedNames {
  readonly path: string;
  /** Modification time and size, as one text. */
  readonly print: string;
  readonly names: readonly RawName[];
}

const CACHE = 'catalogue-names';

/**
 * The names in a catalogue file, read without judging it: somebody is in the middle of typing. None of what cannot be read.
 *
 * @param which tells the files of one machine apart in the cache: `project`, `user`
 */
export async function rawNames(
  path: string,
  which: string,
  { paths }: Pick<World, 'paths'>,
): Promise<readonly RawName[]> {
  try {
    const { mtimeMs, size } = await stat(path);
    const print = `${mtimeMs} ${size}`;
    const cache = join(paths.cache, `${CACHE}-${which}.json`);
    const known = await knownNames(cache);
    if (known?.path === path && known.print === print) return known.names;
    const names = await parsedNames(path);
    keep(cache, { path, print, names });
    return names;
  } catch {
    return [];
  }
}

async function parsedNames(path: string): Promise<readonly RawName[]> {
  const { parse } = await import('yaml');
  const file: unknown = parse(await readFile(path, 'utf8'), { maxAliasCount: 100, merge: true });
  const { targets, groups } = asRecord(file);
  return [
    ...Object.entries(asRecord(targets)).map(([name, entry]) => ({ name, kind: kindOf(asRecord(entry)) })),
    ...Object.keys(asRecord(groups)).map((name) => ({ name, kind: 'group' as const })),
  ];
}

async function knownNames(cache: string): Promise<ParsedNames | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(cache, 'utf8'));
    const { path, print, names } = asRecord(found) as Partial<ParsedNames>;
    const isWhole = typeof path === 'string' && typeof print === 'string' && Array.isArray(names);
    return isWhole && names.every((each) => typeof each?.name === 'string') ? { path, print, names } : undefined;
  } catch {
    return undefined;
  }
}

function keep(cache: string, names: ParsedNames): void {
  try {
    writePrivateFile(cache, `${JSON.stringify(names)}\n`);
  } catch {
    // The next key parses the file again.
  }
}

function kindOf(entry: Readonly<Record<string, unknown>>): RawName['kind'] {
  if ('rds' in entry) return 'rds';
  if ('sql' in entry) return 'sql';
  return 'host' in entry ? 'host' : 'machine';
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
