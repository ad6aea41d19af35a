/**
 * The agent's smux layer (docs/protocol/smux.md): server side of version 1, with the one brake it has.
 *
 * ```text
 * take ──> pipe (the agent's internal socket) ──> parser ──> streams, together at most one bucket of 4 MiB
 * ```
 *
 * When the bucket is used up parsing stops, then the pipe fills, then `take` blocks, and with it everything in the session.
 * Output is a byte queue of frames; the pump cuts it into messages anywhere.
 */
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import {
  SMUX_COMMAND,
  SMUX_HEADER_LENGTH,
  SMUX_MAX_SENT_PAYLOAD,
  SmuxParser,
  smuxFrame,
  writeSmuxHeader,
} from '../../../transport/smux/core/frame.ts';
import { ByteQueue } from '../../core/byte-queue.ts';
import type { Verdict } from './agent-channel.ts';
import type { Observations } from './observations.ts';

/** Undelivered bytes of all streams together (smux default, vector `smux.defaults`). */
export const RECEIVE_BUCKET = 4 * 1024 * 1024;
/** What the agent's internal Unix socket holds: Linux' default socket buffer. */
export const PIPE_CAPACITY = 212_992;
/** Streams that wait for their dial; beyond, parsing stops (smux default). */
const ACCEPT_BACKLOG = 1_024;
/** Parsed at once, so that one huge message overshoots the bucket by no more than this. */
const PARSE_STEP = 65_536;
const NOP_INTERVAL: Millis = 10_000;
const SILENCE_CHECK: Millis = 30_000;

export interface MuxEvents {
  /** A stream to dial. */
  opened(streamId: number): void;
  /** For the target of a stream; give the credit back with `consumed`. */
  data(streamId: number, bytes: Buffer): void;
  /** The client is done with the stream, both ways. */
  finished(streamId: number): void;
  /** There is room again after `take` said `blocked`. */
  unblocked(): void;
  /** The layer is broken for good; streams that were open have got their FIN. */
  died(streamIds: readonly number[]): void;
}

export class MuxServer {
  /** Frames on their way to the client. */
  readonly output = new ByteQueue();
  readonly #events: MuxEvents;
  readonly #observations: Observations;
  readonly #pipe = new ByteQueue();
  readonly #parser: SmuxParser;
  #bucket = RECEIVE_BUCKET;
  #waitingForDial = 0;
  #isParsing = false;
  #isBlocked = false;
  #isDead = false;
  /** Streams that the agent knows. */
  readonly #streams = new Set<number>();
  /** Streams that the client opened and did not end; what it may send for. */
  readonly #clientOpen = new Set<number>();
  #lastStreamId = 1;
  readonly #keepAlive: boolean;
  #nextNop: Millis;
  #nextSilenceCheck: Millis;
  #heardSinceCheck = false;

  constructor(events: MuxEvents, observations: Observations, keepAlive: boolean, now: Millis) {
    this.#events = events;
    this.#observations = observations;
    this.#keepAlive = keepAlive;
    this.#nextNop = now + NOP_INTERVAL;
    this.#nextSilenceCheck = now + SILENCE_CHECK;
    this.#parser = new SmuxParser({
      syn: (streamId) => this.#onSyn(streamId),
      data: (streamId, bytes) => this.#onData(streamId, bytes),
      fin: (streamId) => this.#onFin(streamId),
      nop: () => {
        observations.counters.nops += 1;
      },
    });
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  take(payload: Buffer): Verdict {
    if (this.#isDead) return 'refused';
    const isFull = this.#pipe.byteCount > 0 && this.#pipe.byteCount + payload.length > PIPE_CAPACITY;
    if (isFull || this.#isBlocked) {
      this.#isBlocked = true;
      return 'blocked';
    }
    this.#heardSinceCheck = true;
    this.#pipe.push(payload);
    this.#parse();
    return 'taken';
  }

  /** So many bytes of `data` went to their target, or nowhere. */
  consumed(byteCount: number): void {
    this.#bucket += byteCount;
    this.#parse();
  }

  /** The oldest waiting stream is being dialled no more, however it went. */
  dialled(): void {
    this.#waitingForDial -= 1;
    this.#parse();
  }

  /** Bytes from a target. */
  write(streamId: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += SMUX_MAX_SENT_PAYLOAD) {
      const part = bytes.subarray(at, at + SMUX_MAX_SENT_PAYLOAD);
      const header = Buffer.allocUnsafe(SMUX_HEADER_LENGTH);
      writeSmuxHeader(header, 0, SMUX_COMMAND.psh, part.length, streamId);
      this.output.push(header);
      this.output.push(part);
    }
  }

  /** FIN, once: the agent forgets the stream, and what still comes for it is dropped. */
  close(streamId: number): void {
    if (this.#streams.delete(streamId)) this.output.push(smuxFrame(SMUX_COMMAND.fin, streamId));
  }

  get wakeAt(): Millis | undefined {
    return this.#keepAlive && !this.#isDead ? Math.min(this.#nextNop, this.#nextSilenceCheck) : undefined;
  }

  tick(now: Millis): void {
    if (!this.#keepAlive || this.#isDead) return;
    if (now >= this.#nextNop) {
      this.#nextNop = now + NOP_INTERVAL;
      this.output.push(smuxFrame(SMUX_COMMAND.nop, 0));
    }
    if (now < this.#nextSilenceCheck) return;
    this.#nextSilenceCheck = now + SILENCE_CHECK;
    if (!this.#heardSinceCheck) this.#die();
    this.#heardSinceCheck = false;
  }

  #parse(): void {
    // `data` may give credit back at once, which comes here again.
    if (this.#isParsing) return;
    this.#isParsing = true;
    try {
      while (this.#bucket > 0 && this.#waitingForDial < ACCEPT_BACKLOG && !this.#isDead) {
        const bytes = this.#pipe.shift(PARSE_STEP);
        if (bytes === undefined) break;
        this.#parser.receive(bytes);
      }
    } catch (error) {
      if (!(error instanceof CloudtunError)) throw error;
      this.#observations.violation(error.message);
      this.#die();
    } finally {
      this.#isParsing = false;
    }
    if (this.#isBlocked && (this.#isDead || this.#pipe.byteCount < PIPE_CAPACITY)) {
      this.#isBlocked = false;
      this.#events.unblocked();
    }
  }

  #die(): void {
    this.#isDead = true;
    this.#pipe.clear();
    const open = [...this.#streams];
    for (const streamId of open) this.close(streamId);
    this.#events.died(open);
  }

  #onSyn(streamId: number): void {
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId) {
      this.#observations.violation(
        `SYN of stream ${streamId} after stream ${this.#lastStreamId}: ids are odd and rise`,
      );
    }
    this.#lastStreamId = Math.max(this.#lastStreamId, streamId);
    this.#clientOpen.add(streamId);
    if (this.#streams.has(streamId)) return;
    this.#streams.add(streamId);
    this.#waitingForDial += 1;
    this.#observations.counters.streams += 1;
    this.#events.opened(streamId);
  }

  #onData(streamId: number, bytes: Buffer): void {
    if (!this.#clientOpen.has(streamId)) this.#observations.violation(`PSH for stream ${streamId}, which is not open`);
    if (!this.#streams.has(streamId)) return;
    this.#bucket -= bytes.length;
    this.#events.data(streamId, bytes);
  }

  #onFin(streamId: number): void {
    if (!this.#clientOpen.delete(streamId)) {
      this.#observations.violation(`FIN of stream ${streamId}, which is not open`);
    }
    if (this.#streams.has(streamId)) this.#events.finished(streamId);
  }
}
