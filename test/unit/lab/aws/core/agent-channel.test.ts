import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentChannel, MAX_KEPT_MESSAGES, type Verdict } from '../../../../../src/lab/aws/core/agent-channel.ts';
import { Observations } from '../../../../../src/lab/aws/core/observations.ts';
import { seededRandom } from '../../../../support/manual-world.ts';
import { decode, encode, type PeerMessage } from '../../../../support/ssm-peer.ts';

/** A channel, a clock that is a number, and what left. */
class Bench {
  readonly violations: string[] = [];
  readonly observations = new Observations((what) => this.violations.push(what));
  readonly taken: string[] = [];
  verdict: Verdict = 'taken';
  isVerifying = true;
  now = 0;
  readonly channel: AgentChannel;
  readonly #left: Buffer[] = [];

  constructor() {
    this.channel = new AgentChannel(
      {
        randomBytes: seededRandom().bytes,
        wallOffset: 1_700_000_000_000,
        emit: (memory, offset, byteCount) => this.#left.push(Buffer.from(memory.subarray(offset, offset + byteCount))),
        take: (_type, payload) => {
          if (this.verdict === 'taken') this.taken.push(payload.toString());
          return this.verdict;
        },
        witness: this.observations,
        isVerifying: () => this.isVerifying,
      },
      0,
    );
  }

  send(...texts: string[]): void {
    for (const text of texts) this.channel.send(1, Buffer.from(text), this.now);
  }

  input(number: number, text: string): void {
    this.channel.receive(encode('input_stream_data', number, 0, 1, Buffer.from(text)), this.now);
  }

  acknowledge(frame: PeerMessage | number): void {
    const number = typeof frame === 'number' ? frame : frame.number;
    const content = {
      AcknowledgedMessageType: 'output_stream_data',
      AcknowledgedMessageId: this.#ids.get(number) ?? '00000000-0000-4000-8000-000000000000',
      AcknowledgedMessageSequenceNumber: number,
      IsSequentialMessage: true,
    };
    this.channel.receive(encode('acknowledge', 0, 3, 0, Buffer.from(JSON.stringify(content))), this.now);
  }

  readonly #ids = new Map<number, string>();

  /** What left since the last look. */
  left(): PeerMessage[] {
    return this.#left.splice(0).map((frame) => {
      const message = decode(frame);
      const hex = Buffer.concat([frame.subarray(72, 80), frame.subarray(64, 72)]).toString('hex');
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      if (message.type === 'output_stream_data') this.#ids.set(message.number, id);
      return message;
    });
  }

  /** Numbers that the agent acknowledged since the last look. */
  acknowledged(): number[] {
    return this.left()
      .filter(({ type }) => type === 'acknowledge')
      .map(
        ({ payload }) => (JSON.parse(payload.toString()) as Record<string, number>).AcknowledgedMessageSequenceNumber!,
      );
  }

  /** Ticks every 100 ms up to `until`; returns when something left, and which number. */
  tickUntil(until: number): string[] {
    const seen: string[] = [];
    while (this.now + 100 <= until) {
      this.now += 100;
      this.channel.tick(this.now);
      for (const { number } of this.left()) seen.push(`${this.now}: ${number}`);
    }
    return seen;
  }
}

test('output has numbers from 0, flags 1 on the first, and right digests', () => {
  const bench = new Bench();
  bench.send('a', 'b');
  const [first, second] = bench.left();
  assert.deepEqual([first?.number, first?.flags, first?.payloadType], [0, 1, 1]);
  assert.deepEqual([second?.number, second?.flags, second?.payload.toString()], [1, 0, 'b']);
});

test('only the oldest message is repaired, when it is older than the time-out, at a tick of 100 ms', () => {
  const bench = new Bench();
  bench.send('a', 'b', 'c');
  bench.left();
  // 200 ms is not older than 200 ms; after each repair it waits for its time-out again.
  assert.deepEqual(bench.tickUntil(1_000), ['300: 0', '600: 0', '900: 0']);
  bench.acknowledge(0);
  // The sample of 100 ms (from 900) leaves SRTT at 100 ms and takes the margin down to 10 ms.
  assert.deepEqual(bench.tickUntil(1_300), ['1100: 1', '1300: 1']);
  assert.equal(bench.observations.counters.outputResends, 5);
  bench.acknowledge(1);
  bench.acknowledge(2);
  assert.equal(bench.channel.wakeAt, undefined);
  assert.deepEqual(bench.tickUntil(3_000), []);
  assert.deepEqual(bench.violations, []);
});

