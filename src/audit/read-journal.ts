import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { parseIsoTime } from '../runtime/iso-time.ts';
import { readRecord, splitLines } from './core/chain.ts';
import { listSegments } from './journal-place.ts';

/** One line of the journal, from whichever file. */
export interface JournalLine {
  /** The segment: the name of its file without endings, which stays when the file is renamed. */
  readonly segment: string;
  /** The file as it is called now. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Wall clock; of the line before where a line has none. */
  readonly time: Millis;
  /** `event`, its fields, and `segment`, `seq` and `hash` where the line is chained: segment and seq together name it for ever. */
  readonly event: Readonly<Record<string, unknown>>;
}

/** How far each segment was read. Plain JSON: it may be kept in a file. */
export type JournalPosition = Readonly<Record<string, { readonly lines: number; readonly byteCount: number }>>;

export interface JournalReading {
  /** In order of time; lines of one segment stay in their order. What is no line of a journal (torn) is left out. */
  readonly lines: readonly JournalLine[];
  /** For the next reading. Half a line at an end is not passed over: it may be whole by then. */
  readonly position: JournalPosition;
}

/**
 * Reads what a journal has beyond a position, its own lines about segments included (`segment-began`, `segment-ended`).
 *
 * @param path a directory of segments or one file; one that is not there has no lines
 * @param options.touchedSince wall clock: files that were not written since are passed over
 * @throws what the file system throws
 */
export function readJournal(
  path: string,
  from: JournalPosition = {},
  options: { readonly touchedSince?: Millis | undefined } = {},
): JournalReading {
  const { touchedSince = Number.NEGATIVE_INFINITY } = options;
  const lines: { readonly order: number; readonly read: JournalLine }[] = [];
  const position: Record<string, { lines: number; byteCount: number }> = {};
  for (const { segment, file, path: place, size, modified } of filesOf(path)) {
    const before = from[segment] ?? { lines: 0, byteCount: 0 };
    position[segment] = before;
    if (modified < touchedSince || size <= before.byteCount) continue;
    const read = readFrom(place, before.byteCount);
    if (read === undefined) continue;
    const { lines: found, rest } = splitLines(read);
    position[segment] = {
      lines: before.lines + found.length,
      byteCount: before.byteCount + read.length - rest.length,
    };
    let [time, order] = [0, 0];
    for (const [index, bytes] of found.entries()) {
      const event = readRecord(bytes);
      if (event === undefined) continue;
      time = parseIsoTime(String(event.time)) ?? time;
      // A clock that was set back must not take lines of one segment out of their order.
      order = Math.max(order, time);
      lines.push({ order, read: { segment, file, line: before.lines + index + 1, time, event } });
    }
  }
  // Stable: what has the same time keeps the order of its file.
  lines.sort((one, two) => one.order - two.order);
  return { lines: lines.map(({ read }) => read), position };
}

interface FoundFile {
  readonly segment: string;
  readonly file: string;
  readonly path: string;
  readonly size: number;
  readonly modified: Millis;
}

function filesOf(path: string): readonly FoundFile[] {
  const found = (segment: string, file: string, place: string): FoundFile[] => {
    const status = statSync(place, { throwIfNoEntry: false });
    return status === undefined ? [] : [{ segment, file, path: place, size: status.size, modified: status.mtimeMs }];
  };
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return [];
  if (!status.isDirectory()) return status.isFile() ? found(basename(path), basename(path), path) : [];
  return listSegments(path).flatMap(({ segment, name, path: place }) => found(segment, name, place));
}

/** Undefined when it is gone: a segment that was renamed because it is over is found at the next reading. */
function readFrom(path: string, offset: number): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - offset));
    let count = 0;
    while (count < bytes.length) {
      const more = readSync(file, bytes, count, bytes.length - count, offset + count);
      if (more === 0) break;
      count += more;
    }
    return bytes.subarray(0, count);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
