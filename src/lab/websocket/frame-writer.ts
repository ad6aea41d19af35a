/**
 * Many websocket messages in one write: unmasked frames (RFC 6455, a server's) are laid one after another into a slab, and leave when
 * the turn is over. One write of 64 KiB costs a small part of what a write for each of its messages does.
 */
import type { Writable } from 'node:stream';

const SLAB_BYTES = 512 * 1024;
const LONGEST_HEADER = 10;
const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;
const FIN_CLOSE = 0x88;
const FIN_PONG = 0x8a;

export class FrameWriter {
  readonly #socket: Writable;
  #slab: Buffer = Buffer.alloc(0);
  /** Bytes of the slab before `#start` were written. */
  #start = 0;
  #end = 0;
  #isScheduled = false;
  /** Writes that the socket has not finished: it may still read the slab, so no part of it is used again. */
  #unfinished = 0;
  readonly #onFinished = () => {
    this.#unfinished -= 1;
  };

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Bytes that are not with the system yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#end - this.#start;
  }

  binary(payload: Uint8Array): void {
    this.#frame(FIN_BINARY, payload, payload.length);
  }

  /** A binary message of `byteCount` bytes of `memory` at `offset`, without a view of them. */
  binaryFrom(memory: Buffer, offset: number, byteCount: number): void {
    this.#reserve(LONGEST_HEADER + byteCount);
    const at = this.#header(FIN_BINARY, byteCount);
    memory.copy(this.#slab, at, offset, offset + byteCount);
    this.#end = at + byteCount;
  }

  /** A binary message made of two parts. */
  binaryParts(head: Uint8Array, body: Uint8Array): void {
    this.#reserve(LONGEST_HEADER + head.length + body.length);
    const at = this.#header(FIN_BINARY, head.length + body.length);
    this.#slab.set(head, at);
    this.#slab.set(body, at + head.length);
    this.#end = at + head.length + body.length;
  }

  text(content: string): void {
    const payload = Buffer.from(content);
    this.#frame(FIN_TEXT, payload, payload.length);
  }

  pong(payload: Uint8Array): void {
    this.#frame(FIN_PONG, payload, payload.length);
  }

  /** @param reason at most 123 bytes */
  close(code: number | undefined, reason: string): void {
    const payload = Buffer.from(code === undefined ? '' : `\0\0${reason}`);
    if (code !== undefined) payload.writeUInt16BE(code, 0);
    this.#frame(FIN_CLOSE, payload, payload.length);
  }

  /** The header of a binary message and the first `byteCount` bytes of it: what a socket that breaks in the middle leaves. */
  part(payload: Uint8Array, byteCount: number): void {
    this.#frame(FIN_BINARY, payload, byteCount);
  }

  /** Bytes past all framing. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  flush(): void {
    if (this.#start === this.#end) return;
    const bytes = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#unfinished += 1;
    this.#socket.write(bytes, this.#onFinished);
  }

  #frame(opcode: number, payload: Uint8Array, byteCount: number): void {
    this.#reserve(LONGEST_HEADER + byteCount);
    const at = this.#header(opcode, payload.length);
    this.#slab.set(byteCount === payload.length ? payload : payload.subarray(0, byteCount), at);
    this.#end = at + byteCount;
  }

  /** Writes a header at the end; returns where the payload goes. */
  #header(opcode: number, length: number): number {
    const slab = this.#slab;
    let at = this.#end;
    slab[at++] = opcode;
    if (length < 126) {
      slab[at++] = length;
    } else if (length < 65_536) {
      slab[at++] = 126;
      slab[at++] = length >> 8;
      slab[at++] = length & 0xff;
    } else {
      slab[at++] = 127;
      at = slab.writeUInt32BE(0, at);
      at = slab.writeUInt32BE(length, at);
    }
    return at;
  }

  #reserve(byteCount: number): void {
    if (this.#slab.length - this.#end < byteCount) {
      this.flush();
      if (this.#unfinished > 0 || this.#slab.length < byteCount) {
        this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, byteCount));
      }
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }
}
