import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../domain/errors.ts';

/** Makes a directory and what is missing above it, readable by its owner alone. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/**
 * Writes a small file so that a reader sees the old text or the new one, never a part, and nobody but its owner sees any. Throws
 * what the file system throws, and leaves no temporary file behind.
 */
export function writePrivateFile(path: string, text: string): void {
  makePrivateDirectory(dirname(path));
  const temporary = `${path}.new`;
  try {
    // Left over from a process that was killed: it may have another mode, which writing would keep.
    rmSync(temporary, { force: true });
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    // The umask may have taken away more than intended, never less.
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Makes a small file whole or not at all, readable by its owner alone, unless it is there already: of several processes one makes it.
 *
 * @param part of a name that no other process uses at the moment
 * @returns what the file holds, by whoever made it
 * @throws what the file system throws
 */
export function makeOnce(path: string, text: string, part: string): string {
  const temporary = `${path}.${part}.new`;
  try {
    // Left over from a process that was killed.
    rmSync(temporary, { force: true });
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    linkOrWrite(temporary, path, text);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readFileSync(path, 'utf8');
}

function linkOrWrite(temporary: string, path: string, text: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    // A file system without links: nearly as good, since only a full disk at this very moment would leave a part.
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  }
}
