/**
 * Duplexes over one smux byte pipe (docs/protocol/smux.md). The pipe is whatever carries the bytes: `receive` takes what came,
 * `pull` gives what should go. Holds the slow-reader rule of spec section 5.5: smux version 1 has no window per stream, so a stream
 * whose reader does not read may hold 4 MiB; then the whole session must stop reading.
 */
import { ByteCarver } from '../../domain/byte-carver.ts';
import { Congestion } from '../../domain/congestion.ts';
import { CloudtunError } from '../../domain/errors.ts';
import { SmuxStreams } from './core/streams.ts';
import { SmuxStream, type SmuxStreamOwner } from './smux-stream.ts';

/** What one stream may hold for a slow reader before its session stops reading. */
export const MAX_HELD_PER_STREAM = 4 * 1024 * 1024;
/** What all streams of a session may hold together. */
export const MAX_HELD_PER_SESSION = 8 * 1024 * 1024;
/** Only when a stream holds more than this is it worth adding up what all of them hold. */
const BEHIND_BYTES = 16 * 1024;
/** Reading goes on when the held bytes fall below this share of the limit. */
const RESUME_SHARE = 0.5;

export interface MuxHandler {
  /** Where the streams lead, for errors: `host:port`. */
  readonly destination: string;
  /** Something waits to be pulled. */
  outputWaiting(): void;
  /** Runs a call in the next turn of the event loop. */
  soon(call: () => void): void;
  /** True: stop reading from the pipe. */
  stalled(isStalled: boolean): void;
}

export class Mux implements SmuxStreamOwner {
  readonly #handler: MuxHandler;
  readonly #core: SmuxStreams;
  readonly #streams = new Map<number, SmuxStream>();
  /** Streams with slices of the current batch. */
  readonly #touched = new Set<SmuxStream>();
  /** SYNs by the number of the message that carries them, until that message is acknowledged. */
  readonly #unacknowledgedSyns: { stream: SmuxStream; number: number }[] = [];
  #messageNumber = 0;
  #isStalled = false;
  readonly congestion: Congestion;
  readonly memory = new ByteCarver();
  bytesUp = 0;
  bytesDown = 0;

  constructor(handler: MuxHandler) {
    this.#handler = handler;
    this.congestion = new Congestion(
      (call) => handler.soon(call),
      () => {
        if (this.#isStalled) this.#judgeStall();
      },
    );
    this.#core = new SmuxStreams({
      data: (id, bytes) => this.#data(id, bytes),
      finished: (id, refused) => this.#finished(id, refused),
      synTaken: (id) => {
        const stream = this.#streams.get(id);
        if (stream) this.#unacknowledgedSyns.push({ stream, number: this.#messageNumber });
      },
    });
  }

  get openCount(): number {
    return this.#streams.size;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Bytes that wait for local readers. */
  get heldBytes(): number {
    return this.#held().total;
  }

  get canOpen(): boolean {
    return this.#core.canOpen;
  }

  /** Whether anything waits to be pulled. */
  get hasOutput(): boolean {
    return this.#core.hasOutput;
  }

  open(): SmuxStream {
    const stream = new SmuxStream(this.#core.open(), this);
    this.#streams.set(stream.id, stream);
    this.#handler.outputWaiting();
    return stream;
  }

  /** Sends a frame that does nothing but count as activity. */
  nop(): void {
    this.#core.nop();
    this.#handler.outputWaiting();
  }

  /** Fills `target`; `messageNumber` is the number of the data message that will carry it. */
  pull(target: Buffer, offset: number, maxBytes: number, messageNumber: number): number {
    this.#messageNumber = messageNumber;
    return this.#core.pull(target, offset, maxBytes);
  }

  /** Every message below `number` is acknowledged: the SYNs in them were taken. */
  acknowledgedBelow(number: number): void {
    while (this.#unacknowledgedSyns.length > 0 && this.#unacknowledgedSyns[0]!.number < number) {
      this.#unacknowledgedSyns.shift()!.stream.acknowledged();
    }
  }

  /**
   * Bytes of the pipe, in order.
   *
   * @throws CT_PROTO_MUX
   */
  receive(bytes: Buffer): void {
    this.#core.receive(bytes);
  }

  /** The end of a batch of messages: hands the bytes to the readers. */
  endBatch(): void {
    if (this.#touched.size === 0) return;
    let someReaderIsBehind = this.#isStalled;
    for (const stream of this.#touched) {
      stream.flushBatch();
      someReaderIsBehind ||= stream.heldBytes > BEHIND_BYTES;
    }
    this.#touched.clear();
    if (someReaderIsBehind || this.congestion.heldBytes > MAX_HELD_PER_SESSION) this.#judgeStall();
  }

  connectFailed(): void {
    this.#core.connectFailed();
  }

  /** Ends every stream: with an error, or quietly. */
  abort(error: Error | undefined): void {
    for (const stream of [...this.#streams.values()]) stream.destroy(error);
  }

  /** Resets the stream that holds most, because it holds up its siblings. Returns the error it was reset with. */
  resetGreediest(): CloudtunError | undefined {
    let greediest: SmuxStream | undefined;
    for (const stream of this.#streams.values()) {
      if (greediest === undefined || stream.heldBytes > greediest.heldBytes) greediest = stream;
    }
    if (greediest === undefined) return undefined;
    const error = new CloudtunError(
      'CT_STREAM_STALLED',
      `a local client left ${greediest.heldBytes} bytes unread and held up the other connections of its session`,
      { hint: 'let the client read, or give it a tunnel of its own: cloudtun forward in a second terminal' },
    );
    greediest.destroy(error);
    return error;
  }

  write(stream: SmuxStream, bytes: Buffer, taken: () => void): void {
    this.bytesUp += bytes.length;
    this.#core.write(stream.id, bytes, taken);
    this.#handler.outputWaiting();
  }

  wasRead(_stream: SmuxStream): void {
    if (this.#isStalled) this.#judgeStall();
  }

  released(stream: SmuxStream, dropQueued: boolean): void {
    this.#streams.delete(stream.id);
    this.#touched.delete(stream);
    this.#core.close(stream.id, dropQueued);
    this.#handler.outputWaiting();
    if (this.#isStalled) this.#judgeStall();
  }

  #data(id: number, bytes: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.bytesDown += bytes.length;
    stream.receive(bytes);
    this.#touched.add(stream);
  }

  #finished(id: number, refused: boolean): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    // Our own FIN is owed now.
    this.#handler.outputWaiting();
    if (refused) {
      stream.destroy(
        new CloudtunError(
          'CT_REMOTE_REFUSED',
          `the far machine could not connect to ${this.#handler.destination}: refused, filtered, or nobody listens`,
          {
            hint: 'check that the service runs and that its firewall or security group admits the far machine',
          },
        ),
      );
    } else {
      stream.finish();
    }
  }

  #held(): { most: number; total: number } {
    let most = 0;
    // What the streams hold, and what their readers' sockets have not taken.
    let total = this.congestion.heldBytes;
    for (const stream of this.#streams.values()) {
      most = Math.max(most, stream.heldBytes);
      total += stream.heldBytes;
    }
    return { most, total };
  }

  #judgeStall(): void {
    const { most, total } = this.#held();
    const share = this.#isStalled ? RESUME_SHARE : 1;
    const isStalled = most >= MAX_HELD_PER_STREAM * share || total >= MAX_HELD_PER_SESSION * share;
    if (isStalled === this.#isStalled) return;
    this.#isStalled = isStalled;
    this.#handler.stalled(isStalled);
  }
}
