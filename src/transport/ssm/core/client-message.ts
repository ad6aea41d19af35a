/**
 * The SSM data channel's binary message: complete decoding and encoding of one message (docs/protocol/ssm.md, "Binary message").
 *
 * `readMessage` is the hot path of a download; it leaves out dates, flags and ids. `decodeMessage` gives every field and is for
 * tests, traces and rare messages. Both accept and refuse the same frames.
 */
import { hash } from 'node:crypto';
import { CloudtunError } from '../../../domain/errors.ts';
import { messageIdFromWire, writeMessageId } from './message-id.ts';
import {
  LONG_HEADER_LENGTH,
  MESSAGE_TYPE_LENGTH,
  MESSAGE_TYPES,
  type MessageType,
  OFFSET,
  PAYLOAD_OFFSET,
  SHORT_HEADER_LENGTH,
} from './wire-format.ts';

/** What the data path needs of a message. */
export interface Message {
  /** Trimmed name; compare with MESSAGE_TYPES. Unknown names are legal and ignored by the channel. */
  readonly messageType: MessageType | (string & {});
  /** Negative numbers are "old" (protocol: they parse). */
  readonly sequenceNumber: number;
  /** 0 where the header has none. */
  readonly payloadType: number;
  /** A view into the frame, not a copy. */
  readonly payload: Buffer;
  /** The frame itself, for the id. */
  readonly frame: Buffer;
}

/** Every field of a message, 64-bit ones as bigint. */
export interface MessageFields {
  readonly messageType: string;
  readonly schemaVersion: number;
  readonly createdDate: bigint;
  readonly sequenceNumber: bigint;
  readonly flags: bigint;
  /** Lower-case UUID with hyphens. */
  readonly messageId: string;
  readonly payloadType: number;
  readonly payload: Uint8Array;
}

const PADDED_TYPES: ReadonlyMap<string, MessageType> = new Map(
  MESSAGE_TYPES.flatMap((name): [string, MessageType][] => [
    [name.padEnd(MESSAGE_TYPE_LENGTH, ' '), name],
    [name.padEnd(MESSAGE_TYPE_LENGTH, '\0'), name],
  ]),
);

/** Types whose sequence, length and digest matter; for all others the length field is a hint (the service's short form). */
const CHECKED_TYPES: ReadonlySet<string> = new Set(['input_stream_data', 'output_stream_data', 'acknowledge']);
const DIGESTED_TYPES: ReadonlySet<string> = new Set(['input_stream_data', 'output_stream_data']);
/** Accepted whatever their date says, as the official client does. */
const UNDATED_TYPES: ReadonlySet<string> = new Set(['start_publication', 'pause_publication']);

const malformed = (what: string) => new CloudtunError('CT_PROTO_FRAME', `malformed Session Manager message: ${what}`);

/** i64 from the wire as a number; the data path counts below 2^53 and throws beyond. */
export function sequenceNumberAt(frame: Buffer, offset: number): number {
  const value = frame.readInt32BE(offset) * 0x1_0000_0000 + frame.readUInt32BE(offset + 4);
  if (!Number.isSafeInteger(value)) throw malformed('sequence number beyond 2^53');
  return value;
}

/** The two types of a busy channel, space-padded as client and agent write them, as 32-bit words. */
const COMMON_TYPES: readonly { readonly name: MessageType; readonly words: readonly number[] }[] = (
  ['output_stream_data', 'acknowledge'] as const
).map((name) => {
  const padded = Buffer.from(name.padEnd(MESSAGE_TYPE_LENGTH, ' '));
  return { name, words: Array.from({ length: MESSAGE_TYPE_LENGTH / 4 }, (_, index) => padded.readInt32BE(4 * index)) };
});

/** A common type without making a string; undefined for the others. */
function commonTypeOf(frame: Buffer): MessageType | undefined {
  const first = frame.readInt32BE(OFFSET.messageType);
  for (const { name, words } of COMMON_TYPES) {
    if (words[0] !== first) continue;
    for (let index = 1; index < words.length; index++) {
      if (frame.readInt32BE(OFFSET.messageType + 4 * index) !== words[index]) return undefined;
    }
    return name;
  }
  return undefined;
}

/** Trims outer NULs, then outer spaces, as both official parsers do. */
function messageTypeOf(frame: Buffer): string {
  const padded = frame.latin1Slice(OFFSET.messageType, OFFSET.messageType + MESSAGE_TYPE_LENGTH);
  return PADDED_TYPES.get(padded) ?? padded.replace(/^\0+|\0+$/g, '').replace(/^ +| +$/g, '');
}

/** A shape check without the digest: returns where things are, or throws CT_PROTO_FRAME. */
function layoutOf(frame: Buffer): { messageType: string; payloadStart: number; payloadType: number } {
  if (frame.length < SHORT_HEADER_LENGTH + 4) throw malformed(`${frame.length} bytes are too few for a header`);
  const headerLength = frame.readUInt32BE(OFFSET.headerLength);
  if (headerLength < SHORT_HEADER_LENGTH || headerLength + 4 > frame.length) {
    throw malformed(`header length ${headerLength} in a message of ${frame.length} bytes`);
  }
  const messageType = commonTypeOf(frame) ?? messageTypeOf(frame);
  if (messageType === '') throw malformed('no message type');
  const undated = frame.readUInt32BE(OFFSET.createdDate) === 0 && frame.readUInt32BE(OFFSET.createdDate + 4) === 0;
  if (undated && !UNDATED_TYPES.has(messageType)) throw malformed('no creation date');
  const payloadStart = headerLength + 4;
  if (CHECKED_TYPES.has(messageType)) {
    const claimed = frame.readUInt32BE(headerLength);
    if (claimed !== frame.length - payloadStart) {
      throw malformed(`payload length says ${claimed}, the message holds ${frame.length - payloadStart}`);
    }
  }
  const payloadType = headerLength >= LONG_HEADER_LENGTH ? frame.readUInt32BE(OFFSET.payloadType) : 0;
  return { messageType, payloadStart, payloadType };
}

