/**
 * A client's websocket, from the accepted upgrade to its end. Only frames and bytes; what they mean is for the relay.
 */
import type { Duplex } from 'node:stream';
import type { Millis } from '../../domain/millis.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { WebSocketReader, WebSocketViolation } from './core/websocket-reader.ts';
import { FrameWriter } from './frame-writer.ts';

/** Largest websocket message; the official agent takes 4 MB (docs/protocol/ssm.md, "Carriage"). */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** More than this waiting in the socket: the agent waits too. */
const FULL_BYTES = 1_048_576;
/** How long a peer may take to answer our close frame. */
const CLOSE_LIMIT: Millis = 2_000;
/** Cut by destroying the socket. */
export const ABRUPT = 1006;
const NO_CODE = 1005;

export interface ClientSocketEvents {
  /** A text frame; the first one opens the data channel. */
  text(content: string): void;
  /** A binary message, as a view that stays as it is. */
  binary(frame: Buffer): void;
  drained(): void;
  /** It is gone, whoever ended it; the last event. Not after `close` or `terminate`. */
  closed(): void;
  /** The client broke the websocket protocol. */
  violation(what: string): void;
  answersPings(): boolean;
  /** The client sent a Close by itself, it does not answer one of ours; `closed` follows. */
  peerClosed?(code: number): void;
}

export class ClientSocket {
  readonly #socket: Duplex;
  readonly #writer: FrameWriter;
  readonly #reader: WebSocketReader;
  readonly #clock: Clock;
  #events: ClientSocketEvents | undefined;
  #closing: Timer | undefined;
  #hasSentClose = false;

  /** @param socket upgraded, with the 101 answer written @param head what came with the upgrade */
  constructor(socket: Duplex, head: Buffer, clock: Clock, events: ClientSocketEvents) {
    this.#socket = socket;
    this.#writer = new FrameWriter(socket);
    this.#clock = clock;
    this.#events = events;
    this.#reader = new WebSocketReader(MAX_MESSAGE_BYTES, {
      text: (content) => this.#events?.text(content),
      binary: (frame) => this.#events?.binary(frame),
      ping: (payload) => {
        if (this.#events?.answersPings()) this.#writer.pong(payload);
      },
      pong: () => {},
      close: (code) => this.#answerClose(code),
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#events?.drained());
    socket.on('error', () => {});
    // Sockets of an HTTP server stay half open by themselves.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      this.#closing?.cancel();
      this.#detach()?.closed();
    });
    if (head.length > 0) socket.unshift(head);
  }

  get isFull(): boolean {
    return this.#writer.waitingBytes > FULL_BYTES;
  }

  /** One binary message; many in one turn become one write. */
  send(frame: Buffer): void {
    if (this.#isOpen) this.#writer.binary(frame);
  }

  /** The same for `byteCount` bytes of `memory` at `offset`. */
  sendFrom(memory: Buffer, offset: number, byteCount: number): void {
    if (this.#isOpen) this.#writer.binaryFrom(memory, offset, byteCount);
  }

  /** One binary message made of two parts. */
  sendParts(head: Uint8Array, body: Uint8Array): void {
    if (this.#isOpen) this.#writer.binaryParts(head, body);
  }

  sendText(text: string): void {
    if (this.#isOpen) this.#writer.text(text);
  }

  /** Bytes on the socket past all framing. */
  sendRaw(bytes: Buffer): void {
    if (this.#isOpen) this.#writer.raw(bytes);
  }

  /** The first `byteCount` bytes of a message, as a socket that breaks in the middle of a frame leaves them. */
  sendPart(frame: Buffer, byteCount: number): void {
    if (this.#isOpen) this.#writer.part(frame, byteCount);
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Ends it: no event comes any more. 1006 destroys the socket after what was written to it, 1005 is a close frame without a code. */
  close(code: number, reason: string): void {
    this.#detach();
    if (code === ABRUPT) {
      this.#writer.flush();
      this.#reader.stop();
      // Soon is when all is written, which a peer that does not read can put off.
      this.#limitClosing();
      this.#destroySoon();
    } else {
      this.#startClosing(code, reason);
    }
  }

  /** Ends it in a way of the caller's, after what was written to it; no event comes any more. @param end breaks the connection */
  breakOff(end: () => void): void {
    this.#detach();
    this.#writer.flush();
    this.#reader.stop();
    end();
  }

  terminate(): void {
    this.#detach();
    this.#reader.stop();
    this.#socket.destroy();
  }

  get #isOpen(): boolean {
    return !this.#hasSentClose && !this.#socket.destroyed;
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.receive(chunk);
    } catch (error) {
      if (!(error instanceof WebSocketViolation)) throw error;
      this.#events?.violation(`websocket: ${error.message}`);
      this.#reader.stop();
      this.#startClosing(error.closeCode, '');
    }
  }

  #answerClose(code: number): void {
    this.#events?.peerClosed?.(code);
    this.#startClosing(code, '');
    this.#reader.stop();
    this.#socket.end();
  }

  #startClosing(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#writer.close(code === NO_CODE ? undefined : code, reason);
    this.#writer.flush();
    this.#hasSentClose = true;
    this.#socket.resume();
    this.#limitClosing();
  }

  #limitClosing(): void {
    this.#closing?.cancel();
    this.#closing = this.#clock.after(CLOSE_LIMIT, () => this.#socket.destroy(), { background: true });
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
