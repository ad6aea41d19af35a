import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../src/domain/errors.ts';
import { SMUX_COMMAND, SmuxParser, smuxFrame } from '../../src/transport/smux/core/frame.ts';
import { SmuxStreams } from '../../src/transport/smux/core/streams.ts';
import { Mux } from '../../src/transport/smux/mux.ts';
import type { SmuxStream } from '../../src/transport/smux/smux-stream.ts';
import { settle } from '../support/manual-world.ts';

const { syn, fin, psh, nop, upd } = SMUX_COMMAND;

/** What a parser tells; slices of one frame's payload are joined, because they may be cut anywhere. */
class Events {
  readonly list: string[] = [];
  #open: number | undefined;
  readonly parser = new SmuxParser({
    syn: (id) => this.#add(`syn ${id}`),
    fin: (id) => this.#add(`fin ${id}`),
    nop: () => this.#add('nop'),
    data: (id, bytes) => {
      if (this.#open !== id) this.#add(`data ${id} `);
      this.#open = id;
      this.list[this.list.length - 1] += bytes.toString('hex');
    },
  });

  #add(event: string): void {
    this.#open = undefined;
    this.list.push(event);
  }
}

function parse(pieces: readonly Buffer[]): readonly string[] {
  const events = new Events();
  try {
    for (const piece of pieces) events.parser.receive(piece);
  } catch (thrown) {
    assert.ok(thrown instanceof CloudtunError && thrown.code === 'CT_PROTO_MUX', String(thrown));
    events.list.push('refused');
  }
  return events.list;
}

function cut(bytes: Buffer, shares: readonly number[]): Buffer[] {
  const offsets = [0, ...shares.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length];
  return offsets.slice(1).map((end, index) => bytes.subarray(offsets[index], end));
}

const id = fc.oneof(fc.constantFrom(3, 5, 7, 0, 2 ** 31, 2 ** 32 - 1), fc.nat(100));
const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
const frame = fc.oneof(
  fc.tuple(fc.constantFrom(syn, fin, nop), id).map(([command, streamId]) => smuxFrame(command, streamId)),
  fc.tuple(id, fc.uint8Array({ maxLength: 40 })).map(([streamId, bytes]) => smuxFrame(psh, streamId, bytes)),
  id.map((streamId) => smuxFrame(upd, streamId, Buffer.alloc(8))),
);

test('any split of a stream of frames tells the same', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), shares, (frames, where) => {
      const bytes = Buffer.concat(frames);
      const whole = parse([bytes]);
      assert.deepEqual(parse(cut(bytes, where)), whole);
      assert.deepEqual(
        parse(
          cut(
            bytes,
            Array.from({ length: bytes.length }, (_, at) => at / bytes.length),
          ),
        ),
        whole,
      );
      assert.ok(!whole.includes('refused'));
    }),
    { numRuns: 300 },
  );
});

test('any bytes tell the same in any split, and are frames or a typed error', () => {
  const headerLike = fc
    .tuple(fc.constantFrom(0, 1, 2, 255), fc.nat(6), fc.nat(30), id)
    .map(([version, command, byteCount, streamId]) => {
      const header = Buffer.alloc(8);
      header.writeUInt8(version, 0);
      header.writeUInt8(command, 1);
      header.writeUInt16LE(byteCount, 2);
      header.writeUInt32LE(streamId, 4);
      return header;
    });
  const bytes = fc
    .array(fc.oneof(headerLike, fc.uint8Array({ maxLength: 20 }).map(Buffer.from), frame), { maxLength: 8 })
    .map((parts) => Buffer.concat(parts));
  fc.assert(
    fc.property(bytes, shares, (input, where) => {
      assert.deepEqual(parse(cut(input, where)), parse([input]));
    }),
    { numRuns: 1_000 },
  );
});

type Step =
  | { readonly do: 'open' }
  | { readonly do: 'write'; readonly stream: number; readonly byteCount: number }
  | { readonly do: 'close'; readonly stream: number; readonly drop: boolean }
  | { readonly do: 'farFin'; readonly stream: number }
  | { readonly do: 'pull'; readonly maxBytes: number; readonly times: number };

const pick = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'open' }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      stream: pick,
      byteCount: fc.oneof(fc.nat(50), fc.nat(3_000), fc.constantFrom(8_192, 32_768, 32_769, 70_000)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), stream: pick, drop: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('farFin' as const), stream: pick }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pull' as const),
      maxBytes: fc.integer({ min: 1, max: 2_000 }),
      times: fc.nat(20),
    }),
  },
);

/** One stream in the model: what was written, and which of it must arrive. */
interface Model {
  readonly id: number;
  written: string;
  got: string;
  writes: number;
  taken: number;
  /** `part`: closed with dropping, or finished by the far side: a prefix arrives. */
  arrives: 'all' | 'part';
  isClosed: boolean;
  isFarClosed: boolean;
  syns: number;
  fins: number;
}

