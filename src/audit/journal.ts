import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AuditEvent, AuditSink } from '../domain/audit-sink.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';

/** A single value that is longer is cut: a line stays something a person can read. */
const VALUE_LIMIT = 1_024;

/** Where the journal is: `CLOUDTUN_JOURNAL`, else `journal.jsonl` in the state directory. */
export function journalPath(world: World): string {
  const named = world.env.CLOUDTUN_JOURNAL;
  return named === undefined || named === '' ? join(world.paths.state, 'journal.jsonl') : named;
}

/**
 * The journal on this machine: JSON lines, appended, readable by their owner alone. Written with one call a line and without
 * fsync: the record must survive the process, and a power cut takes the tunnel with it. The file is opened by the first record.
 */
export class Journal implements AuditSink {
  readonly path: string;
  readonly #world: World;
  #file: number | undefined;
  /** What must be written before the next line: the rest of a line that was cut off. */
  #debt: Buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(world: World) {
    this.#world = world;
    this.path = journalPath(world);
  }

  /**
   * Appends an event with the time in front.
   *
   * @throws CT_JOURNAL when it cannot be kept: no room, no permission, no such directory
   */
  record(event: AuditEvent): void {
    const line = `${JSON.stringify({ time: isoTime(this.#world.clock.wall()), ...event }, cut)}\n`;
    try {
      if (this.#isClosed) throw new Error('it is closed');
      this.#file ??= this.#open();
      this.#write(this.#file, Buffer.from(line));
    } catch (error) {
      throw new CloudtunError('CT_JOURNAL', `the journal ${this.path} cannot be written: ${reason(error)}`, {
        hint: 'make room or mend its permissions, or name another file in CLOUDTUN_JOURNAL',
        cause: error,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    const isOurs = this.path === join(this.#world.paths.state, 'journal.jsonl');
    if (isOurs) makePrivateDirectory(dirname(this.path));
    // O_NONBLOCK: a pipe that nobody reads is an error at once, where it would otherwise stop the process.
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);
    const file = openSync(this.path, flags, 0o600);
    const status = fstatSync(file);
    if (!status.isFile()) return file;
    // A file that the user names may be shared on purpose; the default one never is.
    if (isOurs && (status.mode & 0o077) !== 0) fchmodSync(file, 0o600);
    if (status.size > 0 && !this.#endsWithNewline(status.size)) this.#debt = Buffer.from('\n');
    return file;
  }

  /** A process that was killed, or a disk that was full, may have left half a line; the next one starts on its own. */
  #endsWithNewline(size: number): boolean {
    let file: number | undefined;
    try {
      file = openSync(this.path, 'r');
      const last = Buffer.alloc(1);
      return readSync(file, last, 0, 1, size - 1) !== 1 || last[0] === 0x0a;
    } catch {
      // Append-only for this user: nothing can be learnt, and nothing is lost by not knowing.
      return true;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #write(file: number, line: Buffer): void {
    const bytes = this.#debt.length > 0 ? Buffer.concat([this.#debt, line]) : line;
    const written = writeSync(file, bytes);
    if (written === bytes.length) {
      this.#debt = Buffer.alloc(0);
      return;
    }
    // A disk that had room for a part: whether it has room for the rest shows now, as an error with a name.
    try {
      const rest = writeSync(file, bytes, written);
      if (written + rest < bytes.length) throw new Error('it takes only parts of a line');
      this.#debt = Buffer.alloc(0);
    } catch (error) {
      this.#debt = Buffer.from('\n');
      throw error;
    }
  }
}

function cut(_key: string, value: unknown): unknown {
  return typeof value === 'string' && value.length > VALUE_LIMIT ? `${value.slice(0, VALUE_LIMIT)}…` : value;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'the system forbids it',
  EISDIR: 'it is a directory',
  ENOENT: 'its directory does not exist',
  ENOTDIR: 'a part of its path is not a directory',
  ENXIO: 'it is a pipe that nobody reads',
  EAGAIN: 'it is a pipe whose reader is too slow',
  EPIPE: 'it is a pipe whose reader is gone',
};

function reason(error: unknown): string {
  const code = systemCode(error);
  return (code && (REASONS[code] ?? code)) || (error instanceof Error ? error.message : String(error));
}
