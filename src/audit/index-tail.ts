import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { systemCode } from '../domain/errors.ts';
import { readRecord } from './core/chain.ts';
import { INDEX_FILE } from './journal-place.ts';
import { tailLine } from './tail-line.ts';

/** The last whole checkpoint of a journal. */
export interface IndexTail {
  readonly number: number;
  /** SHA-256 of its line. */
  readonly hash: string;
  readonly line: Buffer;
  /** A process ended while it wrote the next one. */
  readonly isTorn: boolean;
}

/** Undefined before the first one. @throws what the file system throws */
export function indexTail(directory: string): IndexTail | undefined {
  try {
    const tail = tailLine(join(directory, INDEX_FILE));
    const number = tail && readRecord(tail.line)?.checkpoint;
    if (tail === undefined || typeof number !== 'number') return undefined;
    return { number, hash: createHash('sha256').update(tail.line).digest('hex'), ...tail };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
