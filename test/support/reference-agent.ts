/**
 * The far end of a data channel as it is described (docs/protocol/ssm.md, "Receiving" to "Pause"), written for tests from that text alone: one
 * acknowledge a message, early ones kept, a handler that is not ready acknowledges nothing, and only the oldest unacknowledged message
 * is sent again, every 100 ms, when it is older than the official time-out. No flow control, as the true one.
 */
import { acknowledgedNumber } from '../../src/transport/ssm/core/acknowledge.ts';
import { decodeMessage } from '../../src/transport/ssm/core/client-message.ts';
import { acknowledgeMessage, outputMessage } from './agent-messages.ts';

const TICK_MS = 100;
const MAX_MESSAGE_BYTES = 1_024;

export interface ReferenceAgentOptions {
  readonly firstInput: number;
  readonly firstOutput: number;
  /** Sends a frame towards the client. */
  readonly send: (frame: Buffer) => void;
  /** Input in order; false: not ready, so it is neither acknowledged nor counted. */
  readonly take: (payload: Buffer) => boolean;
}

export class ReferenceAgent {
  readonly #options: ReferenceAgentOptions;
  readonly #early = new Map<number, Buffer>();
  readonly #unacknowledged = new Map<
    number,
    { readonly frame: Buffer; sentAt: number; readonly firstSentAt: number }
  >();
  #expected: number;
  #next: number;
  #smoothed = 100;
  #variation = 0;
  #timeout = 200;
  #tickAt = TICK_MS;
  #waiting = Buffer.alloc(0);
  #pacedAt = 0;
  resent = 0;

  constructor(options: ReferenceAgentOptions) {
    this.#options = options;
    this.#expected = options.firstInput;
    this.#next = options.firstOutput;
  }

  /** Nothing waits to be sent or acknowledged. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#unacknowledged.size === 0;
  }

  get keptEarly(): number {
    return this.#early.size;
  }

  /** When it wants to be woken. */
  get wakeAt(): number {
    return this.#waiting.length > 0 ? Math.min(this.#tickAt, this.#pacedAt) : this.#tickAt;
  }

  write(bytes: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
  }

  wake(now: number): void {
    if (this.#waiting.length > 0 && now >= this.#pacedAt) this.#sendNext(now);
    if (now < this.#tickAt) return;
    this.#tickAt = now + TICK_MS;
    const [oldest] = this.#unacknowledged.values();
    if (oldest === undefined || now - oldest.sentAt <= this.#timeout) return;
    oldest.sentAt = now;
    this.resent++;
    this.#options.send(oldest.frame);
  }

  receive(frame: Buffer, now: number): void {
    const { messageType, sequenceNumber, payload } = decodeMessage(frame);
    if (messageType === 'acknowledge') this.#acknowledged(acknowledgedNumber(Buffer.from(payload)), now);
    else this.#input(Number(sequenceNumber), Buffer.from(payload));
  }

  #sendNext(now: number): void {
    const payload = this.#waiting.subarray(0, MAX_MESSAGE_BYTES);
    this.#waiting = this.#waiting.subarray(payload.length);
    const frame = outputMessage(this.#next, payload);
    this.#unacknowledged.set(this.#next, { frame, sentAt: now, firstSentAt: now });
    this.#next++;
    this.#pacedAt = now + 1;
    this.#options.send(frame);
  }

  #acknowledged(number: number, now: number): void {
    const sent = this.#unacknowledged.get(number);
    if (sent === undefined) return;
    this.#unacknowledged.delete(number);
    const sample = now - sent.firstSentAt;
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - sample);
    this.#smoothed = 0.875 * this.#smoothed + 0.125 * sample;
    this.#timeout = Math.min(1_000, this.#smoothed + Math.max(10, 4 * this.#variation));
  }

  #input(number: number, payload: Buffer): void {
    if (number > this.#expected) {
      this.#early.set(number, payload);
    } else if (number === this.#expected) {
      if (!this.#options.take(payload)) return;
      this.#expected++;
      this.#takeEarly();
    }
    this.#options.send(acknowledgeMessage(number));
  }

  #takeEarly(): void {
    for (let payload = this.#early.get(this.#expected); payload; payload = this.#early.get(this.#expected)) {
      this.#early.delete(this.#expected);
      // The true agent gets stuck when its handler fails here; this one's only ever says "not yet" to what comes in order.
      while (!this.#options.take(payload));
      this.#expected++;
    }
  }
}
