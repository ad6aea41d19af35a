/*
 * A whole journal: every segment by itself, the checkpoints by themselves, and each against the others.
 *
 * What is proved: up to the last checkpoint that lists it, a segment is what it was when the checkpoint was signed. What is not: lines
 * behind that (a cut there leaves no trace, so they are "unproven"), and anything against whoever has the key, or who puts back an old
 * copy of the whole directory: for these a copy of the newest checkpoint, kept elsewhere, is held against it (`expected`).
 */
import type { KeyObject } from 'node:crypto';
import { splitLines } from './chain.ts';
import { type CheckedIndex, checkIndex, type PlacedCheckpoint } from './check-index.ts';
import { type CheckedSegment, checkSegment } from './check-segment.ts';
import { isFinal, lineDigest, type SegmentEntry } from './checkpoint.ts';
import { type Finding, isSetBack } from './finding.ts';

export interface JournalFiles {
  readonly segments: readonly { readonly segment: string; readonly file: string; readonly bytes: Buffer }[];
  /** The checkpoints; empty when there are none. */
  readonly index: { readonly file: string; readonly bytes: Buffer };
  /** Whose journal it is, by its own file. */
  readonly id: { readonly file: string; readonly text: string | undefined };
}

/** Lines that no checkpoint covers. */
export interface Unproven {
  readonly file: string;
  readonly fromLine: number;
  /** Whole lines there now; 0 where the segment may have lost some, and may still grow. */
  readonly lines: number;
  /** Half a line stands at the end. */
  readonly isTorn: boolean;
}

export interface JournalCheck {
  readonly findings: readonly Finding[];
  readonly unproven: readonly Unproven[];
  readonly segments: number;
  readonly lines: number;
  readonly checkpoints: number;
  /** The newest one: keep it elsewhere. */
  readonly newest: PlacedCheckpoint | undefined;
}

/** A segment of one file without a chain, by the name that it is listed under. */
const UNCHAINED = 'unchained';

/**
 * @param key absent where nothing was signed yet
 * @param expected the number and the hash of a checkpoint that was seen before, which must still be there
 */
export function checkJournal(
  files: JournalFiles,
  key: KeyObject | undefined,
  expected?: { readonly checkpoint: number; readonly hash: string },
): JournalCheck {
  const index = checkIndex(files.index.file, files.index.bytes, key);
  const chained = files.segments.filter(({ segment }) => segment !== UNCHAINED);
  const segments = new Map(chained.map((each) => [each.segment, checkSegment(each.segment, each.file, each.bytes)]));
  const listed = listedIn(index);
  const findings: Finding[] = [...index.findings];
  for (const checked of segments.values()) {
    const own = [...checked.findings, ...linkFindings(checked, segments, listed, index, files)];
    findings.push(...own, ...coverFindings(checked, listed.get(checked.segment) ?? [], own));
  }
  findings.push(...missingFindings(listed, files), ...unchainedFindings(listed, files));
  findings.push(...identityFindings(index, files), ...expectedFindings(index, files, expected));
  const unproven = [...segments.values()].flatMap((checked) =>
    unprovenOf(checked, listed.get(checked.segment)?.at(-1)),
  );
  if (index.tornAt !== undefined) {
    unproven.push({ file: files.index.file, fromLine: index.tornAt, lines: 0, isTorn: true });
  }
  unproven.push(...unprovenUnchained(listed, files));
  return {
    findings: findings.filter(isFirstOfItsPlace),
    unproven,
    segments: files.segments.length,
    lines: files.segments.reduce((sum, { bytes }) => sum + splitLines(bytes).lines.length, 0),
    checkpoints: index.checkpoints.length,
    newest: index.checkpoints.at(-1),
  };
}

type Listed = ReadonlyMap<string, readonly (SegmentEntry & { readonly by: PlacedCheckpoint })[]>;

function listedIn({ checkpoints }: CheckedIndex): Listed {
  const listed = new Map<string, (SegmentEntry & { readonly by: PlacedCheckpoint })[]>();
  for (const by of checkpoints) {
    for (const entry of by.segments) {
      listed.set(entry.segment, [...(listed.get(entry.segment) ?? []), { ...entry, by }]);
    }
  }
  return listed;
}

