/**
 * Many websocket frames in one socket write. `ws` sends every message with system calls of its own; at a kilobyte a message that is
 * most of the cost of an upload. So binary messages are framed and masked here, into a few large buffers (RFC 6455 section 5).
 *
 * Only for client sockets without extensions. Control frames still go through `ws`: it writes whole frames at once, so the two do not
 * mix inside a frame.
 */
import type { Socket } from 'node:net';
import type { Random } from '../../runtime/random.ts';

const FIN_BINARY = 0x82;
const MASKED = 0x80;
const SHORT_LENGTH_LIMIT = 126;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MAX_FRAME_HEADER = 14;

const SEGMENT_BYTES = 128 * 1024;
const MAX_FREE_SEGMENTS = 8;
/** A frame must not be predictable, so each one has a fresh mask (RFC 6455 section 5.3). */
const MASK_POOL_WORDS = 1024;

interface Segment {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  used: number;
}

/** Segments that wait to be used again, by whichever websocket is next: a hundred idle ones must not keep one each. */
const FREE_SEGMENTS: Segment[] = [];

export class FrameBatch {
  readonly #socket: Socket;
  readonly #random: Random;
  #full: Segment[] = [];
  #current: Segment | undefined;
  #masks = new Int32Array(0);
  #nextMask = 0;
  /** The mask as a word; its bytes on the wire are the word's bytes in memory order, so that masking by words needs no swapping. */
  readonly #mask = new Int32Array(1);
  readonly #maskBytes = new Uint8Array(this.#mask.buffer);
  /** The mask as it applies from the first aligned byte of a payload on. */
  readonly #turnedMask = new Int32Array(1);
  readonly #turnedBytes = new Uint8Array(this.#turnedMask.buffer);
  /** The last source as words: messages come from few slabs, one after another, and a view costs more than masking with it. */
  #sourceBuffer: ArrayBufferLike | undefined;
  #sourceWords: Int32Array = this.#mask;
  /** Messages framed since the last flush. */
  pendingCount = 0;

  constructor(socket: Socket, random: Random) {
    this.#socket = socket;
    this.#random = random;
  }

  /** Bytes that the socket has not sent yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Frames one binary message; the bytes are copied and may be reused at once. */
  append(source: Buffer, offset: number, byteCount: number): void {
    this.begin(byteCount);
    this.add(source, offset, byteCount);
  }

  /** Begins a binary message of `byteCount` bytes, which `add` then brings in one or more parts, before anything else is called. */
  begin(byteCount: number): void {
    const segment = this.#segmentFor(byteCount + MAX_FRAME_HEADER);
    this.#mask[0] = this.#takeMask();
    segment.used = this.#writeFrameHeader(segment.bytes, segment.used, byteCount);
    this.pendingCount++;
  }

  /** The next part of the message that was begun; the bytes are copied and may be reused at once. */
  add(source: Buffer, offset: number, byteCount: number): void {
    const segment = this.#current!;
    const at = segment.used;
    segment.used = at + byteCount;
    this.#copyMasked(segment, at, source, offset, byteCount);
    // The mask goes on where this part ends.
    const rest = byteCount & 3;
    if (rest !== 0) this.#turnMask(rest);
  }

