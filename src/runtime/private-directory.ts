import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { CloudtunError } from '../domain/errors.ts';

const ELSEWHERE = 'name a directory of yours in XDG_RUNTIME_DIR, or hold the tunnels here: cloudtun up --foreground';

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
      hint: ELSEWHERE,
      cause: error,
    });
  }
  checkPrivateDirectory(path);
}

/**
 * Whoever is told secrets through something in this directory must have been put there by its owner.
 *
 * @returns false when there is no such directory
 * @throws CT_SUPERVISOR when it is somebody else's, or open to others
 */
export function checkPrivateDirectory(path: string): boolean {
  const status = statusOf(path);
  if (status === undefined) return false;
  if (status.isDirectory() && status.uid === ownUid() && (status.mode & 0o022) === 0) return true;
  throw new CloudtunError('CT_SUPERVISOR', `${path} is not a directory of yours alone`, {
    hint: [`see who owns it: ls -ld ${path}`, ELSEWHERE],
  });
}

/** Undefined when there is nothing. */
function statusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Such as the XDG_RUNTIME_DIR of whoever one was before `su`.
    throw new CloudtunError('CT_SUPERVISOR', `${path} cannot be looked at, and the supervisor needs it`, {
      hint: ELSEWHERE,
      cause: error,
    });
  }
}

/** 0 where the system has no such thing. */
export function ownUid(): number {
  return process.getuid?.() ?? 0;
}
