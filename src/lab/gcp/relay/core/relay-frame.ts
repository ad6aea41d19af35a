/**
 * Frames of the SSH Relay v4 (docs/protocol/iap.md, "Frames") as the service reads and writes them. Written from the description alone
 * and apart from the client's codec in transport/iap, so that a mistake made there shows here. One websocket message is one frame.
 * Integers are big-endian and unsigned. Not here: the deprecated tag 3, and anything about a session.
 */

/** First two bytes of a frame. */
export const TAG = {
  /** Down: `u32 n`, then n bytes of the session's id. */
  connectSuccessSid: 1,
  /** Down: `u64` bytes that the service has received. */
  reconnectSuccessAck: 2,
  /** Both: `u32 n`, then n bytes, at most 16384. */
  data: 4,
  /** Both: `u64` bytes received since the session began. */
  ack: 7,
  /** Down: `u32` close code, `u32 n`, then n bytes of UTF-8. */
  longClose: 10,
} as const;

/** Largest payload of a DATA frame that a sender may make. */
export const MAX_PAYLOAD = 16_384;
export const DATA_HEADER_BYTES = 6;

export type RelayFrame =
  | { readonly kind: 'sid'; readonly sid: Buffer; readonly trailing: number }
  | { readonly kind: 'reconnected' | 'ack'; readonly total: bigint; readonly trailing: number }
  | { readonly kind: 'data'; readonly payload: Buffer; readonly trailing: number }
  | { readonly kind: 'long-close'; readonly code: number; readonly reason: string; readonly trailing: number }
  | { readonly kind: 'unknown'; readonly tag: number }
  | { readonly kind: 'malformed'; readonly what: string };

const malformed = (what: string): RelayFrame => ({ kind: 'malformed', what });

/** Reads one message. `trailing` counts bytes after the frame, which are to be dropped; payloads are views. */
export function readFrame(message: Buffer): RelayFrame {
  if (message.length < 2) return malformed(`a message of ${message.length} bytes has no tag`);
  const tag = message.readUInt16BE(0);
  switch (tag) {
    case TAG.connectSuccessSid: {
      const sid = counted(message, 2);
      return sid === undefined ? malformed('tag 1 is cut short') : { kind: 'sid', ...sid, sid: sid.bytes };
    }
    case TAG.data: {
      const data = counted(message, 2);
      if (data === undefined) return malformed('DATA is cut short');
      return { kind: 'data', payload: data.bytes, trailing: data.trailing };
    }
    case TAG.reconnectSuccessAck:
    case TAG.ack:
      if (message.length < 10) return malformed(`tag ${tag} is cut short`);
      return {
        kind: tag === TAG.ack ? 'ack' : 'reconnected',
        total: message.readBigUInt64BE(2),
        trailing: message.length - 10,
      };
    case TAG.longClose: {
      const reason = message.length < 10 ? undefined : counted(message, 6);
      if (reason === undefined) return malformed('LONG_CLOSE is cut short');
      const { bytes, trailing } = reason;
      return { kind: 'long-close', code: message.readUInt32BE(2), reason: bytes.toString(), trailing };
    }
    default:
      return { kind: 'unknown', tag };
  }
}

/** `u32 n` at `at` and the n bytes after it; undefined when the message is shorter. */
function counted(message: Buffer, at: number): { readonly bytes: Buffer; readonly trailing: number } | undefined {
  if (message.length < at + 4) return undefined;
  const end = at + 4 + message.readUInt32BE(at);
  return end > message.length ? undefined : { bytes: message.subarray(at + 4, end), trailing: message.length - end };
}

export function sidFrame(sid: string): Buffer {
  return Buffer.concat([dataHeader(Buffer.byteLength(sid), TAG.connectSuccessSid), Buffer.from(sid)]);
}

/** The six bytes before a payload. */
export function dataHeader(byteCount: number, tag: number = TAG.data): Buffer {
  const header = Buffer.allocUnsafe(DATA_HEADER_BYTES);
  header.writeUInt16BE(tag, 0);
  header.writeUInt32BE(byteCount, 2);
  return header;
}

/** @param payload at most 16384 bytes; more is what no sender may do, and is made all the same for tests */
export function dataFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([dataHeader(payload.length), payload]);
}

/** @param total bytes received, below 2^53 */
export function ackFrame(total: number): Buffer {
  return totalFrame(TAG.ack, total);
}

export function reconnectedFrame(total: number): Buffer {
  return totalFrame(TAG.reconnectSuccessAck, total);
}

export function longCloseFrame(code: number, reason: string): Buffer {
  const bytes = Buffer.from(reason);
  const head = Buffer.allocUnsafe(10);
  head.writeUInt16BE(TAG.longClose, 0);
  head.writeUInt32BE(code, 2);
  head.writeUInt32BE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

function totalFrame(tag: number, total: number): Buffer {
  const frame = Buffer.allocUnsafe(10);
  frame.writeUInt16BE(tag, 0);
  frame.writeUInt32BE(Math.floor(total / 2 ** 32), 2);
  frame.writeUInt32BE(total % 2 ** 32, 6);
  return frame;
}