/** What the first line of a segment says of the segment before, and of the checkpoints. */
function linkFindings(
  { first, file, isForeign }: CheckedSegment,
  segments: ReadonlyMap<string, CheckedSegment>,
  listed: Listed,
  index: CheckedIndex,
  files: JournalFiles,
): readonly Finding[] {
  const { checkpoints } = index;
  if (first === undefined || isForeign) return [];
  const { previous, previousLines, previousHash, checkpoint, checkpointHash, journal, host, time } = first.record;
  const found: Finding[] = [];
  if (files.id.text !== undefined && journal !== files.id.text.trim()) {
    const message = `the file was replaced: line 1 begins a segment of another journal, of ${host}`;
    found.push({ kind: 'replaced', file, line: 1, message });
  }
  const before = segments.get(String(previous));
  if (before !== undefined && !before.isForeign && typeof previousLines === 'number') {
    const line = before.at(previousLines - 1);
    if (line === undefined) {
      const at = before.lineCount + 1;
      const message = `the end was cut off: line ${at} is missing, and ${file} was begun when there were ${previousLines}`;
      // Lines that are missing in the middle are told of there.
      if (before.lineCount < previousLines && before.findings.length === 0) {
        found.push({ kind: before.rest.length > 0 ? 'truncated' : 'cut', file: before.file, line: at, message });
      }
    } else if (line.hash !== previousHash && before.findings.length === 0) {
      const message = `lines up to ${line.line} were written anew: ${file} was begun after others`;
      found.push({ kind: 'changed', file: before.file, line: line.line, message });
    } else if (isSetBack(line.time, typeof time === 'string' ? time : undefined)) {
      const message = `the clock was set back: line 1 is of ${time}, and ${before.file} was at ${line.time}`;
      found.push({ kind: 'clock', file, line: 1, message });
    }
  } else if (typeof previous === 'string' && before === undefined && !listed.has(previous)) {
    const message = `the segment ${previous} was removed: ${file} was begun after it`;
    found.push({ kind: 'removed', file: `${previous}.jsonl`, line: 1, message });
  }
  // What is wrong with the checkpoints themselves is told of there.
  if (typeof checkpoint === 'number' && index.findings.length === 0) {
    const named = checkpoints.find((each) => each.checkpoint === checkpoint);
    if (named?.hash !== checkpointHash) {
      const message =
        named === undefined
          ? `older checkpoints were put back: ${file} was begun when there was checkpoint ${checkpoint}`
          : `checkpoint ${checkpoint} is another than the one that ${file} was begun after`;
      found.push({ kind: 'replayed', file: files.index.file, line: named?.line ?? checkpoints.length + 1, message });
    }
  }
  return found;
}

/** What checkpoints say of one segment, the oldest first. */
function coverFindings(
  checked: CheckedSegment,
  entries: readonly (SegmentEntry & { readonly by: PlacedCheckpoint })[],
  before: readonly Finding[],
): readonly Finding[] {
  const { file, lineCount, rest } = checked;
  if (checked.isForeign) return [];
  let proved = 0;
  for (const entry of entries) {
    const { by, lines, head } = entry;
    const line = checked.at(lines - 1);
    const isKnown = before.some((finding) => finding.file === file && finding.line <= lines + 1);
    if (line === undefined && lines > 0) {
      if (isKnown && lineCount >= lines) return [];
      const at = lineCount + 1;
      const half = rest.length > 0;
      const what = half ? `line ${at} was cut in the middle` : `the end was cut off: line ${at} is missing`;
      return [
        {
          kind: half ? 'truncated' : 'cut',
          file,
          line: at,
          message: `${what}, and checkpoint ${by.checkpoint} has ${lines} lines`,
        },
      ];
    }
    if (line !== undefined && line.hash !== head) {
      const message = `lines ${proved + 1} to ${lines} are not those of checkpoint ${by.checkpoint}: they were written anew`;
      return isKnown ? [] : [{ kind: 'changed', file, line: proved + 1, message }];
    }
    proved = lines;
    if (!isFinal(entry)) continue;
    const isLonger = lineCount > lines || (rest.length > 0 ? lineDigest(rest) : undefined) !== entry.rest;
    if (!isLonger || isKnown) continue;
    const message =
      lineCount <= lines && rest.length === 0
        ? `the half line ${lines + 1} is missing, which checkpoint ${by.checkpoint} has`
        : `line ${lines + 1} was added: the segment was over, by checkpoint ${by.checkpoint}`;
    return [{ kind: lineCount <= lines && rest.length === 0 ? 'cut' : 'inserted', file, line: lines + 1, message }];
  }
  return [];
}

