/**
 * Data messages that were sent and are not acknowledged: numbering, retransmission, window (docs/protocol/ssm.md, "Retransmission").
 *
 * Better than the official client: every message has its own send time; a message is sent again as soon as one that was sent at least
 * three sends later is acknowledged (the agent acknowledges out-of-order ones at once, so that is a loss, not a delay), or when it is
 * older than the time-out and nothing new was acknowledged for as long (RFC 6298 5.3); nothing is ever evicted, the writer waits
 * instead. Silence after a time-out is back-pressure of a slow target, or a dead peer: then one message at a time is tried, ever more
 * slowly, without giving up.
 */
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import { type Slab, SlabPool } from '../../../domain/slab-pool.ts';
import { Pacer } from './pacer.ts';
import { MAX_RTO_MS, RoundTrip } from './rto.ts';

/** Ring size, a power of two: bounds the unacknowledged messages where they are too small for the byte window to do it. */
const CAPACITY = 4096;
const MASK = CAPACITY - 1;
/** So many sends later must be what was acknowledged for a message to count as lost, as in TCP's fast retransmit. */
const REORDER_TOLERANCE = 3;
/** Messages sent again by one time-out when acknowledges came since the last one. */
const TIMEOUT_BURST = 32;
/** The send log is compacted when this many entries at its head are spent. */
const LOG_COMPACTION = 4096;

/** Takes bytes that are on their way now; they may be reused as soon as the call returns. */
export type Transmit = (bytes: Buffer, offset: number, byteCount: number) => void;

export class SendWindow {
  readonly roundTrip = new RoundTrip();
  readonly #pacer = new Pacer();
  readonly slabs = new SlabPool();

  readonly #slab: (Slab | undefined)[] = new Array(CAPACITY).fill(undefined);
  readonly #offset = new Uint32Array(CAPACITY);
  readonly #length = new Uint32Array(CAPACITY);
  readonly #sentAt = new Float64Array(CAPACITY);
  readonly #order = new Float64Array(CAPACITY);
  readonly #sentOnce = new Uint8Array(CAPACITY);

  /** Sends in order of time; an entry is spent when its message is acknowledged or was sent again later. */
  readonly #logNumber: number[] = [];
  readonly #logOrder: number[] = [];
  #logHead = 0;

  /** The oldest number without an acknowledge. */
  #base: number;
  #next: number;
  #nextOrder = 1;
  #latestAcknowledgedOrder = 0;
  #outstandingBytes = 0;
  /** Time-outs since the last new acknowledge. */
  #timeouts = 0;
  /** The last new acknowledge or time-out: a time-out begins then or with the send, whichever is later. */
  #quietSince: Millis = Number.NEGATIVE_INFINITY;
  #wasFull = false;
  /** Messages sent more than once; for statistics and tests. */
  resentCount = 0;

  /** @param firstNumber of the first message; only tests begin elsewhere than at 0 */
  constructor(firstNumber = 0) {
    this.#base = firstNumber;
    this.#next = firstNumber;
  }

  /** The number the next message will get. */
  get nextNumber(): number {
    return this.#next;
  }

  /** Every number below this one is acknowledged. */
  get acknowledgedBelow(): number {
    return this.#base;
  }

  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  /** Time-outs since the last new acknowledge. */
  get timeouts(): number {
    return this.#timeouts;
  }

  get windowBytes(): number {
    return this.#pacer.windowBytes;
  }

  /** Whether one more data message may be sent now. */
  hasRoom(): boolean {
    const room = this.#outstandingBytes < this.#pacer.windowBytes && this.#next - this.#base < CAPACITY;
    if (!room) this.#wasFull = true;
    return room;
  }

  /** Whether a message of the session itself (handshake, flags) fits; these do not wait for the window. */
  hasSlot(): boolean {
    return this.#next - this.#base < CAPACITY;
  }

  /** Records and transmits the message that stands at `offset` of a slab; it has the number `nextNumber`. */
  send(slab: Slab, offset: number, byteCount: number, now: Millis, transmit: Transmit): void {
    const at = this.#next & MASK;
    this.#slab[at] = slab;
    this.#offset[at] = offset;
    this.#length[at] = byteCount;
    this.#sentOnce[at] = 1;
    this.#outstandingBytes += byteCount;
    this.#transmit(this.#next, now, transmit);
    this.#next++;
  }

