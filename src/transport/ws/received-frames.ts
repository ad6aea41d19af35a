/**
 * Reads a websocket's messages out of memory that is used again. `ws` keeps views of what it is given until its reader is done with them,
 * so every block that was read into is garbage of another quarter of a megabyte, and a busy tunnel makes them faster than they are
 * collected (docs/adr/0015-memory-of-busy-tunnels.md). Here whole binary messages, which is nearly all that comes, go to their reader
 * straight from one block; `ws` gets the rest in copies: control frames, texts, messages in several frames, and whatever breaks the
 * protocol, which it judges as ever.
 *
 * Order holds at every moment: a message is handed over here only if all bytes before it were whole frames that `ws` is done with.
 */
import type { Socket } from 'node:net';
import { type Slab, SlabPool } from '../../domain/slab-pool.ts';
import type { Timer } from '../../runtime/clock.ts';
import { readInto } from '../../runtime/socket-reading.ts';
import { FrameHead, FrameTrack, mayBeMessage } from './frame-head.ts';

const BLOCK_BYTES = 256 * 1024;
/**
 * Larger frames are put together by `ws`. What is there of a frame is copied with every read until the rest has come, and messages of the
 * protocols here have at most 16 KiB and a header.
 */
const LARGEST_FRAME = 32 * 1024;
/** Blocks that wait to be used again. More than one is in use only where a websocket is read from inside another one. */
const MAX_FREE_BLOCKS = 2;
/** A read of this length has more behind it: a whole TLS record, or all that Node asks of a plain socket at once. */
const isFull = (byteCount: number) => byteCount === 16_384 || byteCount === 65_536;

/** For all websockets: what one has read is handed on in the same turn of the event loop, and it keeps a beginning of a frame at most. */
const FREE_BLOCKS: Buffer[] = [];
const BEGINNINGS = new SlabPool();

export interface FrameHandler {
  /** A whole binary message. The bytes are good until `pieceEnd` has returned. */
  message(payload: Buffer): void;
  /** All messages that came in one piece were handed over. */
  pieceEnd(): void;
}

/** What of the reading can be told from outside. */
export interface ReceivedFrames {
  /** From now on `ws` gets everything. */
  stop(): void;
}

/**
 * Takes the reading of `socket` over, on which a `ws` client stands. Where that is not possible `ws` goes on alone.
 *
 * @param soon runs a call in this turn of the event loop, after the reads
 */
export function receiveFrames(
  socket: Socket,
  soon: (call: () => void) => Timer,
  handler: FrameHandler,
): ReceivedFrames {
  return new FrameReading(socket, soon, handler);
}

class FrameReading implements ReceivedFrames {
  readonly #socket: Socket;
  readonly #soon: (call: () => void) => Timer;
  readonly #handler: FrameHandler;
  readonly #push: Socket['push'];
  /** What `ws` was given. */
  readonly #given = new FrameTrack();
  readonly #head = new FrameHead();
  #block: Buffer | undefined;
  #used = 0;
  #beginning: { readonly slab: Slab; readonly bytes: Buffer } | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  readonly #handOnSoon = () => this.#handOn();

  constructor(socket: Socket, soon: (call: () => void) => Timer, handler: FrameHandler) {
    this.#socket = socket;
    this.#soon = soon;
    this.#handler = handler;
    this.#push = socket.push.bind(socket);
    if (!readInto(socket, (bytes) => this.#take(bytes))) return;
    // Also what waits in the stream already: it came right behind the answer to the upgrade.
    socket.prependListener('data', (bytes: Buffer) => this.#given.pass(bytes));
    // The end, and what is pushed while the stream is paused, must not overtake what waits here.
    socket.push = (chunk, encoding) => {
      this.#giveAll();
      return this.#push(chunk, encoding);
    };
    // Nor must a reset: what was read before it came in time, a close frame with its code among it. Whoever cuts the socket here gives
    // no error, and wants no more of it.
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error) => {
      if (error && !socket.destroyed) this.#giveAll();
      return destroy(error);
    };
  }

  stop(): void {
    this.#isStopped = true;
  }

  #take(bytes: Buffer): boolean {
    if (this.#block !== undefined && BLOCK_BYTES - this.#used < bytes.length) this.#handOn();
    const block = this.#block ?? this.#begin();
    block.set(bytes, this.#used);
    this.#used += bytes.length;
    if (isFull(bytes.length)) this.#timer ??= this.#soon(this.#handOnSoon);
    else this.#handOn();
    return true;
  }

  #begin(): Buffer {
    const block = FREE_BLOCKS.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#block = block;
    this.#used = 0;
    if (this.#beginning !== undefined) {
      block.set(this.#beginning.bytes);
      this.#used = this.#beginning.bytes.length;
      BEGINNINGS.release(this.#beginning.slab);
      this.#beginning = undefined;
    }
    return block;
  }

  /** Hands on what was read, but for the beginning of a frame. */
  #handOn(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const block = this.#block;
    const end = this.#used;
    this.#block = undefined;
    if (block === undefined) return;
    let at = 0;
    while (at < end && !this.#socket.destroyed) {
      const next = this.#handOnFrom(block, at, end);
      if (next === at) {
        this.#beginning = BEGINNINGS.copy(block.subarray(at, end));
        break;
      }
      at = next;
    }
    this.#handler.pieceEnd();
    if (FREE_BLOCKS.length < MAX_FREE_BLOCKS) FREE_BLOCKS.push(block);
  }

  /** Hands on something of what stands at `at`; returns where the next begins: `at` itself, if a frame is not all there. */
  #handOnFrom(block: Buffer, at: number, end: number): number {
    const { readableFlowing, readableLength } = this.#socket;
    const given = this.#given;
    if (this.#isStopped || given.isClosed || readableFlowing !== true || readableLength > 0)
      return this.#give(block, at, end);
    if (!given.isBetweenFrames || given.isInMessage) return this.#give(block, at, Math.min(end, at + given.wanted));
    if (!mayBeMessage(block, at, end)) return this.#giveFrame(block, at, end);
    const head = this.#head;
    if (!head.read(block, at, end)) return at;
    if (head.byteCount > LARGEST_FRAME) return this.#giveFrame(block, at, end);
    const next = at + head.byteCount;
    if (next > end) return at;
    this.#handler.message(block.subarray(at + head.headBytes, next));
    return next;
  }

  /** The frame at `at`, or what is there of it. */
  #giveFrame(block: Buffer, at: number, end: number): number {
    const isKnown = this.#head.read(block, at, end);
    return this.#give(block, at, isKnown ? Math.min(end, at + this.#head.byteCount) : end);
  }

  /** A copy for `ws`, which may keep it. */
  #give(block: Buffer, at: number, end: number): number {
    this.#push(Buffer.from(block.subarray(at, end)));
    return end;
  }

  #giveAll(): void {
    this.#handOn();
    if (this.#beginning === undefined) return;
    const { slab, bytes } = this.#beginning;
    this.#beginning = undefined;
    this.#give(bytes, 0, bytes.length);
    BEGINNINGS.release(slab);
  }
}
