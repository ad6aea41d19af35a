import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../src/domain/errors.ts';
import { acknowledgedNumber, acknowledgeText } from '../../src/transport/ssm/core/acknowledge.ts';
import { channelClosedReason } from '../../src/transport/ssm/core/channel-closed.ts';
import {
  decodeMessage,
  encodeMessage,
  encodeServiceMessage,
  type MessageFields,
  readMessage,
} from '../../src/transport/ssm/core/client-message.ts';
import { parseHandshakeComplete, parseHandshakeRequest } from '../../src/transport/ssm/core/handshake.ts';
import { MessageWriter } from '../../src/transport/ssm/core/message-writer.ts';
import { MESSAGE_TYPES } from '../../src/transport/ssm/core/wire-format.ts';
import { HANDSHAKE_COMPLETE, handshakeRequest, outputMessage } from '../support/agent-messages.ts';
import { CoreClient } from '../support/core-client.ts';
import { ssmVectors, unhex } from '../support/ssm-vectors.ts';

const isProtocolError = (thrown: unknown) => thrown instanceof CloudtunError && thrown.code.startsWith('CT_PROTO_');

/** What came out, or the code of a typed error; anything else thrown fails the test. */
function outcome<Result>(run: () => Result): Result | string {
  try {
    return run();
  } catch (thrown) {
    if (isProtocolError(thrown)) return (thrown as CloudtunError).code;
    throw thrown;
  }
}

const buffer = (constraints: fc.IntArrayConstraints = {}) =>
  fc.uint8Array(constraints).map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));

/** Frames near the truth: every hex of the vectors, well-formed and malformed. */
const seeds = [
  ...ssmVectors('messages').flatMap(({ hex }) => (hex === undefined ? [] : [unhex(hex)])),
  ...ssmVectors('malformed').map(({ hex }) => unhex(hex)),
  ...ssmVectors('transcripts').flatMap(({ frames }) =>
    frames.flatMap(({ hex }) => (hex === undefined ? [] : [unhex(hex)])),
  ),
];

type Mutation = (frame: Buffer) => Buffer;

const at = (frame: Buffer, share: number) => Math.min(frame.length - 1, Math.floor(share * frame.length));
const share = fc.double({ min: 0, max: 1, noNaN: true });
/** Offsets of fields that lie best. */
const field = fc.constantFrom(0, 4, 36, 40, 48, 56, 64, 80, 112, 116);
const value32 = fc.oneof(
  fc.constantFrom(0, 1, 4, 111, 112, 113, 116, 117, 120, 2 ** 31, 2 ** 32 - 4, 2 ** 32 - 1),
  fc.nat(),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(share, fc.nat(7)).map(
    ([where, bit]): Mutation =>
      (frame) => {
        const copy = Buffer.from(frame);
        if (copy.length > 0) copy[at(copy, where)]! ^= 1 << bit;
        return copy;
      },
  ),
  share.map(
    (where): Mutation =>
      (frame) =>
        frame.subarray(0, Math.floor(where * frame.length)),
  ),
  fc.tuple(share, buffer({ maxLength: 20 })).map(
    ([where, bytes]): Mutation =>
      (frame) =>
        Buffer.concat([frame.subarray(0, at(frame, where)), bytes, frame.subarray(at(frame, where))]),
  ),
  fc.tuple(field, value32).map(
    ([offset, value]): Mutation =>
      (frame) => {
        const copy = Buffer.from(frame);
        if (copy.length >= offset + 4) copy.writeUInt32BE(value >>> 0, offset);
        return copy;
      },
  ),
);

const mutant = fc
  .tuple(fc.constantFrom(...seeds), fc.array(mutation, { maxLength: 4 }))
  .map(([frame, mutations]) => mutations.reduce((mutated, mutate) => mutate(mutated), frame));

