import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type ProcessIdentity, processIdentity, processState } from '../runtime/process-identity.ts';
import { makePrivateDirectory, writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';

/** Names the process that a directory belongs to. */
const OWNER = 'owner.json';
/** A directory without an owner is being made, or its maker was killed in between. */
const OWNERLESS_FOR: Millis = 60 * 60_000;

/**
 * Files with secrets for one run: mode 0600 in a directory of mode 0700 below the state directory, gone when it is disposed. A
 * process that was killed leaves its directory behind; the next run removes it.
 */
export class PrivateFiles implements Disposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws CT_STATE when there is no place for them */
  static make(world: World): PrivateFiles {
    const parent = join(world.paths.state, 'exec');
    try {
      makePrivateDirectory(parent);
      removeLeftOver(parent, world.clock.wall());
      const directory = join(parent, `${world.pid}-${world.random.bytes(6).toString('hex')}`);
      mkdirSync(directory, { mode: 0o700 });
      writePrivateFile(join(directory, OWNER), JSON.stringify(processIdentity(world.pid)));
      return new PrivateFiles(directory);
    } catch (error) {
      throw new CloudtunError(
        'CT_STATE',
        `no files can be made in ${parent} (${systemCode(error) ?? 'unknown reason'})`,
        {
          hint: 'make room or mend its permissions, or name another place in XDG_STATE_HOME',
          cause: error,
        },
      );
    }
  }

  /** Whole, or as it was. @throws CT_STATE */
  write(path: string, text: string): void {
    try {
      writePrivateFile(path, text);
    } catch (error) {
      throw new CloudtunError('CT_STATE', `${path} cannot be written (${systemCode(error) ?? 'unknown reason'})`, {
        hint: 'make room or mend its permissions, or name another place in XDG_STATE_HOME',
        cause: error,
      });
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Never a directory of a process that may still run. */
function removeLeftOver(parent: string, wall: Millis): void {
  const here = processIdentity();
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    try {
      if (isAbandoned(directory, here, wall)) rmSync(directory, { recursive: true, force: true });
    } catch {
      // Another run removes it at this moment, or it is not ours to remove.
    }
  }
}

function isAbandoned(directory: string, here: ProcessIdentity, wall: Millis): boolean {
  try {
    const owner = JSON.parse(readFileSync(join(directory, OWNER), 'utf8')) as ProcessIdentity;
    return processState(owner, here) === 'dead';
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && !(error instanceof SyntaxError)) return false;
    return wall - statSync(directory).mtimeMs > OWNERLESS_FOR;
  }
}
