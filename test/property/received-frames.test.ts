/**
 * Messages of a websocket out of memory that is used again: whatever kinds of frames come, however they are cut, and whatever their
 * readers do meanwhile, every message comes whole, once and in order, and its bytes do not change until the end of its batch.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemWorld } from '../../src/runtime/world.ts';
import { connectPump, type MessagePump } from '../../src/transport/ws/message-pump.ts';
import { rawFrame, rawWebsocket } from '../support/raw-websocket.ts';
import { until } from '../support/until.ts';

const FIN = 0x80;
const { signal: never } = new AbortController();
const world = systemWorld();

type Message =
  | { readonly kind: 'binary' | 'text' | 'ping'; readonly byteCount: number }
  /** Several frames, with a ping between them. */
  | { readonly kind: 'parts'; readonly opcode: 1 | 2; readonly byteCounts: readonly number[] };

interface Plan {
  readonly messages: readonly Message[];
  /** Lengths of the writes, over and over. */
  readonly writes: readonly number[];
  /** Frames in the same write as the answer to the upgrade, and how many bytes of them are missing there. */
  readonly early: number;
  readonly earlyMissing: number;
  /** After so many messages the reader pauses the websocket for a turn; 0: never. */
  readonly pauseEvery: number;
}

// Around the edges: of a head, of a TLS record, of a read, of what `ws` is left to put together.
const lengths = fc.oneof(
  { weight: 6, arbitrary: fc.nat(2_000) },
  { weight: 2, arbitrary: fc.constantFrom(0, 125, 126, 16_380, 16_384, 65_531, 65_535, 65_536, 65_540) },
  { weight: 1, arbitrary: fc.constantFrom(32_763, 32_764, 32_765, 131_072, 262_144, 300_000) },
);
const messages: fc.Arbitrary<Message> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('binary' as const), byteCount: lengths }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('text' as const), byteCount: fc.nat(300) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ping' as const), byteCount: fc.nat(125) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('parts' as const),
      opcode: fc.constantFrom(1 as const, 2 as const),
      byteCounts: fc.array(fc.nat(3_000), { minLength: 2, maxLength: 4 }),
    }),
  },
);
const plans: fc.Arbitrary<Plan> = fc.record({
  messages: fc.array(messages, { minLength: 1, maxLength: 60 }),
  writes: fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constantFrom(16_384, 65_536, 400_000)), {
    minLength: 1,
    maxLength: 5,
  }),
  early: fc.nat(3),
  earlyMissing: fc.oneof(fc.constant(0), fc.nat(20)),
  pauseEvery: fc.constantFrom(0, 0, 1, 3, 10),
});

/** Bytes that tell their place, many of which look like the beginning of a frame. */
function content(seed: number, byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount);
  for (let index = 0; index < byteCount; index++) {
    bytes[index] =
      index % 3 === 0 ? FIN | 2 : (seed * 151 + index * 7 + (index >> 8)) & (index % 3 === 1 ? 0x3f : 0xff);
  }
  return bytes;
}

function framesOf(message: Message, seed: number): Buffer {
  switch (message.kind) {
    case 'binary':
      return rawFrame(FIN | 2, content(seed, message.byteCount));
    case 'text':
      return rawFrame(FIN | 1, content(seed, message.byteCount));
    case 'ping':
      return rawFrame(FIN | 9, content(seed, message.byteCount));
    case 'parts': {
      const last = message.byteCounts.length - 1;
      const parts = message.byteCounts.map((byteCount, index) => {
        const opcode = (index === 0 ? message.opcode : 0) | (index === last ? FIN : 0);
        return rawFrame(opcode, content(seed + index, byteCount));
      });
      parts.splice(1, 0, rawFrame(FIN | 9, Buffer.from('between')));
      return Buffer.concat(parts);
    }
  }
}

function contentOf(message: Message, seed: number): Buffer | undefined {
  if (message.kind === 'ping') return undefined;
  if (message.kind !== 'parts') return content(seed, message.byteCount);
  return Buffer.concat(message.byteCounts.map((byteCount, index) => content(seed + index, byteCount)));
}

/** Checks what one pump hands over against what was sent. */
class Reader {
  readonly #pump: MessagePump;
  readonly #expected: readonly Buffer[];
  readonly #pauseEvery: number;
  /** Of the present batch. */
  readonly #held: { readonly index: number; readonly bytes: Buffer }[] = [];
  received = 0;
  wrong: string | undefined;
  isClosed = false;

  constructor(pump: MessagePump, expected: readonly Buffer[], pauseEvery: number) {
    this.#pump = pump;
    this.#expected = expected;
    this.#pauseEvery = pauseEvery;
    pump.start({
      message: (bytes) => this.#onMessage(bytes),
      batchEnd: () => this.#onBatchEnd(),
      drained: () => {},
      closed: () => {
        this.isClosed = true;
      },
    });
  }

  #onMessage(bytes: Buffer): void {
    this.#held.push({ index: this.received++, bytes });
    if (this.#pauseEvery === 0 || this.received % this.#pauseEvery !== 0) return;
    this.#pump.pause();
    world.clock.soon(() => this.#pump.resume());
  }

  #onBatchEnd(): void {
    for (const { index, bytes } of this.#held.splice(0)) {
      if (!bytes.equals(this.#expected[index] ?? Buffer.from('?'))) this.wrong ??= `message ${index} is another one`;
    }
  }
}

function write(socket: Socket, bytes: Buffer, lengths: readonly number[]): void {
  let at = 0;
  // Many tiny writes are slow and show nothing more: what is left after these goes in one.
  for (let turn = 0; at < bytes.length; turn++) {
    const length = turn < 200 ? lengths[turn % lengths.length]! : bytes.length;
    socket.write(bytes.subarray(at, at + length));
    at += length;
  }
}

async function carried(plan: Plan, seed: number): Promise<void> {
  const frames = plan.messages.map((message, index) => framesOf(message, seed + index));
  const expected = plan.messages.flatMap((message, index) => contentOf(message, seed + index) ?? []);
  const early = Buffer.concat(frames.slice(0, plan.early));
  // The beginning of a connection must not become so long that the client stops reading headers.
  const behind = early.subarray(0, Math.min(60_000, Math.max(0, early.length - plan.earlyMissing)));
  const far = await rawWebsocket(behind);
  const pump = await connectPump(world, far.url, { timeout: 15_000 }, never);
  const reader = new Reader(pump, expected, plan.pauseEvery);
  const socket = await far.socket;
  write(socket, Buffer.concat(frames).subarray(behind.length), plan.writes);
  // Once the peer has said goodbye nothing is a message any more.
  socket.write(Buffer.concat([rawFrame(FIN | 8, Buffer.from([3, 232])), rawFrame(FIN | 2, Buffer.from('too late'))]));
  socket.resume();
  await until(() => reader.isClosed || reader.wrong !== undefined);
  socket.destroy();
  far.server.close();
  assert.equal(reader.wrong, undefined);
  assert.equal(reader.received, expected.length);
}

test('any frames, cut anywhere, to readers that stop and go', async () => {
  await fc.assert(
    fc.asyncProperty(plans, fc.nat(1_000), async (plan, seed) => carried(plan, seed)),
    { numRuns: 120 },
  );
});

test('several websockets at once use the same memory and do not mix', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plans, { minLength: 3, maxLength: 5 }), async (several) => {
      await Promise.all(several.map((plan, index) => carried(plan, 5_000 * (index + 1))));
    }),
    { numRuns: 25 },
  );
});
