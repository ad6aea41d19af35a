import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocketReader, WebSocketViolation } from '../../../../../src/lab/websocket/core/websocket-reader.ts';

const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A client's frame, made byte by byte. */
function frame(
  opcode: number,
  payload: Buffer,
  options: { fin?: boolean; mask?: Buffer | null; reserved?: number } = {},
) {
  const { fin = true, mask = Buffer.from([1, 2, 3, 250]), reserved = 0 } = options;
  const length =
    payload.length < 126
      ? Buffer.from([payload.length])
      : payload.length < 65_536
        ? Buffer.from([126, payload.length >> 8, payload.length & 255])
        : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), Buffer.from([0, 0, 0, 0])]);
  if (payload.length >= 65_536) length.writeUInt32BE(payload.length, 5);
  const first = Buffer.from([(fin ? 0x80 : 0) | reserved | opcode]);
  if (mask === null) return Buffer.concat([first, length, payload]);
  length[0]! |= 0x80;
  const masked = Buffer.from(payload.map((byte, index) => byte ^ mask[index % 4]!));
  return Buffer.concat([first, length, mask, masked]);
}

/** Everything the reader hands out, fed in pieces of these sizes (the last one repeats). */
function read(bytes: Buffer, sizes: readonly number[] = [Number.POSITIVE_INFINITY]): string[] {
  const seen: string[] = [];
  const reader = new WebSocketReader(1_000_000, {
    text: (content) => seen.push(`text ${content}`),
    binary: (message) => seen.push(`binary ${message.toString('hex')}`),
    ping: (payload) => seen.push(`ping ${payload.toString()}`),
    pong: (payload) => seen.push(`pong ${payload.toString()}`),
    close: (code) => seen.push(`close ${code}`),
  });
  try {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const size = sizes[Math.min(turn, sizes.length - 1)]!;
      // Copies: the reader unmasks where the bytes lie.
      reader.receive(Buffer.from(bytes.subarray(at, at + size)));
      at += size;
    }
  } catch (error) {
    if (!(error instanceof WebSocketViolation)) throw error;
    seen.push(`violation ${error.closeCode} ${error.message}`);
  }
  return seen;
}

test('messages of every length come out as they went in, in any pieces', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          length: fc.oneof(fc.nat(20), fc.constantFrom(125, 126, 127, 1_144, 65_535, 65_536)),
          mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fill: fc.nat(255),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 8 }),
      (messages, sizes) => {
        const payloads = messages.map(({ length, fill }) => Buffer.alloc(length, Buffer.from([fill, 7, fill ^ 9])));
        const bytes = Buffer.concat(
          payloads.map((payload, index) =>
            frame(OPCODES.binary, payload, { mask: Buffer.from(messages[index]!.mask) }),
          ),
        );
        const expected = payloads.map((payload) => `binary ${payload.toString('hex')}`);
        assert.deepEqual(read(bytes), expected);
        assert.deepEqual(read(bytes, sizes), expected);
      },
    ),
    { numRuns: 25 },
  );
});

test('fragments are joined, and control frames may come between them', () => {
  const bytes = Buffer.concat([
    frame(OPCODES.text, Buffer.from('grü'), { fin: false }),
    frame(OPCODES.ping, Buffer.from('p')),
    frame(OPCODES.continuation, Buffer.from('ß '), { fin: false }),
    frame(OPCODES.continuation, Buffer.from('dich')),
    frame(OPCODES.pong, Buffer.alloc(0)),
    frame(OPCODES.close, Buffer.from([0x03, 0xe8])),
  ]);
  const expected = ['ping p', 'text grüß dich', 'pong ', 'close 1000'];
  assert.deepEqual(read(bytes), expected);
  assert.deepEqual(read(bytes, [1]), expected);
});

for (const [what, bytes, expected] of [
  ['no mask', frame(OPCODES.binary, Buffer.from('a'), { mask: null }), /^violation 1002 a frame without a mask/],
  ['a reserved bit', frame(OPCODES.binary, Buffer.from('a'), { reserved: 0x40 }), /^violation 1002 .*reserved/],
  ['opcode 3', frame(3, Buffer.from('a')), /^violation 1002 opcode 3/],
  ['opcode 11', frame(11, Buffer.from('a')), /^violation 1002 opcode 11/],
  ['a cut ping', frame(OPCODES.ping, Buffer.from('a'), { fin: false }), /^violation 1002 .*fragments/],
  ['a long ping', frame(OPCODES.ping, Buffer.alloc(126)), /^violation 1002 .*125/],
  ['a continuation of nothing', frame(OPCODES.continuation, Buffer.from('a')), /^violation 1002 .*nothing/],
  [
    'a message in a message',
    Buffer.concat([frame(OPCODES.binary, Buffer.from('a'), { fin: false }), frame(OPCODES.binary, Buffer.from('b'))]),
    /^violation 1002 .*fragmented/,
  ],
  ['text that is no UTF-8', frame(OPCODES.text, Buffer.from([0xc3, 0x28])), /^violation 1007/],
  ['a close frame of one byte', frame(OPCODES.close, Buffer.from([3])), /^violation 1002/],
  [
    'a length in too many bytes',
    Buffer.from([0x82, 0xfe, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5]),
    /^violation 1002 .*more bytes/,
  ],
  ['a length of 2^63', Buffer.from('82ff800000000000000000000000', 'hex'), /^violation 1009/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.match(read(bytes).join(), expected);
    assert.match(read(bytes, [1]).join(), expected);
  });
}

test('fragments together may not be longer than a message', () => {
  const fragment = frame(OPCODES.continuation, Buffer.alloc(400_000), { fin: false });
  const first = frame(OPCODES.binary, Buffer.alloc(400_000), { fin: false });
  assert.match(read(Buffer.concat([first, fragment, fragment])).join(), /^violation 1009/);
});

test('after stop nothing of the chunk is handed out any more', () => {
  const seen: string[] = [];
  const reader: WebSocketReader = new WebSocketReader(1_000, {
    text: () => {},
    binary: (message) => {
      seen.push(message.toString());
      reader.stop();
    },
    ping: () => {},
    pong: () => {},
    close: () => {},
  });
  reader.receive(Buffer.concat([frame(OPCODES.binary, Buffer.from('a')), frame(OPCODES.binary, Buffer.from('b'))]));
  assert.deepEqual(seen, ['a']);
});
