/**
 * Our data channel against a reference agent over a link that loses, repeats and reorders, with cuts of the websocket, in virtual time:
 * all bytes arrive in order both ways, nothing stays unacknowledged, buffers stay within their bounds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataChannel } from '../../src/transport/ssm/core/data-channel.ts';
import { MAX_REORDERED_BYTES } from '../../src/transport/ssm/core/reorder-buffer.ts';
import { seededRandom } from '../support/manual-world.ts';
import { ReferenceAgent } from '../support/reference-agent.ts';

interface Plan {
  readonly seed: number;
  /** Shares of frames, each way. */
  readonly loss: number;
  readonly repeat: number;
  readonly reorder: number;
  /** One way. */
  readonly delay: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
  readonly start: number;
  /** Instants at which the websocket is cut. */
  readonly cuts: readonly number[];
  /** Shares of messages in order that the two ends do not take at once. */
  readonly agentNotReady: number;
  readonly clientRefuses: number;
}

const share = (max: number) => fc.oneof(fc.constant(0), fc.double({ min: 0, max, noNaN: true }));
const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  loss: share(0.2),
  repeat: share(0.2),
  reorder: share(0.2),
  delay: fc.constantFrom(0.2, 1, 10, 50),
  uploadBytes: fc.oneof(fc.nat(3_000), fc.nat(150_000)),
  downloadBytes: fc.oneof(fc.nat(3_000), fc.nat(60_000)),
  start: fc.constantFrom(0, 2 ** 31 - 20, 2 ** 32 - 20, 2 ** 52),
  cuts: fc.array(fc.nat(2_000), { maxLength: 3 }),
  agentNotReady: share(0.1),
  clientRefuses: share(0.1),
});

/** Ten minutes of virtual time: whatever is not done by then hangs. */
const PATIENCE_MS = 600_000;
const DOWNTIME_MS = 150;

class Simulation {
  now = 0;
  /** Sorted, the next one last. */
  readonly #events: { readonly at: number; readonly run: () => void }[] = [];
  readonly #plan: Plan;
  readonly #random;
  readonly #channel: DataChannel;
  readonly #agent: ReferenceAgent;
  readonly #upload: Buffer;
  readonly #download: Buffer;
  #uploadTaken = 0;
  #uploadArrived = 0;
  #downloadArrived = 0;
  #isConnected = true;
  #hasRefused = false;
  /** Frames of an earlier websocket never arrive. */
  #connection = 0;
  sentFrames = 0;
  largestOutstanding = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#upload = this.#random.bytes(plan.uploadBytes);
    this.#download = this.#random.bytes(plan.downloadBytes);
    this.#channel = new DataChannel(
      { deliver: (_type, payload) => this.#deliver(payload), serviceMessage: () => assert.fail('none is sent') },
      {
        randomBytes: this.#random.bytes,
        wall: () => 1_700_000_000_000,
        firstNumbers: { input: plan.start, output: plan.start },
      },
    );
    this.#agent = new ReferenceAgent({
      firstInput: plan.start,
      firstOutput: plan.start,
      send: (frame) => this.#carry(frame, (bytes) => this.#clientReceives(bytes)),
      take: (payload) => this.#agentTakes(payload),
    });
    this.#agent.write(this.#download);
    for (const at of plan.cuts) this.#at(at, () => this.#cut());
  }

  get stats() {
    return this.#channel.stats();
  }

  run(): void {
    this.#send();
    while (!this.#isDone()) {
      assert.ok(this.now < PATIENCE_MS, `done in ${PATIENCE_MS} ms: ${this.#state()}`);
      this.#step();
    }
    assert.equal(this.#channel.sending.outstandingBytes, 0);
    assert.equal(this.#channel.sending.acknowledgedBelow, this.#channel.sending.nextNumber);
    assert.equal(this.#agent.keptEarly, 0);
  }

  #isDone(): boolean {
    return (
      this.#uploadArrived === this.#upload.length &&
      this.#downloadArrived === this.#download.length &&
      this.#channel.sending.outstandingBytes === 0 &&
      this.#agent.isIdle
    );
  }

  #state(): string {
    const { outstandingBytes } = this.#channel.sending;
    return `up ${this.#uploadArrived}/${this.#upload.length}, down ${this.#downloadArrived}/${this.#download.length}, ${outstandingBytes} outstanding`;
  }

  #at(at: number, run: () => void): void {
    let low = 0;
    for (let high = this.#events.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.at > at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { at, run });
  }

  /** Runs whatever comes next: a frame, a timer of the client, the agent's own. */
  #step(): void {
    const eventAt = this.#events.at(-1)?.at ?? Number.POSITIVE_INFINITY;
    const clientAt = this.#isConnected ? (this.#channel.wakeAt ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    const agentAt = this.#agent.wakeAt;
    const at = Math.min(eventAt, clientAt, agentAt);
    // A timer that is due in the past would be a busy loop in the driver: it costs a millisecond here as there.
    this.now = at > this.now ? at : at === eventAt ? this.now : this.now + 1;
    if (at === eventAt) this.#events.pop()!.run();
    else if (at === clientAt) this.#endOfBatch();
    else this.#agent.wake(this.now);
  }

  #carry(frame: Buffer, arrive: (frame: Buffer) => void): void {
    this.sentFrames++;
    if (!this.#isConnected) return;
    const { loss, repeat, reorder, delay } = this.#plan;
    const copies = this.#random.fraction() < repeat ? 2 : 1;
    const connection = this.#connection;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.fraction() < loss) continue;
      const late = this.#random.fraction() < reorder ? this.#random.fraction() * 10 * (delay + 1) : 0;
      this.#at(this.now + delay + late, () => {
        if (connection === this.#connection) arrive(frame);
      });
    }
  }

  readonly #transmit = (bytes: Buffer, offset: number, byteCount: number): void => {
    this.#carry(Buffer.from(bytes.subarray(offset, offset + byteCount)), (frame) =>
      this.#agent.receive(frame, this.now),
    );
  };

  #clientReceives(frame: Buffer): void {
    this.#channel.receive(frame, this.now);
    this.#endOfBatch();
  }

  #endOfBatch(): void {
    this.#channel.sendAcknowledges(this.now, this.#transmit);
    this.#channel.repair(this.now, this.#transmit);
    this.#send();
    assert.ok(this.stats.largestReorderBytes <= MAX_REORDERED_BYTES);
  }

  #send(): void {
    if (!this.#isConnected || this.#channel.isPaused(this.now)) return;
    const source = {
      pull: (target: Buffer, offset: number, maxBytes: number) => {
        const byteCount = this.#upload.copy(target, offset, this.#uploadTaken, this.#uploadTaken + maxBytes);
        this.#uploadTaken += byteCount;
        return byteCount;
      },
    };
    this.#channel.sendFrom(source, 256, this.now, this.#transmit);
    const { outstandingBytes, windowBytes } = this.#channel.sending;
    this.largestOutstanding = Math.max(this.largestOutstanding, outstandingBytes);
    // The window may have shrunk since; it never lets more than its largest value out.
    assert.ok(outstandingBytes <= Math.max(windowBytes, this.largestOutstanding) + 1_144);
  }

  #deliver(payload: Buffer): boolean {
    if (this.#random.fraction() < this.#plan.clientRefuses) {
      if (!this.#hasRefused) this.#at(this.now + 3, () => this.#roomAgain());
      this.#hasRefused = true;
      return false;
    }
    const expected = this.#download.subarray(this.#downloadArrived, this.#downloadArrived + payload.length);
    assert.ok(payload.equals(expected), `download differs at ${this.#downloadArrived}`);
    this.#downloadArrived += payload.length;
    return true;
  }

  #roomAgain(): void {
    this.#hasRefused = false;
    this.#channel.roomAgain();
  }

  #agentTakes(payload: Buffer): boolean {
    if (this.#random.fraction() < this.#plan.agentNotReady) return false;
    const expected = this.#upload.subarray(this.#uploadArrived, this.#uploadArrived + payload.length);
    assert.ok(payload.equals(expected), `upload differs at ${this.#uploadArrived}`);
    this.#uploadArrived += payload.length;
    return true;
  }

  #cut(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#connection++;
    this.#at(this.now + DOWNTIME_MS, () => {
      this.#isConnected = true;
      this.#channel.reconnected(this.now, this.#transmit);
      this.#send();
    });
  }
}

