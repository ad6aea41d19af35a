import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameHead, FrameTrack, mayBeMessage } from '../../../../src/transport/ws/frame-head.ts';
import { rawFrame } from '../../../support/raw-websocket.ts';

const BINARY = 0x82;

for (const byteCount of [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]) {
  test(`the head of a frame of ${byteCount} bytes is read when it is all there, wherever it stands`, () => {
    const frame = Buffer.concat([Buffer.alloc(3, 0xff), rawFrame(BINARY, Buffer.alloc(byteCount))]);
    const head = new FrameHead();
    const headBytes = frame.length - 3 - byteCount;
    for (let end = 3; end < 3 + headBytes; end++) assert.equal(head.read(frame, 3, end), false);
    assert.ok(head.read(frame, 3, 3 + headBytes));
    assert.equal(head.headBytes, headBytes);
    assert.equal(head.byteCount, frame.length - 3);
  });
}

test('a mask belongs to the head; a length beyond 2^32 is a length', () => {
  const head = new FrameHead();
  assert.ok(head.read(Buffer.from([BINARY, 0x85, 1, 2, 3, 4]), 0, 6));
  assert.equal(head.headBytes, 6);
  assert.equal(head.payloadBytes, 5);
  assert.ok(head.read(Buffer.from([BINARY, 127, 0, 0, 1, 0, 0xff, 0, 0, 1]), 0, 10));
  assert.equal(head.payloadBytes, 2 ** 40 + 0xff000001);
});

test('only a whole message of bytes without a mask may be one', () => {
  const may = (...bytes: number[]) => mayBeMessage(Buffer.from(bytes), 0, bytes.length);
  assert.ok(may(BINARY));
  assert.ok(may(BINARY, 0x7f));
  assert.ok(!may(BINARY, 0x80));
  for (const first of [0x00, 0x02, 0x80, 0x81, 0x83, 0x88, 0x89, 0xc2, 0xa2, 0x92, 0xff]) assert.ok(!may(first, 0));
});

test('a track stands at the same place however its bytes were cut', () => {
  const frames = fc.array(
    fc.record({
      first: fc.constantFrom(0x02, 0x00, 0x80, 0x81, BINARY, 0x88, 0x89, 0x8a),
      byteCount: fc.oneof(fc.nat(130), fc.constant(65_535), fc.constant(65_536)),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(frames, fc.nat(20), fc.array(fc.integer({ min: 1, max: 90_000 })), (list, missing, cuts) => {
      const all = Buffer.concat(list.map(({ first, byteCount }) => rawFrame(first, Buffer.alloc(byteCount, 0x82))));
      const bytes = all.subarray(0, Math.max(0, all.length - missing));
      const whole = new FrameTrack();
      whole.pass(bytes);
      const cut = new FrameTrack();
      let at = 0;
      for (const length of cuts) {
        cut.pass(bytes.subarray(at, at + length));
        at += length;
      }
      for (; at < bytes.length; at++) cut.pass(bytes.subarray(at, at + 1));
      assert.deepEqual(
        [cut.isBetweenFrames, cut.isClosed, cut.isInMessage, cut.wanted],
        [whole.isBetweenFrames, whole.isClosed, whole.isInMessage, whole.wanted],
      );
      if (missing > 0 || list.length === 0) return;
      assert.ok(whole.isBetweenFrames);
      assert.equal(
        whole.isClosed,
        list.some(({ first }) => first === 0x88),
      );
      const last = list.findLast(({ first }) => (first & 0x0f) < 8);
      assert.equal(whole.isInMessage, last !== undefined && last.first < 0x80);
    }),
    { numRuns: 200 },
  );
});
