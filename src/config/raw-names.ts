import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

/** A name of a catalogue, as far as completion tells them apart. */
export interface RawName {
  readonly name: string;
  readonly kind: 'rds' | 'sql' | 'host' | 'machine' | 'group';
}

/** The names in a catalogue file, read without judging it: somebody is in the middle of typing. None of what cannot be read. */
export async function rawNames(path: string): Promise<readonly RawName[]> {
  try {
    const file: unknown = parse(await readFile(path, 'utf8'), { maxAliasCount: 100, merge: true });
    const { targets, groups } = asRecord(file);
    return [
      ...Object.entries(asRecord(targets)).map(([name, entry]) => ({ name, kind: kindOf(asRecord(entry)) })),
      ...Object.keys(asRecord(groups)).map((name) => ({ name, kind: 'group' as const })),
    ];
  } catch {
    return [];
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
