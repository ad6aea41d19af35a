import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { type ProcessIdentity, processState } from '../runtime/process-identity.ts';
import { type ChainedLine, GENESIS, lineHash, readChained, splitLines } from './core/chain.ts';
import { lineDigest, type SegmentEntry } from './core/checkpoint.ts';
import { type SegmentFile, UNCHAINED } from './journal-place.ts';

/** A first line is a few hundred bytes. */
const FIRST_LINE_LIMIT = 65_536;

/**
 * How far a segment has come, as a checkpoint says it: from where the last checkpoint left it, so that a journal is never read as a
 * whole. Lines that do not follow from each other are not covered: nobody signs an edit.
 *
 * @param before what the last checkpoint says of it
 * @returns `before` (which may be undefined) when there is nothing to add
 */
export function scanSegment(
  { segment, path }: SegmentFile,
  before: SegmentEntry | undefined,
  here: ProcessIdentity,
): SegmentEntry | undefined {
  if (segment === UNCHAINED) return before ?? wholeFile(path);
  const file = openSync(path, 'r');
  try {
    // Asked before the end is read: what a process wrote until it died is all there then.
    const isDead = stateOfOwner(file, here) === 'dead';
    const from = before?.bytes ?? 0;
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    const { lines, rest } = splitLines(bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from)));
    let entry = before ?? { segment, lines: 0, bytes: 0, head: GENESIS, state: 'open' as const };
    let hasEnded = false;
    for (const line of lines) {
      const read = readChained(line);
      if (read === undefined || !follows(read, entry)) return before;
      entry = { ...entry, lines: entry.lines + 1, bytes: entry.bytes + line.length + 1, head: read.hash };
      hasEnded = read.record.event === 'segment-ended';
    }
    if (entry.lines === 0) return undefined;
    if (hasEnded && rest.length === 0) return { ...entry, state: 'ended' };
    if (isDead) return { ...entry, state: 'left', ...(rest.length > 0 && { rest: lineDigest(rest) }) };
    return entry;
  } finally {
    closeSync(file);
  }
}

function follows(line: ChainedLine, { segment, lines, head }: SegmentEntry): boolean {
  return line.segment === segment && line.seq === lines && lineHash(line.text, head) === line.hash;
}

function stateOfOwner(file: number, here: ProcessIdentity) {
  const head = Buffer.alloc(FIRST_LINE_LIMIT);
  const [first] = splitLines(head.subarray(0, readSync(file, head, 0, head.length, 0))).lines;
  const record = first && readChained(first)?.record;
  if (record === undefined) return 'unknown';
  const { pid, host, startTicks, bootId, pidNamespace } = record;
  return processState(
    {
      pid: Number(pid),
      host: String(host),
      ...(typeof startTicks === 'number' && { startTicks }),
      ...(typeof bootId === 'string' && { bootId }),
      ...(typeof pidNamespace === 'string' && { pidNamespace }),
    },
    here,
  );
}

/** The file of an older cloudtun: read once, when the first checkpoint is made. */
function wholeFile(path: string): SegmentEntry {
  const bytes = readFileSync(path);
  const { lines } = splitLines(bytes);
  return { segment: UNCHAINED, lines: lines.length, bytes: bytes.length, head: lineDigest(bytes), state: 'left' };
}
