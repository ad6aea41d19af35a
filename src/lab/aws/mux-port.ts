/**
 * A multiplexed port: a TCP connection to the destination for each smux stream. Streams are dialled one after another without a time
 * limit, as the official agent does: a silent destination delays all that come later.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../../domain/millis.ts';
import { ByteQueue } from '../core/byte-queue.ts';
import type { Dial } from '../destination.ts';
import { SocketBatch } from '../socket-batch.ts';
import type { Verdict } from './core/agent-channel.ts';
import type { Port } from './core/agent-session.ts';
import { MuxServer, PIPE_CAPACITY } from './core/mux-server.ts';
import type { Observations } from './core/observations.ts';

/** The agent's copy buffer: one PSH holds at most so much of a target's output. */
const TARGET_READ = 32_768;

export interface MuxPortOptions {
  readonly keepAlive: boolean;
  readonly now: () => Millis;
  readonly observations: Observations;
  readonly dial: (connected: (socket: Socket) => void, failed: (reason: string) => void) => Dial;
  /** A stream's connect failed: flag 3 goes out now, the FIN by way of `output`. */
  readonly refused: () => void;
  /** `output` has something. */
  readonly outputReady: () => void;
  /** Input that was blocked may be tried again. */
  readonly unblocked: () => void;
}

interface TargetStream {
  readonly id: number;
  /** Undefined until it is connected. */
  socket: Socket | undefined;
  batch: SocketBatch | undefined;
  /** For the target. */
  readonly input: ByteQueue;
  /** The client's FIN came: close when `input` is written. */
  isFinished: boolean;
  /** It is in the ring of streams that have output. */
  isInRing: boolean;
}

export class MuxPort implements Port, Disposable {
  readonly #options: MuxPortOptions;
  readonly #mux: MuxServer;
  readonly #streams = new Map<number, TargetStream>();
  readonly #toDial: TargetStream[] = [];
  #dial: Dial | undefined;
  /** Streams with output, in turn. */
  #ring: TargetStream[] = [];

  constructor(options: MuxPortOptions) {
    this.#options = options;
    this.#mux = new MuxServer(
      {
        opened: (id) => this.#opened(id),
        data: (id, bytes) => this.#data(id, bytes),
        finished: (id) => this.#finished(id),
        unblocked: options.unblocked,
        died: (ids) => this.#died(ids),
      },
      options.observations,
      options.keepAlive,
      options.now(),
    );
  }

  get output(): ByteQueue {
    return this.#mux.output;
  }

  take(payload: Buffer): Verdict {
    const verdict = this.#mux.take(payload);
    if (this.#mux.output.byteCount > 0) this.#options.outputReady();
    return verdict;
  }

  /** Acknowledged and ignored. */
  disconnect(): void {}

  get wakeAt(): Millis | undefined {
    return this.#mux.wakeAt;
  }

  tick(now: Millis): void {
    this.#mux.tick(now);
    if (this.#mux.output.byteCount > 0) this.#options.outputReady();
  }

  /** Reads targets, each in its turn, while there is room for what they say. */
  fill(): void {
    while (this.#ring.length > 0 && this.#mux.output.byteCount < PIPE_CAPACITY) {
      const stream = this.#ring.shift()!;
      // After FIN nothing may follow; the socket of a stream that is over may still have something to read.
      const socket = this.#streams.has(stream.id) ? stream.socket : undefined;
      const bytes: Buffer | null = socket?.read(Math.min(socket.readableLength, TARGET_READ) || undefined) ?? null;
      if (bytes === null) {
        stream.isInRing = false;
      } else {
        this.#mux.write(stream.id, bytes);
        this.#ring.push(stream);
      }
    }
    if (this.#mux.output.byteCount > 0) this.#options.outputReady();
  }

  [Symbol.dispose](): void {
    this.#dial?.abort();
    for (const stream of this.#streams.values()) stream.socket?.destroy();
    this.#streams.clear();
    this.#toDial.length = 0;
    this.#ring = [];
  }

  #opened(id: number): void {
    const stream: TargetStream = {
      id,
      socket: undefined,
      batch: undefined,
      input: new ByteQueue(),
      isFinished: false,
      isInRing: false,
    };
    this.#streams.set(id, stream);
    this.#toDial.push(stream);
    this.#dialNext();
  }

  #dialNext(): void {
    if (this.#dial !== undefined) return;
    const stream = this.#toDial.shift();
    if (stream === undefined) return;
    const settled = (then: () => void) => {
      this.#dial = undefined;
      then();
      this.#mux.dialled();
      this.#dialNext();
    };
    this.#dial = this.#options.dial(
      (socket) => settled(() => this.#connected(stream, socket)),
      () => settled(() => this.#refuse(stream)),
    );
  }

  #refuse(stream: TargetStream): void {
    this.#options.observations.counters.streamsRefused += 1;
    this.#options.refused();
    this.#forget(stream);
  }

  #connected(stream: TargetStream, socket: Socket): void {
    if (!this.#streams.has(stream.id)) {
      socket.destroy();
      return;
    }
    stream.socket = socket;
    stream.batch = new SocketBatch(socket);
    socket.on('readable', () => {
      if (!stream.isInRing) {
        stream.isInRing = true;
        this.#ring.push(stream);
      }
      this.fill();
    });
    socket.on('drain', () => this.#flush(stream));
    // A half close of the target is a full close here, after its output was sent; and so is its reset.
    socket.on('end', () => this.#forget(stream));
    socket.on('error', () => this.#forget(stream));
    this.#flush(stream);
  }

  #data(id: number, bytes: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      this.#mux.consumed(bytes.length);
    } else {
      stream.input.push(bytes);
      this.#flush(stream);
    }
  }

  #finished(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.isFinished = true;
    this.#flush(stream);
  }

  #flush(stream: TargetStream): void {
    const { socket, batch, input } = stream;
    if (socket === undefined || batch === undefined) return;
    while (!socket.writableNeedDrain) {
      const bytes = input.shift();
      if (bytes === undefined) break;
      batch.open();
      socket.write(bytes);
      this.#mux.consumed(bytes.length);
    }
    if (stream.isFinished && input.byteCount === 0) this.#forget(stream);
  }

  /** Closes the connection after what was written, gives the credit of the rest back, and says FIN. */
  #forget(stream: TargetStream): void {
    if (!this.#streams.delete(stream.id)) return;
    const unread = stream.input.byteCount;
    stream.input.clear();
    stream.socket?.destroySoon();
    this.#mux.close(stream.id);
    if (unread > 0) this.#mux.consumed(unread);
    this.#options.outputReady();
  }

  #died(ids: readonly number[]): void {
    for (const id of ids) {
      const stream = this.#streams.get(id);
      if (stream !== undefined) this.#forget(stream);
    }
  }
}
