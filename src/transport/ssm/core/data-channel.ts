/**
 * The SSM data channel without a socket: numbering both ways, acknowledges, order, retransmission, pause (docs/protocol/ssm.md,
 * "Acknowledge" to "Pause"). Bytes and `now` go in; deliveries and frames to send come out. It outlives websockets: after a
 * reconnect numbers continue and everything unacknowledged is sent again.
 *
 * Left out on purpose: the handshake's meaning (handshake.ts), encryption, and what the payload bytes mean.
 */
import type { Millis } from '../../../domain/millis.ts';
import { AcknowledgeText, acknowledgedNumber, MAX_ACKNOWLEDGE_BYTES } from './acknowledge.ts';
import { type Message, readMessage } from './client-message.ts';
import { MessageWriter, type RandomBytes } from './message-writer.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import { SendWindow, type Transmit } from './send-window.ts';
import { DEFAULT_MESSAGE_PAYLOAD, HEADER_FLAGS, OFFSET, PAYLOAD_OFFSET, PAYLOAD_TYPE } from './wire-format.ts';

/** Acknowledges wait this long for company. The agent's time-out is a round trip plus at least 10 ms, so stay well below that. */
export const ACKNOWLEDGE_DELAY_MS = 5;
/** And leave at once when this many wait. */
const ACKNOWLEDGE_BATCH = 64;
/** How long a pause_publication is obeyed when nothing lifts it. Guessed: the service says nothing about it. */
export const MAX_PAUSE_MS = 3_000;

export interface DataChannelHandler {
  /**
   * One data message in order. False: not taken, so it is neither acknowledged nor counted, and the agent sends it again.
   * The payload is valid during the call only.
   */
  deliver(payloadType: number, payload: Buffer): boolean;
  /** A message that the service made: end of session, or an unknown type (ignored by the channel). */
  serviceMessage(message: Message): void;
}

/** Fills `target` with at most `maxBytes` payload bytes; returns how many, 0 for none now. */
export interface PayloadSource {
  pull(target: Buffer, offset: number, maxBytes: number): number;
}

export interface DataChannelOptions {
  readonly randomBytes: RandomBytes;
  /** Wall clock, for creation dates: milliseconds since 1970 UTC. */
  readonly wall: () => Millis;
  /** Largest payload of one data message; larger than 1536 is not known to pass the service. */
  readonly maxPayload?: number;
  /** Where the two counters begin; only tests begin elsewhere than at 0. */
  readonly firstNumbers?: { readonly input: number; readonly output: number };
}

export interface DataChannelStats {
  readonly received: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly largestReorderBytes: number;
  readonly resent: number;
  readonly outOfRoom: number;
}

export class DataChannel {
  readonly sending: SendWindow;
  readonly #handler: DataChannelHandler;
  readonly #wall: () => Millis;
  readonly #maxPayload: number;
  readonly #dataWriter: MessageWriter;
  readonly #ackWriter: MessageWriter;
  readonly #reorder = new ReorderBuffer();
  readonly #ackText = new AcknowledgeText('output_stream_data');
  /** One message, built anew for each acknowledge: whoever transmits it copies it. */
  readonly #ackScratch = Buffer.allocUnsafeSlow(PAYLOAD_OFFSET + MAX_ACKNOWLEDGE_BYTES);
  /** Acknowledges that are owed: the wire ids, 16 bytes each, and the numbers. */
  #owedIds = Buffer.allocUnsafe(16 * 2 * ACKNOWLEDGE_BATCH);
  readonly #owedNumbers: number[] = [];
  #oldestAckAt: Millis = 0;
  #expected: number;
  #pausedUntil: Millis | undefined;
  #stats = { received: 0, duplicates: 0, reordered: 0, largestReorderBytes: 0, outOfRoom: 0 };

