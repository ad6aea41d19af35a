import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { FrameBatch } from '../../../../src/transport/ws/frame-batch.ts';
import { seededRandom, settle } from '../../../support/manual-world.ts';
import { binaryMessages } from '../../../support/ws-receiver.ts';

/** A socket in memory: what was written, and how often. */
class Wire extends Writable {
  readonly #pieces: Buffer[] = [];
  calls = 0;
  /** Set to hold writes back. */
  held: (() => void)[] | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#take([chunk], callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  #take(chunks: Buffer[], callback: () => void): void {
    this.calls++;
    // As a socket does: the memory is read when it is sent, not when it was handed over.
    const send = () => {
      for (const chunk of chunks) this.#pieces.push(Buffer.from(chunk));
      callback();
    };
    if (this.held) this.held.push(send);
    else send();
  }
}

function bench() {
  const wire = new Wire();
  return { wire, batch: new FrameBatch(wire as unknown as Socket, seededRandom()) };
}

const LENGTHS = [
  ...Array.from({ length: 200 }, (_, index) => index + 1),
  1_143,
  1_144,
  1_145,
  1_146,
  65_534,
  65_535,
  65_536,
  65_537,
  131_057,
  131_058,
  131_072,
  1_048_576,
  1_048_577,
];

const random = seededRandom(7);
const noise = random.bytes(1_048_577 + 16);

for (const misalignment of [0, 1, 2, 3]) {
  test(`frames parse back at every length, source misaligned by ${misalignment}`, () => {
    const { wire, batch } = bench();
    const source = Buffer.allocUnsafeSlow(noise.length);
    noise.copy(source);
    for (const byteCount of LENGTHS) batch.append(source, misalignment, byteCount);
    batch.flush();
    const messages = binaryMessages(wire.bytes);
    assert.deepEqual(
      messages.map(({ length }) => length),
      LENGTHS,
    );
    for (const message of messages) {
      assert.ok(
        message.equals(source.subarray(misalignment, misalignment + message.length)),
        `${message.length} bytes`,
      );
    }
  });
}

test('every alignment of source and target, lengths 1 to 40, after frames of odd lengths', () => {
  const { wire, batch } = bench();
  const expected: Buffer[] = [];
  const append = (offset: number, byteCount: number) => {
    batch.append(noise, offset, byteCount);
    expected.push(noise.subarray(offset, offset + byteCount));
  };
  for (let before = 1; before <= 4; before++) {
    for (let offset = 0; offset < 4; offset++) {
      for (let byteCount = 1; byteCount <= 40; byteCount++) {
        append(9, before);
        append(offset, byteCount);
      }
    }
  }
  batch.flush();
  const messages = binaryMessages(wire.bytes);
  assert.equal(messages.length, expected.length);
  for (const [index, message] of messages.entries()) assert.ok(message.equals(expected[index]!), `message ${index}`);
});

test('the source may be used again at once', () => {
  const { wire, batch } = bench();
  const source = Buffer.alloc(2_000);
  for (const value of [1, 2, 3]) {
    source.fill(value);
    batch.append(source, 1, 1_144);
  }
  batch.flush();
  assert.deepEqual(
    binaryMessages(wire.bytes).map((message) => [message.length, new Set(message)]),
    [1, 2, 3].map((value) => [1_144, new Set([value])]),
  );
});

test('many messages leave in one write, several segments in one vectored write', async () => {
  const { wire, batch } = bench();
  for (let count = 0; count < 100; count++) batch.append(noise, 0, 1_144);
  assert.equal(batch.pendingCount, 100);
  assert.equal(wire.calls, 0);
  batch.flush();
  assert.equal(wire.calls, 1);
  assert.equal(batch.pendingCount, 0);
  for (let count = 0; count < 400; count++) batch.append(noise, 0, 1_144);
  batch.flush();
  await settle();
  assert.equal(wire.calls, 2);
  assert.equal(binaryMessages(wire.bytes).length, 500);
  batch.flush();
  assert.equal(wire.calls, 2, 'nothing waits');
});

