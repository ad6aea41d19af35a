import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBudget } from '../../../../../src/transport/iap/core/memory-budget.ts';
import {
  ACK_BYTES,
  ACK_DELAY_MS,
  ACK_PATIENCE_MS,
  PATIENT_UPLOAD_BYTES,
  RelaySession,
  type RelayStep,
  UPLOAD_BYTES,
} from '../../../../../src/transport/iap/core/relay-session.ts';
import { frames } from '../../../../support/scripted-relay.ts';

const MiB = 2 ** 20;

class Bench {
  now = 1_000;
  readonly session: RelaySession;

  constructor(session = new RelaySession()) {
    this.session = session;
    session.begin('connect');
    this.hear(frames.sid());
    assert.deepEqual(
      this.steps().map((step) => step.do),
      ['opened'],
    );
  }

  hear(...messages: Buffer[]): void {
    for (const message of messages) this.session.receive(message, this.now);
  }

  steps(maySend = true): RelayStep[] {
    const steps: RelayStep[] = [];
    for (let step = this.session.next(this.now, maySend); step; step = this.session.next(this.now, maySend))
      steps.push(step);
    return steps;
  }

  /** `ack 5`, `data 16384` … */
  said(maySend = true): string[] {
    return this.steps(maySend).map((step) => {
      if (step.do === 'fail') return `fail ${step.error.code}`;
      if (step.do !== 'send') return step.do;
      return step.pieces.length === 0
        ? `ack ${step.header.readBigUInt64BE(2)}`
        : `data ${step.pieces.reduce((sum, { length }) => sum + length, 0)}`;
    });
  }

  write(byteCount: number): number {
    let taken = 0;
    const block = Buffer.alloc(64 * 1024);
    while (taken < byteCount) {
      const count = this.session.write(block.subarray(0, Math.min(block.length, byteCount - taken)), this.now);
      if (count === 0) break;
      taken += count;
      this.steps();
    }
    return taken;
  }
}

test('an acknowledge is owed at 32 KiB at once, and for less after 100 ms', () => {
  const bench = new Bench();
  bench.hear(frames.data(Buffer.alloc(ACK_BYTES - 1)));
  bench.session.consumed(ACK_BYTES - 1, bench.now);
  assert.deepEqual(bench.said(), ['deliver']);
  assert.equal(bench.session.wakeAt, bench.now + ACK_DELAY_MS);
  bench.hear(frames.data('x'));
  bench.session.consumed(ACK_BYTES, bench.now);
  assert.deepEqual(bench.said(), ['deliver', `ack ${ACK_BYTES}`]);
  bench.hear(frames.data('y'));
  bench.session.consumed(ACK_BYTES + 1, bench.now);
  bench.now += ACK_DELAY_MS - 1;
  assert.deepEqual(bench.said(), ['deliver']);
  bench.now += 1;
  assert.deepEqual(bench.said(), [`ack ${ACK_BYTES + 1}`]);
  assert.equal(bench.session.wakeAt, undefined);
});

test('what the reader does not take is not acknowledged, and what it puts back takes no acknowledge back', () => {
  const bench = new Bench();
  bench.hear(frames.data(Buffer.alloc(100_000)));
  bench.session.consumed(40_000, bench.now);
  assert.deepEqual(bench.said(), ['deliver', 'ack 40000']);
  bench.session.consumed(30_000, bench.now);
  bench.now += 10 * ACK_DELAY_MS;
  assert.deepEqual(bench.said(), []);
  bench.session.consumed(50_000, bench.now);
  bench.session.consumed(39_000, bench.now);
  bench.now += 10 * ACK_DELAY_MS;
  assert.deepEqual(bench.said(), []);
  bench.session.consumed(41_000, bench.now);
  bench.now += ACK_DELAY_MS;
  assert.deepEqual(bench.said(), ['ack 41000']);
});

