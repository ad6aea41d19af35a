/**
 * smux version 1 frames (docs/protocol/smux.md): 8 bytes of header, integers little-endian, then payload. No flow control, no
 * half close. Version 2 frames and unknown commands are the peer's end of the session.
 */
import { CloudtunError } from '../../../domain/errors.ts';

export const SMUX_VERSION = 1;
export const SMUX_HEADER_LENGTH = 8;
/** Senders cut here; receivers take up to 65,535 bytes. */
export const SMUX_MAX_SENT_PAYLOAD = 32_768;

export const SMUX_COMMAND = { syn: 0, fin: 1, psh: 2, nop: 3, upd: 4 } as const;

/** Payload bytes of UPD, which version 1 consumes and ignores whatever its length says. */
const UPD_PAYLOAD_LENGTH = 8;

/** Writes one header. @param byteCount payload length, at most 65,535 @param streamId u32 */
export function writeSmuxHeader(
  target: Buffer,
  offset: number,
  command: number,
  byteCount: number,
  streamId: number,
): void {
  target[offset] = SMUX_VERSION;
  target[offset + 1] = command;
  target.writeUInt16LE(byteCount, offset + 2);
  target.writeUInt32LE(streamId, offset + 4);
}

export function smuxFrame(command: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(SMUX_HEADER_LENGTH + payload.length);
  writeSmuxHeader(frame, 0, command, payload.length, streamId);
  frame.set(payload, SMUX_HEADER_LENGTH);
  return frame;
}

/** What a parser reports. `data` slices are views into what was fed; one PSH may come as several slices. */
export interface SmuxFrameHandler {
  syn(streamId: number): void;
  data(streamId: number, bytes: Buffer): void;
  fin(streamId: number): void;
  nop?(): void;
}

/** Takes the byte stream in any pieces. Lengths of SYN, FIN and NOP are ignored, as the official receiver does. */
export class SmuxParser {
  readonly #handler: SmuxFrameHandler;
  readonly #header = Buffer.alloc(SMUX_HEADER_LENGTH);
  #headerFilled = 0;
  #payloadLeft = 0;
  #skipLeft = 0;
  #streamId = 0;

  constructor(handler: SmuxFrameHandler) {
    this.#handler = handler;
  }

  /** @throws CT_PROTO_MUX for a wrong version or an unknown command; the session cannot go on */
  receive(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(bytes.length, at + this.#payloadLeft);
        this.#payloadLeft -= end - at;
        // Mostly the whole piece is one frame's: no view of a view then.
        this.#handler.data(this.#streamId, at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        at = end;
      } else if (this.#skipLeft > 0) {
        const skipped = Math.min(bytes.length - at, this.#skipLeft);
        this.#skipLeft -= skipped;
        at += skipped;
      } else if (this.#headerFilled === 0 && bytes.length - at >= SMUX_HEADER_LENGTH) {
        this.#begin(bytes, at);
        at += SMUX_HEADER_LENGTH;
      } else {
        const taken = Math.min(bytes.length - at, SMUX_HEADER_LENGTH - this.#headerFilled);
        bytes.copy(this.#header, this.#headerFilled, at, at + taken);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled === SMUX_HEADER_LENGTH) {
          this.#headerFilled = 0;
          this.#begin(this.#header, 0);
        }
      }
    }
  }

  #begin(source: Buffer, at: number): void {
    const version = source[at];
    const command = source[at + 1];
    if (version !== SMUX_VERSION)
      throw new CloudtunError('CT_PROTO_MUX', `smux frame of version ${version}; only version 1 is spoken here`);
    this.#streamId = source.readUInt32LE(at + 4);
    switch (command) {
      case SMUX_COMMAND.syn:
        this.#handler.syn(this.#streamId);
        return;
      case SMUX_COMMAND.fin:
        this.#handler.fin(this.#streamId);
        return;
      case SMUX_COMMAND.psh:
        this.#payloadLeft = source.readUInt16LE(at + 2);
        return;
      case SMUX_COMMAND.nop:
        this.#handler.nop?.();
        return;
      case SMUX_COMMAND.upd:
        this.#skipLeft = UPD_PAYLOAD_LENGTH;
        return;
      default:
        throw new CloudtunError('CT_PROTO_MUX', `unknown smux command ${command}`);
    }
  }
}
