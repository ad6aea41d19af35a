import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MAX_REORDERED_BYTES,
  MAX_REORDERED_MESSAGES,
  ReorderBuffer,
} from '../../../../src/transport/ssm/core/reorder-buffer.ts';

test('messages are kept as copies and given back by number', () => {
  const buffer = new ReorderBuffer();
  const payload = Buffer.from('seven');
  assert.ok(buffer.hold(7, 1, payload));
  payload.fill('x');
  assert.equal(buffer.peek(6), undefined);
  assert.equal(buffer.peek(7)!.payload.toString(), 'seven');
  assert.equal(buffer.peek(7)!.payloadType, 1);
  buffer.drop(7);
  buffer.drop(7);
  assert.equal(buffer.peek(7), undefined);
  assert.deepEqual([buffer.size, buffer.byteCount], [0, 0]);
});

test('a repeated message counts once', () => {
  const buffer = new ReorderBuffer();
  for (let count = 0; count < 3; count++) assert.ok(buffer.hold(1, 1, Buffer.alloc(100)));
  assert.deepEqual([buffer.size, buffer.byteCount], [1, 100]);
});

test('bounded in messages, however small', () => {
  const buffer = new ReorderBuffer();
  for (let number = 0; number < MAX_REORDERED_MESSAGES; number++) assert.ok(buffer.hold(number, 1, Buffer.alloc(1)));
  assert.equal(buffer.hold(MAX_REORDERED_MESSAGES, 1, Buffer.alloc(1)), false);
  assert.equal(buffer.hold(5, 1, Buffer.alloc(1)), true, 'what it has already it still has');
  buffer.drop(0);
  assert.ok(buffer.hold(MAX_REORDERED_MESSAGES, 1, Buffer.alloc(1)));
});

test('bounded in bytes, however few', () => {
  const buffer = new ReorderBuffer();
  const piece = Buffer.alloc(MAX_REORDERED_BYTES / 4);
  for (let number = 0; number < 4; number++) assert.ok(buffer.hold(number, 1, piece));
  assert.equal(buffer.hold(4, 1, Buffer.alloc(1)), false);
  assert.equal(buffer.byteCount, MAX_REORDERED_BYTES);
  buffer.drop(2);
  assert.ok(buffer.hold(4, 1, piece));
});

test('numbers beyond 2^32 are as good as others', () => {
  const buffer = new ReorderBuffer();
  for (const number of [2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
    assert.ok(buffer.hold(number, 1, Buffer.from(String(number))));
  }
  assert.equal(buffer.peek(2 ** 32)!.payload.toString(), '4294967296');
  assert.equal(buffer.peek(0), undefined);
});
