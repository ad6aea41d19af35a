/*
 * The checkpoints by themselves: are they signed, and does each follow from the one before? What they say of segments is held against
 * these by check-journal.
 */
import type { KeyObject } from 'node:crypto';
import { GENESIS, splitLines } from './chain.ts';
import { keyId, lineDigest, readCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { type Finding, type FindingKind, isSetBack } from './finding.ts';

export interface PlacedCheckpoint extends SignedCheckpoint {
  /** From 1, in the file of checkpoints. */
  readonly line: number;
}

export interface CheckedIndex {
  /** Those that may be believed, in order. */
  readonly checkpoints: readonly PlacedCheckpoint[];
  readonly findings: readonly Finding[];
  /** Half a checkpoint stands at the end: a process ended while it wrote it, or it was cut. Its line. */
  readonly tornAt: number | undefined;
}

export function checkIndex(file: string, bytes: Buffer, key: KeyObject | undefined): CheckedIndex {
  const { lines, rest } = splitLines(bytes);
  const id = key && keyId(key);
  const findings: Finding[] = [];
  const checkpoints: PlacedCheckpoint[] = [];
  const find = (kind: FindingKind, line: number, message: string) => findings.push({ kind, file, line, message });
  let last: { number: number; hash: string | undefined; time: string | undefined } = {
    number: 0,
    hash: GENESIS,
    time: undefined,
  };
  let unreadable: { readonly line: number; readonly bytes: Buffer }[] = [];
  for (const [index, bytesOfLine] of lines.entries()) {
    const line = index + 1;
    const checkpoint = readCheckpoint(bytesOfLine);
    if (checkpoint === undefined) {
      unreadable.push({ line, bytes: bytesOfLine });
      continue;
    }
    const { checkpoint: number } = checkpoint;
    // Half of one that a process was writing when it ended: the next one says so.
    const edited = unreadable.filter(({ bytes: half }) => lineDigest(half) !== checkpoint.torn);
    for (const { line: at } of edited) find('changed', at, unreadableMessage(at));
    const hasHole = edited.length > 0;
    unreadable = [];
    if (key === undefined || !checkpoint.isSignedBy(key)) {
      const why =
        checkpoint.key === id
          ? 'its signature is not that of its text'
          : `it is signed by the key ${checkpoint.key}, not ${id}`;
      find('changed', line, `checkpoint ${number} was changed: ${why}`);
      last = { number: Math.max(number, last.number), hash: undefined, time: last.time };
      continue;
    }
    if (number <= last.number) {
      find('replayed', line, `checkpoint ${number} was replayed: it stands behind checkpoint ${last.number}`);
      continue;
    }
    if (number > last.number + 1 && !hasHole) {
      find('dropped', line, `${number - last.number - 1} checkpoints are missing before checkpoint ${number}`);
    } else if (last.hash !== undefined && !hasHole && checkpoint.previous !== last.hash) {
      find('changed', line, `checkpoint ${number} does not follow from the one before`);
    }
    if (isSetBack(last.time, checkpoint.time)) {
      find('clock', line, `the clock was set back: checkpoint ${number} is of ${checkpoint.time}, after ${last.time}`);
    }
    checkpoints.push({ ...checkpoint, line });
    last = { number, hash: checkpoint.hash, time: checkpoint.time };
  }
  for (const { line } of unreadable) find('changed', line, unreadableMessage(line));
  return { checkpoints, findings, tornAt: rest.length > 0 ? lines.length + 1 : undefined };
}

function unreadableMessage(line: number): string {
  return `line ${line} was changed, or inserted: it is no checkpoint`;
}
