/**
 * The number of an acknowledge in the one shape that every known client sends, read without a parser: in a download there is one for
 * each message. Any other shape, and any check, takes the long way (transport/ssm/core/acknowledge.ts).
 */
import { MESSAGE_TYPE_LENGTH, OFFSET, PAYLOAD_OFFSET } from '../../../transport/ssm/core/wire-format.ts';

const TYPE = Buffer.from('acknowledge'.padEnd(MESSAGE_TYPE_LENGTH));
const HEAD = Buffer.from('{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"');
const MIDDLE = Buffer.from('","AcknowledgedMessageSequenceNumber":');
const MIDDLE_OFFSET = PAYLOAD_OFFSET + HEAD.length + 36;
const NUMBER_OFFSET = MIDDLE_OFFSET + MIDDLE.length;
const COLON = 0x3a;
const COMMA = 0x2c;
/** Digits below 2^53 whatever they are. */
const MAX_DIGITS = 15;

/** Undefined: not an acknowledge, or not of the usual shape. */
export function quickAcknowledgedOutput(frame: Buffer): number | undefined {
  if (frame[NUMBER_OFFSET - 1] !== COLON || frame[3] !== 116) return undefined;
  if (TYPE.compare(frame, OFFSET.messageType, OFFSET.messageType + MESSAGE_TYPE_LENGTH) !== 0) return undefined;
  if (HEAD.compare(frame, PAYLOAD_OFFSET, PAYLOAD_OFFSET + HEAD.length) !== 0) return undefined;
  let value = 0;
  let at = NUMBER_OFFSET;
  for (let byte = frame[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = frame[++at]) {
    value = value * 10 + (byte - 0x30);
  }
  const digits = at - NUMBER_OFFSET;
  return digits > 0 && digits <= MAX_DIGITS && frame[at] === COMMA ? value : undefined;
}
