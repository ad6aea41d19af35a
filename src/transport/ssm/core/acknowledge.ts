/** The acknowledge message's payload (docs/protocol/ssm.md, "Acknowledge"): JSON of a fixed shape, of which only the number counts. */
import { CloudtunError } from '../../../domain/errors.ts';
import { writeMessageIdText } from './message-id.ts';
import { OFFSET } from './wire-format.ts';

export type AcknowledgedType = 'input_stream_data' | 'output_stream_data';

const ID_TEXT_LENGTH = 36;
const headOf = (type: AcknowledgedType) => `{"AcknowledgedMessageType":"${type}","AcknowledgedMessageId":"`;
const MIDDLE = '","AcknowledgedMessageSequenceNumber":';
const TAIL = ',"IsSequentialMessage":true}';
const TAIL_BYTES = Buffer.from(TAIL);

/** Bytes that the longest acknowledge may take. */
export const MAX_ACKNOWLEDGE_BYTES = 256;

/**
 * Writes acknowledges of one type into a buffer without making strings: there is one for every data message.
 */
export class AcknowledgeText {
  readonly #start: Buffer;
  readonly #idOffset: number;

  constructor(type: AcknowledgedType) {
    const head = headOf(type);
    this.#idOffset = head.length;
    this.#start = Buffer.from(head + '0'.repeat(ID_TEXT_LENGTH) + MIDDLE);
  }

  /**
   * Writes the payload for a data message at `offset`; returns its length.
   *
   * @param wireId where the 16 wire bytes of the message's id stand
   */
  write(target: Buffer, offset: number, wireId: Buffer, wireIdOffset: number, sequenceNumber: number): number {
    target.set(this.#start, offset);
    writeMessageIdText(target, offset + this.#idOffset, wireId, wireIdOffset);
    const at = writeDigits(target, offset + this.#start.length, sequenceNumber);
    target.set(TAIL_BYTES, at);
    return at + TAIL_BYTES.length - offset;
  }
}

/** Decimal digits of a whole number; returns the offset behind them. */
function writeDigits(target: Buffer, offset: number, value: number): number {
  let end = offset + 1;
  for (let rest = Math.floor(Math.abs(value) / 10); rest > 0; rest = Math.floor(rest / 10)) end++;
  if (value < 0) {
    target[offset] = 0x2d;
    end++;
  }
  let rest = Math.abs(value);
  for (let at = end - 1; at >= offset + (value < 0 ? 1 : 0); at--) {
    target[at] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return end;
}

/** The payload text for the data message in `frame`: for rare messages and tests. */
export function acknowledgeText(type: AcknowledgedType, frame: Buffer, sequenceNumber: number): string {
  const target = Buffer.alloc(MAX_ACKNOWLEDGE_BYTES);
  const byteCount = new AcknowledgeText(type).write(target, 0, frame, OFFSET.messageId, sequenceNumber);
  return target.latin1Slice(0, byteCount);
}

/** Where the number stands in the usual shape, by the length of the type's name. */
const NUMBER_OFFSET = headOf('input_stream_data').length + ID_TEXT_LENGTH + MIDDLE.length;
const USUAL_HEAD = Buffer.from(headOf('input_stream_data'));
const COLON = 0x3a;
const COMMA = 0x2c;

/**
 * The acknowledged number. The usual shape is read without parsing JSON; anything else goes through JSON.parse.
 *
 * @throws CT_PROTO_FRAME when it is not such an object, or the number is beyond 2^53
 */
export function acknowledgedNumber(payload: Buffer): number {
  if (payload[NUMBER_OFFSET - 1] === COLON && USUAL_HEAD.compare(payload, 0, USUAL_HEAD.length) === 0) {
    let value = 0;
    let index = NUMBER_OFFSET;
    for (let byte = payload[index]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = payload[++index]) {
      value = value * 10 + (byte - 0x30);
    }
    if (index > NUMBER_OFFSET && payload[index] === COMMA && Number.isSafeInteger(value)) return value;
  }
  return parsedNumber(payload);
}

function parsedNumber(payload: Buffer): number {
  let content: unknown;
  try {
    content = JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw new CloudtunError('CT_PROTO_FRAME', 'malformed Session Manager message: an acknowledge that is not JSON', {
      cause,
    });
  }
  const value =
    typeof content === 'object' && content !== null && 'AcknowledgedMessageSequenceNumber' in content
      ? content.AcknowledgedMessageSequenceNumber
      : undefined;
  if (!Number.isSafeInteger(value)) {
    throw new CloudtunError(
      'CT_PROTO_FRAME',
      'malformed Session Manager message: an acknowledge without a usable number',
    );
  }
  return value as number;
}
