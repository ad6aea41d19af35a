import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIRM_LIMIT_MS, HalfClose } from '../../../../../src/transport/iap/core/half-close.ts';

const GRACE = 5_000;

test('the upload is waited for, then silence for the grace time', () => {
  const half = new HalfClose(GRACE);
  assert.equal(half.wakeAt, undefined);
  half.ended(1_000);
  half.tick(2_000, 10, false);
  assert.equal(half.isUploadOver, false);
  half.tick(3_000, 0, false);
  assert.equal(half.isUploadOver, true);
  assert.equal(half.wakeAt, 3_000 + GRACE);
  half.heard(6_000);
  half.tick(3_000 + GRACE, 0, false);
  assert.equal(half.isOver, false);
  half.tick(6_000 + GRACE, 0, false);
  assert.equal(half.isOver, true);
});

test('an upload that is never confirmed is waited for 10 s', () => {
  const half = new HalfClose(GRACE);
  half.ended(0);
  assert.equal(half.wakeAt, CONFIRM_LIMIT_MS);
  half.tick(CONFIRM_LIMIT_MS - 1, 1, false);
  assert.equal(half.isUploadOver, false);
  half.tick(CONFIRM_LIMIT_MS, 1, false);
  assert.equal(half.isUploadOver, true);
});

test('a client that does not read keeps the connection: the silence is its own', () => {
  const half = new HalfClose(GRACE);
  half.ended(0);
  half.tick(0, 0, false);
  half.tick(GRACE, 0, true);
  assert.equal(half.isOver, false);
  half.tick(2 * GRACE, 0, false);
  assert.equal(half.isOver, true);
});
