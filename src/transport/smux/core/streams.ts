/**
 * The client half of smux version 1 in memory (docs/protocol/smux.md): stream ids, who sends next, FIN rules. Bytes in, bytes out,
 * no sockets. The pieces it produces may be cut anywhere; the SSM data channel numbers them.
 *
 * Theory of a stream:
 *
 *   open ──local done──────────► open        (a half close: FIN would lose the reply, so nothing is sent)
 *   open ──remote FIN──────────► gone        (our FIN is owed once, what was not sent yet is dropped: the agent would drop it)
 *   open ──close()─────────────► closing     (data first, or dropped, then FIN)
 *   closing ──FIN sent─────────► lingering   (kept only to recognise the agent's FIN)
 *   lingering ──remote FIN─────► gone
 *
 * Left out on purpose: streams opened by the peer (the agent opens none), version 2, keep-alive of its own (NOP counts as user activity, so one is sent
 * only by whoever wants that: `nop`).
 */
import { SMUX_COMMAND, SMUX_HEADER_LENGTH, SMUX_MAX_SENT_PAYLOAD, SmuxParser, writeSmuxHeader } from './frame.ts';

/** Payload of one frame while several streams want to send: what one of them may hold up the others. */
const SHARED_FRAME_PAYLOAD = 8_192;
const FIRST_STREAM_ID = 3;
/** Ids are never used again; past this a session takes no more streams. */
const LAST_STREAM_ID = 0xffff_fff0;

interface Chunk {
  bytes: Buffer;
  /** Called once, when the last byte was taken or dropped. */
  taken: () => void;
}

interface StreamState {
  readonly id: number;
  readonly queue: Chunk[];
  queuedBytes: number;
  synPending: boolean;
  finPending: boolean;
  finSent: boolean;
  /** Whether it stands in the line of streams that want to send. */
  inLine: boolean;
  receivedData: boolean;
  /** No events any more: the owner let go of it. */
  abandoned: boolean;
}

export interface SmuxStreamsHandler {
  /** A view into what was received; copy it to keep it beyond the call. */
  data(streamId: number, bytes: Buffer): void;
  /** The far side finished, both ways. `refused`: it could not connect. */
  finished(streamId: number, refused: boolean): void;
  /** The SYN of a stream was put into the output. */
  synTaken(streamId: number): void;
}

export class SmuxStreams {
  readonly #handler: SmuxStreamsHandler;
  readonly #parser: SmuxParser;
  readonly #streams = new Map<number, StreamState>();
  readonly #line: StreamState[] = [];
  readonly #header = Buffer.alloc(SMUX_HEADER_LENGTH);
  #headerAt = SMUX_HEADER_LENGTH;
  /** The stream whose frame is being sent, and how many of its bytes are still promised. */
  #current: StreamState | undefined;
  #promisedBytes = 0;
  #isNopPending = false;
  #nextId = FIRST_STREAM_ID;
  #refusals = 0;