test('all bytes arrive in order over any link, nothing stays unacknowledged', (t) => {
  let longest = 0;
  let largest = 0;
  fc.assert(
    fc.property(plans, (plan) => {
      const simulation = new Simulation(plan);
      simulation.run();
      longest = Math.max(longest, simulation.now);
      largest = Math.max(largest, simulation.stats.largestReorderBytes);
    }),
    { numRuns: 100 },
  );
  t.diagnostic(`longest transfer ${Math.round(longest)} ms of virtual time, reorder buffer up to ${largest} bytes`);
});

const even = { loss: 0, repeat: 0, reorder: 0, cuts: [], agentNotReady: 0, clientRefuses: 0, start: 0, seed: 1 };

test('on a good link nothing is sent twice', () => {
  for (const delay of [0.2, 1, 10, 50]) {
    const simulation = new Simulation({ ...even, delay, uploadBytes: 1_000_000, downloadBytes: 200_000 });
    simulation.run();
    assert.equal(simulation.stats.resent, 0, `at ${delay} ms`);
    assert.equal(simulation.stats.duplicates, 0, 'and our acknowledges are never too late for the agent');
  }
});

test('on a long way the first time-out comes before the first acknowledge: one burst, then never again', () => {
  const simulation = new Simulation({ ...even, delay: 150, uploadBytes: 1_000_000, downloadBytes: 0 });
  simulation.run();
  assert.ok(simulation.stats.resent <= 32, `${simulation.stats.resent} resent`);
});

test('repair costs little: about as much as was lost', (t) => {
  for (const loss of [0.01, 0.05, 0.2]) {
    const uploadBytes = 1_000_000;
    const simulation = new Simulation({ ...even, loss, delay: 5, uploadBytes, downloadBytes: 0 });
    simulation.run();
    const messages = Math.ceil(uploadBytes / 1_024);
    // A message is in doubt when it or its acknowledge was lost.
    const needed = messages / (1 - loss) ** 2 - messages;
    const { resent } = simulation.stats;
    t.diagnostic(`loss ${loss}: ${resent} resent, ${Math.round(needed)} needed, ${Math.round(simulation.now)} ms`);
    assert.ok(resent < 1.5 * needed + 40, `loss ${loss}: ${resent} resent where ${Math.round(needed)} were needed`);
  }
});

test('an upload over a lossy link is as quick as its round trips allow', () => {
  const plain = new Simulation({ ...even, delay: 10, uploadBytes: 2_000_000, downloadBytes: 0 });
  plain.run();
  const lossy = new Simulation({
    ...even,
    loss: 0.05,
    reorder: 0.05,
    delay: 10,
    uploadBytes: 2_000_000,
    downloadBytes: 0,
  });
  lossy.run();
  assert.ok(lossy.now < 3 * plain.now + 2_000, `${Math.round(lossy.now)} ms against ${Math.round(plain.now)} ms`);
});
