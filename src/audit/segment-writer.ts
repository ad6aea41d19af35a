import { closeSync, constants, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GENESIS, type LineValue, sealLine } from './core/chain.ts';
import { openName } from './journal-place.ts';

/** How far a segment has come: all that its chain needs to go on, and all that a checkpoint says of it. */
export interface SegmentHead {
  readonly segment: string;
  readonly lines: number;
  readonly byteCount: number;
  /** The hash of its last line. */
  readonly hash: string;
}

/**
 * A segment of the journal that this process writes, and nobody else. Each line is one write, without fsync: it survives the process,
 * and a power cut takes the tunnel with it.
 */
export class SegmentWriter {
  readonly segment: string;
  readonly path: string;
  readonly #file: number;
  #lines = 0;
  #byteCount = 0;
  #hash = GENESIS;
  #isBroken = false;

  /** Makes the file, which must not be there. @throws what the file system throws */
  constructor(directory: string, segment: string) {
    this.segment = segment;
    this.path = join(directory, openName(segment));
    this.#file = openSync(
      this.path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
      0o600,
    );
  }

  get head(): SegmentHead {
    return { segment: this.segment, lines: this.#lines, byteCount: this.#byteCount, hash: this.#hash };
  }

  /** A part of a line stands at its end and could not be taken away: nothing may follow. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * Appends a line. When that fails, the segment is as it was before, or broken.
   *
   * @throws what the file system throws
   */
  append(fields: Readonly<Record<string, LineValue>>): void {
    const { bytes, hash } = sealLine({ ...fields, segment: this.segment, seq: this.#lines }, this.#hash);
    let written = 0;
    try {
      // A disk that had room for a part: whether it has room for the rest shows at the next turn, as an error with a name.
      while (written < bytes.length) {
        const count = writeSync(this.#file, bytes, written);
        if (count === 0) throw new Error('it takes only parts of a line');
        written += count;
      }
    } catch (error) {
      if (written > 0) this.#takeBack();
      throw error;
    }
    this.#lines += 1;
    this.#byteCount += bytes.length;
    this.#hash = hash;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** For a segment that has no line yet. */
  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }

  #takeBack(): void {
    try {
      ftruncateSync(this.#file, this.#byteCount);
    } catch {
      // Append-only by an attribute of the file: the half line stays, and the journal goes on in another segment.
      this.#isBroken = true;
    }
  }
}
