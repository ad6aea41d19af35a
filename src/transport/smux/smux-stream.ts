import { Duplex } from 'node:stream';
import type { ByteCarver } from '../../domain/byte-carver.ts';
import type { Congestion } from '../../domain/congestion.ts';
import type { Borrow, TunnelStream } from '../../domain/dialer.ts';

/** What a stream asks of its mux. */
export interface SmuxStreamOwner {
  readonly congestion: Congestion;
  /** For bytes that may wait for their reader. */
  readonly memory: ByteCarver;
  write(stream: SmuxStream, bytes: Buffer, taken: () => void): void;
  /** The reader took bytes: held memory went down. */
  wasRead(stream: SmuxStream): void;
  /** Nobody uses it any more. `dropQueued`: it was cut, not closed. */
  released(stream: SmuxStream, dropQueued: boolean): void;
}

type Acceptance = 'acknowledged' | 'answered';

/** One byte conversation of an smux session, as a Node Duplex. Made by Mux only. */
export class SmuxStream extends Duplex implements TunnelStream {
  readonly id: number;
  readonly accepted: Promise<Acceptance>;
  readonly congestion: Congestion;
  readonly #owner: SmuxStreamOwner;
  readonly #settleAccepted: { resolve: (how: Acceptance) => void; reject: (error: Error) => void };
  /** Slices of one batch of messages; they go to the reader as one piece. */
  #batch: Buffer[] = [];
  #batchBytes = 0;
  #borrow: Borrow | undefined;

  constructor(id: number, owner: SmuxStreamOwner) {
    // Not half-open: the FIN of the agent ends both ways. Ours is held back, see _final.
    super({ allowHalfOpen: false, emitClose: true, highWaterMark: 64 * 1024 });
    this.id = id;
    this.#owner = owner;
    this.congestion = owner.congestion;
    const { promise, resolve, reject } = Promise.withResolvers<Acceptance>();
    this.accepted = promise;
    this.#settleAccepted = { resolve, reject };
    // Whoever does not ask must not get an unhandled rejection.
    promise.catch(() => {});
  }

  /** Bytes that wait for the reader. */
  get heldBytes(): number {
    return this.readableLength + this.#batchBytes;
  }

  lendTo(borrow: Borrow): void {
    this.#borrow = borrow;
  }

  /** @internal A slice arrived; it is handed on when the batch ends. */
  receive(bytes: Buffer): void {
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  }

  /** @internal The end of a batch: the slices go to the reader together, so that the next hop needs one system call. */
  flushBatch(): void {
    if (this.#batch.length === 0) return;
    const slices = this.#batch;
    const byteCount = this.#batchBytes;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#settleAccepted.resolve('answered');
    if (this.destroyed) return;
    if (this.#borrow && this.readableFlowing === true && this.readableLength === 0) this.#borrow(slices, byteCount);
    // A copy: the memory of the slices is used again for what arrives next.
    else this.push(this.#owner.memory.concat(slices, byteCount));
  }

  /** @internal The agent took the SYN, and nothing refused it so far. */
  acknowledged(): void {
    this.#settleAccepted.resolve('acknowledged');
  }

  /** @internal The far side finished. */
  finish(): void {
    this.flushBatch();
    this.#settleAccepted.resolve('acknowledged');
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    this.#owner.wasRead(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#owner.write(this, chunk, () => callback());
  }

  // A half close: FIN would end both ways and lose the reply, so nothing is sent until the stream is destroyed.
  override _final(callback: (error?: Error | null) => void): void {
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#batch = [];
    this.#batchBytes = 0;
    if (error) this.#settleAccepted.reject(error);
    else this.#settleAccepted.resolve('acknowledged');
    this.#owner.released(this, error !== null || !this.writableFinished);
    callback(error);
  }
}