  constructor(handler: SmuxStreamsHandler) {
    this.#handler = handler;
    this.#parser = new SmuxParser({
      syn: () => {},
      data: (id, bytes) => this.#receiveData(id, bytes),
      fin: (id) => this.#receiveFin(id),
    });
  }

  /** Whether ids are left for a new stream. */
  get canOpen(): boolean {
    return this.#nextId <= LAST_STREAM_ID;
  }

  /** Streams that the far side has not finished yet. */
  get openCount(): number {
    let count = 0;
    for (const stream of this.#streams.values()) if (!stream.finSent) count++;
    return count;
  }

  get hasOutput(): boolean {
    return (
      this.#isNopPending || this.#line.length > 0 || this.#promisedBytes > 0 || this.#headerAt < SMUX_HEADER_LENGTH
    );
  }

  /** Owes a frame that does nothing; the agent reads past it. */
  nop(): void {
    this.#isNopPending = true;
  }

  /** A new stream; its SYN goes out with its first data, or alone. */
  open(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream: StreamState = {
      id,
      queue: [],
      queuedBytes: 0,
      synPending: true,
      finPending: false,
      finSent: false,
      inLine: false,
      receivedData: false,
      abandoned: false,
    };
    this.#streams.set(id, stream);
    this.#standInLine(stream);
    return id;
  }

  /** Queues bytes; `taken` is called once, when they are out of the queue, also when the stream is over. */
  write(id: number, bytes: Buffer, taken: () => void): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.finPending || stream.finSent || bytes.length === 0) return taken();
    stream.queue.push({ bytes, taken });
    stream.queuedBytes += bytes.length;
    this.#standInLine(stream);
  }

  /** The owner is done with a stream: what is queued goes out first, or is dropped; then FIN. No more events for it. */
  close(id: number, dropQueued: boolean): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.abandoned = true;
    if (dropQueued) this.#dropQueue(stream);
    this.#oweFin(stream);
  }

  /** A ConnectToPortError flag came: it belongs to the next FIN of a stream that never got data (docs/protocol/smux.md, "Opening"). */
  connectFailed(): void {
    this.#refusals++;
  }

  /** @throws CT_PROTO_MUX */
  receive(bytes: Buffer): void {
    this.#parser.receive(bytes);
  }

  /** Fills `target` with at most `maxBytes` of the output; returns how many. Streams take turns, frame by frame. */
  pull(target: Buffer, offset: number, maxBytes: number): number {
    let at = offset;
    const end = offset + maxBytes;
    while (at < end) {
      if (this.#headerAt < SMUX_HEADER_LENGTH) {
        const copied = this.#header.copy(
          target,
          at,
          this.#headerAt,
          Math.min(SMUX_HEADER_LENGTH, this.#headerAt + end - at),
        );
        this.#headerAt += copied;
        at += copied;
      } else if (this.#promisedBytes > 0) {
        at += this.#copyPromised(target, at, end - at);
      } else if (!this.#beginFrame()) {
        break;
      }
    }
    return at - offset;
  }

  #beginFrame(): boolean {
    const stream = this.#line.shift();
    if (stream === undefined) return this.#beginNop();
    stream.inLine = false;
    if (stream.synPending) {
      stream.synPending = false;
      this.#putHeader(SMUX_COMMAND.syn, stream, 0);
      this.#handler.synTaken(stream.id);
      // Its first data belongs into the same message.
      if (stream.queuedBytes > 0 || stream.finPending) {
        stream.inLine = true;
        this.#line.unshift(stream);
      }
    } else if (stream.queuedBytes > 0) {
      const limit = this.#line.length === 0 ? SMUX_MAX_SENT_PAYLOAD : SHARED_FRAME_PAYLOAD;
      this.#promisedBytes = Math.min(stream.queuedBytes, limit);
      this.#current = stream;
      this.#putHeader(SMUX_COMMAND.psh, stream, this.#promisedBytes);
      if (stream.queuedBytes > this.#promisedBytes || stream.finPending) this.#standInLine(stream);
    } else if (stream.finPending) {
      stream.finPending = false;
      stream.finSent = true;
      this.#putHeader(SMUX_COMMAND.fin, stream, 0);
    }
    return true;
  }

  /** Behind everything else: what moves anyway counts as well. */
  #beginNop(): boolean {
    if (!this.#isNopPending) return false;
    this.#isNopPending = false;
    writeSmuxHeader(this.#header, 0, SMUX_COMMAND.nop, 0, 0);
    this.#headerAt = 0;
    return true;
  }

  #putHeader(command: number, stream: StreamState, byteCount: number): void {
    writeSmuxHeader(this.#header, 0, command, byteCount, stream.id);
    this.#headerAt = 0;
  }

  #copyPromised(target: Buffer, at: number, room: number): number {
    const stream = this.#current!;
    const chunk = stream.queue[0]!;
    const wanted = Math.min(room, this.#promisedBytes, chunk.bytes.length);
    chunk.bytes.copy(target, at, 0, wanted);
    this.#promisedBytes -= wanted;
    stream.queuedBytes -= wanted;
    if (wanted === chunk.bytes.length) {
      stream.queue.shift();
      chunk.taken();
    } else {
      chunk.bytes = chunk.bytes.subarray(wanted);
    }
    return wanted;
  }

  #standInLine(stream: StreamState): void {
    if (stream.inLine) return;
    stream.inLine = true;
    this.#line.push(stream);
  }

  #oweFin(stream: StreamState): void {
    if (stream.finPending || stream.finSent) return;
    stream.finPending = true;
    this.#standInLine(stream);
  }

  /**
   * Drops what was not sent, except bytes that a frame header promised already. Those are copied: the writer must hear of its bytes
   * now, since nobody may ever pull the rest (a session that is over).
   */
  #dropQueue(stream: StreamState): void {
    const dropped = stream.queue.splice(0);
    const promised = this.#current === stream ? this.#promisedBytes : 0;
    if (promised > 0) {
      const bytes = Buffer.concat(
        dropped.map((chunk) => chunk.bytes),
        promised,
      );
      stream.queue.push({ bytes, taken: () => {} });
    }
    stream.queuedBytes = promised;
    for (const chunk of dropped) chunk.taken();
  }

  #receiveData(id: number, bytes: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || bytes.length === 0) return;
    stream.receivedData = true;
    if (!stream.abandoned) this.#handler.data(id, bytes);
  }

  #receiveFin(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    const refused = this.#refusals > 0 && !stream.receivedData;
    if (refused) this.#refusals--;
    this.#dropQueue(stream);
    this.#oweFin(stream);
    if (!stream.abandoned) this.#handler.finished(id, refused);
  }
}
