import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SMUX_COMMAND,
  SMUX_MAX_SENT_PAYLOAD,
  SmuxParser,
  smuxFrame,
} from '../../../../src/transport/smux/core/frame.ts';
import { SmuxStreams } from '../../../../src/transport/smux/core/streams.ts';

const { syn, fin, psh, nop } = SMUX_COMMAND;

/** The client half, what it told, and what it sends as the other side parses it. */
class Bench {
  readonly told: string[] = [];
  /** What the far side saw: `syn 3`, `data 3 100` (bytes of one frame), `fin 3`. */
  readonly far: string[] = [];
  readonly streams: SmuxStreams;
  readonly #farParser: SmuxParser;
  readonly #bytes = new Map<number, string>();

  constructor() {
    this.streams = new SmuxStreams({
      data: (id, bytes) => void this.told.push(`data ${id} ${bytes.toString('latin1')}`),
      finished: (id, refused) => void this.told.push(`finished ${id}${refused ? ' refused' : ''}`),
      synTaken: (id) => void this.told.push(`syn taken ${id}`),
    });
    this.#farParser = new SmuxParser({
      syn: (id) => void this.far.push(`syn ${id}`),
      fin: (id) => void this.far.push(`fin ${id}`),
      data: (id, bytes) => {
        this.far.push(`data ${id} ${bytes.length}`);
        this.#bytes.set(id, (this.#bytes.get(id) ?? '') + bytes.toString('latin1'));
      },
    });
  }

  /** Pulls one message of at most `maxBytes`; false when there is none. */
  pull(maxBytes = 1_024): boolean {
    const target = Buffer.alloc(maxBytes);
    const byteCount = this.streams.pull(target, 0, maxBytes);
    if (byteCount > 0) this.#farParser.receive(target.subarray(0, byteCount));
    return byteCount > 0;
  }

  pullAll(maxBytes?: number): string[] {
    while (this.pull(maxBytes));
    return this.far.splice(0);
  }

  receive(...frames: Buffer[]): void {
    for (const frame of frames) this.streams.receive(frame);
  }

  farBytes(id: number): string {
    return this.#bytes.get(id) ?? '';
  }
}

const text = (letter: string, byteCount: number) => Buffer.alloc(byteCount, letter);

test('a stream opens with its first bytes in the same message, ids 3, 5, 7', () => {
  const bench = new Bench();
  for (const letter of ['a', 'b', 'c']) bench.streams.write(bench.streams.open(), text(letter, 1), () => {});
  assert.deepEqual(bench.pullAll(), ['syn 3', 'data 3 1', 'syn 5', 'data 5 1', 'syn 7', 'data 7 1']);
  assert.deepEqual(bench.told, ['syn taken 3', 'syn taken 5', 'syn taken 7']);
});

test('a stream without bytes opens alone', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  assert.ok(bench.streams.hasOutput);
  assert.deepEqual(bench.pullAll(), ['syn 3']);
  assert.ok(!bench.streams.hasOutput);
  bench.streams.write(id, text('x', 5), () => {});
  assert.deepEqual(bench.pullAll(), ['data 3 5']);
});

test('one stream alone gets the longest frames, several take turns with shorter ones', () => {
  const bench = new Bench();
  const [first, second, third] = [bench.streams.open(), bench.streams.open(), bench.streams.open()];
  bench.pullAll();
  bench.streams.write(first, text('a', 100_000), () => {});
  assert.ok(bench.pull(64));
  bench.streams.write(second, text('b', 20_000), () => {});
  bench.streams.write(third, text('c', 1), () => {});
  const frames = bench.pullAll(1 << 20);
  // What was promised to the first one is kept, then nobody waits for more than 8 KiB of each other.
  assert.deepEqual(frames.slice(0, 6), [
    'data 3 56',
    `data 3 ${SMUX_MAX_SENT_PAYLOAD - 56}`,
    'data 3 8192',
    'data 5 8192',
    'data 7 1',
    'data 3 8192',
  ]);
  assert.equal(bench.farBytes(first).length, 100_000);
  assert.equal(bench.farBytes(second), 'b'.repeat(20_000));
});

