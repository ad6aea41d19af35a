import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acknowledgedNumber } from '../../../../src/transport/ssm/core/acknowledge.ts';
import { decodeMessage, type Message, type MessageFields } from '../../../../src/transport/ssm/core/client-message.ts';
import { DataChannel, MAX_PAUSE_MS } from '../../../../src/transport/ssm/core/data-channel.ts';
import { MAX_REORDERED_MESSAGES } from '../../../../src/transport/ssm/core/reorder-buffer.ts';
import { acknowledgeMessage, outputMessage, serviceMessage } from '../../../support/agent-messages.ts';
import { seededRandom } from '../../../support/manual-world.ts';
import { SentFrames } from '../../../support/sent-frames.ts';

/** A channel, a clock that is a number, a source of text, and what left. */
class Bench {
  readonly delivered: string[] = [];
  readonly service: Message[] = [];
  readonly sent = new SentFrames();
  readonly channel: DataChannel;
  /** How many messages more the handler takes. */
  room = Number.POSITIVE_INFINITY;
  now = 1_000;
  readonly #waiting: string[] = [];

  constructor(firstNumbers = { input: 0, output: 0 }) {
    this.channel = new DataChannel(
      {
        deliver: (_type, payload) => {
          if (this.room === 0) return false;
          this.room--;
          this.delivered.push(payload.toString());
          return true;
        },
        serviceMessage: (message) => void this.service.push(message),
      },
      { randomBytes: seededRandom().bytes, wall: () => 1_700_000_000_000, firstNumbers },
    );
  }

  receive(...frames: Buffer[]): void {
    for (const frame of frames) this.channel.receive(frame, this.now);
  }