test('an acknowledge goes ahead of data that waits, also when the websocket takes none', () => {
  const bench = new Bench();
  bench.session.write(Buffer.alloc(40_000), bench.now);
  bench.hear(frames.data(Buffer.alloc(ACK_BYTES)));
  bench.session.consumed(ACK_BYTES, bench.now);
  assert.deepEqual(bench.said(false), ['deliver', 'ack 32768']);
  assert.deepEqual(bench.said(), ['data 16384', 'data 16384', 'data 7232']);
});

test('small writes of one turn make full frames', () => {
  const bench = new Bench();
  for (let count = 0; count < 5_000; count++) bench.session.write(Buffer.alloc(10), bench.now);
  assert.deepEqual(bench.said(), ['data 16384', 'data 16384', 'data 16384', 'data 848']);
});

test('upload without acknowledges stops at 8 MiB, goes on at half, and is given more after 30 s', () => {
  const bench = new Bench();
  assert.equal(bench.write(20 * MiB), UPLOAD_BYTES);
  assert.equal(bench.session.hasRoom, false);
  bench.hear(frames.ack(UPLOAD_BYTES / 2 - 1));
  assert.equal(bench.session.hasRoom, false);
  bench.hear(frames.ack(UPLOAD_BYTES / 2));
  assert.equal(bench.write(20 * MiB), UPLOAD_BYTES / 2);
  const fullAt = bench.now;
  assert.equal(bench.session.wakeAt, fullAt + ACK_PATIENCE_MS);
  bench.now = fullAt + ACK_PATIENCE_MS - 1;
  bench.session.tick(bench.now);
  assert.equal(bench.session.hasRoom, false);
  bench.now += 1;
  bench.session.tick(bench.now);
  assert.deepEqual(bench.said(), ['note']);
  assert.equal(bench.write(100 * MiB), PATIENT_UPLOAD_BYTES - UPLOAD_BYTES);
  bench.now += 10 * ACK_PATIENCE_MS;
  bench.session.tick(bench.now);
  assert.equal(bench.write(1), 0);
  assert.equal(bench.session.wakeAt, undefined);
});

test('a bound that is reached because the websocket does not drain is not raised', () => {
  const bench = new Bench();
  bench.write(UPLOAD_BYTES - MiB / 2);
  while (bench.session.write(Buffer.alloc(64 * 1024), bench.now) > 0);
  assert.ok(bench.session.hasOutput);
  bench.now += 10 * ACK_PATIENCE_MS;
  bench.session.tick(bench.now);
  assert.equal(bench.session.hasRoom, false);
});

test('what is not sent at all is bounded at 1 MiB', () => {
  const bench = new Bench();
  let taken = 0;
  for (let count = 1; count > 0; taken += count) count = bench.session.write(Buffer.alloc(100_000), bench.now);
  assert.equal(taken, MiB);
  bench.said();
  assert.ok(bench.session.hasRoom);
});

test('siblings share a budget, and each has its share of it', () => {
  const budget = new MemoryBudget(MiB, 100_000);
  const first = new Bench(new RelaySession({ budget }));
  const second = new Bench(new RelaySession({ budget }));
  assert.ok(first.write(4 * MiB) >= MiB);
  let woken = 0;
  budget.wait(() => woken++);
  assert.ok(second.write(4 * MiB) <= 100_000 + 64 * 1024);
  assert.equal(second.session.hasRoom, false);
  first.session.end();
  assert.equal(woken, 1);
  assert.ok(second.session.hasRoom);
  second.session.end();
  second.session.end();
  assert.equal(budget.total, 0);
});

