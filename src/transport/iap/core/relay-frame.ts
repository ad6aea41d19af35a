/**
 * Frames of the relay of Identity-Aware Proxy (docs/protocol/iap.md, "Frames"), as the client reads and writes them. One websocket
 * message is one frame. Integers are big-endian and unsigned. Left out: the deprecated tag 3, and everything about a session.
 */
import { CloudtunError } from '../../../domain/errors.ts';

/** The first two bytes of a frame. */
const TAG = {
  /** Down: `u32 n`, then n bytes: the id of the session, opaque. */
  connectSuccessSid: 1,
  /** Down: `u64`, payload bytes that the service has received in this session. */
  reconnectSuccessAck: 2,
  /** Both ways: `u32 n`, then n bytes of payload. */
  data: 4,
  /** Both ways: `u64`, payload bytes that its sender has received in this session. */
  ack: 7,
  /** Down: `u32` close code, `u32 n`, then n bytes of UTF-8, for reasons that do not fit into a Close. */
  longClose: 10,
} as const;

/** Most payload bytes in a DATA frame of ours (specified). What is received may be larger, up to the bound of the websocket. */
export const MAX_PAYLOAD = 16_384;
/** Tag and length in front of a payload. */
export const DATA_HEADER_BYTES = 6;
const TOTAL_FRAME_BYTES = 10;
const LONG_CLOSE_HEADER_BYTES = 10;

export type RelayFrame =
  | { readonly kind: 'sid'; readonly sid: Buffer; readonly trailing: number }
  /** `total`: a u64, so it may be any number up to 2^64 - 1. */
  | { readonly kind: 'reconnected' | 'ack'; readonly total: bigint; readonly trailing: number }
  | { readonly kind: 'data'; readonly payload: Buffer; readonly trailing: number }
  | { readonly kind: 'long-close'; readonly code: number; readonly reason: string; readonly trailing: number }
  /** To be ignored. A LONG_CLOSE that is cut short counts as one: it is advice, not data. */
  | { readonly kind: 'unknown'; readonly tag: number };

/**
 * Reads one message. `trailing` counts bytes after the frame, which are to be dropped; `sid` and `payload` are views.
 *
 * @throws CT_PROTO_FRAME when a known frame is cut short
 */
export function decodeFrame(message: Buffer): RelayFrame {
  if (message.length < 2) throw malformed(`a message of ${message.length} bytes has no tag`);
  const tag = message.readUInt16BE(0);
  switch (tag) {
    case TAG.data: {
      const payload = counted(message, 'DATA');
      return { kind: 'data', payload, trailing: message.length - DATA_HEADER_BYTES - payload.length };
    }
    case TAG.ack:
      return { kind: 'ack', ...total(message, 'ACK') };
    case TAG.connectSuccessSid: {
      const sid = counted(message, 'CONNECT_SUCCESS_SID');
      return { kind: 'sid', sid, trailing: message.length - DATA_HEADER_BYTES - sid.length };
    }
    case TAG.reconnectSuccessAck:
      return { kind: 'reconnected', ...total(message, 'RECONNECT_SUCCESS_ACK') };
    case TAG.longClose:
      return longClose(message) ?? { kind: 'unknown', tag };
    default:
      return { kind: 'unknown', tag };
  }
}

/** The six bytes in front of a payload of `byteCount` bytes. @throws CT_INTERNAL for a length that must not be sent */
export function dataHeader(byteCount: number): Buffer {
  if (byteCount < 1 || byteCount > MAX_PAYLOAD) {
    throw new CloudtunError('CT_INTERNAL', `a DATA frame of ${byteCount} bytes was about to be sent`);
  }
  const header = Buffer.allocUnsafe(DATA_HEADER_BYTES);
  header.writeUInt16BE(TAG.data, 0);
  header.writeUInt32BE(byteCount, 2);
  return header;
}

/** @param totalReceived payload bytes received since the session began. @throws CT_INTERNAL for what is no u64 */
export function encodeAck(totalReceived: bigint): Buffer {
  if (totalReceived < 0n || totalReceived >= 2n ** 64n) {
    throw new CloudtunError('CT_INTERNAL', `an ACK of ${totalReceived} was about to be sent`);
  }
  const frame = Buffer.allocUnsafe(TOTAL_FRAME_BYTES);
  frame.writeUInt16BE(TAG.ack, 0);
  frame.writeBigUInt64BE(totalReceived, 2);
  return frame;
}

function counted(message: Buffer, name: string): Buffer {
  if (message.length < DATA_HEADER_BYTES) throw malformed(`${name} of ${message.length} bytes is cut short`);
  const byteCount = message.readUInt32BE(2);
  const there = message.length - DATA_HEADER_BYTES;
  if (byteCount > there) throw malformed(`${name} claims ${byteCount} bytes and has ${there}`);
  return message.subarray(DATA_HEADER_BYTES, DATA_HEADER_BYTES + byteCount);
}

function total(message: Buffer, name: string): { total: bigint; trailing: number } {
  if (message.length < TOTAL_FRAME_BYTES) throw malformed(`${name} of ${message.length} bytes is cut short`);
  return { total: message.readBigUInt64BE(2), trailing: message.length - TOTAL_FRAME_BYTES };
}

function longClose(message: Buffer): RelayFrame | undefined {
  if (message.length < LONG_CLOSE_HEADER_BYTES) return undefined;
  const byteCount = message.readUInt32BE(6);
  const trailing = message.length - LONG_CLOSE_HEADER_BYTES - byteCount;
  if (trailing < 0) return undefined;
  const reason = message.toString('utf8', LONG_CLOSE_HEADER_BYTES, LONG_CLOSE_HEADER_BYTES + byteCount);
  return { kind: 'long-close', code: message.readUInt32BE(2), reason, trailing };
}

function malformed(what: string): CloudtunError {
  return new CloudtunError('CT_PROTO_FRAME', `the relay sent a malformed frame: ${what}`);
}
