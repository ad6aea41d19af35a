/**
 * The receiving end of a websocket server (RFC 6455), strict and fast: bytes in, messages out. The lab has its own because one core
 * has to take more than 100,000 messages a second, and because a client that frames its messages itself should be judged by other code
 * than the library it is built on. Messages are unmasked where they lie and handed out as views; only what is cut by the end of a
 * chunk is copied. No extensions, so the reserved bits must be clear.
 */

/** What a close frame says why (RFC 6455, 7.4.1). */
export const CLOSE_CODE = { protocolError: 1002, invalidText: 1007, tooBig: 1009 } as const;

/** The peer broke the protocol: close with `closeCode`. */
export class WebSocketViolation extends Error {
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

export interface WebSocketReaderEvents {
  text(content: string): void;
  /** A view into the chunk that was fed; it stays as it is. */
  binary(message: Buffer): void;
  ping(payload: Buffer): void;
  pong(payload: Buffer): void;
  /** @param code 1005 when the frame has none */
  close(code: number): void;
}

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const LONGEST_HEADER = 14;
const MAX_CONTROL_PAYLOAD = 125;
const NO_CODE = 1005;

const violation = (what: string, closeCode: number = CLOSE_CODE.protocolError) =>
  new WebSocketViolation(closeCode, what);

export class WebSocketReader {
  readonly #events: WebSocketReaderEvents;
  readonly #maxMessageBytes: number;
  /** Start of a header that the chunk's end cut. */
  #stash: Buffer | undefined;
  /** A frame whose payload the chunk's end cut, masked as it came. */
  #partial: { readonly payload: Buffer; filled: number } | undefined;
  #opcode = 0;
  #isFinal = false;
  readonly #mask = new Uint8Array(4);
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #fragmentOpcode = 0;
  #isStopped = false;

  constructor(maxMessageBytes: number, events: WebSocketReaderEvents) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#events = events;
  }

  /** Nothing is handed out any more, the rest of a chunk included. */
  stop(): void {
    this.#isStopped = true;
  }