  constructor(handler: DataChannelHandler, options: DataChannelOptions) {
    this.#handler = handler;
    this.#wall = options.wall;
    this.#maxPayload = options.maxPayload ?? DEFAULT_MESSAGE_PAYLOAD;
    this.sending = new SendWindow(options.firstNumbers?.input);
    this.#expected = options.firstNumbers?.output ?? 0;
    this.#dataWriter = new MessageWriter('input_stream_data', HEADER_FLAGS.none, options.randomBytes);
    this.#ackWriter = new MessageWriter('acknowledge', HEADER_FLAGS.synFin, options.randomBytes);
  }

  /** The number of the next output message, for end-of-session reports. */
  get expectedNumber(): number {
    return this.#expected;
  }

  stats(): DataChannelStats {
    return { ...this.#stats, resent: this.sending.resentCount };
  }

  /**
   * One websocket message from the service.
   *
   * @throws CT_PROTO_* when the peer is not a Session Manager peer; the tunnel cannot go on
   */
  receive(frame: Buffer, now: Millis): void {
    const message = readMessage(frame);
    switch (message.messageType) {
      case 'output_stream_data':
        this.#pausedUntil = undefined;
        this.#receiveData(message, now);
        return;
      case 'acknowledge':
        this.#pausedUntil = undefined;
        this.sending.acknowledge(acknowledgedNumber(message.payload), now);
        return;
      case 'pause_publication':
        this.#pausedUntil = now + MAX_PAUSE_MS;
        return;
      case 'start_publication':
        this.#pausedUntil = undefined;
        return;
      default:
        this.#handler.serviceMessage(message);
    }
  }

  #receiveData(message: Message, now: Millis): void {
    this.#stats.received++;
    const { sequenceNumber: number, payloadType, payload } = message;
    if (number === this.#expected) {
      if (!this.#handler.deliver(payloadType, payload)) {
        this.#stats.outOfRoom++;
        return;
      }
      // It may wait in the reorder buffer too: acknowledged early, refused when its turn came, and now repeated.
      this.#reorder.drop(number);
      this.#expected++;
      this.#owe(message, now);
      this.#drainReorderBuffer();
      return;
    }
    if (number < this.#expected) {
      // The official client stays silent here, and the agent then repeats this one message for ever.
      this.#stats.duplicates++;
      this.#owe(message, now);
      return;
    }
    this.#stats.reordered++;
    if (!this.#reorder.hold(number, payloadType, payload)) {
      this.#stats.outOfRoom++;
      return;
    }
    this.#stats.largestReorderBytes = Math.max(this.#stats.largestReorderBytes, this.#reorder.byteCount);
    this.#owe(message, now);
  }

  /** Delivers what became in order. A message that is not taken stays here: it was acknowledged already, so it must not be lost. */
  #drainReorderBuffer(): void {
    for (let held = this.#reorder.peek(this.#expected); held; held = this.#reorder.peek(this.#expected)) {
      if (!this.#handler.deliver(held.payloadType, held.payload)) return;
      this.#reorder.drop(this.#expected);
      this.#expected++;
    }
  }

  /** The handler takes messages again: delivers what waits in the reorder buffer. */
  roomAgain(): void {
    this.#drainReorderBuffer();
  }