test('among many streams a small write waits for one short frame of each at most', () => {
  const bench = new Bench();
  const busy = Array.from({ length: 20 }, () => bench.streams.open());
  const small = bench.streams.open();
  bench.pullAll();
  for (const id of busy) bench.streams.write(id, text('x', 1_000_000), () => {});
  for (let count = 0; count < 500; count++) bench.pull();
  bench.far.length = 0;
  bench.streams.write(small, text('!', 1), () => {});
  let messages = 0;
  while (bench.farBytes(small) === '') {
    bench.pull();
    messages++;
  }
  assert.ok(messages <= 21 * 9, `${messages} messages of 1 KiB`);
});

test('headers and bytes may be cut anywhere', () => {
  for (const maxBytes of [1, 2, 3, 5, 7, 8, 9, 13]) {
    const bench = new Bench();
    const ids = ['a', 'b', 'c'].map((letter) => {
      const id = bench.streams.open();
      bench.streams.write(id, text(letter, 20), () => {});
      bench.streams.close(id, false);
      return id;
    });
    bench.pullAll(maxBytes);
    assert.deepEqual(
      ids.map((id) => bench.farBytes(id)),
      ['a', 'b', 'c'].map((letter) => letter.repeat(20)),
      `${maxBytes} bytes a message`,
    );
  }
});

test('bytes are taken when they left the queue, each write once, in order', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  const taken: number[] = [];
  for (const number of [0, 1, 2]) bench.streams.write(id, text('x', 600), () => taken.push(number));
  bench.streams.write(id, Buffer.alloc(0), () => taken.push(99));
  assert.deepEqual(taken, [99], 'nothing to wait for');
  bench.pull();
  assert.deepEqual(taken, [99, 0]);
  bench.pull();
  assert.deepEqual(taken, [99, 0, 1, 2]);
});

test('closing sends what is queued, then FIN once; writes after it go nowhere', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  bench.streams.write(id, text('x', 2_000), () => {});
  bench.streams.close(id, false);
  let taken = 0;
  bench.streams.write(id, text('y', 10), () => taken++);
  assert.equal(taken, 1);
  bench.streams.close(id, false);
  assert.deepEqual(bench.pullAll(5_000), ['syn 3', 'data 3 2000', 'fin 3']);
  bench.receive(smuxFrame(fin, id));
  assert.deepEqual(bench.pullAll(), []);
  assert.deepEqual(bench.told, ['syn taken 3'], 'no events for a stream that was let go');
});

test('closing with dropping sends FIN only', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  let taken = 0;
  bench.pullAll();
  bench.streams.write(id, text('x', 2_000), () => taken++);
  bench.streams.close(id, true);
  assert.equal(taken, 1);
  assert.deepEqual(bench.pullAll(), ['fin 3']);
});

test('a stream that was never announced still opens before it closes', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  bench.streams.close(id, true);
  assert.deepEqual(bench.pullAll(), ['syn 3', 'fin 3']);
  bench.receive(smuxFrame(fin, id));
  assert.deepEqual(bench.pullAll(), []);
});

for (const [how, drop] of [
  ['it is cut', (bench: Bench, id: number) => bench.streams.close(id, true)],
  ['the far side finishes', (bench: Bench, id: number) => bench.receive(smuxFrame(fin, id))],
] as const) {
  test(`a frame that was begun keeps its length when ${how}; the writer hears of it at once`, () => {
    const bench = new Bench();
    const [first, second] = [bench.streams.open(), bench.streams.open()];
    bench.pullAll();
    const bytes = text('a', 3_000);
    let taken = 0;
    bench.streams.write(first, bytes, () => taken++);
    bench.streams.write(first, text('A', 3_000), () => taken++);
    bench.pull(1_000);
    bench.streams.write(second, text('b', 10), () => {});
    assert.equal(taken, 0);
    drop(bench, first);
    assert.equal(taken, 2);
    // The memory is the writer's again.
    bytes.fill('!');
    const rest = bench.pullAll();
    assert.equal(bench.farBytes(first), 'a'.repeat(3_000) + 'A'.repeat(3_000), 'what the header promised');
    assert.deepEqual(rest.slice(-2).sort(), ['data 5 10', 'fin 3']);
    assert.equal(taken, 2);
  });
}