test('ticks keep to the grid of 100 ms since the start', () => {
  const bench = new Bench();
  bench.now = 40;
  bench.send('a');
  assert.equal(bench.channel.wakeAt, 100);
  bench.channel.tick(250);
  assert.equal(bench.channel.wakeAt, 300);
});

test('paused it keeps what it makes; then the oldest leaves by the timer, one at a time', () => {
  const bench = new Bench();
  bench.channel.pause();
  bench.send('a', 'b');
  assert.deepEqual(bench.left(), []);
  assert.deepEqual(bench.tickUntil(1_000), []);
  assert.equal(bench.channel.wakeAt, undefined);
  bench.channel.unpause();
  assert.deepEqual(bench.tickUntil(1_100), ['1100: 0']);
  assert.equal(bench.observations.counters.outputWhilePaused, 2);
});

for (const [what, wake] of [
  ['input', (bench: Bench) => bench.input(0, 'x')],
  ['an acknowledge', (bench: Bench) => bench.acknowledge(0)],
] as const) {
  test(`${what} lifts the pause`, () => {
    const bench = new Bench();
    bench.send('a');
    bench.left();
    bench.channel.pause();
    wake(bench);
    bench.send('b');
    assert.equal(bench.left().at(-1)?.payload.toString(), 'b');
  });
}

test('in order: taken, then acknowledged; not taken: not acknowledged, and the number is not used up', () => {
  const bench = new Bench();
  bench.verdict = 'refused';
  bench.input(0, 'a');
  assert.deepEqual(bench.acknowledged(), []);
  bench.verdict = 'taken';
  bench.input(0, 'a');
  bench.input(1, 'b');
  assert.deepEqual(bench.acknowledged(), [0, 1]);
  assert.deepEqual(bench.taken, ['a', 'b']);
});

test('too early: acknowledged at once and kept; too late: acknowledged again and dropped', () => {
  const bench = new Bench();
  bench.input(2, 'c');
  bench.input(1, 'b');
  bench.input(2, 'c');
  assert.deepEqual(bench.acknowledged(), [2, 1, 2]);
  assert.deepEqual(bench.taken, []);
  bench.input(0, 'a');
  assert.deepEqual(bench.acknowledged(), [0]);
  assert.deepEqual(bench.taken, ['a', 'b', 'c']);
  bench.input(1, 'b');
  assert.deepEqual(bench.acknowledged(), [1]);
  assert.deepEqual(bench.taken, ['a', 'b', 'c']);
  const { inputRepeats, inputReordered, maxReorder } = bench.observations.counters;
  assert.deepEqual([inputRepeats, inputReordered, maxReorder], [2, 2, 2]);
});

test('an early message that fails in its turn leaves the session stuck until it is sent again', () => {
  const bench = new Bench();
  bench.input(1, 'b');
  const original = bench.channel.receive.bind(bench.channel);
  bench.input(0, 'a');
  assert.deepEqual(bench.taken, ['a', 'b']);
  bench.input(3, 'd');
  bench.verdict = 'refused';
  bench.input(2, 'c');
  bench.verdict = 'taken';
  assert.deepEqual(bench.taken, ['a', 'b']);
  original(encode('input_stream_data', 2, 0, 1, Buffer.from('c')), 0);
  assert.deepEqual(bench.taken, ['a', 'b', 'c', 'd']);
});

test('beyond 100,000 early messages: dropped without an acknowledge', () => {
  const bench = new Bench();
  bench.isVerifying = false;
  const frame = encode('input_stream_data', 0, 0, 1, Buffer.from('x'));
  for (let number = 1; number <= MAX_KEPT_MESSAGES + 1; number++) {
    const copy = Buffer.from(frame);
    copy.writeBigInt64BE(BigInt(number), 48);
    bench.channel.receive(copy, 0);
  }
  const acknowledged = bench.acknowledged();
  assert.equal(acknowledged.length, MAX_KEPT_MESSAGES);
  assert.equal(acknowledged.at(-1), MAX_KEPT_MESSAGES);
});

test('beyond 100,000 unacknowledged messages: sent, not kept', () => {
  const bench = new Bench();
  for (let count = 0; count <= MAX_KEPT_MESSAGES; count++) bench.send('x');
  assert.equal(bench.left().length, MAX_KEPT_MESSAGES + 1);
  assert.equal(bench.channel.unacknowledgedCount, MAX_KEPT_MESSAGES);
  assert.equal(bench.observations.counters.outputNotKept, 1);
});

