/*
 * The chain of a segment: each line of it ends with the SHA-256 over the hash of the line before and its own text, so that no line can
 * be changed, dropped, added or moved without every later hash being another (docs/adr/0029-journal-that-shows-edits.md).
 *
 *   {"time":"…","event":"open",…,"segment":"S","seq":7,"hash":"<64 hexadecimal digits>"}\n
 *   `---------------- the text -------------------´
 *
 * The canonical text is the bytes of the line before `,"hash":"`, as they stand in the file: nothing is parsed and written again, so
 * two readers cannot differ about a space or an escape. Left out on purpose: signatures, which are those of checkpoints.
 */
import { createHash } from 'node:crypto';

/** What stands for the hash of a line before the first one. */
export const GENESIS = 'cloudtun-journal-1';

/** `,"hash":"` + 64 digits + `"}` */
const SUFFIX_LENGTH = 9 + 64 + 2;
const SUFFIX = /^,"hash":"([0-9a-f]{64})"\}$/;

/** A value that a line may hold. */
export type LineValue = string | number | boolean | undefined;

export interface SealedLine {
  /** The line with its end. */
  readonly bytes: Buffer;
  readonly hash: string;
}

/** What is read of a line that has the form of one; whether its hash is right depends on the line before. */
export interface ChainedLine {
  readonly text: Buffer;
  readonly hash: string;
  readonly segment: string;
  /** From 0. */
  readonly seq: number;
  readonly record: Readonly<Record<string, unknown>>;
}

/**
 * A line of a chain.
 *
 * @param fields `segment` and `seq` among them, no `hash`; at least one
 * @param previous the hash of the line before, or `GENESIS`
 */
export function sealLine(fields: Readonly<Record<string, LineValue>>, previous: string): SealedLine {
  const text = Buffer.from(JSON.stringify(fields).slice(0, -1));
  const hash = lineHash(text, previous);
  return { bytes: Buffer.concat([text, Buffer.from(`,"hash":"${hash}"}\n`)]), hash };
}

/** @param text the canonical text of a line */
export function lineHash(text: Buffer, previous: string): string {
  return createHash('sha256').update(`${previous}\n`).update(text).digest('hex');
}

/** Undefined when the bytes (without the end of the line) are no line of a chain: torn, edited, or of an older cloudtun. */
export function readChained(line: Buffer): ChainedLine | undefined {
  const end = line.length - SUFFIX_LENGTH;
  if (end <= 0) return undefined;
  const hash = SUFFIX.exec(line.toString('latin1', end))?.[1];
  const record = readRecord(line);
  if (hash === undefined || record === undefined) return undefined;
  const { segment, seq } = record;
  if (typeof segment !== 'string' || !Number.isSafeInteger(seq) || Number(seq) < 0) return undefined;
  return { text: line.subarray(0, end), hash, segment, seq: Number(seq), record };
}

/** Any line of the journal as an object; undefined when it is none. */
export function readRecord(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The lines of a file without their ends, and what stands after the last end: the beginning of a line that is not whole. */
export function splitLines(bytes: Buffer): { readonly lines: readonly Buffer[]; readonly rest: Buffer } {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return { lines, rest: bytes.subarray(start) };
}
