import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../src/domain/errors.ts';
import {
  dataFrame,
  readFrame,
  reconnectedFrame,
  ackFrame as serviceAck,
} from '../../src/lab/gcp/relay/core/relay-frame.ts';
import { dataHeader, decodeFrame, encodeAck, MAX_PAYLOAD } from '../../src/transport/iap/core/relay-frame.ts';
import { RelaySession } from '../../src/transport/iap/core/relay-session.ts';
import { frames } from '../support/scripted-relay.ts';

test('any bytes are a frame or CT_PROTO_FRAME, and the far side reads them the same way', () => {
  const tagged = fc
    .tuple(fc.constantFrom(0, 1, 2, 3, 4, 7, 10, 255), fc.uint8Array({ maxLength: 40 }))
    .map(([tag, rest]) => Buffer.from([0, tag, ...rest]));
  const lengths = fc
    .tuple(fc.constantFrom(1, 4), fc.nat(12), fc.uint8Array({ maxLength: 12 }))
    .map(([tag, length, rest]) => Buffer.from([0, tag, 0, 0, 0, length, ...rest]));
  const any = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(tagged, lengths, any), (message) => {
      const theirs = readFrame(message);
      try {
        const ours = decodeFrame(message);
        // Written apart from each other. A LONG_CLOSE that is cut short is ignored here.
        if (ours.kind === 'unknown') assert.ok(theirs.kind === 'unknown' || message[1] === 10);
        else assert.deepEqual({ ...theirs, ...ours }, theirs);
      } catch (thrown) {
        assert.ok(thrown instanceof CloudtunError && thrown.code === 'CT_PROTO_FRAME', String(thrown));
        assert.equal(theirs.kind, 'malformed');
      }
    }),
    { numRuns: 2_000 },
  );
});

test('frames go round', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
      const frame = Buffer.concat([dataHeader(bytes.length), bytes]);
      assert.deepEqual(decodeFrame(frame), { kind: 'data', payload: Buffer.from(bytes), trailing: 0 });
      assert.deepEqual(frame, dataFrame(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (total) => {
      assert.deepEqual(decodeFrame(encodeAck(total)), { kind: 'ack', total, trailing: 0 });
    }),
  );
});