test('a blocked reader processes nothing, acknowledges included, until it is tried again', () => {
  const bench = new Bench();
  bench.send('out');
  bench.left();
  bench.verdict = 'blocked';
  bench.input(0, 'a');
  bench.input(1, 'b');
  bench.input(0, 'a');
  bench.acknowledge(0);
  assert.equal(bench.channel.isBlocked, true);
  assert.equal(bench.channel.unacknowledgedCount, 1);
  assert.equal(bench.channel.backlogBytes > 300, true);
  bench.verdict = 'taken';
  bench.channel.retry(0);
  assert.deepEqual(bench.acknowledged(), [0, 1, 0]);
  assert.deepEqual(bench.taken, ['a', 'b']);
  assert.equal(bench.channel.unacknowledgedCount, 0);
  assert.equal(bench.channel.backlogBytes, 0);
});

test('the quick way through an acknowledge comes to what the long way comes to', () => {
  for (const isVerifying of [true, false]) {
    const bench = new Bench();
    bench.isVerifying = isVerifying;
    bench.send('a', 'b', 'c');
    bench.left();
    bench.acknowledge(1);
    assert.equal(bench.channel.unacknowledgedCount, 2);
    bench.acknowledge(1);
    assert.equal(bench.channel.unacknowledgedCount, 2);
    // Another order of the fields is legal JSON too.
    const text = '{"AcknowledgedMessageSequenceNumber":0,"AcknowledgedMessageType":"output_stream_data"}';
    bench.channel.receive(encode('acknowledge', 0, 3, 0, Buffer.from(text)), 0);
    assert.equal(bench.channel.unacknowledgedCount, 1);
    assert.equal(bench.observations.counters.acknowledgesSeen, 3);
  }
});

const data = (number: number, text: string) => encode('input_stream_data', number, 0, 1, Buffer.from(text));
const changed = (frame: Buffer, change: (copy: Buffer) => void) => {
  const copy = Buffer.from(frame);
  change(copy);
  return copy;
};

for (const [what, frames, expected] of [
  [
    'a wrong digest',
    [changed(data(0, 'abc'), (copy) => copy.writeUInt8(copy[80]! ^ 1, 80))],
    /input 0 does not match its digest/,
  ],
  ['flags on input', [encode('input_stream_data', 0, 1, 1, Buffer.from('a'))], /input 0 has flags 1, not 0/],
  ['an empty payload', [data(0, '')], /input 0 has an empty payload/],
  ['a negative number', [data(-1, 'a')], /input -1 has a negative number/],
  ['other bytes under one number', [data(0, 'a'), data(0, 'b')], /input 0 was sent again with other bytes/],
  ['an id that is no version 4', [changed(data(0, 'a'), (copy) => copy.fill(0, 64, 80))], /no version 4 UUID/],
  ['a type padded with NULs', [changed(data(0, 'a'), (copy) => copy.fill(0, 21, 36))], /not padded with spaces/],
  ['a cut frame', [data(0, 'abc').subarray(0, 121)], /payload length says 3/],
  [
    'a service message',
    [encode('channel_closed', 0, 0, 0, Buffer.from('{}'))],
    /a channel_closed message from the client/,
  ],
  [
    'an acknowledge of what was never sent',
    [
      encode(
        'acknowledge',
        0,
        3,
        0,
        Buffer.from('{"AcknowledgedMessageType":"x","AcknowledgedMessageSequenceNumber":7}'),
      ),
    ],
    /output 7 acknowledges what was never sent/,
  ],
  [
    'an acknowledge that is no JSON',
    [encode('acknowledge', 0, 3, 0, Buffer.from('{"AcknowledgedMessageSequenceNumber":0'))],
    /an acknowledge that is not JSON/,
  ],
  [
    'an acknowledge with a number of its own',
    [encode('acknowledge', 5, 3, 0, Buffer.from('{"AcknowledgedMessageSequenceNumber":0}'))],
    /acknowledge of output 0 has number 5/,
  ],
] as const) {
  test(`seen: ${what}`, () => {
    const bench = new Bench();
    for (const frame of frames) bench.channel.receive(frame, 0);
    assert.match(bench.violations.join('\n'), expected);
  });
}

test('an acknowledge that names the id of another message is seen', () => {
  const bench = new Bench();
  bench.send('a');
  bench.acknowledge(0);
  assert.match(bench.violations.join('\n'), /output 0 names the id of another message/);
});
