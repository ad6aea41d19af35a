/**
 * The rules of the data channel that a good client keeps and the official agent never checks (docs/protocol/ssm.md, "Compatibility
 * traps"). Breaking one is a violation; the message is handled as the official agent would all the same.
 */
import { hash } from 'node:crypto';
import type { Message } from '../../../transport/ssm/core/client-message.ts';
import { messageIdOf } from '../../../transport/ssm/core/client-message.ts';
import { LONG_HEADER_LENGTH, OFFSET } from '../../../transport/ssm/core/wire-format.ts';
import type { Observations } from './observations.ts';

/** How many numbers back a repeat is compared with what it repeats. */
const REMEMBERED_NUMBERS = 8_192;

export class InputAudit {
  readonly #witness: Observations;
  /** Digest of each input number that came lately. */
  readonly #digests = new Map<number, string>();

  constructor(witness: Observations) {
    this.#witness = witness;
  }

  input(message: Message, expected: number): void {
    const { frame, sequenceNumber: number, payload } = message;
    const complain = (what: string) => this.#witness.violation(`input ${number} ${what}`);
    this.#header(frame, 0, complain);
    if (number < 0) complain('has a negative number');
    if (payload.length === 0) complain('has an empty payload');
    const digest = frame.latin1Slice(OFFSET.digest, OFFSET.digest + 32);
    if (payload.length > 0 && hash('sha256', payload, 'latin1') !== digest) complain('does not match its digest');
    const known = this.#digests.get(number);
    if (known === undefined) this.#remember(number, digest, expected);
    else if (known !== digest) complain('was sent again with other bytes');
  }

  /** @param acknowledged the output message of that number, while it is still unacknowledged */
  acknowledge(message: Message, number: number, nextOutput: number, acknowledged: Buffer | undefined): void {
    const complain = (what: string) => this.#witness.violation(`the acknowledge of output ${number} ${what}`);
    this.#header(message.frame, 3, complain);
    if (message.sequenceNumber !== 0) complain(`has number ${message.sequenceNumber}`);
    if (message.payloadType !== 0) complain(`has payload type ${message.payloadType}`);
    if (hash('sha256', message.payload, 'latin1') !== message.frame.latin1Slice(OFFSET.digest, OFFSET.digest + 32)) {
      complain('does not match its digest');
    }
    if (number < 0 || number >= nextOutput) {
      complain('acknowledges what was never sent');
      return;
    }
    const fields = jsonFields(message.payload);
    if (fields === undefined) {
      complain('is not a JSON object');
      return;
    }
    if (fields.AcknowledgedMessageType !== 'output_stream_data') {
      complain(`names the type ${JSON.stringify(fields.AcknowledgedMessageType)}`);
    }
    if (fields.IsSequentialMessage !== true) complain('is not called sequential');
    if (acknowledged !== undefined && fields.AcknowledgedMessageId !== messageIdOf(acknowledged)) {
      complain('names the id of another message');
    }
  }

  #header(frame: Buffer, flags: number, complain: (what: string) => void): void {
    if (frame.readUInt32BE(OFFSET.headerLength) !== LONG_HEADER_LENGTH) complain('has a header of another length');
    if (frame.readUInt32BE(OFFSET.schemaVersion) !== 1) complain('has another schema version than 1');
    const high = frame.readUInt32BE(OFFSET.flags);
    const low = frame.readUInt32BE(OFFSET.flags + 4);
    if (high !== 0 || low !== flags) complain(`has flags ${low}, not ${flags}`);
    // Version 4, variant 10: byte 6 and 8 of the text form stand at 14 and 0 of the wire form.
    const isVersion4 = frame[OFFSET.messageId + 14]! >> 4 === 4 && frame[OFFSET.messageId]! >> 6 === 2;
    if (!isVersion4) complain('has an id that is no version 4 UUID');
    if (frame[OFFSET.messageType + 31] !== 0x20) complain('has a type that is not padded with spaces');
  }

  #remember(number: number, digest: string, expected: number): void {
    this.#digests.set(number, digest);
    if (this.#digests.size <= REMEMBERED_NUMBERS) return;
    for (const old of this.#digests.keys()) {
      if (old >= expected || this.#digests.size <= REMEMBERED_NUMBERS) break;
      this.#digests.delete(old);
    }
  }
}

function jsonFields(payload: Buffer): Record<string, unknown> | undefined {
  try {
    const content: unknown = JSON.parse(payload.toString());
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
