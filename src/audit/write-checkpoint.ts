import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { processIdentity } from '../runtime/process-identity.ts';
import { takeLock } from '../runtime/process-lock.ts';
import type { World } from '../runtime/world.ts';
import { splitLines } from './core/chain.ts';
import {
  isFinal,
  lineDigest,
  nextCheckpoint,
  readCheckpoint,
  type SegmentEntry,
  type SignedCheckpoint,
  signCheckpoint,
} from './core/checkpoint.ts';
import { indexTail } from './index-tail.ts';
import { type CheckpointKey, publishKey } from './journal-key.ts';
import { closedName, ID_FILE, INDEX_FILE, listSegments, UNCHAINED } from './journal-place.ts';
import { oldSegments, removeSegments } from './retention.ts';
import { scanSegment } from './scan-segment.ts';
import type { SegmentHead } from './segment-writer.ts';

/** What this process knows of its own segment, without reading the file: so that an edit of it is not signed. */
export interface OwnHead extends SegmentHead {
  readonly hasEnded: boolean;
}

export interface CheckpointOptions {
  /** Of this process, newest last. */
  readonly own: readonly OwnHead[];
  /** How long segments are kept; for ever when absent. */
  readonly keep?: Millis | undefined;
}

/**
 * Signs how far the segments of a journal have come. One process at a time does; the others need not wait for long, since whoever has
 * the lock signs for all.
 *
 * @returns `busy` when another process has the lock, `nothing` when there is nothing new
 * @throws what the file system throws, CT_STATE
 */
export async function writeCheckpoint(
  world: World,
  directory: string,
  key: () => CheckpointKey | Promise<CheckpointKey>,
  { own, keep }: CheckpointOptions,
): Promise<'written' | 'nothing' | 'busy'> {
  const lock = takeLock(join(directory, 'lock'));
  if (lock === undefined) return 'busy';
  using _lock = lock;
  const { last, half } = lastCheckpoint(directory);
  const known = new Map(last?.segments.map((entry) => [entry.segment, entry]));
  const entries = currentEntries(directory, known, own);
  const old = keep === undefined ? [] : oldSegments(directory, world.clock.wall() - keep);
  const news = entries.filter((entry) => !isSame(entry, known.get(entry.segment)));
  if (news.length === 0 && old.length === 0) {
    closeFiles(directory, entries);
    return 'nothing';
  }
  const signer = await key();
  publishKey(world, directory, signer);
  const checkpoint = nextCheckpoint(last, [...entries.filter((entry) => !wasFinal(entry, known)), ...old], {
    time: isoTime(world.clock.wall()),
    journal: readFileSync(join(directory, ID_FILE), 'utf8').trim(),
    by: own.at(-1)?.segment ?? '',
    key: signer.id,
    ...(half !== undefined && { torn: lineDigest(half) }),
  });
  const line = await signCheckpoint(checkpoint, signer.sign);
  appendWhole(
    join(directory, INDEX_FILE),
    Buffer.concat([Buffer.from(half === undefined ? '' : '\n'), line, Buffer.from('\n')]),
  );
  closeFiles(directory, entries);
  removeSegments(directory, old);
  return 'written';
}

/** The last one that can be read; behind it may stand an edit, and half of one that a process was writing when it ended. */
function lastCheckpoint(directory: string): { last: SignedCheckpoint | undefined; half: Buffer | undefined } {
  const tail = indexTail(directory);
  const last = tail && !tail.isTorn ? readCheckpoint(tail.line) : undefined;
  if (last !== undefined) return { last, half: undefined };
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(directory, INDEX_FILE));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { last: undefined, half: undefined };
    throw error;
  }
  const { lines, rest } = splitLines(bytes);
  const readable = lines.toReversed().flatMap((line) => readCheckpoint(line) ?? []);
  return { last: readable[0], half: rest.length > 0 ? rest : undefined };
}

/** Of all segments that were not over at the last checkpoint. */
function currentEntries(
  directory: string,
  known: ReadonlyMap<string, SegmentEntry>,
  own: readonly OwnHead[],
): readonly SegmentEntry[] {
  const here = processIdentity();
  const owned = new Map(own.map((head) => [head.segment, head]));
  const files = listSegments(directory, 'open').filter(
    ({ isOpen, segment }) => isOpen || (segment === UNCHAINED && known.size === 0),
  );
  const present = new Set(files.map(({ segment }) => segment));
  // A segment that is gone stays listed, so that it is missed.
  const gone = [...known.values()].filter((entry) => !isFinal(entry) && !present.has(entry.segment));
  const found = files.flatMap((file) => {
    const head = owned.get(file.segment);
    if (head !== undefined) return [entryOf(head)];
    const before = known.get(file.segment);
    if (before !== undefined && isFinal(before)) return [before];
    return scanSegment(file, before, here) ?? [];
  });
  return [...gone, ...found];
}

function entryOf({ segment, lines, byteCount, hash, hasEnded }: OwnHead): SegmentEntry {
  return { segment, lines, bytes: byteCount, head: hash, state: hasEnded ? 'ended' : 'open' };
}

function isSame(one: SegmentEntry, two: SegmentEntry | undefined): boolean {
  return two !== undefined && one.lines === two.lines && one.head === two.head && one.state === two.state;
}

/** It is over and was listed so; only the name of its file is still that of an open one. */
function wasFinal(entry: SegmentEntry, known: ReadonlyMap<string, SegmentEntry>): boolean {
  return isFinal(entry) && isSame(entry, known.get(entry.segment));
}

/** Segments that are signed as over get the name that says so. */
function closeFiles(directory: string, entries: readonly SegmentEntry[]): void {
  for (const { segment, state } of entries) {
    if (state !== 'ended' && state !== 'left') continue;
    if (segment === UNCHAINED) continue;
    try {
      renameSync(join(directory, `${segment}.open.jsonl`), join(directory, closedName(segment)));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
}

/** All of it or nothing. */
function appendWhole(path: string, bytes: Buffer): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
  const { size } = fstatSync(file);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(file, bytes, written);
  } catch (error) {
    ftruncateSync(file, size);
    throw error;
  } finally {
    closeSync(file);
  }
}
