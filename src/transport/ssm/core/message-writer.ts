/**
 * Builds many messages of one kind with few calls: a template header, 32-bit writes, digests as latin1 strings, ids from a pool of
 * random bytes. Pure memory: the caller places the payload first, the writer puts the header in front of it.
 */
import { hash } from 'node:crypto';
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import { writeRandomMessageId } from './message-id.ts';
import { LONG_HEADER_LENGTH, MESSAGE_TYPE_LENGTH, type MessageType, OFFSET, PAYLOAD_OFFSET } from './wire-format.ts';

const RANDOM_POOL_BYTES = 16 * 512;

export type RandomBytes = (byteCount: number) => Uint8Array;

export class MessageWriter {
  readonly #template: Buffer;
  readonly #randomBytes: RandomBytes;
  #pool: Uint8Array = new Uint8Array(0);
  #poolOffset = 0;

  /**
   * @param flags header flags (low 32 bits): HEADER_FLAGS
   * @param randomBytes source of message ids
   */
  constructor(messageType: MessageType, flags: number, randomBytes: RandomBytes) {
    this.#randomBytes = randomBytes;
    this.#template = Buffer.alloc(PAYLOAD_OFFSET);
    this.#template.writeUInt32BE(LONG_HEADER_LENGTH, OFFSET.headerLength);
    this.#template.latin1Write(messageType.padEnd(MESSAGE_TYPE_LENGTH, ' '), OFFSET.messageType);
    this.#template.writeUInt32BE(1, OFFSET.schemaVersion);
    this.#template.writeUInt32BE(flags, OFFSET.flags + 4);
  }

  /**
   * Writes the 120 header bytes at `offset` for the `payloadLength` bytes that already stand at `offset + 120`.
   *
   * @param sequenceNumber below 2^53
   * @param createdDate milliseconds since 1970 UTC
   */
  writeHeader(
    target: Buffer,
    offset: number,
    payloadType: number,
    payloadLength: number,
    sequenceNumber: number,
    createdDate: Millis,
  ): void {
    target.set(this.#template, offset);
    writeUInt53(target, offset + OFFSET.createdDate, createdDate);
    writeUInt53(target, offset + OFFSET.sequenceNumber, sequenceNumber);
    if (this.#poolOffset === this.#pool.length) {
      this.#pool = this.#randomBytes(RANDOM_POOL_BYTES);
      this.#poolOffset = 0;
    }
    writeRandomMessageId(target, offset + OFFSET.messageId, this.#pool, this.#poolOffset);
    this.#poolOffset += 16;
    const start = offset + PAYLOAD_OFFSET;
    target.latin1Write(
      hash('sha256', target.subarray(start, start + payloadLength), 'latin1'),
      offset + OFFSET.digest,
      32,
    );
    target.writeUInt32BE(payloadType, offset + OFFSET.payloadType);
    target.writeUInt32BE(payloadLength, offset + OFFSET.payloadLength);
  }

  /** One message of its own, for rare ones. */
  build(payloadType: number, payload: Uint8Array, sequenceNumber: number, createdDate: Millis): Buffer {
    const frame = Buffer.allocUnsafe(PAYLOAD_OFFSET + payload.length);
    frame.set(payload, PAYLOAD_OFFSET);
    this.writeHeader(frame, 0, payloadType, payload.length, sequenceNumber, createdDate);
    return frame;
  }
}

/** A non-negative number below 2^53 as u64, without a bigint. @throws CT_INTERNAL beyond: numbers are never used again */
function writeUInt53(target: Buffer, offset: number, value: number): void {
  if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) {
    throw new CloudtunError('CT_INTERNAL', `${value} does not fit the header of a Session Manager message`);
  }
  const whole = Math.floor(value);
  target.writeUInt32BE(Math.floor(whole / 0x1_0000_0000), offset);
  target.writeUInt32BE(whole % 0x1_0000_0000, offset + 4);
}
