/*
 * One segment by itself: do its lines follow from each other? What a checkpoint says of it is not asked here.
 *
 * After something was found the walk goes on as if the line's own word were true (its number, its hash), so that one edit is one
 * finding, at the line where it was made. Where two explanations fit the same bytes, such as a line that was changed and the line before
 * it with a hash worked out anew, the message names both lines.
 */
import { type ChainedLine, GENESIS, lineHash, readChained, splitLines } from './chain.ts';
import { type Finding, type FindingKind, isSetBack } from './finding.ts';

export interface CheckedSegment {
  readonly segment: string;
  readonly file: string;
  /** Whole ones. */
  readonly lineCount: number;
  /** What stands behind the last whole line. */
  readonly rest: Buffer;
  readonly findings: readonly Finding[];
  /** The first line, where it is one of this segment. */
  readonly first: ChainedLine | undefined;
  /** It holds lines of another segment from the start: nothing more can be said of it. */
  readonly isForeign: boolean;
  /** By its number, from 0; the first of that number where there are two. */
  at(seq: number): { readonly hash: string; readonly time: string | undefined; readonly line: number } | undefined;
}

interface Numbered {
  /** From 1. */
  readonly line: number;
  readonly read: ChainedLine | undefined;
}

/**
 * @param segment its name, by its file or by what is to be looked for in a file of several
 * @param lines of the file, with their numbers there
 */
export function checkLines(
  segment: string,
  file: string,
  lines: readonly { readonly line: number; readonly bytes: Buffer }[],
  rest: Buffer,
): CheckedSegment {
  const walk = new SegmentWalk(
    segment,
    file,
    lines.map(({ line, bytes }) => ({ line, read: readChained(bytes) })),
  );
  walk.run();
  return {
    segment,
    file,
    lineCount: lines.length,
    rest,
    findings: walk.findings,
    first: walk.genuine.get(0)?.read,
    isForeign: lines.length > 0 && walk.genuine.size === 0 && walk.findings[0]?.kind === 'replaced',
    at: (seq) => {
      const found = walk.genuine.get(seq);
      return found && { hash: found.read.hash, time: timeOf(found.read), line: found.line };
    },
  };
}

/** A segment that has a file to itself. */
export function checkSegment(segment: string, file: string, bytes: Buffer): CheckedSegment {
  const { lines, rest } = splitLines(bytes);
  return checkLines(
    segment,
    file,
    lines.map((line, index) => ({ line: index + 1, bytes: line })),
    rest,
  );
}

class SegmentWalk {
  readonly findings: Finding[] = [];
  /** The lines of this segment by their number. */
  readonly genuine = new Map<number, { readonly line: number; readonly read: ChainedLine }>();
  readonly #segment: string;
  readonly #file: string;
  readonly #lines: readonly Numbered[];
  /** Every line of this segment that claims a number. */
  readonly #claims = new Map<number, { readonly line: number; readonly read: ChainedLine }[]>();
  #expected = 0;
  /** Undefined: the line before is not there to follow from. */
  #before: string | undefined = GENESIS;
  #time: string | undefined;
  #endedAt: number | undefined;

  constructor(segment: string, file: string, lines: readonly Numbered[]) {
    this.#segment = segment;
    this.#file = file;
    this.#lines = lines;
    for (const { line, read } of lines) {
      if (read?.segment !== segment) continue;
      this.#claims.set(read.seq, [...(this.#claims.get(read.seq) ?? []), { line, read }]);
    }
  }