/** What happens next in a session. */
const action = fc.oneof(
  fc.record({ do: fc.constant('write' as const), byteCount: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ do: fc.constant('say' as const), byteCount: fc.integer({ min: 1, max: 20_000 }) }),
  /** Of the frames that are on their way up, so many arrive; then the service acknowledges a part of what it has. */
  fc.record({
    do: fc.constant('carry' as const),
    frames: fc.nat(6),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ do: fc.constant('hear' as const), frames: fc.nat(6) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(200) }),
  /** The websocket is lost, with everything that is on its way; the service has a part of the next frame. */
  fc.record({ do: fc.constant('cut' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const pattern = (from: number, byteCount: number) =>
  Buffer.from(Uint8Array.from({ length: byteCount }, (_, at) => (from + at) % 251));

/** Two counters and two queues: a session against the simplest service that keeps the rules. */
class Model {
  readonly session = new RelaySession();
  now = 0;
  written = 0;
  /** Payloads on their way up. */
  up: Buffer[] = [];
  /** The service's own. */
  received = 0;
  said = 0;
  heardAck = 0;
  toSay = 0;
  /** Messages on their way down. */
  down: Buffer[] = [];
  delivered = 0;

  constructor() {
    this.session.begin('connect');
    this.session.receive(frames.sid(), this.now);
    this.pump();
  }

  pump(): void {
    for (let step = this.session.next(this.now, true); step; step = this.session.next(this.now, true)) {
      switch (step.do) {
        case 'deliver':
          assert.ok(step.payload.equals(pattern(this.delivered, step.payload.length)), 'down: no hole, no duplicate');
          this.delivered += step.payload.length;
          this.session.consumed(this.delivered, this.now);
          break;
        case 'send': {
          const frame = decodeFrame(Buffer.concat([step.header, ...step.pieces]));
          if (frame.kind === 'data') {
            assert.ok(frame.payload.length <= MAX_PAYLOAD);
            this.up.push(frame.payload);
          } else {
            assert.ok(frame.kind === 'ack' && Number(frame.total) > this.heardAck && Number(frame.total) <= this.said);
            this.heardAck = Number(frame.total);
          }
          break;
        }
        case 'fail':
          throw step.error;
        default:
      }
    }
  }

  run(next: Action): void {
    switch (next.do) {
      case 'write':
        this.written += this.session.write(pattern(this.written, next.byteCount), this.now);
        break;
      case 'say':
        this.say(next.byteCount);
        break;
      case 'carry':
        for (const payload of this.up.splice(0, next.frames)) this.arrive(payload);
        this.down.push(
          serviceAck(Math.floor(this.session.confirmed + (this.received - this.session.confirmed) * next.share)),
        );
        // Acknowledges are in order, too: one that is older than another on its way would go back.
        this.down = inOrder(this.down);
        break;
      case 'hear':
        for (const message of this.down.splice(0, next.frames)) this.session.receive(message, this.now);
        break;
      case 'wait':
        this.now += next.ms;
        this.session.tick(this.now);
        break;
      case 'cut': {
        const [torn] = this.up;
        if (torn) this.arrive(torn.subarray(0, Math.floor(torn.length * next.share)));
        this.reconnect();
      }
    }
    this.pump();
  }

  say(byteCount: number): void {
    this.down.push(dataFrame(pattern(this.said, byteCount)));
    this.said += byteCount;
  }

  arrive(payload: Buffer): void {
    assert.ok(payload.equals(pattern(this.received, payload.length)), 'up: no hole, no duplicate');
    this.received += payload.length;
  }

  reconnect(): void {
    this.up = [];
    this.session.lost();
    const ack = this.session.received;
    assert.equal(ack, this.delivered);
    this.session.begin('reconnect');
    this.down = [reconnectedFrame(this.received)];
    if (this.said > ack) this.down.push(dataFrame(pattern(ack, this.said - ack)));
    this.heardAck = ack;
  }

  finish(): void {
    for (const message of this.down.splice(0)) this.session.receive(message, this.now);
    this.pump();
    for (const payload of this.up.splice(0)) this.arrive(payload);
    this.session.receive(serviceAck(this.received), this.now);
    this.now += 1_000;
    this.pump();
  }
}

function inOrder(messages: readonly Buffer[]): Buffer[] {
  let latest = -1n;
  return messages.filter((message) => {
    const frame = decodeFrame(message);
    if (frame.kind === 'reconnected') latest = frame.total;
    if (frame.kind !== 'ack') return true;
    if (frame.total < latest) return false;
    latest = frame.total;
    return true;
  });
}

test('two counters with random cuts: no hole and no duplicate, either way', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const model = new Model();
      for (const next of actions) model.run(next);
      model.finish();
      assert.equal(model.received, model.written, 'everything arrived');
      assert.equal(model.delivered, model.said);
      assert.equal(model.heardAck, model.said, 'everything is acknowledged');
      assert.equal(model.session.unconfirmed, 0);
    }),
    { numRuns: 400 },
  );
});

test('any messages end a session with CT_PROTO_FRAME or are taken, whatever they are', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.nat(60_000).map((total) => serviceAck(total)),
    fc.nat(60_000).map((total) => reconnectedFrame(total)),
    fc.nat(300).map((length) => dataFrame(Buffer.alloc(length))),
    fc.constant(frames.sid()),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const session = new RelaySession();
      session.begin('connect');
      session.write(Buffer.alloc(50_000), 0);
      let isOver = false;
      for (const next of messages) {
        session.receive(next, 0);
        for (let step = session.next(0, true); step; step = session.next(0, true)) {
          assert.equal(isOver, false, 'nothing comes after the end');
          if (step.do !== 'fail') continue;
          assert.equal(step.error.code, 'CT_PROTO_FRAME');
          isOver = true;
        }
        assert.ok(session.confirmed <= session.written);
      }
    }),
    { numRuns: 500 },
  );
});
