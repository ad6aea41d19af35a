/**
 * The official agent's end of a data channel (docs/protocol/ssm.md, "Acknowledge"): numbers, acknowledges,
 * order, and the repair of its output. Faithful where the official agent is weak: only the oldest message is repaired, by a timer that
 * looks every 100 ms; there is no window; a reader that blocks stops acknowledges too.
 *
 * One thing is better on purpose, as an emulator should: a message is put on the list before it is sent.
 * Left out: KMS encryption (port sessions never use it).
 */
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import { AcknowledgeText, acknowledgedNumber, MAX_ACKNOWLEDGE_BYTES } from '../../../transport/ssm/core/acknowledge.ts';
import { type Message, readMessage } from '../../../transport/ssm/core/client-message.ts';
import { MessageWriter, type RandomBytes } from '../../../transport/ssm/core/message-writer.ts';
import {
  HEADER_FLAGS,
  LONG_HEADER_LENGTH,
  OFFSET,
  PAYLOAD_OFFSET,
  PAYLOAD_TYPE,
} from '../../../transport/ssm/core/wire-format.ts';
import type { ByteQueue } from '../../core/byte-queue.ts';
import { type FrameSlab, FrameSlabs } from './frame-slab.ts';
import { InputAudit } from './input-audit.ts';
import type { Observations } from './observations.ts';
import { quickAcknowledgedOutput } from './quick-acknowledge.ts';
import { RESEND_TICK, RoundTripEstimate } from './resend-timer.ts';
import { UnacknowledgedList } from './unacknowledged-list.ts';

/**
 * What became of a payload: `taken` is acknowledged; `refused` is not, and the client has to send it again; `blocked` stops the
 * reader until `retry`.
 */
export type Verdict = 'taken' | 'refused' | 'blocked';

/** A message for the client: `byteCount` bytes of `memory` at `offset`, valid during the call. */
export type Emit = (memory: Buffer, offset: number, byteCount: number) => void;

export interface ChannelOptions {
  readonly randomBytes: RandomBytes;
  /** Wall clock minus the clock of `now`, for creation dates. */
  readonly wallOffset: Millis;
  readonly emit: Emit;
  readonly take: (payloadType: number, payload: Buffer) => Verdict;
  readonly witness: Observations;
  /** Asked for each input message. */
  readonly isVerifying: () => boolean;
}

/** Both lists of the official agent end here. */
export const MAX_KEPT_MESSAGES = 100_000;

interface Early {
  readonly payloadType: number;
  readonly payload: Buffer;
}

export class AgentChannel {
  readonly #options: ChannelOptions;
  readonly #first: MessageWriter;
  readonly #output: MessageWriter;
  readonly #acknowledges: MessageWriter;
  readonly #audit: InputAudit;
  readonly #estimate = new RoundTripEstimate();

  #nextOutput = 0;
  readonly #unacknowledged = new UnacknowledgedList();
  readonly #slabs = new FrameSlabs();
  readonly #acknowledgeText = new AcknowledgeText('input_stream_data');
  #isPaused = false;
  #nextTick: Millis;

  #expected = 0;
  readonly #early = new Map<number, Early>();
  /** The in-order message that blocks the reader. */
  #held: Message | undefined;
  #isBlocked = false;
  /** What came behind it; the gateway bounds it by `backlogBytes`. */
  #backlog: Buffer[] = [];
  backlogBytes = 0;