test('a rewind is byte-exact, in the middle of a frame too', () => {
  const bench = new Bench();
  const bytes = Buffer.from(Uint8Array.from({ length: 50_000 }, (_, at) => at % 251));
  bench.session.write(bytes, bench.now);
  bench.said();
  bench.hear(frames.ack(1_000));
  bench.session.lost();
  bench.hear(frames.ack(2_000));
  assert.equal(bench.session.confirmed, 1_000, 'the old websocket is not heard');
  bench.session.begin('reconnect');
  assert.deepEqual(bench.said(), [], 'nothing before tag 2');
  bench.hear(frames.resumed(16_000));
  const sent = bench.steps().flatMap((step) => (step.do === 'send' ? [...step.pieces] : []));
  assert.ok(Buffer.concat(sent).equals(bytes.subarray(16_000)));
});

for (const [name, value] of [
  ['behind what was confirmed', 999n],
  ['ahead of what was sent', 50_001n],
  ['beyond 2^53', 2n ** 53n + 1n],
  ['2^64 - 1', 2n ** 64n - 1n],
] as const) {
  test(`a rewind to a total ${name} ends the session`, () => {
    const bench = new Bench();
    bench.session.write(Buffer.alloc(50_000), bench.now);
    bench.said();
    bench.hear(frames.ack(1_000));
    bench.session.lost();
    bench.session.begin('reconnect');
    bench.hear(frames.resumed(value));
    assert.deepEqual(bench.said(), ['fail CT_PROTO_FRAME']);
    assert.equal(bench.session.write(Buffer.alloc(1), bench.now), 0);
    bench.hear(frames.data('more'));
    assert.deepEqual(bench.said(), [], 'nothing after the end');
  });
}

const BAD: readonly (readonly [name: string, message: Buffer])[] = [
  ['tag 1 twice', frames.sid()],
  ['tag 2 unasked', frames.resumed(0)],
  ['an ack beyond what was sent', frames.ack(11)],
  ['an ack that goes back', frames.ack(4)],
  ['an ack above 2^53', frames.ack(2n ** 60n)],
  ['a message without a tag', Buffer.alloc(1)],
  ['DATA cut short', frames.data('hello').subarray(0, 8)],
];
for (const [name, message] of BAD) {
  test(`${name} ends the session, after what came before`, () => {
    const bench = new Bench();
    bench.session.write(Buffer.alloc(10), bench.now);
    bench.said();
    bench.hear(frames.ack(5), frames.data('first'), message, frames.data('second'));
    assert.deepEqual(bench.said(), ['deliver', 'fail CT_PROTO_FRAME']);
  });
}

test('what is strange and harmless is passed over', () => {
  const bench = new Bench();
  bench.hear(
    Buffer.from('0063', 'hex'),
    Buffer.from('0003ff', 'hex'),
    frames.data(''),
    frames.ack(0),
    Buffer.concat([frames.data('a'), Buffer.from('rest')]),
    Buffer.concat([frames.data('b'), Buffer.from('rest')]),
    frames.data(Buffer.alloc(16_385)),
    frames.longClose(4033, 'no'),
  );
  assert.deepEqual(bench.said(), ['note', 'deliver', 'deliver', 'deliver', 'remember']);
});

test('before tag 1 nothing but tag 1 is taken; after a reconnect nothing but tag 2', () => {
  for (const message of [frames.data('x'), frames.ack(0), frames.resumed(0)]) {
    const session = new RelaySession();
    session.begin('connect');
    session.receive(message, 0);
    assert.equal(session.next(0, true)?.do, 'fail');
  }
  const bench = new Bench();
  bench.session.lost();
  bench.session.begin('reconnect');
  bench.hear(frames.sid('new'));
  assert.deepEqual(bench.said(), ['fail CT_PROTO_FRAME']);
});

test('bytes written before the session is open wait for it', () => {
  const session = new RelaySession();
  assert.equal(session.write(Buffer.alloc(5), 0), 5);
  session.begin('connect');
  assert.equal(session.next(0, true), undefined);
  session.receive(frames.sid(), 0);
  assert.equal(session.next(0, true)?.do, 'opened');
  assert.equal(session.next(0, true)?.do, 'send');
});