/** Both readers say the same, except that only the data path is bounded by 2^53. */
function checkReaders(frame: Buffer): void {
  const read = outcome(() => readMessage(frame));
  const decoded = outcome(() => decodeMessage(frame));
  if (typeof decoded === 'string') {
    assert.equal(read, decoded);
    return;
  }
  if (typeof read === 'string') {
    const number = decoded.sequenceNumber;
    assert.ok(number > BigInt(Number.MAX_SAFE_INTEGER) || number < -BigInt(Number.MAX_SAFE_INTEGER), read);
    return;
  }
  assert.equal(read.messageType, decoded.messageType);
  assert.equal(read.payloadType, decoded.payloadType);
  assert.ok(read.payload.equals(decoded.payload));
  // Never more than what came: a length that lies gives no bytes from elsewhere.
  assert.ok(read.payload.length <= frame.length - 116);
}

test('any bytes are a message or a typed error', () => {
  fc.assert(fc.property(buffer({ maxLength: 300 }), checkReaders), { numRuns: 2_000 });
});

test('frames near the truth are a message or a typed error', () => {
  fc.assert(fc.property(mutant, checkReaders), { numRuns: 5_000 });
});

test('a session that is fed such frames goes on or ends with a typed error, and holds little', () => {
  const opening = [outputMessage(0, handshakeRequest(), 5), outputMessage(1, HANDSHAKE_COMPLETE, 7)];
  fc.assert(
    fc.property(fc.array(mutant, { minLength: 1, maxLength: 12 }), fc.boolean(), (frames, isOpen) => {
      const client = new CoreClient({ clientVersion: '1.2.764.0' });
      if (isOpen) for (const frame of opening) client.receive(frame);
      const stream = client.mux.open();
      stream.on('error', () => {});
      client.send();
      outcome(() => {
        for (const frame of frames) {
          client.passTo(client.now + 1);
          client.receive(frame);
        }
      });
      const responses = client.inputs.filter(({ payloadType }) => payloadType === 6);
      assert.ok(responses.length <= 1, 'the handshake is answered once, whatever comes');
      assert.ok(client.acknowledges.length <= frames.length + opening.length);
      client.mux.abort(undefined);
    }),
    { numRuns: 600 },
  );
});

const fields: fc.Arbitrary<MessageFields> = fc.record({
  messageType: fc.constantFrom(...MESSAGE_TYPES, 'interactive_shell', 'x', 'a'.repeat(32)),
  schemaVersion: fc.nat({ max: 2 ** 32 - 1 }),
  createdDate: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  sequenceNumber: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  flags: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  messageId: fc.uuid(),
  payloadType: fc.nat({ max: 2 ** 32 - 1 }),
  payload: buffer({ minLength: 1, maxLength: 200 }),
});

test('what is encoded decodes to the same', () => {
  fc.assert(
    fc.property(fields, (message) => {
      const frame = encodeMessage(message);
      const decoded = decodeMessage(frame);
      assert.deepEqual({ ...decoded, payload: Buffer.from(decoded.payload) }, { ...message });
      checkReaders(frame);
    }),
  );
});

test('the short form decodes to what the service put in', () => {
  const type = fc.constantFrom(...(['channel_closed', 'start_publication', 'pause_publication'] as const));
  fc.assert(
    fc.property(type, fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), fc.uuid(), buffer(), (name, date, id, payload) => {
      const decoded = decodeMessage(encodeServiceMessage(name, date, id, payload));
      assert.equal(decoded.messageType, name);
      assert.equal(decoded.createdDate, date);
      assert.equal(decoded.messageId, id);
      assert.ok(payload.equals(decoded.payload));
      assert.equal(decoded.payloadType, 0);
    }),
  );
});

const number53 = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1),
  fc.maxSafeNat(),
);

