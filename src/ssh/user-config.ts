import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';

/** The user's own ssh_config(5), as latin1 of its bytes. Where it is a link, what it leads to is read and written, and the link stays. */
export class UserConfig {
  readonly path: string;
  readonly #pid: number;

  constructor(world: Pick<World, 'paths' | 'pid'>) {
    this.path = join(world.paths.home, '.ssh/config');
    this.#pid = world.pid;
  }

  /** Empty when there is none. @throws CT_STATE */
  read(): string {
    try {
      return readFileSync(this.path, 'latin1');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return '';
      throw this.#failure('read', error);
    }
  }

  /** Whole or not at all, with the mode it has. @throws CT_STATE */
  write(text: string): void {
    let temporary: string | undefined;
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      const { path, mode } = this.#place();
      temporary = `${path}.cloudtun-${this.#pid}`;
      writeFileSync(temporary, text, { encoding: 'latin1', mode, flag: 'wx' });
      chmodSync(temporary, mode);
      renameSync(temporary, path);
    } catch (error) {
      if (temporary !== undefined) rmSync(temporary, { force: true });
      throw this.#failure('written', error);
    }
  }

  #place(): { readonly path: string; readonly mode: number } {
    try {
      const path = realpathSync(this.path);
      return { path, mode: statSync(path).mode & 0o777 };
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      return { path: this.path, mode: 0o600 };
    }
  }

  #failure(verb: string, cause: unknown): CloudtunError {
    return new CloudtunError('CT_STATE', `${this.path} cannot be ${verb} (${systemCode(cause) ?? 'unknown reason'})`, {
      hint: 'look at the permissions and the owner of the file and its folder',
      cause,
    });
  }
}
