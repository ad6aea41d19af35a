/**
 * One websocket as the transports need it: whole messages in, many messages a write out, a bounded backlog, keep-alive with a dead
 * peer noticed, and closing that ends. Wraps a `ws` client socket; holds no protocol.
 */
import type { Agent } from 'node:http';
import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { ByteCarver } from '../../domain/byte-carver.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { Timer } from '../../runtime/clock.ts';
import { readInto } from '../../runtime/socket-reading.ts';
import type { World } from '../../runtime/world.ts';
import { connectFailure, upgradeRefused } from './connect-errors.ts';
import { FrameBatch } from './frame-batch.ts';

/** Below common middlebox limits (spec section 5.6). */
export const KEEP_ALIVE_INTERVAL_MS = 25_000;
/** From a ping to its pong, once this socket has shown that it answers pings at all. */
export const PONG_DEADLINE_MS = 20_000;
/** Largest message that is taken: far above anything the protocols send, far below what hurts. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Unsent bytes beyond which nothing more is produced. */
const MAX_BACKLOG_BYTES = 1024 * 1024;
/** Unsent bytes beyond which nothing more is read: replies to a peer that floods and does not read must stay bounded. */
const READING_BACKLOG_BYTES = 4 * 1024 * 1024;
/** How long a close frame may take before the socket is cut. */
const CLOSE_GRACE_MS = 1_000;

export interface ConnectOptions {
  readonly headers?: Record<string, string>;
  /** For proxies; undefined for a direct connection. */
  readonly agent?: Agent | undefined;
  /** Extra trusted certificates, PEM; undefined for Node's own. */
  readonly ca?: string[] | undefined;
  readonly protocols?: string[];
  readonly timeout: Millis;
}

export interface PumpHandler {
  message(bytes: Buffer): void;
  /** All messages that came in one piece were handed over. */
  batchEnd(): void;
  /** The backlog fell: more may be sent. */
  drained(): void;
  /** Exactly once. `code` 1006 where no close frame came. */
  closed(end: PumpEnd): void;
}

export interface PumpEnd {
  readonly code: number;
  readonly reason: string;
  readonly error?: CloudtunError;
}

/**
 * Opens a websocket.
 *
 * @throws CT_UPGRADE_REFUSED with the HTTP status, CT_NETWORK, CT_TLS, CT_PROXY, CT_TIMEOUT; the signal's reason when it aborts
 */