  #owe(message: Message, now: Millis): void {
    const count = this.#owedNumbers.length;
    if (count === 0) this.#oldestAckAt = now;
    if (16 * (count + 1) > this.#owedIds.length)
      this.#owedIds = Buffer.concat([this.#owedIds], 2 * this.#owedIds.length);
    message.frame.copy(this.#owedIds, 16 * count, OFFSET.messageId, OFFSET.messageId + 16);
    this.#owedNumbers.push(message.sequenceNumber);
  }

  /** Whether new data may be sent: pause_publication holds it back, for a bounded time. */
  isPaused(now: Millis): boolean {
    return this.#pausedUntil !== undefined && now < this.#pausedUntil;
  }

  /** Sends a message of the session itself (handshake, flag). Returns its number, or undefined when 4,096 messages wait already. */
  sendControl(payloadType: number, payload: Uint8Array, now: Millis, transmit: Transmit): number | undefined {
    if (!this.sending.hasSlot()) return undefined;
    const slab = this.sending.slabs.reserve(PAYLOAD_OFFSET + payload.length);
    slab.bytes.set(payload, slab.used + PAYLOAD_OFFSET);
    const number = this.sending.nextNumber;
    this.#sendFromSlab(slab, payloadType, payload.length, now, transmit);
    return number;
  }

  /**
   * Sends payload from `source` as far as the window allows, at most `maxMessages`.
   *
   * @returns how many messages were sent; fewer than `maxMessages` means that the source is empty or the window full
   */
  sendFrom(source: PayloadSource, maxMessages: number, now: Millis, transmit: Transmit): number {
    let sent = 0;
    while (sent < maxMessages && this.sending.hasRoom()) {
      const slab = this.sending.slabs.reserve(PAYLOAD_OFFSET + this.#maxPayload);
      const byteCount = source.pull(slab.bytes, slab.used + PAYLOAD_OFFSET, this.#maxPayload);
      if (byteCount === 0) break;
      this.#sendFromSlab(slab, PAYLOAD_TYPE.output, byteCount, now, transmit);
      sent++;
    }
    return sent;
  }

  #sendFromSlab(
    slab: ReturnType<SendWindow['slabs']['reserve']>,
    payloadType: number,
    byteCount: number,
    now: Millis,
    transmit: Transmit,
  ): void {
    const offset = this.sending.slabs.take(slab, PAYLOAD_OFFSET + byteCount);
    this.#dataWriter.writeHeader(slab.bytes, offset, payloadType, byteCount, this.sending.nextNumber, this.#wall());
    this.sending.send(slab, offset, PAYLOAD_OFFSET + byteCount, now, transmit);
  }

  /** Sends the acknowledges that are due: all that wait, when the oldest waited long enough, many wait, or data leaves anyway. */
  sendAcknowledges(now: Millis, transmit: Transmit, force = false): void {
    const waiting = this.#owedNumbers.length;
    if (waiting === 0) return;
    if (!force && waiting < ACKNOWLEDGE_BATCH && now - this.#oldestAckAt < ACKNOWLEDGE_DELAY_MS) return;
    const createdDate = this.#wall();
    const scratch = this.#ackScratch;
    for (let index = 0; index < waiting; index++) {
      const byteCount = this.#ackText.write(
        scratch,
        PAYLOAD_OFFSET,
        this.#owedIds,
        16 * index,
        this.#owedNumbers[index]!,
      );
      this.#ackWriter.writeHeader(scratch, 0, PAYLOAD_TYPE.none, byteCount, 0, createdDate);
      transmit(scratch, 0, PAYLOAD_OFFSET + byteCount);
    }
    this.#owedNumbers.length = 0;
  }

  /** Retransmission by evidence and by time. Call it after a batch of messages, and at `wakeAt`. */
  repair(now: Millis, transmit: Transmit): void {
    if (this.isPaused(now)) return;
    // Over: `wakeAt` must not name an instant that has passed.
    this.#pausedUntil = undefined;
    this.sending.repair(now, transmit);
    const timeoutAt = this.sending.timeoutAt;
    if (timeoutAt !== undefined && timeoutAt <= now) this.sending.onTimeout(now, transmit);
  }

  /** A new websocket is open: numbers continue, acknowledges that were owed are still owed, the unacknowledged goes out again. */
  reconnected(now: Millis, transmit: Transmit): void {
    this.#pausedUntil = undefined;
    this.sending.resendAll(now, transmit);
    this.sendAcknowledges(now, transmit, true);
  }

  /** When something is due next: an acknowledge, a retransmission, the end of a pause. */
  get wakeAt(): Millis | undefined {
    const acksAt = this.#owedNumbers.length > 0 ? this.#oldestAckAt + ACKNOWLEDGE_DELAY_MS : undefined;
    const sendAt = this.#pausedUntil ?? this.sending.timeoutAt;
    if (acksAt === undefined) return sendAt;
    return sendAt === undefined ? acksAt : Math.min(acksAt, sendAt);
  }
}
