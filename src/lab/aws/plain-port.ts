/**
 * A basic or raw port: one TCP connection, its bytes as they are (docs/protocol/ssm.md, "Basic mode"). Basic dials again
 * at the next input after its connection is gone, and says nothing of it to the client; raw ends with its connection.
 */
import type { Socket } from 'node:net';
import { ByteQueue } from '../core/byte-queue.ts';
import type { Dial } from '../destination.ts';
import { SocketBatch } from '../socket-batch.ts';
import type { Verdict } from './core/agent-channel.ts';
import type { Port } from './core/agent-session.ts';
import { PIPE_CAPACITY } from './core/mux-server.ts';

const TARGET_READ = 32_768;

export interface PlainPortOptions {
  readonly redials: boolean;
  readonly dial: (connected: (socket: Socket) => void, failed: (reason: string) => void) => Dial;
  /** The first connect succeeded. */
  readonly opened: () => void;
  readonly outputReady: () => void;
  readonly unblocked: () => void;
  /** The session is to end, after what is in `output`; empty text: success. */
  readonly finished: (output: string) => void;
}

export class PlainPort implements Port, Disposable {
  readonly output = new ByteQueue();
  readonly #options: PlainPortOptions;
  #socket: Socket | undefined;
  #batch: SocketBatch | undefined;
  #dial: Dial | undefined;
  #hasOpened = false;
  #isOver = false;

  constructor(options: PlainPortOptions) {
    this.#options = options;
    this.#connect();
  }

  take(payload: Buffer): Verdict {
    if (this.#isOver) return 'refused';
    if (this.#socket === undefined) {
      this.#connect();
      return 'blocked';
    }
    if (this.#socket.writableNeedDrain) return 'blocked';
    this.#batch?.open();
    this.#socket.write(payload);
    return 'taken';
  }

  disconnect(): void {
    this.#drop();
    // The text is not known; the official agent calls it a failure.
    if (!this.#options.redials) this.#end('the client disconnected from the port');
  }

  fill(): void {
    const socket = this.#socket;
    while (socket !== undefined && this.output.byteCount < PIPE_CAPACITY) {
      const bytes: Buffer | null = socket.read(Math.min(socket.readableLength, TARGET_READ) || undefined);
      if (bytes === null) break;
      this.output.push(bytes);
    }
    if (this.output.byteCount > 0) this.#options.outputReady();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#dial?.abort();
    this.#drop();
  }

  #connect(): void {
    if (this.#dial !== undefined) return;
    this.#dial = this.#options.dial(
      (socket) => this.#connected(socket),
      (reason) => this.#end(`Unable to connect to specified port: ${reason}`),
    );
  }

  #connected(socket: Socket): void {
    this.#dial = undefined;
    this.#socket = socket;
    this.#batch = new SocketBatch(socket);
    socket.on('readable', () => this.fill());
    socket.on('drain', () => this.#options.unblocked());
    const onGone = () => {
      if (this.#socket !== socket) return;
      this.#drop();
      if (this.#options.redials) this.#options.unblocked();
      else this.#end('');
    };
    socket.on('end', onGone);
    socket.on('error', onGone);
    if (this.#hasOpened) {
      this.#options.unblocked();
    } else {
      this.#hasOpened = true;
      this.#options.opened();
    }
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#batch = undefined;
    socket?.removeAllListeners('readable');
    socket?.on('error', () => {});
    socket?.destroySoon();
  }

  #end(output: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.finished(output);
    this.#options.unblocked();
  }
}