export function connectPump(
  world: World,
  url: string,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<MessagePump> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<MessagePump>();
  const socket = new WebSocket(url, options.protocols ?? [], {
    perMessageDeflate: false,
    skipUTF8Validation: true,
    followRedirects: false,
    maxPayload: MAX_MESSAGE_BYTES,
    headers: options.headers ?? {},
    ...(options.agent ? { agent: options.agent } : {}),
    ...(options.ca ? { ca: options.ca } : {}),
  });
  let transport: Socket | undefined;
  const host = new URL(url).host;
  const give = (failure: unknown) => {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
    reject(failure);
    // Failures after this one are echoes of it.
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.terminate();
  };
  const onAbort = () => give(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = world.clock.after(options.timeout, () =>
    give(
      new CloudtunError(
        'CT_TIMEOUT',
        `${host} did not open a websocket within ${Math.round(options.timeout / 1000)} s`,
      ),
    ),
  );
  socket.on('upgrade', (response) => {
    transport = response.socket;
  });
  socket.on('unexpected-response', (_request, response) => {
    response.destroy();
    give(upgradeRefused(host, response.statusCode ?? 0, response.headers));
  });
  socket.on('error', (error) => give(connectFailure(host, error)));
  socket.on('open', () => {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
    socket.removeAllListeners();
    // Messages may stand behind the upgrade's answer already: nothing may be emitted before somebody listens.
    socket.pause();
    resolve(new MessagePump(world, socket, transport!));
  });
  return promise;
}

export class MessagePump {
  readonly #world: World;
  readonly #socket: WebSocket;
  readonly #batch: FrameBatch;
  #handler: PumpHandler | undefined;
  #batchEndPending = false;
  #isOver = false;
  #isPaused = false;
  #isChoked = false;
  #waitsForDrain = false;
  #error: CloudtunError | undefined;
  #keepAliveTimer: Timer | undefined;
  #pongTimer: Timer | undefined;
  #closeTimer: Timer | undefined;
  #answersPings = false;

  constructor(world: World, socket: WebSocket, transport: Socket) {
    this.#world = world;
    this.#socket = socket;
    transport.setNoDelay(true);
    const memory = new ByteCarver();
    readInto(transport, (bytes) => transport.push(memory.copy(bytes)));
    this.#batch = new FrameBatch(transport, world.random);
    transport.on('drain', () => this.#onDrain());
    // From the first moment: an error that nobody listens to ends the process.
    socket.on('error', (error) => {
      this.#error ??= new CloudtunError('CT_NETWORK', 'the websocket broke', { cause: error });
    });
  }

  /** Starts reading and handing over messages; the socket is paused until then. */
  start(handler: PumpHandler): void {
    this.#handler = handler;
    this.#socket.on('message', (data) => this.#onMessage(data as Buffer));
    this.#socket.on('pong', () => this.#onPong());
    this.#socket.on('close', (code, reason) => this.#onClose(code, reason.toString('utf8').slice(0, 200)));
    this.#scheduleKeepAlive();
    this.#socket.resume();
  }

  get isOpen(): boolean {
    return !this.#isOver && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether more may be produced now; `drained` tells when again. */
  get hasRoom(): boolean {
    const hasRoom = this.#batch.backlog < MAX_BACKLOG_BYTES;
    if (!hasRoom) this.#waitsForDrain = true;
    return hasRoom;
  }

  sendText(text: string): void {
    if (this.isOpen) this.#socket.send(text);
  }

  /** Frames one binary message; `flush` sends it. The bytes may be reused at once. */
  readonly transmit = (bytes: Buffer, offset: number, byteCount: number): void => {
    if (this.isOpen) this.#batch.append(bytes, offset, byteCount);
  };

  flush(): void {
    this.#batch.flush();
    if (!this.#isChoked && this.#batch.backlog > READING_BACKLOG_BYTES) {
      this.#isChoked = true;
      this.#waitsForDrain = true;
      this.#socket.pause();
    }
  }

  /** Stops reading: what was read already still comes. Pongs are not seen meanwhile, so the deadline rests. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#pongTimer?.cancel();
    this.#pongTimer = undefined;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isChoked) this.#socket.resume();
  }

  /** Sends a close frame and cuts the socket if the peer does not answer. `closed` follows. */
  close(code = 1000): void {
    if (this.#isOver || this.#closeTimer) return;
    // Nothing may follow the close frame.
    this.#batch.flush();
    this.#socket.resume();
    this.#socket.close(code);
    this.#closeTimer = this.#world.clock.after(CLOSE_GRACE_MS, () => this.#socket.terminate(), { background: true });
  }

  /** Cuts the socket at once. `closed` follows. */
  terminate(error?: CloudtunError): void {
    this.#error ??= error;
    this.#socket.terminate();
  }

  #onMessage(data: Buffer): void {
    this.#handler?.message(data);
    if (this.#batchEndPending) return;
    this.#batchEndPending = true;
    // ws emits every message of one received piece in a row; a microtask comes after the last of them.
    queueMicrotask(() => {
      this.#batchEndPending = false;
      if (!this.#isOver) this.#handler?.batchEnd();
    });
  }

  #onDrain(): void {
    if (this.#isChoked) {
      this.#isChoked = false;
      if (!this.#isPaused) this.#socket.resume();
    }
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#handler?.drained();
  }

  #scheduleKeepAlive(): void {
    this.#keepAliveTimer = this.#world.clock.after(KEEP_ALIVE_INTERVAL_MS, () => {
      if (!this.isOpen) return;
      this.#socket.ping();
      if (this.#answersPings && !this.#isPaused && !this.#isChoked) {
        this.#pongTimer?.cancel();
        this.#pongTimer = this.#world.clock.after(PONG_DEADLINE_MS, () =>
          this.terminate(
            new CloudtunError('CT_NETWORK', `the far end did not answer a ping for ${PONG_DEADLINE_MS / 1000} s`),
          ),
        );
      }
      this.#scheduleKeepAlive();
    });
  }

  #onPong(): void {
    this.#answersPings = true;
    this.#pongTimer?.cancel();
    this.#pongTimer = undefined;
  }

  #onClose(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#keepAliveTimer?.cancel();
    this.#pongTimer?.cancel();
    this.#closeTimer?.cancel();
    this.#handler?.closed({ code, reason, ...(this.#error ? { error: this.#error } : {}) });
  }
}