  /**
   * One acknowledge. Repeated ones are legal and ignored.
   *
   * @throws CT_PROTO_FRAME for a number that was never sent
   */
  acknowledge(number: number, now: Millis): void {
    if (number >= this.#next) {
      throw new CloudtunError('CT_PROTO_FRAME', `message ${number} was acknowledged, but only ${this.#next} were sent`);
    }
    const at = number & MASK;
    const slab = number >= this.#base ? this.#slab[at] : undefined;
    if (slab === undefined) return;
    this.#slab[at] = undefined;
    this.slabs.release(slab);
    this.#outstandingBytes -= this.#length[at]!;
    this.#timeouts = 0;
    this.#quietSince = now;
    if (this.#sentOnce[at] === 1) {
      const roundTrip = now - this.#sentAt[at]!;
      this.roundTrip.sample(roundTrip);
      this.#pacer.acknowledged(this.#length[at]!, roundTrip, this.roundTrip.min, this.#wasFull, now);
      this.#latestAcknowledgedOrder = Math.max(this.#latestAcknowledgedOrder, this.#order[at]!);
    }
    while (this.#base < this.#next && this.#slab[this.#base & MASK] === undefined) this.#base++;
    if (this.#outstandingBytes < this.#pacer.windowBytes / 2) this.#wasFull = false;
  }

  /** Sends again what later acknowledges show to be lost; call it after a batch of acknowledges. */
  repair(now: Millis, transmit: Transmit): void {
    for (let number = this.#oldestSend(); number !== undefined; number = this.#oldestSend()) {
      if (this.#order[number & MASK]! + REORDER_TOLERANCE > this.#latestAcknowledgedOrder) return;
      this.#transmitAgain(number, now, transmit);
    }
  }

  /** When `onTimeout` should be called, if anything waits for an acknowledge. */
  get timeoutAt(): Millis | undefined {
    const number = this.#oldestSend();
    return number === undefined ? undefined : Math.max(this.#sentAt[number & MASK]!, this.#quietSince) + this.#timeout;
  }

  get #timeout(): Millis {
    return Math.min(MAX_RTO_MS, this.roundTrip.rto * 2 ** Math.min(this.#timeouts, 10));
  }

  /** Sends again what is older than the time-out: all of it up to a burst, or one message where nothing was heard since the last time. */
  onTimeout(now: Millis, transmit: Transmit): void {
    const burst = this.#timeouts === 0 ? TIMEOUT_BURST : 1;
    const deadline = now - this.#timeout;
    let resent = 0;
    for (let number = this.#oldestSend(); number !== undefined && resent < burst; number = this.#oldestSend()) {
      if (this.#sentAt[number & MASK]! > deadline) break;
      this.#transmitAgain(number, now, transmit);
      resent++;
    }
    if (resent === 0) return;
    this.#timeouts++;
    this.#quietSince = now;
  }

  /** A new websocket: everything unacknowledged goes out again, oldest first, as if for the first time. */
  resendAll(now: Millis, transmit: Transmit): void {
    this.#logNumber.length = 0;
    this.#logOrder.length = 0;
    this.#logHead = 0;
    this.#timeouts = 0;
    this.roundTrip.newPath();
    for (let number = this.#base; number < this.#next; number++) {
      if (this.#slab[number & MASK] === undefined) continue;
      this.#sentOnce[number & MASK] = 1;
      this.resentCount++;
      this.#transmit(number, now, transmit);
    }
  }

  /** The number sent longest ago among those that wait; drops spent log entries on the way. */
  #oldestSend(): number | undefined {
    while (this.#logHead < this.#logNumber.length) {
      const number = this.#logNumber[this.#logHead]!;
      const at = number & MASK;
      if (number >= this.#base && this.#slab[at] !== undefined && this.#order[at] === this.#logOrder[this.#logHead])
        return number;
      this.#logHead++;
    }
    return undefined;
  }

  #transmitAgain(number: number, now: Millis, transmit: Transmit): void {
    this.#sentOnce[number & MASK] = 0;
    this.resentCount++;
    this.#transmit(number, now, transmit);
  }

  #transmit(number: number, now: Millis, transmit: Transmit): void {
    const at = number & MASK;
    if (this.#logHead >= LOG_COMPACTION) {
      this.#logNumber.splice(0, this.#logHead);
      this.#logOrder.splice(0, this.#logHead);
      this.#logHead = 0;
    }
    const order = this.#nextOrder++;
    this.#order[at] = order;
    this.#sentAt[at] = now;
    this.#logNumber.push(number);
    this.#logOrder.push(order);
    transmit(this.#slab[at]!.bytes, this.#offset[at]!, this.#length[at]!);
  }
}
