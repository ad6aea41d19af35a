import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../domain/errors.ts';
import { loadSqlite } from './sqlite.ts';
import { makePrivateDirectory } from './state-file.ts';

/**
 * Takes the lock that one process can have at a time, and that the system takes back when the process ends, however it ends. (A
 * database locked for writing is such a lock in every system; Node has no other.)
 *
 * @returns undefined when another process has it
 */
export function takeLock(path: string): Disposable | undefined {
  makePrivateDirectory(dirname(path));
  createPrivate(path);
  const { DatabaseSync } = loadSqlite();
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

/** SQLite would make it readable for others. Never opened where it is there: closing a file takes back this process's own locks on it. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** SQLITE_BUSY (5), and SQLITE_LOCKED (6). */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6);
}