  /** Hands everything to the socket in one write (a vectored one, if there are several segments). */
  flush(): void {
    if (this.pendingCount === 0) return;
    this.pendingCount = 0;
    const segments = this.#full;
    if (this.#current && this.#current.used > 0) segments.push(this.#current);
    this.#full = [];
    this.#current = undefined;
    // Closed meanwhile: what is written behind a close frame only makes an error.
    if (!this.#socket.writable) return segments.forEach(recycle);
    const several = segments.length > 1;
    if (several) this.#socket.cork();
    for (const segment of segments) {
      // The callback comes when the socket is done with the bytes, however that ended.
      this.#socket.write(segment.bytes.subarray(0, segment.used), () => recycle(segment));
    }
    if (several) this.#socket.uncork();
  }

  #segmentFor(byteCount: number): Segment {
    if (this.#current && this.#current.bytes.length - this.#current.used >= byteCount) return this.#current;
    if (this.#current) this.#full.push(this.#current);
    this.#current =
      (byteCount <= SEGMENT_BYTES ? FREE_SEGMENTS.pop() : undefined) ??
      newSegment(Math.max(SEGMENT_BYTES, byteCount + 3));
    return this.#current;
  }

  #takeMask(): number {
    if (this.#nextMask === this.#masks.length) {
      const bytes = this.#random.bytes(MASK_POOL_WORDS * 4);
      this.#masks = new Int32Array(MASK_POOL_WORDS);
      new Uint8Array(this.#masks.buffer).set(bytes);
      this.#nextMask = 0;
    }
    return this.#masks[this.#nextMask++]!;
  }

  #writeFrameHeader(target: Buffer, at: number, byteCount: number): number {
    let next = at;
    target[next++] = FIN_BINARY;
    if (byteCount < SHORT_LENGTH_LIMIT) {
      target[next++] = MASKED | byteCount;
    } else if (byteCount < 0x1_0000) {
      target[next++] = MASKED | LENGTH_16;
      next = target.writeUInt16BE(byteCount, next);
    } else {
      target[next++] = MASKED | LENGTH_64;
      next = target.writeUInt32BE(0, next);
      next = target.writeUInt32BE(byteCount, next);
    }
    target.set(this.#maskBytes, next);
    return next + 4;
  }

  #turnMask(by: number): void {
    for (let index = 0; index < 4; index++) this.#turnedBytes[index] = this.#maskBytes[(index + by) & 3]!;
    this.#mask[0] = this.#turnedMask[0]!;
  }

  /** Copies with the mask applied, by 32-bit words: at once where both sides are aligned, else a copy first. */
  #copyMasked(segment: Segment, at: number, source: Buffer, offset: number, byteCount: number): void {
    const sourceStart = source.byteOffset + offset;
    if (at % 4 !== 0 || sourceStart % 4 !== 0) return this.#copyThenMask(segment, at, source, offset, byteCount);
    const wordCount = byteCount >>> 2;
    const sourceWords = this.#wordsOf(source.buffer);
    const from = sourceStart >>> 2;
    const words = segment.words;
    const base = at >>> 2;
    const mask = this.#mask[0]!;
    for (let index = 0; index < wordCount; index++) words[base + index] = sourceWords[from + index]! ^ mask;
    const target = segment.bytes;
    const maskBytes = this.#maskBytes;
    for (let done = wordCount * 4; done < byteCount; done++)
      target[at + done] = source[offset + done]! ^ maskBytes[done & 3]!;
  }

  /** One message of an odd length puts all that follow it in the segment out of alignment. */
  #copyThenMask(segment: Segment, at: number, source: Buffer, offset: number, byteCount: number): void {
    const target = segment.bytes;
    source.copy(target, at, offset, offset + byteCount);
    const maskBytes = this.#maskBytes;
    const end = at + byteCount;
    let next = at;
    while (next < end && next % 4 !== 0) target[next] = target[next]! ^ maskBytes[(next++ - at) & 3]!;
    for (let index = 0; index < 4; index++) this.#turnedBytes[index] = maskBytes[(next - at + index) & 3]!;
    const mask = this.#turnedMask[0]!;
    const words = segment.words;
    const lastWord = end >>> 2;
    for (let index = next >>> 2; index < lastWord; index++) words[index] = words[index]! ^ mask;
    for (next = Math.max(next, lastWord * 4); next < end; next++)
      target[next] = target[next]! ^ maskBytes[(next - at) & 3]!;
  }

  #wordsOf(buffer: ArrayBufferLike): Int32Array {
    if (buffer !== this.#sourceBuffer) {
      this.#sourceBuffer = buffer;
      this.#sourceWords = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
    }
    return this.#sourceWords;
  }
}

function recycle(segment: Segment): void {
  if (FREE_SEGMENTS.length >= MAX_FREE_SEGMENTS || segment.bytes.length !== SEGMENT_BYTES) return;
  segment.used = 0;
  FREE_SEGMENTS.push(segment);
}

function newSegment(byteCount: number): Segment {
  const bytes = Buffer.allocUnsafeSlow(Math.ceil(byteCount / 4) * 4);
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), used: 0 };
}
