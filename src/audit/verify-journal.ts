import type { KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import { readChained, splitLines } from './core/chain.ts';
import { checkJournal, type JournalCheck } from './core/check-journal.ts';
import { checkLines } from './core/check-segment.ts';
import { keyId } from './core/checkpoint.ts';
import type { Finding } from './core/finding.ts';
import { ownPublicKey, publicText, readPublicKey } from './journal-key.ts';
import { ID_FILE, INDEX_FILE, journalPlace, listSegments, PUBLIC_KEY_FILE } from './journal-place.ts';

export interface VerifyWish {
  /** A directory of segments or one file. */
  readonly path: string;
  /** A file with the public key, which is trusted more than what lies in the directory. */
  readonly keyFile?: string | undefined;
  /** A checkpoint that was seen before. */
  readonly expected?: { readonly checkpoint: number; readonly hash: string } | undefined;
}

export interface VerifiedJournal extends JournalCheck {
  readonly path: string;
  /**
   * The key that the signatures were held against, and where it is from: `named` by the caller, this machine's `own`, or from `beside`
   * the journal, where whoever edits it could have put another. Undefined where nothing is signed.
   */
  readonly key: { readonly id: string; readonly from: 'named' | 'own' | 'beside' } | undefined;
}

/**
 * Reads a whole journal and says what is wrong with it. Changes nothing.
 *
 * @throws CT_STATE when there is no journal, or no key to check signatures with
 */
export function verifyJournal(world: World, { path, keyFile, expected }: VerifyWish): VerifiedJournal {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) {
    throw new CloudtunError('CT_STATE', `there is no journal at ${path}`, {
      hint: 'it is made with the first tunnel; another place: cloudtun audit verify DIRECTORY',
    });
  }
  if (!status.isDirectory()) return { ...checkOneFile(path), path, key: undefined };
  const segments = listSegments(path).flatMap(({ segment, name, path: place }) => {
    const bytes = readIfThere(place);
    return bytes === undefined ? [] : [{ segment, file: name, bytes }];
  });
  // Read after the segments: a checkpoint that is made in between may cover more than was read, never less.
  const index = { file: INDEX_FILE, bytes: readIfThere(join(path, INDEX_FILE)) ?? Buffer.alloc(0) };
  const id = { file: ID_FILE, text: readIfThere(join(path, ID_FILE))?.toString('utf8') };
  const key = chooseKey(world, path, keyFile, index.bytes.length > 0);
  const check = checkJournal({ segments, index, id }, key?.key, expected);
  if (key === undefined) return { ...check, path, key };
  return {
    ...check,
    findings: [...check.findings, ...publicKeyFindings(path, key.key)],
    path,
    key: { id: keyId(key.key), from: key.from },
  };
}

interface ChosenKey {
  readonly key: KeyObject;
  readonly from: 'named' | 'own' | 'beside';
}

function chooseKey(world: World, path: string, named: string | undefined, isSigned: boolean): ChosenKey | undefined {
  if (named !== undefined) return { key: readPublicKey(named), from: 'named' };
  // A copy from elsewhere has a key of its own; this machine's has signed this machine's journal alone.
  const isOwn = journalPlace(world).path === path;
  const own = isOwn ? ownPublicKey(world) : undefined;
  if (own !== undefined) return { key: own, from: 'own' };
  const beside = join(path, PUBLIC_KEY_FILE);
  if (readIfThere(beside) !== undefined || isSigned) return { key: readPublicKey(beside), from: 'beside' };
  return undefined;
}

/** The key in the directory is what others are given: it must be the one that is signed with, in its one spelling. */
function publicKeyFindings(path: string, key: KeyObject): readonly Finding[] {
  const text = readIfThere(join(path, PUBLIC_KEY_FILE))?.toString('utf8');
  if (text === undefined || text === publicText(key)) return [];
  const message = 'the public key is not the one that the journal is checked with';
  return [{ kind: 'changed', file: PUBLIC_KEY_FILE, line: 1, message }];
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
