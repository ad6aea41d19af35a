import type { KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import { readChained, splitLines } from './core/chain.ts';
import { checkJournal, type JournalCheck, type JournalFiles } from './core/check-journal.ts';
import { checkLines } from './core/check-segment.ts';
import { keyId } from './core/checkpoint.ts';
import type { Finding } from './core/finding.ts';
import { ownPublicKey, publicKeyOf, publicText, readPublicKey } from './journal-key.ts';
import { ID_FILE, INDEX_FILE, journalPlace, listSegments, PUBLIC_KEY_FILE } from './journal-place.ts';

export interface VerifyWish {
  /** A directory of segments or one file. */
  readonly path: string;
  /** A file with the public key, which is trusted more than what lies in the directory. */
  readonly keyFile?: string | undefined;
  /** SPKI in DER form, as the cloud's key service has it now. */
  readonly cloudKey?: Uint8Array | undefined;
  /** A checkpoint that was seen before. */
  readonly expected?: { readonly checkpoint: number; readonly hash: string } | undefined;
}

export interface VerifiedJournal extends JournalCheck {
  readonly path: string;
  /**
   * The key that the signatures were held against, and where it is from: `named` by the caller, a `cloud`'s key service, this machine's
   * `own`, or from `beside` the journal, where whoever edits it could have put another. Undefined where nothing is signed.
   */
  readonly key: { readonly id: string; readonly from: ChosenKey['from'] } | undefined;
}

/**
 * Reads a whole journal and says what is wrong with it. Changes nothing.
 *
 * @throws CT_STATE when there is no journal, or no key to check signatures with
 */
export function verifyJournal(world: World, wish: VerifyWish): VerifiedJournal {
  const { path, expected } = wish;
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) {
    throw new CloudtunError('CT_STATE', `there is no journal at ${path}`, {
      hint: 'it is made with the first tunnel; another place: cloudtun audit verify DIRECTORY',
    });
  }
  if (!status.isDirectory()) return { ...checkOneFile(path), path, key: undefined };
  const files = readFiles(path);
  const key = chooseKey(world, wish, files.index.bytes.length > 0);
  const look = (read: JournalFiles): JournalCheck => {
    const check = checkJournal(read, key?.key, expected);
    return key === undefined ? check : withPublicKey(check, path, key.key);
  };
  const first = look(files);
  // Processes may have written in between: what is really wrong is wrong a second time.
  const check = first.findings.length === 0 ? first : inBoth(first, look(readFiles(path)));
  return { ...check, path, key: key && { id: keyId(key.key), from: key.from } };
}

/** How often a journal is read that processes write to at the moment, until nothing was signed in between. */
const TRIES = 5;

function readFiles(path: string): JournalFiles {
  for (let tries = 1; ; tries += 1) {
    const before = readIndex(path);
    const segments = readSegments(path);
    const index = readIndex(path);
    if (tries === TRIES || (segments !== undefined && before.equals(index))) {
      return {
        segments: segments ?? [],
        // The earlier one: segments have what it says, and may have more.
        index: { file: INDEX_FILE, bytes: before },
        id: { file: ID_FILE, text: readIfThere(join(path, ID_FILE))?.toString('utf8') },
      };
    }
  }
}

function readIndex(path: string): Buffer {
  return readIfThere(join(path, INDEX_FILE)) ?? Buffer.alloc(0);
}

/** The newest first, since a segment says how far older ones had come. Undefined when one was renamed in between. */
function readSegments(path: string): JournalFiles['segments'] | undefined {
  const read = listSegments(path)
    .toReversed()
    .map(({ segment, name, path: place }) => ({ segment, file: name, bytes: readIfThere(place) }));
  const whole = read.flatMap(({ bytes, ...file }) => (bytes === undefined ? [] : [{ ...file, bytes }]));
  return whole.length === read.length ? whole.toReversed() : undefined;
}

function inBoth(one: JournalCheck, two: JournalCheck): JournalCheck {
  const isIn = ({ kind, file, line }: Finding) =>
    one.findings.some((each) => each.kind === kind && each.file === file && each.line === line);
  return { ...two, findings: two.findings.filter(isIn) };
}

interface ChosenKey {
  readonly key: KeyObject;
  readonly from: 'named' | 'cloud' | 'own' | 'beside';
}

function chooseKey(world: World, { path, keyFile, cloudKey }: VerifyWish, isSigned: boolean): ChosenKey | undefined {
  if (keyFile !== undefined) return { key: readPublicKey(keyFile), from: 'named' };
  if (cloudKey !== undefined) return { key: publicKeyOf(cloudKey), from: 'cloud' };
  // A copy from elsewhere has a key of its own; this machine's has signed this machine's journal alone.
  const isOwn = journalPlace(world).path === path;
  const own = isOwn ? ownPublicKey(world) : undefined;
  if (own !== undefined) return { key: own, from: 'own' };
  const beside = join(path, PUBLIC_KEY_FILE);
  if (readIfThere(beside) !== undefined || isSigned) return { key: readPublicKey(beside), from: 'beside' };
  return undefined;
}

/** The key in the directory is what others are given: it must be the one that is signed with, in its one spelling. */
function withPublicKey(check: JournalCheck, path: string, key: KeyObject): JournalCheck {
  const text = readIfThere(join(path, PUBLIC_KEY_FILE))?.toString('utf8');
  if (text === undefined || text === publicText(key)) return check;
  const message = 'the public key is not the one that the journal is checked with';
  return { ...check, findings: [...check.findings, { kind: 'changed', file: PUBLIC_KEY_FILE, line: 1, message }] };
}

/** A file that several processes append to: a chain for each, and no checkpoints. */
function checkOneFile(path: string): JournalCheck {
  const file = basename(path);
  const { lines, rest } = splitLines(readFileSync(path));
  const read = lines.map((bytes, index) => ({ line: index + 1, bytes, segment: readChained(bytes)?.segment }));
  const names = new Set(read.flatMap(({ segment }) => segment ?? []));
  const checked = [...names].map((segment) =>
    checkLines(
      segment,
      file,
      read.filter((line) => line.segment === segment),
      Buffer.alloc(0),
    ),
  );
  return {
    findings: checked.flatMap(({ findings }) => findings).sort((one, two) => one.line - two.line),
    unproven: lines.length > 0 ? [{ file, fromLine: 1, lines: lines.length, isTorn: rest.length > 0 }] : [],
    segments: names.size,
    lines: lines.length,
    checkpoints: 0,
    newest: undefined,
  };
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
