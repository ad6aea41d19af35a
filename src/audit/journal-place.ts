import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { World } from '../runtime/world.ts';

/*
 * Where a journal is, and what its files are called.
 *
 *   <state>/journal/                      mode 0700
 *     id                                  whose journal it is: a random name, in every segment and checkpoint
 *     20261122T090000000Z-host-4711-9f2c01ab.open.jsonl     a segment that may still grow
 *     20261122T080000000Z-host-4702-00aa17de.jsonl          one that is over, and signed as such
 *     unchained.jsonl                     the one file of an older cloudtun, if there was one
 *     checkpoints.jsonl, audit.pub        signed: what the segments held, and whose signature it is
 *   <state>/audit.key                     mode 0600: signs checkpoints
 */

/** A directory with segments and checkpoints, or one file (or pipe) that somebody else looks after: chained, not signed, not rotated. */
export interface JournalPlace {
  readonly kind: 'directory' | 'file';
  readonly path: string;
}

export const INDEX_FILE = 'checkpoints.jsonl';
export const PUBLIC_KEY_FILE = 'audit.pub';
export const ID_FILE = 'id';
/** The segment that an older cloudtun's journal is read as. */
export const UNCHAINED = 'unchained';

const SEGMENT_FILE = /^(\d{8}T\d{9}Z-[A-Za-z0-9._-]+?|unchained)(\.open)?\.jsonl$/;

/** A segment of a journal on disk. */
export interface SegmentFile {
  /** The segment's name; stays when the file is renamed because it is over. */
  readonly segment: string;
  readonly name: string;
  readonly path: string;
  /** It may still grow, or nobody has signed yet that it is over. */
  readonly isOpen: boolean;
}

/**
 * Where the journal is: `CLOUDTUN_JOURNAL`, else what the catalogue says, else `journal` in the state directory. A path that ends in a
 * slash, or leads to a directory, is one of segments.
 *
 * @param configured `audit.journal` of the catalogue
 */
export function journalPlace(world: World, configured?: string): JournalPlace {
  const said = world.env.CLOUDTUN_JOURNAL;
  const named = said === undefined || said === '' ? configured : said;
  if (named === undefined || named === '' || named === 'default') {
    return { kind: 'directory', path: join(world.paths.state, 'journal') };
  }
  const path = resolve(world.cwd, named);
  return { kind: named.endsWith('/') || isDirectory(path) ? 'directory' : 'file', path };
}

/** Where the key of a journal's checkpoints is: not in the directory of the journal, which may be copied and shown. */
export function keyPath(world: World): string {
  return join(world.paths.state, 'audit.key');
}

/**
 * The segments of a directory, the oldest first; none when it is not there yet.
 *
 * @param which only these: thousands may be over, and a few are open
 * @throws what the file system throws otherwise
 */
export function listSegments(directory: string, which: 'all' | 'open' = 'all'): readonly SegmentFile[] {
  const found: SegmentFile[] = [];
  for (const name of namesIn(directory)) {
    if (which === 'open' && !name.endsWith('.open.jsonl') && !name.startsWith(UNCHAINED)) continue;
    const [, segment, open] = SEGMENT_FILE.exec(name) ?? [];
    if (segment === undefined) continue;
    found.push({ segment, name, path: join(directory, name), isOpen: open !== undefined });
  }
  return found.sort(byAge);
}

/**
 * The newest segments, the newest first, by a look at the names alone: on the way to a tunnel, where sorting thousands would show.
 *
 * @param count how many at most
 */
export function newestSegments(directory: string, count: number): readonly string[] {
  const names = namesIn(directory).filter((name) => name.endsWith('.jsonl') && name.charCodeAt(8) === 0x54);
  const newest: string[] = [];
  while (newest.length < count) {
    const last = newest.at(-1);
    let next: string | undefined;
    for (const name of names)
      if ((last === undefined || name < last) && (next === undefined || name > next)) next = name;
    if (next === undefined) break;
    newest.push(next);
  }
  return newest.map((name) => join(directory, name));
}

/** Names begin with the time of their making; the unchained one is older than all. */
function byAge(one: SegmentFile, two: SegmentFile): number {
  const rank = ({ segment }: SegmentFile) => (segment === UNCHAINED ? '' : segment);
  return rank(one) < rank(two) ? -1 : rank(one) > rank(two) ? 1 : 0;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** The file of a segment that begins. */
export function openName(segment: string): string {
  return `${segment}.open.jsonl`;
}

/** The file of a segment that is over. */
export function closedName(segment: string): string {
  return `${segment}.jsonl`;
}
