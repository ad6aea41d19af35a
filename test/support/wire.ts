import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

/** The writing half of a socket, in memory. */
export class Wire extends Writable {
  readonly #pieces: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#pieces.push(Buffer.from(chunk));
    callback();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  asSocket(): Socket {
    return this as unknown as Socket;
  }
}
