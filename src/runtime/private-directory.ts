import { lstatSync, mkdirSync } from 'node:fs';
import { CloudtunError } from '../domain/errors.ts';

/**
 * Makes a directory that only its owner enters, or finds it to be one: whoever could write to it could put a socket of theirs there.
 *
 * @throws CT_SUPERVISOR when it is somebody else's, or open to others, or cannot be made
 */
export function claimPrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CloudtunError('CT_SUPERVISOR', `${path} cannot be made, and the supervisor needs it`, {
      hint: 'name a directory of yours in XDG_RUNTIME_DIR, or hold the tunnels here: cloudtun up --foreground',
      cause: error,
    });
  }
  const status = lstatSync(path);
  if (status.isDirectory() && status.uid === ownUid() && (status.mode & 0o022) === 0) return;
  throw new CloudtunError('CT_SUPERVISOR', `${path} is not a directory of yours alone`, {
    hint: `see who owns it: ls -ld ${path}`,
  });
}

/** 0 where the system has no such thing. */
export function ownUid(): number {
  return process.getuid?.() ?? 0;
}
