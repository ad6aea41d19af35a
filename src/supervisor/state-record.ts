import { readFileSync, rmSync } from 'node:fs';
import { type ProcessIdentity, processIdentity, processState } from '../runtime/process-identity.ts';
import { writePrivateFile } from '../runtime/state-file.ts';

/*
 * What is on disk of a supervisor: which process it is, and what it holds, by name. For the one question that the socket cannot
 * answer: what was held by a supervisor that was killed. No flags, no environment, nothing secret.
 */

export interface StateRecord {
  readonly process: ProcessIdentity;
  /** Wall clock. */
  readonly startedAt: number;
  readonly names: readonly string[];
}

/** @throws what the file system throws */
export function writeRecord(path: string, record: StateRecord): void {
  writePrivateFile(path, `${JSON.stringify(record)}\n`);
}

export function removeRecord(path: string): void {
  rmSync(path, { force: true });
}

/** What a supervisor that was killed held; undefined when none was killed, or it held nothing. */
export function leftBehind(path: string): StateRecord | undefined {
  let record: StateRecord;
  try {
    record = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
  if (!isRecord(record) || record.names.length === 0) return undefined;
  return processState(record.process, processIdentity()) === 'dead' ? record : undefined;
}

function isRecord(value: unknown): value is StateRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { process, names } = value as Partial<StateRecord>;
  return typeof process?.pid === 'number' && Array.isArray(names) && names.every((name) => typeof name === 'string');
}
