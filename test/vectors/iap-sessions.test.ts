/** The recorded state machine of the official client, step by step; where the description wants something else, the test says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFrame } from '../../src/transport/iap/core/relay-frame.ts';
import { RelaySession, type RelayStep } from '../../src/transport/iap/core/relay-session.ts';
import { type BytesResult, bytesOf, iapVectors, reportIapVectors, resultOf, type SessionStep } from '../support/iap-vectors.ts';

/** Reactions of the official client that a new one should not copy: name → the step from which on ours has ended the session. */
const ENDED_HERE: Readonly<Record<string, number>> = {
  'reconnect ack as the first frame of a new session': 0,
  'resume: server answers with a new session id': 3,
};

/** Its idle tick is 2 s; ours is far shorter. */
const IDLE_MS = 2_000;

class Driver {
  readonly session = new RelaySession();
  now = 1_000;
  #delivered = 0;
  /** Everything that was given to `write`. */
  written = Buffer.alloc(0);

  constructor() {
    this.session.begin('connect');
  }

  run(step: SessionStep): { out: Buffer[]; delivered: Buffer; error: string | undefined } {
    if (step.in) this.session.receive(bytesOf(step.in), this.now);
    if (step.send) {
      const bytes = bytesOf(step.send);
      this.written = Buffer.concat([this.written, bytes]);
      assert.equal(this.session.write(bytes, this.now), bytes.length);
    }
    if (step.idle) this.now += IDLE_MS;
    if (step.lost) {
      this.session.lost();
      assert.equal(String(this.session.received), step.reconnectAck, 'the ack of the reconnect');
      this.session.begin('reconnect');
    }
    const out: Buffer[] = [];
    const delivered: Buffer[] = [];
    let error: string | undefined;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (next.do === 'send') out.push(Buffer.concat([next.header, ...next.pieces]));
      if (next.do === 'fail') error = next.error.code;
      if (next.do !== 'deliver') continue;
      delivered.push(next.payload);
      this.#delivered += next.payload.length;
      this.session.consumed(this.#delivered, this.now);
    }
    return { out, delivered: Buffer.concat(delivered), error };
  }

  #next(): RelayStep | undefined {
    return this.session.next(this.now, true);
  }
}

const lengthOf = (form: BytesResult) => ('hex' in form ? form.hex.length / 2 : form.length);

test('sessions go as the official client goes through them', (t) => {
  const all = iapVectors('sessions');
  let run = 0;
  for (const { name, steps } of all) {
    const driver = new Driver();
    /** Totals that we acknowledged sooner than the official client would have. */
    let earlier = 0;
    for (const [index, step] of steps.entries()) {
      const at = `${name}, step ${index}`;
      const { out, delivered, error } = driver.run(step);
      if (index >= (ENDED_HERE[name] ?? steps.length)) {
        if (index === ENDED_HERE[name]) assert.equal(error, 'CT_PROTO_FRAME', at);
        assert.ok(driver.session.isOver, at);
        continue;
      }
      assert.equal(error, step.error === undefined ? undefined : 'CT_PROTO_FRAME', at);
      assert.deepEqual(resultOf(delivered, step.delivered ?? { hex: '' }), step.delivered ?? { hex: '' }, at);
      if (error !== undefined) continue;
      // When to acknowledge is each client's own policy: what counts is that after the idle tick everything is acknowledged.
      const isAck = (frame: Buffer) => decodeFrame(frame).kind === 'ack';
      const data = out.filter((frame) => !isAck(frame));
      const expected = (step.out ?? []).filter((form) => !('hex' in form) || !form.hex.startsWith('0007'));
      if (steps[index - 1]?.lost !== undefined) {
        // What is sent again need not be cut where it was cut before.
        const again = Buffer.concat(data.map((frame) => frame.subarray(6)));
        const { confirmed } = driver.session;
        assert.ok(again.equals(driver.written.subarray(confirmed)), `${at}: everything from ${confirmed} on`);
        assert.equal(again.length, expected.reduce((sum, form) => sum + lengthOf(form) - 6, 0), at);
      } else {
        assert.equal(data.length, expected.length, at);
        for (const [number, frame] of data.entries())
          assert.deepEqual(resultOf(frame, expected[number]!), expected[number], at);
      }
      for (const frame of out.filter(isAck)) {
        const ack = decodeFrame(frame);
        assert.ok(ack.kind === 'ack' && Number(ack.total) > earlier, at);
        earlier = Number(ack.total);
      }
      const { session } = driver;
      assert.equal(session.isOpen, step.state.connected, at);
      assert.equal(String(session.received), step.state.received, at);
      assert.equal(String(session.confirmed), step.state.confirmed, at);
      assert.equal(
        session.unconfirmed,
        step.state.unconfirmed.reduce((sum, length) => sum + length, 0),
        at,
      );
      if (step.idle) assert.equal(String(session.acked), step.state.received, `${at}: everything is acknowledged`);
    }
    run += 1;
  }
  t.diagnostic(`ended here, and not by the official client: ${Object.keys(ENDED_HERE).join('; ')}`);
  t.diagnostic('ackQueued and the threshold of 32769 bytes are policy: 32768 bytes or 100 ms here');
  reportIapVectors(t, 'sessions', run, all.length);
});