test('memory that the socket still holds is not written over', async () => {
  const { wire, batch } = bench();
  wire.held = [];
  const expected: number[] = [];
  for (let round = 0; round < 30; round++) {
    const message = Buffer.alloc(50_000, round);
    batch.append(message, 0, message.length);
    batch.flush();
    expected.push(round);
    // The socket gets on slowly: one write for two of ours.
    if (round % 2 === 1) wire.held.shift()?.();
  }
  while (wire.held.length > 0) {
    wire.held.shift()!();
    await settle(1);
  }
  assert.deepEqual(
    binaryMessages(wire.bytes).map((message) => message[0]),
    expected,
  );
});

test('segments are used again: a long run keeps few of them', async () => {
  const { wire, batch } = bench();
  const buffers = new Set<ArrayBufferLike>();
  const write = wire.write.bind(wire) as (chunk: Buffer, done: () => void) => boolean;
  wire.write = ((chunk: Buffer, done: () => void) => {
    buffers.add(chunk.buffer);
    return write(chunk, done);
  }) as typeof wire.write;
  for (let round = 0; round < 200; round++) {
    for (let count = 0; count < 60; count++) batch.append(noise, 0, 1_144);
    batch.flush();
    await settle(1);
  }
  assert.ok(buffers.size <= 3, `${buffers.size} segments for 14 MB`);
});

test('many websockets that write by turns share few segments, and keep none while they are idle', async () => {
  const benches = Array.from({ length: 100 }, () => bench());
  const buffers = new Set<ArrayBufferLike>();
  for (const { wire, batch } of benches) {
    const write = wire.write.bind(wire) as (chunk: Buffer, done: () => void) => boolean;
    wire.write = ((chunk: Buffer, done: () => void) => {
      buffers.add(chunk.buffer);
      return write(chunk, done);
    }) as typeof wire.write;
    batch.append(noise, 0, 1_144);
    batch.flush();
    await settle(1);
  }
  assert.ok(buffers.size <= 3, `${buffers.size} segments for 100 websockets`);
  for (const { wire } of benches) assert.equal(binaryMessages(wire.bytes).length, 1);
});

test('memory that one socket still holds is not written over for another one', async () => {
  const benches = Array.from({ length: 8 }, () => bench());
  for (const { wire } of benches) wire.held = [];
  for (let round = 0; round < 40; round++) {
    const { wire, batch } = benches[(round * 5) % benches.length]!;
    const message = Buffer.alloc(30_000, round);
    batch.append(message, 0, message.length);
    batch.flush();
    if (round % 3 === 0) wire.held!.shift()?.();
    await settle(1);
  }
  for (const { wire } of benches) {
    while (wire.held!.length > 0) {
      wire.held!.shift()!();
      await settle(1);
    }
  }
  for (const [index, { wire }] of benches.entries()) {
    const rounds = Array.from({ length: 40 }, (_, round) => round).filter((round) => (round * 5) % 8 === index);
    assert.deepEqual(
      binaryMessages(wire.bytes).map((message) => [...new Set(message)]),
      rounds.map((round) => [round]),
    );
  }
});

test('every frame has a mask of its own', () => {
  const { wire, batch } = bench();
  const zeros = Buffer.alloc(4);
  const count = 2_500;
  for (let index = 0; index < count; index++) batch.append(zeros, 0, 4);
  batch.flush();
  const masks = new Set<string>();
  // Six bytes of header, four of payload, which show the mask because they are zero.
  for (let at = 0; at < wire.bytes.length; at += 10) masks.add(wire.bytes.toString('hex', at + 2, at + 6));
  assert.ok(masks.size > count - 5, `${masks.size} masks`);
});

test('a socket that was closed or ended meanwhile is left alone', async () => {
  for (const close of [(wire: Wire) => void wire.destroy(), (wire: Wire) => void wire.end()]) {
    const { wire, batch } = bench();
    const errors: Error[] = [];
    wire.on('error', (error) => errors.push(error));
    batch.append(noise, 0, 100);
    close(wire);
    batch.flush();
    await settle();
    assert.deepEqual(errors, []);
    assert.equal(wire.bytes.length, 0);
  }
});