test('the fast writer and the plain encoder agree', () => {
  fc.assert(
    fc.property(
      buffer({ minLength: 1, maxLength: 200 }),
      number53,
      number53,
      fc.nat({ max: 2 ** 32 - 1 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (payload, sequenceNumber, createdDate, payloadType, id) => {
        const writer = new MessageWriter('input_stream_data', 3, (byteCount) => Buffer.alloc(byteCount, id));
        const frame = writer.build(
          payloadType,
          payload,
          sequenceNumber,
          createdDate + 1 > 2 ** 53 - 1 ? 1 : createdDate + 1,
        );
        assert.deepEqual(encodeMessage(decodeMessage(frame)), frame);
        assert.equal(readMessage(frame).sequenceNumber, sequenceNumber);
      },
    ),
  );
});

test('an acknowledge text names the number and the id', () => {
  fc.assert(
    fc.property(fields, number53, (message, number) => {
      const text = acknowledgeText('output_stream_data', encodeMessage(message), number);
      assert.deepEqual(JSON.parse(text), {
        AcknowledgedMessageType: 'output_stream_data',
        AcknowledgedMessageId: message.messageId,
        AcknowledgedMessageSequenceNumber: number,
        IsSequentialMessage: true,
      });
      assert.equal(acknowledgedNumber(Buffer.from(text)), number);
    }),
  );
});

test('an acknowledge in any shape gives the number that JSON gives, or a typed error', () => {
  const base = acknowledgeText('input_stream_data', outputMessage(0, 'x'), 1_234);
  const shape = fc.oneof(
    fc.json(),
    fc.string(),
    fc.record({ AcknowledgedMessageSequenceNumber: fc.anything() }).map((value) => JSON.stringify(value)),
    fc
      .tuple(fc.nat(base.length), fc.string({ maxLength: 3 }))
      .map(([cut, text]) => base.slice(0, cut) + text + base.slice(cut)),
    fc.nat(base.length).map((cut) => base.slice(0, cut)),
    number53.map((number) => base.replace('1234', String(number))),
  );
  fc.assert(
    fc.property(shape, (text) => {
      const number = outcome(() => acknowledgedNumber(Buffer.from(text ?? '')));
      if (typeof number === 'string') return;
      assert.ok(Number.isSafeInteger(number));
      let content: unknown;
      try {
        content = JSON.parse(text);
      } catch {
        // The usual shape is believed up to the comma behind its number; the rest is not looked at.
        assert.ok(text.startsWith(base.slice(0, base.indexOf(':1234') + 1)), text);
        return;
      }
      assert.equal(number, (content as Record<string, unknown>).AcknowledgedMessageSequenceNumber);
    }),
    { numRuns: 2_000 },
  );
});

test('any JSON is a handshake message or a typed error; the reason of a close is one line', () => {
  const action = fc.record(
    {
      ActionType: fc.oneof(fc.constantFrom('SessionType', 'KMSEncryption', 'Other'), fc.anything()),
      ActionParameters: fc.oneof(
        fc.record({
          SessionType: fc.anything(),
          Properties: fc.anything(),
          KMSKeyId: fc.anything(),
          Challenge: fc.anything(),
        }),
        fc.anything(),
      ),
    },
    { requiredKeys: [] },
  );
  const request = fc.record({
    AgentVersion: fc.anything(),
    RequestedClientActions: fc.oneof(fc.array(action), fc.anything()),
  });
  const text = fc.oneof(
    fc.json(),
    fc.string(),
    request.map((value) => JSON.stringify(value) ?? ''),
  );
  const close = fc
    .record({ Output: fc.oneof(fc.string({ unit: 'binary' }), fc.anything()) })
    .map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(text, fc.oneof(close, fc.string()), (content, closing) => {
      outcome(() => parseHandshakeRequest(Buffer.from(content)));
      outcome(() => parseHandshakeComplete(Buffer.from(content)));
      const reason = channelClosedReason(Buffer.from(closing));
      assert.ok(reason.length <= 1_000 && !/\p{Cc}/u.test(reason), 'nothing that moves a cursor');
    }),
    { numRuns: 600 },
  );
});
