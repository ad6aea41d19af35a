import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import { acknowledgedNumber } from '../../src/transport/ssm/core/acknowledge.ts';
import { decodeMessage, encodeMessage, messageIdOf, readMessage } from '../../src/transport/ssm/core/client-message.ts';
import { messageIdFromWire, writeMessageId } from '../../src/transport/ssm/core/message-id.ts';
import { MessageWriter } from '../../src/transport/ssm/core/message-writer.ts';
import { MESSAGE_TYPES, type MessageType } from '../../src/transport/ssm/core/wire-format.ts';
import { fieldsOf, type MessageVector, reportVectors, ssmVectors, unhex } from '../support/ssm-vectors.ts';

const messages = ssmVectors('messages');
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
/** Types whose number means something to us; of the others the number is not even looked at. */
const NUMBERED = ['input_stream_data', 'output_stream_data', 'acknowledge'];

const code = (expected: string) => (thrown: unknown) => thrown instanceof CloudtunError && thrown.code === expected;

function checkEncode(vector: MessageVector): void {
  if (vector.hex === undefined) {
    assert.throws(() => encodeMessage(fieldsOf(vector.fields)), code('CT_PROTO_FRAME'), vector.serializeError);
    return;
  }
  assert.equal(encodeMessage(fieldsOf(vector.fields)).toString('hex'), vector.hex);
}

function checkDecode(vector: MessageVector): void {
  const frame = unhex(vector.hex!);
  if (vector.client!.validate !== 'ok') {
    // An empty type, a date of 0: both official ends refuse these too.
    assert.throws(() => decodeMessage(frame), code('CT_PROTO_FRAME'));
    assert.throws(() => readMessage(frame), code('CT_PROTO_FRAME'));
    return;
  }
  const decoded = decodeMessage(frame);
  assert.deepEqual({ ...decoded, payload: Buffer.from(decoded.payload) }, fieldsOf(vector.fields));
  assert.equal(messageIdOf(frame), vector.fields.messageId);
  checkRead(vector, frame);
}

function checkRead(vector: MessageVector, frame: Buffer): void {
  const number = BigInt(vector.fields.sequenceNumber);
  const isNumbered = NUMBERED.includes(vector.fields.messageType);
  if (isNumbered && (number > MAX_SAFE || number < -MAX_SAFE)) {
    assert.throws(() => readMessage(frame), code('CT_PROTO_FRAME'));
    return;
  }
  const message = readMessage(frame);
  assert.equal(message.messageType, vector.fields.messageType);
  assert.equal(message.payloadType, vector.fields.payloadType);
  assert.equal(message.payload.toString('hex'), vector.fields.payloadHex);
  assert.equal(message.sequenceNumber, isNumbered ? Number(number) : 0);
}

let run = 0;
for (const vector of messages) {
  test(`message ${vector.name}`, () => {
    checkEncode(vector);
    if (vector.hex !== undefined) checkDecode(vector);
    run++;
  });
}

test('every message was encoded and decoded', (t) => reportVectors(t, 'messages', run, messages.length));

/** What the fast writer is made for: our own types, schema 1, a version 4 id, numbers below 2^53, 32 bits of flags. */
function fitsTheWriter({ hex, fields }: MessageVector): boolean {
  return (
    hex !== undefined &&
    (MESSAGE_TYPES as readonly string[]).includes(fields.messageType) &&
    fields.schemaVersion === 1 &&
    BigInt(fields.flags) < 2n ** 32n &&
    BigInt(fields.sequenceNumber) >= 0n &&
    BigInt(fields.sequenceNumber) <= MAX_SAFE &&
    fields.messageId === '12345678-9abc-4def-8123-456789abcdef'
  );
}

test('the fast writer makes the same frames, given the same id and date', (t) => {
  const fitting = messages.filter(fitsTheWriter);
  for (const { name, hex, fields } of fitting) {
    const wireId = Buffer.alloc(16);
    writeMessageId(wireId, 0, fields.messageId);
    const pool = (byteCount: number) => Buffer.alloc(byteCount, wireId);
    const writer = new MessageWriter(fields.messageType as MessageType, Number(fields.flags), pool);
    const payload = unhex(fields.payloadHex);
    const number = Number(fields.sequenceNumber);
    const frame = writer.build(fields.payloadType, payload, number, Number(fields.createdDate));
    assert.equal(frame.toString('hex'), hex, name);
    // And into the middle of a larger buffer, where the hot path writes.
    const slab = Buffer.alloc(64 + frame.length, 0xee);
    payload.copy(slab, 8 + 120);
    writer.writeHeader(slab, 8, fields.payloadType, payload.length, number, Number(fields.createdDate));
    assert.equal(slab.subarray(8, 8 + frame.length).toString('hex'), hex, name);
    assert.ok(
      [...slab.subarray(0, 8), ...slab.subarray(8 + frame.length)].every((byte) => byte === 0xee),
      name,
    );
  }
  t.diagnostic(`${fitting.length} messages made by the fast writer`);
  assert.ok(fitting.length >= 45, 'the writer must be able to make nearly all of them');
});

test('an id that the writer draws is a version 4 UUID', () => {
  for (const fill of [0x00, 0xff, 0x5a]) {
    const writer = new MessageWriter('input_stream_data', 0, (byteCount) => Buffer.alloc(byteCount, fill));
    const frame = writer.build(1, Buffer.from('x'), 0, 1);
    assert.match(messageIdOf(frame), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test('the number of an acknowledge is read up to 2^53 and refused beyond', () => {
  const payloadOf = (name: string) => unhex(messages.find((vector) => vector.name === name)!.fields.payloadHex);
  assert.equal(acknowledgedNumber(payloadOf('acknowledge-of-output-0')), 0);
  assert.equal(acknowledgedNumber(payloadOf('acknowledge-of-input-7')), 7);
  for (const name of ['acknowledge-of-2p53p1', 'acknowledge-of-2p63m1']) {
    assert.throws(() => acknowledgedNumber(payloadOf(name)), code('CT_PROTO_FRAME'), name);
  }
});

test('message ids swap their halves', (t) => {
  const vectors = ssmVectors('uuidOrder');
  let run = 0;
  for (const { uuid, wireHex } of vectors) {
    const frame = Buffer.alloc(20);
    writeMessageId(frame, 3, uuid);
    assert.equal(frame.toString('hex'), `000000${wireHex}00`);
    assert.equal(messageIdFromWire(frame, 3), uuid);
    run++;
  }
  reportVectors(t, 'uuidOrder', run, vectors.length);
});