test('the far side finishing: bytes first, then the end, our FIN once, later bytes dropped', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  bench.pullAll();
  let taken = 0;
  bench.streams.write(id, text('x', 50), () => taken++);
  bench.receive(smuxFrame(psh, id, Buffer.from('bye')), smuxFrame(fin, id));
  assert.deepEqual(bench.told.slice(1), ['data 3 bye', 'finished 3']);
  bench.streams.write(id, text('y', 50), () => taken++);
  assert.equal(taken, 2);
  bench.streams.close(id, false);
  bench.receive(smuxFrame(psh, id, Buffer.from('ghost')), smuxFrame(fin, id));
  assert.deepEqual(bench.pullAll(), ['fin 3']);
  assert.deepEqual(bench.told.length, 3);
});

test('a local half close sends nothing: the reply would be lost', () => {
  const bench = new Bench();
  const id = bench.streams.open();
  bench.streams.write(id, text('q', 3), () => {});
  assert.deepEqual(bench.pullAll(), ['syn 3', 'data 3 3']);
  bench.receive(smuxFrame(psh, id, Buffer.from('answer')));
  assert.ok(bench.told.includes('data 3 answer'));
  assert.deepEqual(bench.pullAll(), []);
});

test('a refusal belongs to the next FIN of a stream that got no bytes', () => {
  const bench = new Bench();
  const [first, second, third, fourth] = [3, 5, 7, 9].map(() => bench.streams.open());
  bench.pullAll();
  bench.receive(smuxFrame(psh, second!, Buffer.from('hi')));
  bench.streams.connectFailed();
  // Its neighbours end at the same moment: one had bytes, one is refused, one only ends.
  bench.receive(smuxFrame(fin, second!), smuxFrame(fin, third!), smuxFrame(fin, fourth!));
  bench.streams.connectFailed();
  bench.receive(smuxFrame(fin, first!));
  assert.deepEqual(bench.told.slice(4), [
    'data 5 hi',
    'finished 5',
    'finished 7 refused',
    'finished 9',
    'finished 3 refused',
  ]);
});

test('the refusal of a stream that was let go is used up by its FIN', () => {
  const bench = new Bench();
  const [first, second] = [bench.streams.open(), bench.streams.open()];
  bench.pullAll();
  bench.streams.close(first, true);
  bench.streams.connectFailed();
  bench.receive(smuxFrame(fin, first), smuxFrame(fin, second));
  assert.deepEqual(bench.told.slice(2), ['finished 5'], 'not refused: the flag was for the other one');
});

test('frames for unknown streams, NOPs and streams of the peer do nothing', () => {
  const bench = new Bench();
  bench.receive(
    smuxFrame(syn, 2),
    smuxFrame(psh, 2, Buffer.from('x')),
    smuxFrame(fin, 2),
    smuxFrame(nop, 0),
    smuxFrame(fin, 0),
    smuxFrame(psh, 0xffff_ffff, Buffer.from('y')),
  );
  assert.deepEqual(bench.told, []);
  assert.deepEqual(bench.pullAll(), []);
});

test('a broken frame is a typed error', () => {
  for (const hex of ['0200000003000000', '0105000003000000', 'ff00000003000000', '01ff000003000000']) {
    assert.throws(() => new Bench().receive(Buffer.from(hex, 'hex')), { code: 'CT_PROTO_MUX' }, hex);
  }
});

test('streams are forgotten when both sides are done: ten thousand leave nothing', () => {
  const bench = new Bench();
  for (let count = 0; count < 10_000; count++) {
    const id = bench.streams.open();
    bench.streams.close(id, false);
    while (bench.pull(4_096));
    bench.receive(smuxFrame(fin, id));
  }
  assert.equal(bench.streams.openCount, 0);
  assert.ok(!bench.streams.hasOutput);
});