test('the client half against a model: whole frames, bytes in order, each write taken once, one SYN and one FIN', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
      const models: Model[] = [];
      const byId = (streamId: number) => models.find((model) => model.id === streamId)!;
      const streams = new SmuxStreams({ data: () => {}, finished: () => {}, synTaken: () => {} });
      const far = new SmuxParser({
        syn: (streamId) => void byId(streamId).syns++,
        fin: (streamId) => void byId(streamId).fins++,
        data: (streamId, bytes) => {
          assert.equal(byId(streamId).syns, 1, 'no bytes before SYN');
          assert.equal(byId(streamId).fins, 0, 'none after FIN');
          byId(streamId).got += bytes.toString('latin1');
        },
      });
      let letter = 0;
      const pull = (maxBytes: number) => {
        const target = Buffer.alloc(maxBytes + 2, 0xee);
        const byteCount = streams.pull(target, 1, maxBytes);
        assert.ok(byteCount <= maxBytes && target[0] === 0xee && target[maxBytes + 1] === 0xee, 'inside its room');
        assert.equal(byteCount > 0, true === byteCount > 0);
        far.receive(target.subarray(1, 1 + byteCount));
        return byteCount;
      };
      for (const action of steps) {
        const model = 'stream' in action && models.length > 0 ? models[action.stream % models.length] : undefined;
        if (action.do === 'open' || (models.length === 0 && action.do !== 'pull')) {
          models.push({
            id: streams.open(),
            written: '',
            got: '',
            writes: 0,
            taken: 0,
            arrives: 'all',
            isClosed: false,
            isFarClosed: false,
            syns: 0,
            fins: 0,
          });
        } else if (action.do === 'pull') {
          for (let count = 0; count < action.times; count++) pull(action.maxBytes);
        } else if (action.do === 'write') {
          const bytes = Buffer.alloc(action.byteCount, 0x41 + (letter++ % 50));
          if (!model!.isClosed && !model!.isFarClosed) model!.written += bytes.toString('latin1');
          model!.writes++;
          streams.write(model!.id, bytes, () => void model!.taken++);
        } else if (action.do === 'close') {
          if (action.drop && !model!.isFarClosed) model!.arrives = 'part';
          model!.isClosed = true;
          streams.close(model!.id, action.drop);
        } else {
          model!.arrives = 'part';
          model!.isFarClosed = true;
          streams.receive(smuxFrame(fin, model!.id));
        }
      }
      while (pull(1_024) > 0);
      assert.ok(!streams.hasOutput);
      for (const model of models) {
        assert.equal(model.syns, 1);
        assert.equal(model.fins, model.isClosed || model.isFarClosed ? 1 : 0);
        assert.equal(model.taken, model.writes, 'every write called back once');
        if (model.arrives === 'all') assert.ok(model.got === model.written, 'all bytes in order');
        else assert.ok(model.written.startsWith(model.got), 'the first bytes, in order');
      }
    }),
    { numRuns: 300 },
  );
});

test('many Duplexes against an echoing far side: each gets its own bytes back, whatever the order of things', async () => {
  const writes = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 5_000 })), { minLength: 1, maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      writes,
      fc.integer({ min: 9, max: 1_536 }),
      async (count, plan, maxBytes) => {
        const mux = new Mux({
          destination: 'db.internal:3306',
          soon: (call) => call(),
          outputWaiting: () => {},
          stalled: () => {},
        });
        const streams: SmuxStream[] = Array.from({ length: count }, () => mux.open());
        const expected = streams.map(() => '');
        const got = streams.map(() => '');
        const closed = streams.map(() => false);
        for (const [index, stream] of streams.entries()) {
          stream.on('data', (bytes: Buffer) => {
            got[index] += bytes.toString('latin1');
            // Done when all of it came back: then it closes, as a client does.
            if (got[index] === expected[index] && stream.writableEnded) stream.destroy();
          });
          stream.on('close', () => {
            closed[index] = true;
          });
        }
        const reply: Buffer[] = [];
        const far = new SmuxParser({
          syn: () => {},
          fin: (streamId) => void reply.push(smuxFrame(fin, streamId)),
          data: (streamId, bytes) => void reply.push(smuxFrame(psh, streamId, Buffer.from(bytes))),
        });
        for (const [turn, [where, byteCount]] of plan.entries()) {
          const index = where % count;
          const bytes = Buffer.alloc(byteCount, 0x30 + (turn % 70));
          expected[index] += bytes.toString('latin1');
          streams[index]!.write(bytes);
        }
        for (const stream of streams) stream.end();
        const target = Buffer.alloc(maxBytes);
        for (let round = 0; round < 2_000; round++) {
          let moved = false;
          for (let message = 0; message < 50; message++) {
            const byteCount = mux.pull(target, 0, maxBytes, round);
            if (byteCount === 0) break;
            moved = true;
            far.receive(target.subarray(0, byteCount));
          }
          for (const bytes of reply.splice(0)) mux.receive(bytes);
          mux.endBatch();
          await settle(1);
          if (!moved && !mux.hasOutput) break;
        }
        assert.deepEqual(
          got.map(({ length }) => length),
          expected.map(({ length }) => length),
        );
        assert.ok(got.every((text, index) => text === expected[index]));
        const unused = streams.filter((_, index) => expected[index] === '');
        assert.equal(closed.filter(Boolean).length, count - unused.length);
        assert.equal(mux.heldBytes, 0);
        mux.abort(undefined);
        await settle(1);
        assert.equal(mux.openCount, 0);
      },
    ),
    { numRuns: 40 },
  );
});
