import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { seededFractions } from '../../../../../src/lab/core/seeded.ts';
import { AckPolicy } from '../../../../../src/lab/gcp/relay/core/ack-policy.ts';
import { ByteSchedule } from '../../../../../src/lab/gcp/relay/core/byte-schedule.ts';
import { type Shape, shapeBytes } from '../../../../../src/lab/gcp/relay/core/frame-shaper.ts';
import { ackFrame, dataFrame, readFrame } from '../../../../../src/lab/gcp/relay/core/relay-frame.ts';
import { ServiceSession } from '../../../../../src/lab/gcp/relay/core/service-session.ts';

function makeSession() {
  const violations: string[] = [];
  const session = new ServiceSession({ violation: (what) => void violations.push(what) });
  return { session, violations };
}

suite("the service's end of a session", () => {
  test('data is counted and handed on; an empty frame is a violation and counts nothing', () => {
    const { session, violations } = makeSession();
    assert.deepEqual(session.receive(dataFrame(Buffer.from('hello'))), {
      do: 'deliver',
      payload: Buffer.from('hello'),
    });
    assert.deepEqual(session.receive(dataFrame(Buffer.alloc(0))), { do: 'nothing' });
    assert.equal(session.received, 5);
    assert.deepEqual(violations, ['DATA without bytes']);
  });

  test('acks confirm byte by byte, over chunks', () => {
    const { session, violations } = makeSession();
    session.send(Buffer.from('abcd'));
    session.send(Buffer.from('efgh'));
    assert.deepEqual(session.receive(ackFrame(0)), { do: 'nothing' });
    assert.deepEqual(session.receive(ackFrame(3)), { do: 'more' });
    assert.equal(session.unacknowledged, 5);
    assert.equal(Buffer.concat([...(session.resume(5n) ?? [])]).toString(), 'fgh');
    assert.deepEqual(session.receive(ackFrame(8)), { do: 'more' });
    assert.deepEqual(session.resume(8n), []);
    assert.equal(session.idleAcks, 1);
    assert.deepEqual(violations, []);
  });

  test('an ack that goes back or beyond what was sent ends the session with 4005, also above 2^53', () => {
    for (const total of [2n, 9n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      const { session, violations } = makeSession();
      session.send(Buffer.alloc(8));
      session.receive(ackFrame(4));
      const frame = ackFrame(0);
      frame.writeBigUInt64BE(total, 2);
      assert.deepEqual(session.receive(frame), { do: 'close', code: 4005, reason: 'bad ack' });
      assert.equal(violations.length, 1);
    }
  });

  test('what no client may send ends the session', () => {
    const cases: readonly (readonly [Buffer, number])[] = [
      [Buffer.alloc(0), 4013],
      [dataFrame(Buffer.alloc(16_385)), 4013],
      [Buffer.from('0004000000ff00', 'hex'), 4013],
      [Buffer.from('0063', 'hex'), 4008],
      [Buffer.from('000100000003736964', 'hex'), 4008],
    ];
    for (const [message, code] of cases) {
      const { session, violations } = makeSession();
      const verdict = session.receive(message);
      assert.equal(verdict.do === 'close' && verdict.code, code);
      assert.equal(violations.length, 1);
    }
  });

  test('bytes after a frame are dropped and told', () => {
    const { session, violations } = makeSession();
    session.receive(Buffer.concat([dataFrame(Buffer.from('x')), Buffer.from('yz')]));
    assert.equal(session.received, 1);
    assert.deepEqual(violations, ['2 bytes after DATA']);
  });

  test('a reconnect outside of what is kept is impossible', () => {
    const { session } = makeSession();
    session.send(Buffer.alloc(10));
    session.receive(ackFrame(6));
    assert.equal(session.resume(5n), undefined);
    assert.equal(session.resume(11n), undefined);
    assert.equal(session.resume(10n)?.length, 0);
  });

  test('a long session keeps no more than what is not confirmed', () => {
    const { session } = makeSession();
    for (let round = 1; round <= 5_000; round++) {
      session.send(Buffer.alloc(10, round));
      session.receive(ackFrame(round * 10 - 5));
    }
    assert.deepEqual(
      session.resume(49_995n)?.map(({ length }) => length),
      [5],
    );
  });
});

suite('when the service acknowledges', () => {
  const rules = { ackEveryBytes: 0, ackDelayMs: 0, withholdAcks: false, ackShortOfBytes: 0 };
  const withReceived = (byteCount: number) => {
    const { session } = makeSession();
    session.receive(dataFrame(Buffer.alloc(byteCount)));
    session.taken = byteCount;
    return new AckPolicy(session);
  };

  test('each frame at once, unless told otherwise', () => {
    const policy = withReceived(10);
    assert.deepEqual(policy.next(rules, false), { total: 10 });
    assert.deepEqual(policy.next(rules, false), {});
  });

  test('nothing that the backend has not taken', () => {
    const { session } = makeSession();
    session.receive(dataFrame(Buffer.alloc(10)));
    const policy = new AckPolicy(session);
    assert.deepEqual(policy.next(rules, true), {});
    session.taken = 4;
    assert.deepEqual(policy.next(rules, false), { total: 4 });
    session.resume(0n);
    session.taken = 9;
    assert.deepEqual(policy.next(rules, false), {});
  });

  test('with a threshold, after a delay, never', () => {
    assert.deepEqual(withReceived(10).next({ ...rules, ackEveryBytes: 11 }, false), { wait: 200 });
    assert.deepEqual(withReceived(10).next({ ...rules, ackEveryBytes: 11 }, true), { total: 10 });
    assert.deepEqual(withReceived(10).next({ ...rules, ackDelayMs: 50 }, false), { wait: 50 });
    assert.deepEqual(withReceived(10).next({ ...rules, withholdAcks: true }, true), {});
  });

  test('inside a frame, the rest later', () => {
    const policy = withReceived(10);
    assert.deepEqual(policy.next({ ...rules, ackShortOfBytes: 3 }, false), { total: 7, wait: 200 });
    assert.deepEqual(policy.next({ ...rules, ackShortOfBytes: 3 }, true), { total: 10 });
  });
});

test('what is due by bytes: each Close once, 4004 at each boundary, the freeze for good', () => {
  const rules = {
    closes: [{ afterBytes: 10, code: 4000, reason: 'x' }],
    reauthenticateEveryBytes: 100,
    freezeAfterBytes: 250,
  };
  const schedule = new ByteSchedule();
  const due = (total: number) => schedule.due(total, rules).map((event) => ('code' in event ? event.code : event.do));
  assert.deepEqual([9, 10, 11, 99, 100, 199, 220, 250, 251].map(due), [
    [],
    [4000],
    [],
    [],
    [4004],
    [],
    [4004],
    ['freeze'],
    ['freeze'],
  ]);
});

suite('how bytes are cut into frames', () => {
  const plain: Shape = {
    maxPayload: 16_384,
    splitPercent: 0,
    oneBytePercent: 0,
    trailingPercent: 0,
    unknownTagPercent: 0,
    emptyDataPercent: 0,
  };
  const bytes = Buffer.from(Uint8Array.from({ length: 50_000 }, (_, at) => at % 251));
  const shaped = (shape: Shape) => {
    const messages: Buffer[] = [];
    shapeBytes(bytes, shape, seededFractions(1), ({ head, body }) => void messages.push(Buffer.concat([head, body])));
    return messages.map(readFrame);
  };
  const payload = (frames: ReturnType<typeof shaped>) =>
    Buffer.concat(frames.map((frame) => (frame.kind === 'data' ? frame.payload : Buffer.alloc(0))));

  test('full ones', () => {
    const frames = shaped(plain);
    assert.deepEqual(
      frames.map((frame) => frame.kind === 'data' && frame.payload.length),
      [16_384, 16_384, 16_384, 848],
    );
    assert.deepEqual(payload(frames), bytes);
  });

  test('every fault at once loses no byte', () => {
    const frames = shaped({
      maxPayload: 100,
      splitPercent: 50,
      oneBytePercent: 50,
      trailingPercent: 50,
      unknownTagPercent: 50,
      emptyDataPercent: 50,
    });
    assert.deepEqual(payload(frames), bytes);
    const lengths = frames.flatMap((frame) => (frame.kind === 'data' ? [frame.payload.length] : []));
    assert.ok(lengths.includes(0) && lengths.includes(1) && lengths.includes(100));
    assert.ok(frames.some(({ kind }) => kind === 'unknown'));
    assert.ok(frames.some((frame) => 'trailing' in frame && frame.trailing > 0));
  });
});
