/**
 * The bytes on their way up of one session: `[confirmed, sent)` may have to be sent again, `[sent, written)` was not sent yet
 * (docs/protocol/iap.md, "Counters"). Positions are payload bytes since the session began. How much may wait is the session's matter.
 */
import { type Slab, SlabPool } from '../../../domain/slab-pool.ts';
import { MAX_PAYLOAD } from './relay-frame.ts';

/** Smaller rests of a slab are left: a frame should not be made of crumbs. */
const SMALLEST_CUT = 1_024;

interface Piece {
  readonly slab: Slab;
  readonly bytes: Buffer;
  /** Position of its first byte. */
  readonly start: number;
}

export class UploadLog {
  readonly #slabs: SlabPool;
  /** In order and without gaps, from the one that holds `confirmed` on. */
  #pieces: Piece[] = [];
  /** Pieces before this one are released. */
  #head = 0;
  /** The piece that holds `cursor`. */
  #next = 0;
  confirmed = 0;
  /** Next byte to be sent on the present websocket. */
  cursor = 0;
  /** Bytes that were sent at least once. */
  sent = 0;
  written = 0;

  /** @param slabs shared by the sessions of a tunnel, so that many small writes share memory */
  constructor(slabs: SlabPool = new SlabPool()) {
    this.#slabs = slabs;
  }

  get pieceCount(): number {
    return this.#pieces.length - this.#head;
  }

  /** Keeps a copy. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.length - at;
      const slab = this.#slabs.reserve(Math.min(rest, SMALLEST_CUT));
      const byteCount = Math.min(rest, slab.bytes.length - slab.used);
      const offset = this.#slabs.take(slab, byteCount);
      slab.bytes.set(bytes.subarray(at, at + byteCount), offset);
      this.#pieces.push({ slab, bytes: slab.bytes.subarray(offset, offset + byteCount), start: this.written });
      this.written += byteCount;
      at += byteCount;
    }
  }

  /** The payload of the next frame as views, at most 16384 bytes together; undefined when everything was sent. */
  next(): { readonly pieces: readonly Buffer[]; readonly byteCount: number } | undefined {
    let room = Math.min(MAX_PAYLOAD, this.written - this.cursor);
    if (room === 0) return undefined;
    const byteCount = room;
    const pieces: Buffer[] = [];
    while (room > 0) {
      const { bytes, start } = this.#pieces[this.#next]!;
      const from = this.cursor - start;
      const count = Math.min(room, bytes.length - from);
      pieces.push(bytes.subarray(from, from + count));
      this.cursor += count;
      room -= count;
      if (from + count === bytes.length) this.#next++;
    }
    if (this.cursor > this.sent) this.sent = this.cursor;
    return { pieces, byteCount };
  }

  /** The service has everything below `total`. @param total between `confirmed` and `sent` */
  confirm(total: number): void {
    this.confirmed = total;
    while (this.#head < this.#pieces.length) {
      const { slab, bytes, start } = this.#pieces[this.#head]!;
      if (start + bytes.length > total) break;
      this.#slabs.release(slab);
      this.#head++;
    }
    if (this.cursor < total) {
      // It has bytes that it got on a former websocket and that were about to be sent again.
      this.cursor = total;
      this.#findCursor();
    }
    if (this.#head === this.#pieces.length || this.#head > 256) {
      this.#pieces.splice(0, this.#head);
      this.#next -= this.#head;
      this.#head = 0;
    }
  }

  /** A new websocket, on which sending goes on behind `total`. */
  rewind(total: number): void {
    this.confirm(total);
    this.cursor = total;
    this.#findCursor();
  }

  /** Releases all memory; nothing more may be sent. */
  clear(): void {
    for (const { slab } of this.#pieces.slice(this.#head)) this.#slabs.release(slab);
    this.#pieces = [];
    this.#head = 0;
    this.#next = 0;
    this.cursor = this.written;
    this.confirmed = this.written;
  }

  #findCursor(): void {
    this.#next = this.#head;
    while (this.#next < this.#pieces.length) {
      const { bytes, start } = this.#pieces[this.#next]!;
      if (start + bytes.length > this.cursor) break;
      this.#next++;
    }
  }
}
