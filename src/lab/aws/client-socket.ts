/**
 * A client's websocket, from the accepted upgrade to its end: the first text frame with its time limit, then binary messages. Only
 * frames and bytes; what they mean is for the relay.
 */
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Millis } from '../../domain/millis.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { SocketBatch } from './socket-batch.ts';

/** More than this waiting in the socket: the agent waits too. */
const FULL_BYTES = 1_048_576;
/** How long a peer may take to answer our close frame. */
const CLOSE_LIMIT: Millis = 2_000;
/** Cut by destroying the socket. */
export const ABRUPT = 1006;
const FIN_BINARY = 0x82;

export interface ClientSocketEvents {
  /** A text frame; the first one opens the data channel. */
  text(content: string): void;
  binary(frame: Buffer): void;
  drained(): void;
  /** It is gone, whoever ended it; the last event. */
  closed(): void;
  /** The client broke the websocket protocol. */
  violation(what: string): void;
  answersPings(): boolean;
}

export class ClientSocket {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #batch: SocketBatch;
  readonly #clock: Clock;
  #events: ClientSocketEvents | undefined;
  #closing: Timer | undefined;

  /** @param socket the one under `ws`: frames are gathered there, and cut there */
  constructor(ws: WebSocket, socket: Duplex, clock: Clock, events: ClientSocketEvents) {
    this.#ws = ws;
    this.#socket = socket;
    this.#batch = new SocketBatch(socket);
    this.#clock = clock;
    this.#events = events;
    ws.on('message', (data: RawData, isBinary: boolean) => {
      const frame = data as Buffer;
      if (isBinary) this.#events?.binary(frame);
      else this.#events?.text(frame.toString('utf8'));
    });
    ws.on('ping', (payload: Buffer) => {
      if (this.#events?.answersPings()) ws.pong(payload);
    });
    ws.on('error', (error: Error & { readonly code?: string }) => {
      if (error.code?.startsWith('WS_ERR')) this.#events?.violation(`websocket: ${error.message}`);
    });
    socket.on('drain', () => this.#events?.drained());
    ws.on('close', () => {
      this.#closing?.cancel();
      this.#detach()?.closed();
    });
  }

  get isFull(): boolean {
    return this.#socket.writableLength > FULL_BYTES;
  }

  /** One binary message; many in one turn become one write. */
  send(frame: Buffer): void {
    this.#batch.open();
    this.#ws.send(frame, { binary: true });
  }

  sendText(text: string): void {
    this.#batch.open();
    this.#ws.send(text);
  }

  /** Bytes on the socket past all framing. */
  sendRaw(bytes: Buffer): void {
    this.#batch.open();
    this.#socket.write(bytes);
  }

  /** The first `byteCount` bytes of a message, as a socket that breaks in the middle of a frame leaves them. */
  sendPart(frame: Buffer, byteCount: number): void {
    const header = Buffer.alloc(frame.length < 126 ? 2 : frame.length < 65_536 ? 4 : 10);
    header[0] = FIN_BINARY;
    if (frame.length < 126) {
      header[1] = frame.length;
    } else if (frame.length < 65_536) {
      header[1] = 126;
      header.writeUInt16BE(frame.length, 2);
    } else {
      header[1] = 127;
      header.writeBigUInt64BE(BigInt(frame.length), 2);
    }
    this.sendRaw(Buffer.concat([header, frame.subarray(0, byteCount)]));
  }

  pauseReading(): void {
    this.#ws.pause();
  }

  resumeReading(): void {
    this.#ws.resume();
  }

  /** Ends it: no event comes any more. 1006 destroys the socket, after what was written to it. */
  close(code: number, reason: string): void {
    this.#detach();
    if (this.#ws.isPaused) this.#ws.resume();
    if (code === ABRUPT) {
      this.#destroySoon();
      return;
    }
    this.#ws.close(code, reason);
    if (this.#ws.readyState !== this.#ws.CLOSED) {
      this.#closing = this.#clock.after(CLOSE_LIMIT, () => this.#ws.terminate(), { background: true });
    }
  }

  terminate(): void {
    this.#detach();
    this.#ws.terminate();
  }

  #destroySoon(): void {
    const socket = this.#socket;
    if ('destroySoon' in socket && typeof socket.destroySoon === 'function') socket.destroySoon();
    else socket.destroy();
  }

  #detach(): ClientSocketEvents | undefined {
    const events = this.#events;
    this.#events = undefined;
    return events;
  }
}
