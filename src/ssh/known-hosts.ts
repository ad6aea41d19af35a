import { appendFileSync, chmodSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { makePrivateDirectory, writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';

/** A host key as it is written: its type and the base64 of its blob. */
export interface WrittenKey {
  /** `ssh-ed25519` */
  readonly type: string;
  readonly data: string;
}

/** A line that names a host. */
export interface KnownKey extends WrittenKey {
  /** Counted from 1. */
  readonly line: number;
}

/** A megabyte is ten thousand hosts; a larger file is none of ours. */
const LARGEST_BYTES = 1024 * 1024;

/**
 * Host keys that were seen before: a file in OpenSSH's known_hosts format (sshd(8)), mode 0600, whose names are not addresses but
 * machines, `aws:i-0abc`, since a tunnel has no address that says anything.
 */
export class KnownHosts {
  readonly path: string;

  constructor(world: Pick<World, 'paths'>) {
    this.path = join(world.paths.state, 'known_hosts');
  }

  /** @throws CT_STATE when the file is there and cannot be read: not to know is not the same as never seen */
  of(host: string): readonly KnownKey[] {
    return this.#text()
      .split('\n')
      .flatMap((text, index) => {
        const [names, type, data] = text.trim().split(/\s+/);
        if (names === undefined || names.startsWith('#') || type === undefined || data === undefined) return [];
        return names.split(',').includes(host) ? [{ line: index + 1, type, data }] : [];
      });
  }

  /** @throws CT_STATE */
  add(host: string, key: WrittenKey): void {
    const text = this.#text();
    const start = text === '' || text.endsWith('\n') ? '' : '\n';
    try {
      makePrivateDirectory(dirname(this.path));
      // One write at the end of the file: two first logins at the same time keep each other's line.
      appendFileSync(this.path, `${start}${host} ${key.type} ${key.data}\n`, { mode: 0o600 });
      chmodSync(this.path, 0o600);
    } catch (error) {
      throw this.#failure('written', error);
    }
  }

  /** Takes a machine out of every line that names it. @throws CT_STATE */
  forget(host: string): void {
    const kept = this.#text()
      .split('\n')
      .flatMap((text) => {
        const [names = '', ...rest] = text.trim().split(/\s+/);
        if (names.startsWith('#') || !names.split(',').includes(host)) return [text];
        const others = names.split(',').filter((name) => name !== host);
        return others.length === 0 ? [] : [[others.join(','), ...rest].join(' ')];
      });
    try {
      // Whole or not at all: with half of this file, machines would be trusted anew.
      writePrivateFile(this.path, kept.join('\n'));
    } catch (error) {
      throw this.#failure('written', error);
    }
  }

  #text(): string {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return '';
      throw this.#failure('read', error);
    }
    if (text.length > LARGEST_BYTES) throw this.#failure('read: it is larger than 1 MiB', undefined);
    return text;
  }

  #failure(verb: string, cause: unknown): CloudtunError {
    return new CloudtunError('CT_STATE', `the file of known host keys cannot be ${verb}`, {
      details: [['file', this.path]],
      hint: 'look at the permissions and the owner of the file and its directory',
      cause,
    });
  }
}
