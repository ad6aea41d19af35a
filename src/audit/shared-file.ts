import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { GENESIS, type LineValue, sealLine } from './core/chain.ts';

/**
 * A journal of one file, or pipe, that several processes append to. Each has a chain of its own in it, told apart by the name of the
 * segment; there are no checkpoints. The file is opened by the first line.
 */
export class SharedFile {
  readonly path: string;
  readonly #segment: string;
  #file: number | undefined;
  #lines = 0;
  #hash = GENESIS;
  /** What must be written before the next line: the end of a line that was cut off. */
  #debt = Buffer.alloc(0);

  constructor(path: string, segment: string) {
    this.path = path;
    this.#segment = segment;
  }

  /** @throws what the file system throws */
  append(fields: Readonly<Record<string, LineValue>>): void {
    this.#file ??= this.#open();
    const { bytes, hash } = sealLine({ ...fields, segment: this.#segment, seq: this.#lines }, this.#hash);
    this.#write(this.#file, bytes);
    this.#lines += 1;
    this.#hash = hash;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    // O_NONBLOCK: a pipe that nobody reads is an error at once, where it would otherwise stop the process.
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);
    const file = openSync(this.path, flags, 0o600);
    const status = fstatSync(file);
    if (status.isFile() && status.size > 0 && !this.#endsWithNewline(status.size)) this.#debt = Buffer.from('\n');
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
