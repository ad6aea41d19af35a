/** The relay's TCP connection to the machine behind it, with back-pressure both ways. */
import type { Socket } from 'node:net';
import type { Millis } from '../../../domain/millis.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { SocketBatch } from '../../socket-batch.ts';

/**
 * More than this waits for the backend without an ACK: the client is not read. Far above what a client may have unacknowledged, because
 * not reading keeps its ACKs back as well: with a backend that echoes, each side would wait for the other. For the same reason bytes
 * that a reconnect has told the client of do not count: each reconnect opens its window anew.
 */
const FULL_BYTES = 16 * 1_048_576;

/** How long a backend may take to read what is left when the client has closed, and then to end by itself. */
const FLUSH_LIMIT: Millis = 60_000;
const LINGER: Millis = 2_000;

export interface BackendEvents {
  /** Read on only after `resume`. */
  data(bytes: Buffer): void;
  /** The system has taken so many of the bytes that were written. */
  taken(byteCount: number): void;
  /** It sends no more; `failed`: reset, or it broke while writing. The last event. */
  ended(how: 'finished' | 'failed'): void;
}

export class Backend {
  readonly #socket: Socket;
  readonly #batch: SocketBatch;
  readonly #clock: Clock;
  #events: BackendEvents | undefined;

  constructor(socket: Socket, clock: Clock, events: BackendEvents) {
    this.#socket = socket;
    this.#batch = new SocketBatch(socket);
    this.#clock = clock;
    this.#events = events;
    socket.pause();
    socket.on('data', (bytes: Buffer) => this.#events?.data(bytes));
    socket.on('end', () => this.#end('finished'));
    socket.on('error', () => this.#end('failed'));
    socket.on('close', () => this.#end('failed'));
  }

  /** @param unacknowledged bytes of the client that it has heard of in no way */
  isFull(unacknowledged: number): boolean {
    return Math.min(this.#socket.writableLength, unacknowledged) > FULL_BYTES;
  }

  write(bytes: Buffer): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#batch.open();
    this.#socket.write(bytes, (error) => {
      if (!error) this.#events?.taken(bytes.length);
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The client is gone for good: what it wrote is delivered, then both directions end. */
  close(): void {
    this.#events = undefined;
    if (this.#socket.destroyed) return;
    const destroyAfter = (delay: Millis) =>
      this.#clock.after(delay, () => this.#socket.destroy(), { background: true });
    let limit = destroyAfter(FLUSH_LIMIT);
    this.#socket.once('close', () => limit.cancel());
    this.#socket.resume();
    this.#socket.end(() => {
      limit.cancel();
      limit = destroyAfter(LINGER);
    });
  }

  destroy(): void {
    this.#events = undefined;
    this.#socket.destroy();
  }

  #end(how: 'finished' | 'failed'): void {
    const events = this.#events;
    this.#events = undefined;
    events?.ended(how);
  }
}
