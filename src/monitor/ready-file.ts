import { lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { type ProcessIdentity, processIdentity, processState } from '../runtime/process-identity.ts';
import type { World } from '../runtime/world.ts';

/** What the file says. Fields are added and never renamed. */
export interface ReadyRecord {
  readonly tunnels: readonly {
    readonly name: string;
    readonly local: readonly string[];
    readonly target: string;
    readonly expiresAt: string | null;
  }[];
}

interface FileContent extends ReadyRecord {
  readonly cloudtun: 1;
  readonly process: ProcessIdentity;
}

/** More than the file of any set of tunnels that is held. */
const SIZE_LIMIT = 4_194_304;

/**
 * A file that is there while everything is ready, for scripts that wait for it (`until [ -e FILE ]`). It appears whole or not at all. One
 * that a killed cloudtun left behind is removed at the start, so that nobody takes it for ours; any other file is left alone.
 */
export class ReadyFile implements Disposable {
  readonly #path: string;
  readonly #world: Pick<World, 'pid' | 'log'>;
  #isWritten = false;

  /** @throws CT_READY_FILE when the place cannot be used: another file, another cloudtun that runs, a directory that is not there */
  constructor(world: Pick<World, 'pid' | 'cwd' | 'log'>, path: string) {
    this.#world = world;
    this.#path = resolve(world.cwd, path);
    this.#clear();
  }

  /** @throws CT_READY_FILE when it cannot be written: whoever waits for it would wait for ever */
  write(record: ReadyRecord): void {
    const content: FileContent = { cloudtun: 1, process: processIdentity(this.#world.pid), ...record };
    const next = `${this.#path}.${this.#world.pid}.tmp`;
    try {
      writeFileSync(next, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: 'w' });
      renameSync(next, this.#path);
      this.#isWritten = true;
    } catch (error) {
      rmSync(next, { force: true });
      throw this.#error(`cannot be written (${systemCode(error) ?? 'unknown reason'})`, error);
    }
  }

  /** Not everything is ready any more. Never throws. */
  remove(): void {
    if (!this.#isWritten) return;
    this.#isWritten = false;
    try {
      // Somebody may have replaced it; then it is theirs.
      if (this.#owner()?.pid === this.#world.pid) rmSync(this.#path);
    } catch (error) {
      this.#world.log.warn(`the ready file ${this.#path} could not be removed (${systemCode(error)})`);
    }
  }

  [Symbol.dispose](): void {
    this.remove();
  }

  #clear(): void {
    let owner: ProcessIdentity | undefined;
    try {
      owner = this.#owner();
      // Before anything is opened for somebody who would wait in vain.
      statSync(dirname(this.#path));
    } catch (error) {
      if (error instanceof CloudtunError) throw error;
      throw this.#error(`cannot be used (${systemCode(error) ?? 'unknown reason'})`, error);
    }
    if (owner === undefined) return;
    if (owner.pid !== this.#world.pid && processState(owner, processIdentity()) === 'alive') {
      throw this.#error(`belongs to another cloudtun that runs (pid ${owner.pid})`);
    }
    rmSync(this.#path, { force: true });
  }

  /** Of the file that is there; undefined when none is. @throws CT_READY_FILE when it is none of ours */
  #owner(): ProcessIdentity | undefined {
    let text: string;
    try {
      const stat = lstatSync(this.#path);
      text = stat.isFile() && stat.size <= SIZE_LIMIT ? readFileSync(this.#path, 'utf8') : '';
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const content = JSON.parse(text) as Partial<FileContent> | null;
      if (content?.cloudtun === 1 && typeof content.process?.pid === 'number') return content.process;
    } catch {
      // Not JSON: not ours.
    }
    throw this.#error('is there and was not written by cloudtun');
  }

  #error(what: string, cause?: unknown): CloudtunError {
    return new CloudtunError('CT_READY_FILE', `the ready file ${this.#path} ${what}`, {
      hint: 'name another file: --ready-file PATH',
      ...(cause !== undefined && { cause }),
    });
  }
}