/**
 * SHA-256 of the payload against the header; only for data, and not for empty payloads. Not for acknowledges: whoever can make one
 * up can make up its digest, and an upload receives one for every kilobyte.
 */
function checkDigest(frame: Buffer, messageType: string, payload: Buffer): void {
  if (payload.length === 0 || !DIGESTED_TYPES.has(messageType)) return;
  if (hash('sha256', payload, 'latin1') !== frame.latin1Slice(OFFSET.digest, OFFSET.digest + 32)) {
    throw new CloudtunError(
      'CT_PROTO_DIGEST',
      `a ${messageType} message of ${payload.length} bytes does not match its digest`,
    );
  }
}

/**
 * Reads one message from one websocket message.
 *
 * @param verifyDigest false for a receiver that does not check, as the official agent
 * @throws CT_PROTO_FRAME for a malformed one, CT_PROTO_DIGEST where the payload is not what was announced
 */
export function readMessage(frame: Buffer, verifyDigest = true): Message {
  const { messageType, payloadStart, payloadType } = layoutOf(frame);
  const payload = frame.subarray(payloadStart);
  if (verifyDigest) checkDigest(frame, messageType, payload);
  const sequenceNumber = CHECKED_TYPES.has(messageType) ? sequenceNumberAt(frame, OFFSET.sequenceNumber) : 0;
  return { messageType, sequenceNumber, payloadType, payload, frame };
}

/** All fields of one message; the same verdicts as `readMessage`, but any 64-bit sequence number. */
export function decodeMessage(frame: Buffer, verifyDigest = true): MessageFields {
  const { messageType, payloadStart, payloadType } = layoutOf(frame);
  const payload = frame.subarray(payloadStart);
  if (verifyDigest) checkDigest(frame, messageType, payload);
  return {
    messageType,
    schemaVersion: frame.readUInt32BE(OFFSET.schemaVersion),
    createdDate: frame.readBigUInt64BE(OFFSET.createdDate),
    sequenceNumber: frame.readBigInt64BE(OFFSET.sequenceNumber),
    flags: frame.readBigUInt64BE(OFFSET.flags),
    messageId: messageIdFromWire(frame, OFFSET.messageId),
    payloadType,
    payload,
  };
}

/** The id of a message that was read, as acknowledges name it. */
export function messageIdOf(frame: Buffer): string {
  return messageIdFromWire(frame, OFFSET.messageId);
}

/**
 * One message in the long form. Refuses what the official serialisers refuse: an empty payload and a type of more than 32 bytes.
 *
 * @throws CT_PROTO_FRAME
 */
export function encodeMessage(fields: MessageFields): Buffer {
  if (fields.payload.length === 0) throw malformed('an empty payload cannot be sent');
  const frame = Buffer.allocUnsafe(PAYLOAD_OFFSET + fields.payload.length);
  writeHeader(frame, fields);
  frame.set(fields.payload, PAYLOAD_OFFSET);
  return frame;
}

function writeHeader(frame: Buffer, fields: MessageFields): void {
  if (fields.messageType.length > MESSAGE_TYPE_LENGTH)
    throw malformed(`message type "${fields.messageType}" is too long`);
  frame.writeUInt32BE(LONG_HEADER_LENGTH, OFFSET.headerLength);
  frame.latin1Write(fields.messageType.padEnd(MESSAGE_TYPE_LENGTH, ' '), OFFSET.messageType);
  frame.writeUInt32BE(fields.schemaVersion, OFFSET.schemaVersion);
  frame.writeBigUInt64BE(fields.createdDate, OFFSET.createdDate);
  frame.writeBigInt64BE(fields.sequenceNumber, OFFSET.sequenceNumber);
  frame.writeBigUInt64BE(fields.flags, OFFSET.flags);
  writeMessageId(frame, OFFSET.messageId, fields.messageId);
  frame.latin1Write(hash('sha256', fields.payload, 'latin1'), OFFSET.digest);
  frame.writeUInt32BE(fields.payloadType, OFFSET.payloadType);
  frame.writeUInt32BE(fields.payload.length, OFFSET.payloadLength);
}

/**
 * The short form that the service makes (header length 112, type padded with NULs, no payload type): for the lab's message
 * gateway. An empty payload is legal here.
 */
export function encodeServiceMessage(
  messageType: MessageType,
  createdDate: bigint,
  messageId: string,
  payload: Uint8Array,
): Buffer {
  const frame = Buffer.alloc(SHORT_HEADER_LENGTH + 4 + payload.length);
  frame.writeUInt32BE(SHORT_HEADER_LENGTH, OFFSET.headerLength);
  frame.latin1Write(messageType.padEnd(MESSAGE_TYPE_LENGTH, '\0'), OFFSET.messageType);
  frame.writeUInt32BE(1, OFFSET.schemaVersion);
  frame.writeBigUInt64BE(createdDate, OFFSET.createdDate);
  writeMessageId(frame, OFFSET.messageId, messageId);
  frame.latin1Write(hash('sha256', payload, 'latin1'), OFFSET.digest);
  frame.writeUInt32BE(payload.length, SHORT_HEADER_LENGTH);
  frame.set(payload, SHORT_HEADER_LENGTH + 4);
  return frame;
}
