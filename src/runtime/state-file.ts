import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

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
