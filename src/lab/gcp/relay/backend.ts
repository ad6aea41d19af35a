/** The relay's TCP connection to the machine behind it, with back-pressure both ways. */
import type { Socket } from 'node:net';
import type { Millis } from '../../../domain/millis.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { SocketBatch } from '../../socket-batch.ts';

/** More than this waits for the backend: the client is not read. */
const FULL_BYTES = 1_048_576;
/** How long a backend may go on after the client has closed. */
const LINGER: Millis = 2_000;

export interface BackendEvents {
  /** Read on only after `resume`. */
  data(bytes: Buffer): void;
  /** There is room again. */
  drained(): void;
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
    socket.on('drain', () => this.#events?.drained());
    socket.on('end', () => this.#end('finished'));
    socket.on('error', () => this.#end('failed'));
    socket.on('close', () => this.#end('failed'));
  }

  get isFull(): boolean {
    return this.#socket.writableLength > FULL_BYTES;
  }

  write(bytes: Buffer): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#batch.open();
    this.#socket.write(bytes);
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
    this.#socket.resume();
    this.#socket.end();
    const limit = this.#clock.after(LINGER, () => this.#socket.destroy(), { background: true });
    this.#socket.once('close', () => limit.cancel());
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
