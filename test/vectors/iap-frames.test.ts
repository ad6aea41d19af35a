import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudtunError } from '../../src/domain/errors.ts';
import type { Random } from '../../src/runtime/random.ts';
import {
  DATA_HEADER_BYTES,
  dataHeader,
  decodeFrame,
  encodeAck,
  MAX_PAYLOAD,
} from '../../src/transport/iap/core/relay-frame.ts';
import { FrameBatch } from '../../src/transport/ws/frame-batch.ts';
import { bytesOf, iapVectors, reportIapVectors, resultOf } from '../support/iap-vectors.ts';
import { seededRandom } from '../support/manual-world.ts';
import { Wire } from '../support/wire.ts';

test('frames are encoded as the official client encodes them', (t) => {
  const listed = {
    'data 0': 'an empty DATA frame is legal for the official client; other ends refuse it, so none is ever made here',
    'data 16385': 'the official encoder has no limit; a sender must not exceed 16384 (checked: refused)',
    'data 65536': 'the same',
  };
  const all = iapVectors('encode');
  let run = 0;
  for (const { name, frame, value, payload, result, error } of all) {
    const make = () => {
      if (frame === 'ACK') return encodeAck(BigInt(value!));
      const bytes = bytesOf(payload!);
      return Buffer.concat([dataHeader(bytes.length), bytes]);
    };
    if (name in listed || error !== undefined) assert.throws(make, { code: 'CT_INTERNAL' }, name);
    else assert.deepEqual(resultOf(make(), result!), result, name);
    if (!(name in listed)) run += 1;
  }
  reportIapVectors(t, 'encode', run, all.length, listed);
});

const TAG_NAMES: Readonly<Record<number, string>> = { 1: 'sid', 2: 'reconnected', 4: 'data', 7: 'ack' };

test('messages are decoded as the official client decodes them', (t) => {
  const all = iapVectors('decode');
  let run = 0;
  for (const vector of all) {
    const message = bytesOf(vector.message);
    run += 1;
    if (vector.error !== undefined) {
      assert.throws(
        () => decodeFrame(message),
        (error: CloudtunError) => error.code === 'CT_PROTO_FRAME',
        vector.name,
      );
      continue;
    }
    const frame = decodeFrame(message);
    if (vector.unknownTag) {
      // Known here, as another client describes it; to be ignored by whoever does not know it.
      if (vector.name.startsWith('long close')) {
        assert.deepEqual(frame, { kind: 'long-close', code: 4033, reason: 'not authorized', trailing: 0 });
      } else assert.deepEqual(frame, { kind: 'unknown', tag: vector.tag }, vector.name);
      continue;
    }
    assert.equal(frame.kind, TAG_NAMES[vector.tag!], vector.name);
    assert.ok(frame.kind !== 'unknown');
    assert.equal(frame.trailing, vector.trailing, vector.name);
    if (frame.kind === 'sid') assert.deepEqual(resultOf(frame.sid, vector.sid!), vector.sid, vector.name);
    if (frame.kind === 'data') assert.deepEqual(resultOf(frame.payload, vector.payload!), vector.payload, vector.name);
    if (frame.kind === 'ack' || frame.kind === 'reconnected') assert.equal(String(frame.total), vector.ack, vector.name);
  }
  reportIapVectors(t, 'decode', run, all.length);
});

test('websocket frames are masked as the official client masks them', (t) => {
  const listed = { 'client frame, opcode 8, 2 bytes': 'Close frames are made by the websocket library' };
  const all = iapVectors('webSocketFrames').filter(({ name }) => !(name in listed));
  for (const { name, maskKey, payload, result } of all) {
    const bytes = bytesOf(payload);
    const random: Random = { ...seededRandom(), bytes: (count) => Buffer.alloc(count, bytesOf(maskKey)) };
    for (const parts of [[bytes], [bytes.subarray(0, 6), bytes.subarray(6)], Array.from(bytes.subarray(0, 600), (byte) => Buffer.of(byte))]) {
      const whole = Buffer.concat(parts);
      if (whole.length !== bytes.length) continue;
      const wire = new Wire();
      const batch = new FrameBatch(wire.asSocket(), random);
      batch.begin(bytes.length);
      for (const part of parts) batch.add(part, 0, part.length);
      batch.flush();
      assert.deepEqual(resultOf(wire.bytes, result), result, `${name} in ${parts.length} parts`);
    }
  }
  reportIapVectors(t, 'webSocketFrames', all.length, iapVectors('webSocketFrames').length, listed);
});

test('the constants are those of the official client', (t) => {
  const listed = {
    ackAfterMoreThan: 'its policy: more than 32768 bytes; here 32768 are enough',
    sendPollSeconds: 'its loop; here nothing is polled',
    openWaitSeconds: 'checked with the links: FIRST_FRAME_LIMIT_MS',
    unsentQueueFrames: 'its queue; here the bound is in bytes',
    flushWaitSeconds: 'checked with the half close: CONFIRM_LIMIT_MS',
    host: 'checked with the addresses',
    mtlsHost: 'checked with the addresses',
    pathRoot: 'checked with the addresses',
    subprotocol: 'checked with the handshake',
    origin: 'checked with the handshake',
  };
  const constants = iapVectors('constants');
  assert.equal(constants.maxPayload, MAX_PAYLOAD);
  assert.equal(constants.header, DATA_HEADER_BYTES);
  const tags = { CONNECT_SUCCESS_SID: 1, RECONNECT_SUCCESS_ACK: 2, DATA: 4, ACK: 7 };
  assert.deepEqual(constants.tags, tags);
  assert.equal(dataHeader(1).readUInt16BE(0), tags.DATA);
  assert.equal(encodeAck(1n).readUInt16BE(0), tags.ACK);
  reportIapVectors(t, 'constants', 3, Object.keys(constants).length, listed);
});