  constructor(options: ChannelOptions, now: Millis) {
    this.#options = options;
    this.#first = new MessageWriter('output_stream_data', HEADER_FLAGS.syn, options.randomBytes);
    this.#output = new MessageWriter('output_stream_data', HEADER_FLAGS.none, options.randomBytes);
    this.#acknowledges = new MessageWriter('acknowledge', HEADER_FLAGS.synFin, options.randomBytes);
    this.#audit = new InputAudit(options.witness);
    this.#nextTick = now + RESEND_TICK;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Input numbers that are missing below one that came. */
  get missingInput(): readonly number[] {
    let highest = -1;
    for (const number of this.#early.keys()) highest = Math.max(highest, number);
    const missing: number[] = [];
    for (let number = this.#expected; number < highest && missing.length < 10; number++) {
      if (!this.#early.has(number)) missing.push(number);
    }
    return missing;
  }

  // Sending

  send(payloadType: number, payload: Uint8Array, now: Millis): void {
    const slab = this.#slabs.reserve(PAYLOAD_OFFSET + payload.length);
    slab.memory.set(payload, slab.end + PAYLOAD_OFFSET);
    this.#launch(slab, payloadType, payload.length, now);
  }

  /** One message with the next `byteCount` bytes of `queue`. */
  sendFrom(queue: ByteQueue, byteCount: number, now: Millis): void {
    const slab = this.#slabs.reserve(PAYLOAD_OFFSET + byteCount);
    queue.copy(slab.memory, slab.end + PAYLOAD_OFFSET, byteCount);
    this.#launch(slab, PAYLOAD_TYPE.output, byteCount, now);
  }

  /** The payload stands in the slab already. */
  #launch(slab: FrameSlab, payloadType: number, payloadBytes: number, now: Millis): void {
    const { counters } = this.#options.witness;
    const number = this.#nextOutput;
    const writer = number === 0 ? this.#first : this.#output;
    const offset = slab.end;
    writer.writeHeader(slab.memory, offset, payloadType, payloadBytes, number, this.#options.wallOffset + now);
    const byteCount = PAYLOAD_OFFSET + payloadBytes;
    slab.end += byteCount;
    this.#nextOutput += 1;
    counters.outputMessages += 1;
    counters.outputPayloadBytes += payloadBytes;
    if (this.#unacknowledged.size < MAX_KEPT_MESSAGES) {
      slab.live += 1;
      this.#unacknowledged.add(number, slab, offset, byteCount, now);
      if (this.#unacknowledged.size > counters.maxUnacknowledged) {
        counters.maxUnacknowledged = this.#unacknowledged.size;
      }
    } else {
      counters.outputNotKept += 1;
    }
    if (this.#isPaused) counters.outputWhilePaused += 1;
    else this.#options.emit(slab.memory, offset, byteCount);
  }

  /** Repeats output 0, as the resend timer does; for the duplicate handshake faults. */
  repeatFirst(now: Millis): void {
    const first = this.#unacknowledged.get(0);
    if (first === undefined) return;
    this.#unacknowledged.touch(0, now);
    this.#options.emit(first, 0, first.length);
  }

  /** When to call `tick`; undefined while nothing waits for an acknowledge. */
  get wakeAt(): Millis | undefined {
    return this.#unacknowledged.size === 0 || this.#isPaused ? undefined : this.#nextTick;
  }

  /** The look at the oldest message, due each 100 ms since the start. */
  tick(now: Millis): void {
    if (now < this.#nextTick) return;
    this.#nextTick += (Math.floor((now - this.#nextTick) / RESEND_TICK) + 1) * RESEND_TICK;
    if (this.#isPaused) return;
    const { oldest } = this.#unacknowledged;
    if (oldest === undefined || now - this.#unacknowledged.sentAt(oldest) <= this.#estimate.timeout) return;
    this.#unacknowledged.touch(oldest, now);
    this.#options.witness.counters.outputResends += 1;
    const frame = this.#unacknowledged.get(oldest)!;
    this.#options.emit(frame, 0, frame.length);
  }

  /** pause_publication: neither first sendings nor repairs leave any more. */
  pause(): void {
    this.#isPaused = true;
  }

  /** start_publication, or anything from the client. */
  unpause(): void {
    this.#isPaused = false;
  }

  // Receiving

  receive(frame: Buffer, now: Millis): void {
    if (this.#isBlocked) {
      this.#backlog.push(frame);
      this.backlogBytes += frame.length;
    } else {
      this.#process(frame, now);
    }
  }

  /** The handler may be able to take what it blocked on. */
  retry(now: Millis): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#takeInOrder(held, now);
    else this.#drainEarly();
    while (!this.#isBlocked && this.#backlog.length > 0) {
      const backlog = this.#backlog;
      this.#backlog = [];
      this.backlogBytes = 0;
      for (const frame of backlog) this.receive(frame, now);
    }
  }

  #process(frame: Buffer, now: Millis): void {
    const isVerifying = this.#options.isVerifying();
    const quick = isVerifying ? undefined : quickAcknowledgedOutput(frame);
    if (quick !== undefined) {
      this.#isPaused = false;
      this.#options.witness.counters.acknowledgesSeen += 1;
      this.#settle(quick, now);
      return;
    }
    let message: Message;
    try {
      message = readMessage(frame, false);
    } catch (error) {
      if (!(error instanceof CloudtunError)) throw error;
      // The official parser crashes on some of these; a lab that dies would hide the client's next mistake.
      this.#options.witness.violation(error.message);
      return;
    }
    if (message.messageType === 'input_stream_data') {
      this.#isPaused = false;
      this.#onInput(message, now);
    } else if (message.messageType === 'acknowledge') {
      this.#isPaused = false;
      this.#onAcknowledge(message, now);
    } else if (isVerifying) {
      this.#options.witness.violation(`a ${message.messageType} message from the client`);
    }
  }

  #onAcknowledge(message: Message, now: Millis): void {
    const { witness } = this.#options;
    witness.counters.acknowledgesSeen += 1;
    let number: number;
    try {
      number = acknowledgedNumber(message.payload);
    } catch (error) {
      if (!(error instanceof CloudtunError)) throw error;
      witness.violation(error.message);
      return;
    }
    if (this.#options.isVerifying()) {
      this.#audit.acknowledge(message, number, this.#nextOutput, this.#unacknowledged.get(number));
    }
    this.#settle(number, now);
  }

  #settle(number: number, now: Millis): void {
    const slab = this.#unacknowledged.remove(number);
    if (slab === undefined) return;
    this.#slabs.release(slab);
    this.#estimate.add(now - this.#unacknowledged.sentAt(number));
  }

  #onInput(message: Message, now: Millis): void {
    const { counters } = this.#options.witness;
    counters.inputMessages += 1;
    counters.inputPayloadBytes += message.payload.length;
    if (message.payload.length > counters.largestInputPayload) counters.largestInputPayload = message.payload.length;
    if (this.#options.isVerifying()) this.#audit.input(message, this.#expected);
    if (message.sequenceNumber === this.#expected) {
      this.#takeInOrder(message, now);
    } else if (message.sequenceNumber < this.#expected || this.#early.has(message.sequenceNumber)) {
      counters.inputRepeats += 1;
      this.#acknowledge(message, now);
    } else if (this.#early.size < MAX_KEPT_MESSAGES) {
      counters.inputReordered += 1;
      this.#early.set(message.sequenceNumber, { payloadType: payloadTypeOf(message), payload: message.payload });
      counters.maxReorder = Math.max(counters.maxReorder, this.#early.size);
      this.#acknowledge(message, now);
    }
  }

  #takeInOrder(message: Message, now: Millis): void {
    // An early one that failed when its turn came stands here too: the client sent it again.
    this.#early.delete(message.sequenceNumber);
    const verdict = this.#options.take(payloadTypeOf(message), message.payload);
    if (verdict === 'blocked') {
      this.#isBlocked = true;
      this.#held = message;
      return;
    }
    if (verdict === 'refused') return;
    this.#expected += 1;
    this.#acknowledge(message, now);
    this.#drainEarly();
  }

  #drainEarly(): void {
    for (let next = this.#early.get(this.#expected); next; next = this.#early.get(this.#expected)) {
      const verdict = this.#options.take(next.payloadType, next.payload);
      if (verdict === 'blocked') {
        this.#isBlocked = true;
        return;
      }
      // It was acknowledged when it came, so nobody sends it again: the session is stuck, as with the official agent.
      if (verdict === 'refused') return;
      this.#early.delete(this.#expected);
      this.#expected += 1;
    }
  }

  #acknowledge(message: Message, now: Millis): void {
    // Built at the end of a slab, which is not moved: whoever transmits it has copied it by then.
    const { memory, end } = this.#slabs.reserve(PAYLOAD_OFFSET + MAX_ACKNOWLEDGE_BYTES);
    const { frame, sequenceNumber } = message;
    const start = end + PAYLOAD_OFFSET;
    const length = this.#acknowledgeText.write(memory, start, frame, OFFSET.messageId, sequenceNumber);
    const wall = this.#options.wallOffset + now;
    this.#acknowledges.writeHeader(memory, end, PAYLOAD_TYPE.none, length, 0, wall);
    this.#options.witness.counters.acknowledgesSent += 1;
    this.#options.emit(memory, end, PAYLOAD_OFFSET + length);
  }
}

/** The official agent reads the payload type at 112 whatever the header length says: a short header shows it the payload's length. */
function payloadTypeOf(message: Message): number {
  const isShort = message.frame.readUInt32BE(OFFSET.headerLength) < LONG_HEADER_LENGTH;
  return isShort ? message.frame.readUInt32BE(OFFSET.payloadType) : message.payloadType;
}
