/**
 * How the service cuts bytes into DATA frames: in full ones, or, with faults, in legal but unusual ones. All of what comes out is
 * what a good client must take: frames of one byte, empty ones, unknown tags, bytes after a frame.
 */
import { dataFrame, dataHeader } from './relay-frame.ts';

export interface Shape {
  readonly maxPayload: number;
  readonly splitPercent: number;
  readonly oneBytePercent: number;
  readonly trailingPercent: number;
  readonly unknownTagPercent: number;
  readonly emptyDataPercent: number;
}

/** A message: a header and a view of the bytes after it, so that they are copied once, when they are sent. */
export interface ShapedMessage {
  readonly head: Buffer;
  readonly body: Buffer;
  /** Payload bytes of DATA; 0 for messages that carry none. */
  readonly payloadBytes: number;
}

const NO_BYTES = Buffer.alloc(0);
const UNKNOWN = Buffer.from('00630000000401020304', 'hex');
const EMPTY_DATA = dataFrame(NO_BYTES);
const TRAILING = Buffer.from('6c6566746f766572', 'hex');

/** Whether frames leave as plain full ones. */
export function isPlain(shape: Shape): boolean {
  return (
    shape.splitPercent === 0 &&
    shape.oneBytePercent === 0 &&
    shape.trailingPercent === 0 &&
    shape.unknownTagPercent === 0 &&
    shape.emptyDataPercent === 0
  );
}

/** Hands out the messages for `bytes`, in order. @param fraction random, in [0, 1) */
export function shapeBytes(
  bytes: Buffer,
  shape: Shape,
  fraction: () => number,
  emit: (message: ShapedMessage) => void,
): void {
  const plain = isPlain(shape);
  for (let at = 0; at < bytes.length; ) {
    const body = bytes.subarray(at, Math.min(bytes.length, at + shape.maxPayload));
    at += body.length;
    if (plain) emit({ head: dataHeader(body.length), body, payloadBytes: body.length });
    else shapeFrame(body, shape, fraction, emit);
  }
}

function shapeFrame(bytes: Buffer, shape: Shape, fraction: () => number, emit: (message: ShapedMessage) => void): void {
  const strikes = (percent: number) => fraction() * 100 < percent;
  const data = (body: Buffer) => {
    if (body.length > 0) emit({ head: dataHeader(body.length), body, payloadBytes: body.length });
  };
  // Each knob draws once for each frame, so that one does not change what another one picks.
  const [isUnknown, isEmpty, isOne, isSplit, isTrailing] = [
    strikes(shape.unknownTagPercent),
    strikes(shape.emptyDataPercent),
    strikes(shape.oneBytePercent),
    strikes(shape.splitPercent),
    strikes(shape.trailingPercent),
  ];
  const place = fraction();
  if (isUnknown) emit({ head: UNKNOWN, body: NO_BYTES, payloadBytes: 0 });
  if (isEmpty) emit({ head: EMPTY_DATA, body: NO_BYTES, payloadBytes: 0 });
  let rest = bytes;
  if (isOne) {
    data(rest.subarray(0, 1));
    rest = rest.subarray(1);
  }
  if (isSplit) {
    const at = Math.floor(place * rest.length);
    data(rest.subarray(0, at));
    rest = rest.subarray(at);
  }
  if (!isTrailing || rest.length === 0) return data(rest);
  emit({ head: dataHeader(rest.length), body: Buffer.concat([rest, TRAILING]), payloadBytes: rest.length });
}