  /** Sends these texts, one message each, as far as the channel lets it. */
  send(...texts: string[]): MessageFields[] {
    this.#waiting.push(...texts);
    const source = {
      pull: (target: Buffer, offset: number) => target.write(this.#waiting.shift() ?? '', offset),
    };
    if (!this.channel.isPaused(this.now)) this.channel.sendFrom(source, 1_000, this.now, this.sent.transmit);
    return this.take();
  }

  take(): MessageFields[] {
    return this.sent.take().map((frame) => decodeMessage(frame));
  }

  /** Does what is due now; returns what left. */
  wake(): MessageFields[] {
    this.channel.sendAcknowledges(this.now, this.sent.transmit);
    this.channel.repair(this.now, this.sent.transmit);
    return this.take();
  }
}

const acknowledged = (messages: MessageFields[]) =>
  messages
    .filter(({ messageType }) => messageType === 'acknowledge')
    .map(({ payload }) => acknowledgedNumber(Buffer.from(payload)));
const numbers = (messages: MessageFields[]) =>
  messages
    .filter(({ messageType }) => messageType === 'input_stream_data')
    .map(({ sequenceNumber }) => Number(sequenceNumber));

test('messages in order are delivered at once', () => {
  const bench = new Bench();
  bench.receive(outputMessage(0, 'a'), outputMessage(1, 'b'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
  assert.equal(bench.channel.expectedNumber, 2);
});

test('acknowledges wait for company, but stay below 10 ms', () => {
  const bench = new Bench();
  bench.receive(outputMessage(0, 'a'));
  assert.deepEqual(bench.wake(), []);
  bench.now += 2;
  bench.receive(outputMessage(1, 'b'));
  assert.deepEqual(bench.wake(), []);
  const { wakeAt } = bench.channel;
  assert.ok(wakeAt !== undefined && wakeAt > bench.now && wakeAt < 1_000 + 10, `wakes at ${wakeAt}`);
  bench.now = wakeAt;
  const messages = bench.wake();
  assert.deepEqual(acknowledged(messages), [0, 1], 'both, because the older one is due');
  assert.deepEqual(
    messages.map(({ flags, sequenceNumber, payloadType }) => [flags, sequenceNumber, payloadType]),
    [
      [3n, 0n, 0],
      [3n, 0n, 0],
    ],
  );
  assert.equal(bench.channel.wakeAt, undefined);
});

test('many acknowledges leave without waiting, and with force any', () => {
  const bench = new Bench();
  bench.receive(...Array.from({ length: 63 }, (_, number) => outputMessage(number, 'x')));
  assert.deepEqual(bench.wake(), []);
  bench.receive(outputMessage(63, 'x'));
  assert.equal(bench.wake().length, 64);
  bench.receive(outputMessage(64, 'x'));
  bench.channel.sendAcknowledges(bench.now, bench.sent.transmit, true);
  assert.deepEqual(acknowledged(bench.take()), [64]);
});

test('a repeated message is acknowledged again and not delivered again', () => {
  const bench = new Bench();
  bench.receive(outputMessage(0, 'a'), outputMessage(1, 'b'), outputMessage(0, 'a'), outputMessage(-1n, 'old'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
  bench.now += 9;
  assert.deepEqual(acknowledged(bench.wake()), [0, 1, 0, -1]);
  assert.equal(bench.channel.stats().duplicates, 2);
});

test('messages out of order are acknowledged at once and delivered in order', () => {
  const bench = new Bench();
  bench.receive(outputMessage(3, 'd'), outputMessage(1, 'b'), outputMessage(1, 'b'));
  assert.deepEqual(bench.delivered, []);
  bench.receive(outputMessage(0, 'a'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
  bench.receive(outputMessage(2, 'c'));
  assert.deepEqual(bench.delivered, ['a', 'b', 'c', 'd']);
  bench.now += 9;
  assert.deepEqual(acknowledged(bench.wake()), [3, 1, 1, 0, 2]);
  const { received, reordered, largestReorderBytes } = bench.channel.stats();
  assert.deepEqual([received, reordered, largestReorderBytes], [5, 3, 2]);
});

test('what does not fit the reorder buffer is not acknowledged, and taken when it comes again', () => {
  const bench = new Bench();
  const count = MAX_REORDERED_MESSAGES;
  bench.receive(...Array.from({ length: count + 1 }, (_, index) => outputMessage(index + 1, 'x')));
  const { outOfRoom } = bench.channel.stats();
  assert.equal(outOfRoom, 1);
  const acks = acknowledged(bench.wake());
  assert.equal(acks.length, count);
  assert.ok(!acks.includes(count + 1));
  bench.receive(outputMessage(0, 'x'), outputMessage(count + 1, 'last'));
  assert.equal(bench.delivered.length, count + 2);
  assert.equal(bench.delivered.at(-1), 'last');
});

test('a message that nobody takes is neither counted nor acknowledged, until it comes again', () => {
  const bench = new Bench();
  bench.room = 0;
  bench.receive(outputMessage(0, 'a'), outputMessage(1, 'b'));
  bench.now += 9;
  assert.deepEqual(acknowledged(bench.wake()), [1], 'number 1 is only kept');
  assert.equal(bench.channel.expectedNumber, 0);
  bench.room = 9;
  bench.receive(outputMessage(0, 'a'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
});

test('a kept message that nobody takes at its turn is not lost: it was acknowledged already', () => {
  const bench = new Bench();
  bench.receive(outputMessage(1, 'b'), outputMessage(2, 'c'));
  bench.room = 1;
  bench.receive(outputMessage(0, 'a'));
  assert.deepEqual(bench.delivered, ['a']);
  // The agent repeats it, because its acknowledge was lost: still no room, still kept.
  bench.receive(outputMessage(1, 'b'));
  assert.deepEqual(bench.delivered, ['a']);
  bench.room = 1;
  bench.channel.roomAgain();
  assert.deepEqual(bench.delivered, ['a', 'b']);
  bench.room = 1;
  bench.channel.roomAgain();
  assert.deepEqual(bench.delivered, ['a', 'b', 'c']);
  assert.equal(bench.channel.expectedNumber, 3);
});

test('a repeated message is taken where the kept one waited, once', () => {
  const bench = new Bench();
  bench.room = 0;
  bench.receive(outputMessage(1, 'b'), outputMessage(0, 'a'));
  bench.room = 9;
  bench.receive(outputMessage(0, 'a'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
  bench.channel.roomAgain();
  assert.deepEqual(bench.delivered, ['a', 'b']);
});

test('a repeated message takes the place of the kept one, which is forgotten', () => {
  const bench = new Bench();
  bench.receive(outputMessage(1, 'b'));
  bench.room = 1;
  bench.receive(outputMessage(0, 'a'));
  bench.room = 9;
  bench.receive(outputMessage(1, 'b'));
  assert.deepEqual(bench.delivered, ['a', 'b']);
  bench.receive(outputMessage(3, 'd'));
  assert.equal(bench.channel.stats().largestReorderBytes, 1, 'only one is kept');
});

test('data is numbered from 0, control messages in the same series', () => {
  const bench = new Bench();
  assert.equal(bench.channel.sendControl(6, Buffer.from('{}'), bench.now, bench.sent.transmit), 0);
  assert.deepEqual(numbers(bench.take()), [0]);
  const messages = bench.send('one', 'two');
  assert.deepEqual(
    messages.map(({ sequenceNumber, payloadType, flags, payload }) => [
      sequenceNumber,
      payloadType,
      flags,
      `${payload}`,
    ]),
    [
      [1n, 1, 0n, 'one'],
      [2n, 1, 0n, 'two'],
    ],
  );
  assert.equal(bench.channel.sendControl(10, Buffer.from([0, 0, 0, 2]), bench.now, bench.sent.transmit), 3);
});

test('a control message waits for no window, but for a slot', () => {
  const bench = new Bench();
  while (bench.channel.sendControl(10, Buffer.alloc(4), bench.now, bench.sent.transmit) !== undefined);
  assert.equal(bench.take().length, 4_096);
  bench.receive(acknowledgeMessage(0));
  assert.equal(bench.channel.sendControl(10, Buffer.alloc(4), bench.now, bench.sent.transmit), 4_096);
});

test('a full window stops the source, an acknowledge starts it again', () => {
  const bench = new Bench();
  const texts = Array.from({ length: 400 }, () => 'x'.repeat(1_024));
  const first = numbers(bench.send(...texts));
  assert.ok(first.length > 50 && first.length < 400, `${first.length} messages fill the window`);
  assert.ok(bench.channel.sending.outstandingBytes <= bench.channel.sending.windowBytes + 1_144);
  assert.deepEqual(bench.send(), []);
  bench.now += 1;
  bench.receive(...first.slice(0, 10).map(acknowledgeMessage));
  assert.ok(bench.send().length >= 10);
});

test('a pause holds new data and repeats back, not acknowledges', () => {
  const bench = new Bench();
  bench.send('first');
  bench.receive(serviceMessage('pause_publication'));
  assert.ok(bench.channel.isPaused(bench.now));
  assert.deepEqual(bench.send('second'), []);
  bench.now += 1_000;
  assert.deepEqual(bench.wake(), [], 'the time-out of the first one is over, but nothing is sent');
  assert.equal(bench.channel.wakeAt, 1_000 + MAX_PAUSE_MS);
});

for (const [what, frame] of [
  ['start_publication', serviceMessage('start_publication')],
  ['a data message', outputMessage(0, 'x')],
  ['an acknowledge', acknowledgeMessage(0)],
] as const) {
  test(`${what} ends a pause`, () => {
    const bench = new Bench();
    bench.send('first');
    bench.receive(serviceMessage('pause_publication'), frame);
    assert.ok(!bench.channel.isPaused(bench.now));
    assert.deepEqual(numbers(bench.send('second')), [1]);
  });
}

test('a pause ends by itself after 3 s, and then nothing is due in the past', () => {
  const bench = new Bench();
  bench.send('first');
  bench.receive(serviceMessage('pause_publication'));
  bench.now += MAX_PAUSE_MS - 1;
  assert.ok(bench.channel.isPaused(bench.now));
  bench.now += 1;
  assert.ok(!bench.channel.isPaused(bench.now));
  assert.deepEqual(numbers(bench.wake()), [0], 'the repeat that was overdue');
  for (let count = 0; count < 20; count++) {
    const { wakeAt } = bench.channel;
    assert.ok(wakeAt !== undefined && wakeAt > bench.now, `wakes at ${wakeAt}, now ${bench.now}`);
    bench.now = wakeAt;
    bench.wake();
  }
  assert.ok(bench.now > 1_000 + MAX_PAUSE_MS + 10_000, 'about once a second');
});

test('a pause with nothing to send asks for no wake-up for ever', () => {
  const bench = new Bench();
  bench.receive(serviceMessage('pause_publication'));
  bench.now += MAX_PAUSE_MS;
  bench.wake();
  assert.equal(bench.channel.wakeAt, undefined);
});

test('numbers go on over a new websocket; everything unacknowledged and every owed acknowledge leaves', () => {
  const bench = new Bench();
  bench.send('a', 'b', 'c');
  bench.receive(acknowledgeMessage(1), outputMessage(0, 'x'));
  bench.channel.reconnected(bench.now, bench.sent.transmit);
  const messages = bench.take();
  assert.deepEqual(numbers(messages), [0, 2]);
  assert.deepEqual(acknowledged(messages), [0]);
  assert.deepEqual(numbers(bench.send('d')), [3]);
  bench.receive(outputMessage(0, 'x'), outputMessage(1, 'y'));
  assert.deepEqual(bench.delivered, ['x', 'y']);
});

test('a pause of the old websocket does not hold the new one', () => {
  const bench = new Bench();
  bench.receive(serviceMessage('pause_publication'));
  bench.channel.reconnected(bench.now, bench.sent.transmit);
  assert.deepEqual(numbers(bench.send('a')), [0]);
});

test('what the service makes is handed on, not acknowledged', () => {
  const bench = new Bench();
  bench.receive(serviceMessage('channel_closed', '{"Output":"done"}'));
  assert.deepEqual(
    bench.service.map(({ messageType, payload }) => [messageType, `${payload}`]),
    [['channel_closed', '{"Output":"done"}']],
  );
  bench.now += 100;
  assert.deepEqual(bench.wake(), []);
});

test('an acknowledge of what was not sent, a broken frame and a wrong digest end the tunnel', () => {
  const bench = new Bench();
  assert.throws(() => bench.receive(acknowledgeMessage(0)), { code: 'CT_PROTO_FRAME' });
  assert.throws(() => bench.receive(Buffer.alloc(300)), { code: 'CT_PROTO_FRAME' });
  const wrong = outputMessage(0, 'x');
  wrong[wrong.length - 1]! ^= 1;
  assert.throws(() => bench.receive(wrong), { code: 'CT_PROTO_DIGEST' });
  assert.deepEqual(bench.delivered, []);
});

for (const start of [2 ** 31 - 2, 2 ** 32 - 2, Number.MAX_SAFE_INTEGER - 3]) {
  test(`both counters cross ${start + 2}`, () => {
    const bench = new Bench({ input: start, output: start });
    assert.deepEqual(
      numbers(bench.send('a', 'b', 'c', 'd')),
      [0, 1, 2, 3].map((step) => start + step),
    );
    bench.receive(outputMessage(start + 2, 'C'), outputMessage(start + 1, 'B'), outputMessage(start, 'A'));
    bench.receive(outputMessage(start + 1, 'B'), outputMessage(start + 3, 'D'));
    assert.deepEqual(bench.delivered, ['A', 'B', 'C', 'D']);
    bench.receive(...[3, 1, 0].map((step) => acknowledgeMessage(start + step)));
    bench.now += 9;
    assert.deepEqual(
      acknowledged(bench.wake()),
      [2, 1, 0, 1, 3].map((step) => start + step),
    );
    bench.channel.reconnected(bench.now, bench.sent.transmit);
    assert.deepEqual(numbers(bench.take()), [start + 2]);
  });
}

test('a number beyond 2^53 ends the tunnel', () => {
  const bench = new Bench({ input: 0, output: Number.MAX_SAFE_INTEGER });
  bench.receive(outputMessage(Number.MAX_SAFE_INTEGER, 'last'));
  for (const number of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 53n)]) {
    assert.throws(() => bench.receive(outputMessage(number, 'x')), { code: 'CT_PROTO_FRAME' });
  }
  assert.deepEqual(bench.delivered, ['last']);
});