  /** @throws WebSocketViolation; the reader is of no use after it */
  receive(fed: Buffer): void {
    let chunk = fed;
    if (this.#stash !== undefined) {
      chunk = Buffer.concat([this.#stash, fed]);
      this.#stash = undefined;
    }
    let at = this.#partial === undefined ? 0 : this.#continue(chunk);
    while (at < chunk.length && !this.#isStopped) {
      const next = this.#frame(chunk, at);
      if (next === undefined) {
        this.#stash = Buffer.from(chunk.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** Fills the payload that was cut; returns where the next frame starts. */
  #continue(chunk: Buffer): number {
    const partial = this.#partial!;
    const taken = chunk.copy(partial.payload, partial.filled);
    partial.filled += taken;
    if (partial.filled === partial.payload.length) {
      this.#partial = undefined;
      unmask(partial.payload, 0, partial.payload.length, this.#mask);
      this.#dispatch(partial.payload);
    }
    return taken;
  }

  /** One frame at `at`; returns where the next one starts, or undefined when the header is not whole. */
  #frame(chunk: Buffer, at: number): number | undefined {
    const left = chunk.length - at;
    if (left < 2) return undefined;
    // Before the rest is there: what is wrong already may never get longer.
    this.#begin(chunk[at]!, chunk[at + 1]!);
    const short = chunk[at + 1]! & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (left < LONGEST_HEADER && left < 6 + lengthBytes) return undefined;
    const length = lengthBytes === 0 ? short : this.#longLength(chunk, at + 2, lengthBytes);
    if (length + this.#fragmentBytes > this.#maxMessageBytes) {
      throw violation(`a message of more than ${this.#maxMessageBytes} bytes`, CLOSE_CODE.tooBig);
    }
    const maskAt = at + 2 + lengthBytes;
    for (let index = 0; index < 4; index++) this.#mask[index] = chunk[maskAt + index]!;
    const start = maskAt + 4;
    const end = start + length;
    if (end > chunk.length) {
      const payload = Buffer.allocUnsafe(length);
      this.#partial = { payload, filled: chunk.copy(payload, 0, start) };
      return chunk.length;
    }
    unmask(chunk, start, end, this.#mask);
    this.#dispatch(chunk.subarray(start, end));
    return end;
  }

  #begin(first: number, second: number): void {
    this.#opcode = first & 0x0f;
    this.#isFinal = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) throw violation('a frame with reserved bits');
    if ((second & 0x80) === 0) throw violation('a frame without a mask');
    if (this.#opcode >= OPCODE.close) {
      if (this.#opcode > OPCODE.pong) throw violation(`opcode ${this.#opcode}`);
      if (!this.#isFinal) throw violation('a control frame in fragments');
      if ((second & 0x7f) > MAX_CONTROL_PAYLOAD) throw violation('a control frame of more than 125 bytes');
    } else if (this.#opcode > OPCODE.binary) {
      throw violation(`opcode ${this.#opcode}`);
    } else if ((this.#opcode === OPCODE.continuation) !== this.#fragmentOpcode > 0) {
      throw violation(this.#fragmentOpcode > 0 ? 'a new message inside a fragmented one' : 'a continuation of nothing');
    }
  }

  #longLength(chunk: Buffer, at: number, lengthBytes: number): number {
    const length = lengthBytes === 2 ? chunk.readUInt16BE(at) : Number(chunk.readBigUInt64BE(at));
    if (length < (lengthBytes === 2 ? 126 : 65_536)) throw violation('a length in more bytes than it needs');
    return length;
  }

  #dispatch(payload: Buffer): void {
    switch (this.#opcode) {
      case OPCODE.ping:
        this.#events.ping(payload);
        return;
      case OPCODE.pong:
        this.#events.pong(payload);
        return;
      case OPCODE.close:
        if (payload.length === 1) throw violation('a close frame of one byte');
        this.#events.close(payload.length === 0 ? NO_CODE : payload.readUInt16BE(0));
        return;
      default:
        this.#data(payload);
    }
  }

  #data(payload: Buffer): void {
    const opcode = this.#opcode === OPCODE.continuation ? this.#fragmentOpcode : this.#opcode;
    if (!this.#isFinal) {
      this.#fragmentOpcode = opcode;
      this.#fragments.push(payload);
      this.#fragmentBytes += payload.length;
      return;
    }
    let message = payload;
    if (this.#fragmentOpcode > 0) {
      message = Buffer.concat([...this.#fragments, payload]);
      this.#fragments = [];
      this.#fragmentBytes = 0;
      this.#fragmentOpcode = 0;
    }
    if (opcode === OPCODE.binary) this.#events.binary(message);
    else this.#events.text(decodedText(message));
  }
}

function decodedText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw violation('text that is not UTF-8', CLOSE_CODE.invalidText);
  }
}

const rotated = new Uint8Array(4);
const rotatedWord = new Int32Array(rotated.buffer);

/** Four bytes at a time where the memory is aligned: byte by byte, a kilobyte costs a microsecond and more. */
function unmask(bytes: Buffer, start: number, end: number, mask: Uint8Array): void {
  const misaligned = (bytes.byteOffset + start) & 3;
  const wordsFrom = Math.min(end, misaligned === 0 ? start : start + 4 - misaligned);
  for (let at = start; at < wordsFrom; at++) bytes[at]! ^= mask[(at - start) & 3]!;
  const wordCount = (end - wordsFrom) >> 2;
  if (wordCount > 0) {
    for (let index = 0; index < 4; index++) rotated[index] = mask[(wordsFrom - start + index) & 3]!;
    const key = rotatedWord[0]!;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + wordsFrom, wordCount);
    for (let index = 0; index < wordCount; index++) words[index]! ^= key;
  }
  for (let at = wordsFrom + wordCount * 4; at < end; at++) bytes[at]! ^= mask[(at - start) & 3]!;
}
