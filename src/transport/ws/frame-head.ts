/**
 * Heads of websocket frames as a client receives them (RFC 6455 section 5.2): where a frame ends, and what kind it is. Payloads, rules
 * about frames and the meaning of control frames belong to `ws`.
 */

const FIN = 0x80;
const OPCODE = 0x0f;
const MASKED = 0x80;
const LENGTH = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

const BINARY = 2;
const CLOSE = 8;

const WORD = 2 ** 32;
const LONGEST_HEAD = 14;

/**
 * Whether a whole message of bytes in one frame may stand at `at`, as far as its first two bytes are there: without a mask, and with
 * nothing about it that only `ws` knows how to judge.
 */
export function mayBeMessage(bytes: Uint8Array, at: number, end: number): boolean {
  return bytes[at] === (FIN | BINARY) && (end - at < 2 || (bytes[at + 1]! & MASKED) === 0);
}

/** The head that was read last. */
export class FrameHead {
  headBytes = 0;
  /** Up to 2^64 - 1, so not always exact; no such frame is ever taken. */
  payloadBytes = 0;
  #first = 0;

  get byteCount(): number {
    return this.headBytes + this.payloadBytes;
  }

  get isControl(): boolean {
    return (this.#first & OPCODE) >= CLOSE;
  }

  get isClose(): boolean {
    return (this.#first & OPCODE) === CLOSE;
  }

  /** Part of a message that has further parts behind it. */
  get isFollowed(): boolean {
    return (this.#first & FIN) === 0;
  }

  /** Reads the head at `at`. False, and nothing is changed, where it is not all there. */
  read(bytes: Uint8Array, at: number, end: number): boolean {
    if (end - at < 2) return false;
    const second = bytes[at + 1]!;
    const isMasked = (second & MASKED) !== 0;
    const length = second & LENGTH;
    const extended = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0;
    const headBytes = 2 + extended + (isMasked ? MASK_BYTES : 0);
    if (end - at < headBytes) return false;
    this.#first = bytes[at]!;
    this.headBytes = headBytes;
    this.payloadBytes =
      extended === 0 ? length : extended === 2 ? bytes[at + 2]! * 256 + bytes[at + 3]! : longLength(bytes, at + 2);
    return true;
  }
}

function longLength(bytes: Uint8Array, at: number): number {
  const word = (from: number) =>
    ((bytes[from]! << 24) | (bytes[from + 1]! << 16) | (bytes[from + 2]! << 8) | bytes[from + 3]!) >>> 0;
  return word(at) * WORD + word(at + 4);
}

/** Where in the frames a reader stands that was given bytes in any pieces. */
export class FrameTrack {
  readonly #head = new FrameHead();
  readonly #headBytes = Buffer.alloc(LONGEST_HEAD);
  #headFilled = 0;
  #payloadLeft = 0;
  /** Further parts of a message are to come. */
  isInMessage = false;
  /** A close frame came: what follows is no frame. */
  isClosed = false;

  get isBetweenFrames(): boolean {
    return this.#headFilled === 0 && this.#payloadLeft === 0;
  }

  /** So many bytes may be passed before it is worth looking again. */
  get wanted(): number {
    return this.#payloadLeft > 0 ? this.#payloadLeft : 1;
  }

  pass(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, bytes.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
      } else {
        this.#headBytes[this.#headFilled++] = bytes[at++]!;
        if (this.#head.read(this.#headBytes, 0, this.#headFilled)) this.#begin();
      }
    }
  }

  #begin(): void {
    this.#headFilled = 0;
    this.#payloadLeft = this.#head.payloadBytes;
    if (!this.#head.isControl) this.isInMessage = this.#head.isFollowed;
    this.isClosed ||= this.#head.isClose;
  }
}
