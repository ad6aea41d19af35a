/** Makes one system call of many small writes: a socket is corked at its first write in a turn, and uncorked when the turn is over. */
import type { Writable } from 'node:stream';

export class SocketBatch {
  readonly #socket: Writable;
  #isCorked = false;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** To be called before each write. */
  open(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    queueMicrotask(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }
}