function missingFindings(listed: Listed, { segments }: JournalFiles): readonly Finding[] {
  const present = new Set(segments.map(({ segment }) => segment));
  return [...listed].flatMap(([segment, entries]): Finding[] => {
    const last = entries.at(-1)!;
    if (present.has(segment) || last.state === 'removed') return [];
    const message = `the segment was removed: checkpoint ${last.by.checkpoint} has ${last.lines} lines of it`;
    return [{ kind: 'removed', file: `${segment}${isFinal(last) ? '' : '.open'}.jsonl`, line: 1, message }];
  });
}

function unchainedFindings(listed: Listed, { segments }: JournalFiles): readonly Finding[] {
  const entry = listed.get(UNCHAINED)?.[0];
  const found = segments.find(({ segment }) => segment === UNCHAINED);
  if (entry === undefined || found === undefined || lineDigest(found.bytes) === entry.head) return [];
  const message = `one of the lines from 1 on was changed: the file is not that of checkpoint ${entry.by.checkpoint}, and it has no chain`;
  return [{ kind: 'changed', file: found.file, line: 1, message }];
}

function identityFindings({ checkpoints }: CheckedIndex, { id, index }: JournalFiles): readonly Finding[] {
  const [first] = checkpoints;
  if (first === undefined) return [];
  const other = checkpoints.find(({ journal }) => journal !== first.journal);
  if (other !== undefined) {
    const message = `checkpoint ${other.checkpoint} is one of another journal`;
    return [{ kind: 'replaced', file: index.file, line: other.line, message }];
  }
  if (id.text === `${first.journal}\n`) return [];
  return [
    { kind: 'changed', file: id.file, line: 1, message: 'the name of the journal is not that of its checkpoints' },
  ];
}

function expectedFindings(
  { checkpoints }: CheckedIndex,
  { index }: JournalFiles,
  expected: { readonly checkpoint: number; readonly hash: string } | undefined,
): readonly Finding[] {
  if (expected === undefined) return [];
  const found = checkpoints.find(({ checkpoint }) => checkpoint === expected.checkpoint);
  if (found?.hash.startsWith(expected.hash)) return [];
  const message =
    found === undefined
      ? `an older journal was put back: there is no checkpoint ${expected.checkpoint}`
      : `checkpoint ${expected.checkpoint} is another than the expected one`;
  return [{ kind: 'replayed', file: index.file, line: found?.line ?? checkpoints.length + 1, message }];
}

function unprovenOf(
  { file, lineCount, rest, isForeign }: CheckedSegment,
  entry: (SegmentEntry & { readonly by: PlacedCheckpoint }) | undefined,
): readonly Unproven[] {
  if (isForeign || (entry !== undefined && isFinal(entry))) return [];
  const covered = entry?.lines ?? 0;
  const lines = Math.max(0, lineCount - covered);
  return [{ file, fromLine: covered + 1, lines, isTorn: rest.length > 0 }];
}

function unprovenUnchained(listed: Listed, { segments }: JournalFiles): readonly Unproven[] {
  const found = segments.find(({ segment }) => segment === UNCHAINED);
  if (found === undefined || listed.has(UNCHAINED)) return [];
  const { lines, rest } = splitLines(found.bytes);
  return [{ file: found.file, fromLine: 1, lines: lines.length, isTorn: rest.length > 0 }];
}

/** The same place may show twice, by itself and against something else. */
function isFirstOfItsPlace(finding: Finding, index: number, all: readonly Finding[]): boolean {
  return all.findIndex(({ file, line }) => file === finding.file && line === finding.line) === index;
}