  run(): void {
    for (const [index, { line, read }] of this.#lines.entries()) {
      if (read === undefined) this.#unreadable(line, index);
      else if (read.segment !== this.#segment) this.#foreign(line, read);
      else if (read.seq < this.#expected) this.#seenBefore(line, read);
      else this.#follows(line, read);
    }
  }

  #follows(line: number, read: ChainedLine): void {
    if (this.#endedAt !== undefined) {
      this.#find('inserted', line, `line ${line} stands behind the end of the segment, line ${this.#endedAt}`);
    }
    if (read.seq > this.#expected) this.#gap(line, read);
    else if (this.#before !== undefined && lineHash(read.text, this.#before) !== read.hash) {
      if (this.#hasBetter(read)) {
        this.#find('inserted', line, `line ${line} was inserted: the segment goes on without it`);
        return;
      }
      this.#find('changed', line, changedMessage(line));
    }
    if (isSetBack(this.#time, timeOf(read))) {
      this.#find('clock', line, `the clock was set back: line ${line} is of ${timeOf(read)}, after ${this.#time}`);
    }
    this.genuine.set(read.seq, { line, read });
    this.#time = timeOf(read) ?? this.#time;
    this.#before = read.hash;
    this.#expected = read.seq + 1;
    if (read.record.event === 'segment-ended') this.#endedAt = line;
  }

  /** Lines are missing here, or stand elsewhere. */
  #gap(line: number, read: ChainedLine): void {
    const elsewhere = this.#claims.get(this.#expected)?.find((claim) => claim.line > line);
    if (elsewhere !== undefined) {
      this.#find('swapped', line, `lines ${line} and ${elsewhere.line} do not stand where they were written`);
      this.#claims.set(this.#expected, []);
    } else {
      const count = read.seq - this.#expected;
      const what = count === 1 ? 'a line is' : `${count} lines are`;
      this.#find('dropped', line, `${what} missing before line ${line} (number ${this.#expected} on)`);
    }
  }

  /** A number that the walk has passed. */
  #seenBefore(line: number, read: ChainedLine): void {
    const claims = this.#claims.get(read.seq) ?? [];
    // Told already, with the line that it changed places with.
    if (claims.length === 0) return;
    const earlier = this.genuine.get(read.seq);
    if (earlier === undefined) {
      this.genuine.set(read.seq, { line, read });
      return;
    }
    if (earlier.read.hash === read.hash && earlier.read.text.equals(read.text)) {
      this.#find('duplicated', line, `line ${line} is line ${earlier.line} again`);
      return;
    }
    const isThisGenuine = this.#leadsOn(read) && !this.#leadsOn(earlier.read);
    const wrong = isThisGenuine ? earlier.line : line;
    this.#find(
      'inserted',
      wrong,
      `line ${wrong} was inserted: line ${isThisGenuine ? line : earlier.line} has the same number`,
    );
    if (!isThisGenuine) return;
    this.genuine.set(read.seq, { line, read });
    if (read.seq === this.#expected - 1) this.#before = read.hash;
  }

  #unreadable(line: number, index: number): void {
    const next = this.#lines.slice(index + 1).find(({ read }) => read?.segment === this.#segment)?.read;
    if (next !== undefined && next.seq === this.#expected) {
      this.#find('inserted', line, `line ${line} was inserted: it is no line of a journal`);
      return;
    }
    this.#find('changed', line, `line ${line} was changed: it is no line of a journal any more`);
    this.#expected += 1;
    this.#before = undefined;
  }

  #foreign(line: number, { segment, record }: ChainedLine): void {
    if (this.findings.some(({ kind }) => kind === 'merged' || kind === 'replaced')) return;
    const host = typeof record.host === 'string' ? ` of ${record.host}` : '';
    if (this.#expected === 0) {
      this.#find(
        'replaced',
        line,
        `the file was replaced: from line ${line} on it holds the segment ${segment}${host}`,
      );
    } else
      this.#find('merged', line, `two segments were merged: line ${line} belongs to the segment ${segment}${host}`);
  }

  /** Whether another line of the same number follows from the line before. */
  #hasBetter({ seq, hash }: ChainedLine): boolean {
    const before = this.#before;
    if (before === undefined) return false;
    const others = this.#claims.get(seq)?.filter(({ read }) => read.hash !== hash) ?? [];
    return others.some(({ read }) => lineHash(read.text, before) === read.hash);
  }

  #leadsOn({ seq, hash }: ChainedLine): boolean {
    return this.#claims.get(seq + 1)?.some(({ read }) => lineHash(read.text, hash) === read.hash) ?? false;
  }

  #find(kind: FindingKind, line: number, message: string): void {
    this.findings.push({ kind, file: this.#file, line, message });
  }
}

function changedMessage(line: number): string {
  if (line === 1) return 'line 1 was changed: its hash is not that of its text';
  return `line ${line} was changed, or line ${line - 1} with a hash of its own: it does not follow`;
}

function timeOf({ record }: ChainedLine): string | undefined {
  return typeof record.time === 'string' ? record.time : undefined;
}
