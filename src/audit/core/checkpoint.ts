/*
 * A checkpoint: a signed line that says how far each segment of a journal had come. Checkpoints are numbered, each names the SHA-256 of
 * the one before, and the signature is over the bytes of the line before `,"signature":"` (docs/guides/audit.md has the fields).
 *
 * A checkpoint lists the segments that were not over when the one before was made; those that are over were listed with their last
 * state, and are not again. All checkpoints together therefore list every segment. Left out on purpose: who may sign, and with what.
 */
import { createHash, type KeyObject, verify } from 'node:crypto';
import { GENESIS, readRecord } from './chain.ts';

/**
 * `open`: it may grow. `ended`: its process said so in its last line. `left`: its process ended without a word. `removed`: it was deleted
 * when it was too old to be kept, and this is what it was.
 */
export type SegmentState = 'open' | 'ended' | 'left' | 'removed';

export interface SegmentEntry {
  readonly segment: string;
  readonly lines: number;
  /** Bytes of these lines. */
  readonly bytes: number;
  /** The hash of the last of these lines; of a segment that is not chained, the SHA-256 of its bytes. */
  readonly head: string;
  readonly state: SegmentState;
  /** SHA-256 of the half line that a process left behind at the end. */
  readonly rest?: string;
}

export interface Checkpoint {
  /** From 1. */
  readonly checkpoint: number;
  /** ISO 8601 UTC. */
  readonly time: string;
  /** Whose journal it is. */
  readonly journal: string;
  /** The segment whose process made it. */
  readonly by: string;
  /** SHA-256 of the checkpoint before; `GENESIS` for the first. */
  readonly previous: string;
  /** Of all segments that were ever listed. */
  readonly lines: number;
  readonly segments: readonly SegmentEntry[];
  /** SHA-256 of the half checkpoint in the line before, which a process was writing when it ended. */
  readonly torn?: string;
  /** Which key signed it: see `keyId`. */
  readonly key: string;
}

export interface SignedCheckpoint extends Checkpoint {
  /** SHA-256 of the line. */
  readonly hash: string;
  readonly isSignedBy: (key: KeyObject) => boolean;
}

/** What tells these signatures from others that the same key may make. */
const DOMAIN = 'cloudtun-checkpoint-1\n';
const SIGNATURE = /,"signature":"([A-Za-z0-9+/]+=*)"\}$/;

/** Whether a segment grows no more. */
export function isFinal({ state }: SegmentEntry): boolean {
  return state !== 'open';
}

/** The line of a checkpoint, without its end. @param sign over these bytes: Ed25519, or ECDSA with SHA-256 in DER form */
export async function signCheckpoint(
  checkpoint: Checkpoint,
  sign: (bytes: Buffer) => Buffer | Promise<Buffer>,
): Promise<Buffer> {
  const text = Buffer.from(JSON.stringify(checkpoint).slice(0, -1));
  const signature = await sign(signedBytes(text));
  return Buffer.concat([text, Buffer.from(`,"signature":"${signature.toString('base64')}"}`)]);
}

/** Undefined when the line is no checkpoint. Whether its signature is right is another question. */
export function readCheckpoint(line: Buffer): SignedCheckpoint | undefined {
  const found = SIGNATURE.exec(line.toString('latin1'));
  const record = readRecord(line);
  if (found === null || record === undefined || !isCheckpoint(record)) return undefined;
  const text = line.subarray(0, found.index);
  const signature = Buffer.from(found[1]!, 'base64');
  // Base64 has several spellings of the same bytes, and only one of them was written.
  const isSpelled = signature.toString('base64') === found[1];
  return {
    ...record,
    hash: lineDigest(line),
    isSignedBy: (key) => isSpelled && isSignature(key, signedBytes(text), signature),
  };
}

/** SHA-256 in hexadecimal digits. */
export function lineDigest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A short name for a public key: the first 16 digits of the SHA-256 of its SPKI form. */
export function keyId(key: KeyObject): string {
  return lineDigest(key.export({ type: 'spki', format: 'der' })).slice(0, 16);
}

/** The checkpoint that follows. */
export function nextCheckpoint(
  before: SignedCheckpoint | undefined,
  segments: readonly SegmentEntry[],
  says: Pick<Checkpoint, 'time' | 'journal' | 'by' | 'key' | 'torn'>,
): Checkpoint {
  const known = new Map(before?.segments.map((entry) => [entry.segment, entry.lines]));
  // What is removed was counted when it was listed.
  const counted = segments.filter(({ state }) => state !== 'removed');
  const news = counted.reduce((sum, { segment, lines }) => sum + lines - (known.get(segment) ?? 0), 0);
  return {
    checkpoint: (before?.checkpoint ?? 0) + 1,
    time: says.time,
    journal: says.journal,
    by: says.by,
    previous: before?.hash ?? GENESIS,
    lines: (before?.lines ?? 0) + news,
    segments,
    ...(says.torn !== undefined && { torn: says.torn }),
    key: says.key,
  };
}

function signedBytes(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from(DOMAIN), text]);
}

function isSignature(key: KeyObject, bytes: Buffer, signature: Buffer): boolean {
  try {
    return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key, signature);
  } catch {
    return false;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const STATES: readonly unknown[] = ['open', 'ended', 'left', 'removed'] satisfies SegmentState[];

function isCheckpoint(record: object): record is Checkpoint {
  const { checkpoint, time, journal, by, previous, lines, segments, torn, key } = record as Record<string, unknown>;
  return (
    isCount(checkpoint) &&
    isCount(lines) &&
    [time, journal, by, previous, key].every(isText) &&
    (torn === undefined || isText(torn)) &&
    Array.isArray(segments) &&
    segments.every(isEntry)
  );
}

function isEntry(value: unknown): value is SegmentEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { segment, lines, bytes, head, state, rest } = value as Record<string, unknown>;
  return (
    isText(segment) &&
    isCount(lines) &&
    isCount(bytes) &&
    isText(head) &&
    STATES.includes(state) &&
    (rest === undefined || isText(rest))
  );
}
