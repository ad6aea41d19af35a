/** The acknowledge message's payload (docs/protocol/ssm.md, "Acknowledge"): JSON of a fixed shape, of which only the number counts. */
import { CloudtunError } from '../../../domain/errors.ts';
import { messageIdOf } from './client-message.ts';

export type AcknowledgedType = 'input_stream_data' | 'output_stream_data';

/** The payload text for the data message in `frame`. */
export function acknowledgeText(type: AcknowledgedType, frame: Buffer, sequenceNumber: number): string {
  return `{"AcknowledgedMessageType":"${type}","AcknowledgedMessageId":"${messageIdOf(frame)}","AcknowledgedMessageSequenceNumber":${sequenceNumber},"IsSequentialMessage":true}`;
}

const NUMBER_KEY = '"AcknowledgedMessageSequenceNumber":';
const NUMBER_KEY_BYTES = Buffer.from(NUMBER_KEY);
const KNOWN_PREFIX = Buffer.from('{"AcknowledgedMessageType":"');

/**
 * The acknowledged number. The usual shape is read without parsing JSON; anything else goes through JSON.parse.
 *
 * @throws CT_PROTO_FRAME when it is not such an object, or the number is beyond 2^53
 */
export function acknowledgedNumber(payload: Buffer): number {
  const at = payload.indexOf(NUMBER_KEY_BYTES);
  if (at > 0 && payload.subarray(0, KNOWN_PREFIX.length).equals(KNOWN_PREFIX)) {
    let value = 0;
    let index = at + NUMBER_KEY_BYTES.length;
    for (let byte = payload[index]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = payload[++index]) {
      value = value * 10 + (byte - 0x30);
    }
    if (index > at + NUMBER_KEY_BYTES.length && payload[index] === 0x2c && Number.isSafeInteger(value)) return value;
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
