/**
 * Bytes that streams of a mux are given are views into memory that is used again for the next batch. Whatever kinds of readers there
 * are, and however they stop and go, each gets its own bytes, in order, and nothing that it holds changes afterwards.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SMUX_COMMAND, smuxFrame } from '../../src/transport/smux/core/frame.ts';
import { Mux } from '../../src/transport/smux/mux.ts';
import type { SmuxStream } from '../../src/transport/smux/smux-stream.ts';
import { settle } from '../support/manual-world.ts';

const KINDS = ['keeps', 'stops', 'reads', 'borrows', 'borrows and stops', 'comes late'] as const;
type Kind = (typeof KINDS)[number];

interface Plan {
  readonly readers: readonly Kind[];
  /** Batches of frames: which stream, and how many bytes. */
  readonly batches: readonly (readonly { readonly stream: number; readonly byteCount: number }[])[];
  /** Bytes of a message; frames go over their edges. */
  readonly messageBytes: number;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  readers: fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 6 }),
  batches: fc.array(
    fc.array(fc.record({ stream: fc.nat(5), byteCount: fc.oneof(fc.nat(20), fc.nat(3_000), fc.nat(32_768)) }), {
      minLength: 1,
      maxLength: 8,
    }),
    { minLength: 1, maxLength: 15 },
  ),
  messageBytes: fc.integer({ min: 1_000, max: 20_000 }),
});

class Reader {
  /** What it holds; copies only where it was told that bytes are not its own. */
  readonly #held: Buffer[] = [];
  readonly #stream: SmuxStream;
  readonly #kind: Kind;
  #turn = 0;

  constructor(stream: SmuxStream, kind: Kind) {
    this.#stream = stream;
    this.#kind = kind;
    if (kind !== 'comes late') this.#begin();
  }

  get held(): Buffer {
    return Buffer.concat(this.#held);
  }

  /** Between batches. */
  turn(): void {
    if (this.#stream.isPaused() && this.#turn++ % 3 === 0) this.#stream.resume();
  }

  finish(): void {
    if (this.#kind === 'comes late') this.#begin();
    else if (this.#kind !== 'reads') this.#stream.resume();
  }

  #begin(): void {
    const stream = this.#stream;
    if (this.#kind === 'reads') {
      stream.on('readable', () => {
        for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) this.#held.push(chunk as Buffer);
      });
      return;
    }
    if (this.#kind.startsWith('borrows')) {
      stream.lendTo((pieces, byteCount) => {
        assert.equal(stream.readableFlowing, true);
        const copy = Buffer.concat(pieces);
        assert.equal(copy.length, byteCount);
        this.#held.push(copy);
        this.#mayStop();
      });
    }
    stream.on('data', (chunk: Buffer) => {
      this.#held.push(chunk);
      this.#mayStop();
    });
  }

  #mayStop(): void {
    if (this.#kind.endsWith('stops') && this.#held.length % 2 === 0) this.#stream.pause();
  }
}

async function carried({ readers: kinds, batches, messageBytes }: Plan): Promise<void> {
  const mux = new Mux({
    destination: 'db.internal:3306',
    soon: (call) => call(),
    outputWaiting: () => {},
    stalled: () => {},
  });
  const streams = kinds.map(() => mux.open());
  const readers = streams.map((stream, index) => new Reader(stream, kinds[index]!));
  const sent = streams.map((): Buffer[] => []);
  const memory = Buffer.alloc(512 * 1024);
  let seed = 0;
  await settle();
  for (const batch of batches) {
    const frames = batch.map(({ stream, byteCount }) => {
      const index = stream % streams.length;
      const payload = Buffer.alloc(byteCount, `${seed++} `);
      sent[index]!.push(payload);
      return smuxFrame(SMUX_COMMAND.psh, streams[index]!.id, payload);
    });
    const length = Buffer.concat(frames).copy(memory);
    for (let at = 0; at < length; at += messageBytes)
      mux.receive(memory.subarray(at, Math.min(length, at + messageBytes)));
    mux.endBatch();
    memory.fill(0xee);
    await settle();
    for (const reader of readers) reader.turn();
    // Or a stream that may flow again has not begun to when the next bytes come.
    if (batch.length % 2 === 0) await settle();
  }
  for (const reader of readers) reader.finish();
  for (let turns = 0; turns < 40; turns++) {
    for (const reader of readers) reader.turn();
    await settle();
  }
  for (const [index, reader] of readers.entries()) {
    assert.ok(reader.held.equals(Buffer.concat(sent[index]!)), `reader ${index} that ${kinds[index]}`);
  }
  mux.abort(undefined);
}

test('readers of every kind get their own bytes out of memory that is used again', async () => {
  await fc.assert(
    fc.asyncProperty(plans, (plan) => carried(plan)),
    { numRuns: 60 },
  );
});
