/**
 * One websocket as the transports need it: whole messages in, many messages a write out, a bounded backlog, keep-alive with a dead
 * peer noticed, and closing that ends. Wraps a `ws` client socket; holds no protocol.
 */
import type { Agent, IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import WebSocket, { type ClientOptions } from 'ws';
import { CloudtunError, systemCode } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { Wake, WakeWatch } from '../../runtime/wake-watch.ts';
import type { World } from '../../runtime/world.ts';
import { connectFailure, protocolRefused, upgradeRefused } from './connect-errors.ts';
import { FrameBatch } from './frame-batch.ts';
import { type ReceivedFrames, receiveFrames } from './received-frames.ts';

/** Below common middlebox limits (spec section 5.6). */
export const KEEP_ALIVE_INTERVAL_MS = 25_000;
/** From a ping to its pong, once this socket has shown that it answers pings at all. */
export const PONG_DEADLINE_MS = 20_000;
/** Largest message that is taken unless told otherwise: far above anything the protocols send, far below what hurts. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Unsent bytes beyond which nothing more is produced. */
const MAX_BACKLOG_BYTES = 1024 * 1024;
/** Unsent bytes beyond which nothing more is read: replies to a peer that floods and does not read must stay bounded. */
const READING_BACKLOG_BYTES = 4 * 1024 * 1024;
/** How long a close frame may take before the socket is cut. */
const CLOSE_GRACE_MS = 1_000;

export interface ConnectOptions {
  readonly headers?: Record<string, string>;
  /** The `Origin` header; absent: none. */
  readonly origin?: string;
  /** For proxies; undefined for a direct connection. */
  readonly agent?: Agent | undefined;
  /** A connection that stands already, TLS included; then `agent`, `ca` and `certificate` do not matter. */
  readonly connection?: Socket | undefined;
  /** Extra trusted certificates, PEM; undefined for Node's own. */
  readonly ca?: string[] | undefined;
  /** The same, parsed already; stands in for `ca` and `certificate`. */
  readonly secureContext?: SecureContext | undefined;
  /** Our own, for services that want one; PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string; readonly passphrase?: string } | undefined;
  /** Offered; where any is, the answer must name one of them. */
  readonly protocols?: string[];
  readonly timeout: Millis;
  /** Largest message that is taken. */
  readonly maxMessageBytes?: number;
  /** Between two pings; default: KEEP_ALIVE_INTERVAL_MS. */
  readonly keepAlive?: Millis | undefined;
  /** From a ping to its pong, once this socket has shown that it answers pings at all. */
  readonly pongDeadline?: Millis | undefined;
  /** Who tells of sleep and of a changed network. The peer is asked at once then, and has less time to answer. */
  readonly wake?:
    | { readonly watch: Pick<WakeWatch, 'onWake'>; readonly every: Millis; readonly probe: Millis }
    | undefined;
  /** Idle time after which the kernel asks whether the peer is alive; absent: never. */
  readonly tcpKeepAlive?: Millis;
  /** What a status other than 101 means to this service. */
  readonly refused?: (host: string, status: number, headers: IncomingHttpHeaders) => CloudtunError;
}

export interface PumpHandler {
  /** The bytes are good until `batchEnd` has returned; then their memory is used again. */
  message(bytes: Buffer, isBinary: boolean): void;
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
 * @throws CT_UPGRADE_REFUSED with the HTTP status, or what `refused` makes of it; CT_NETWORK, CT_TLS, CT_PROXY, CT_TIMEOUT,
 *   CT_PROTO_HANDSHAKE when none of the offered protocols is taken; the signal's reason when it aborts
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
    maxPayload: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
    headers: options.headers ?? {},
    ...(options.origin === undefined ? {} : { origin: options.origin }),
    ...wayOf(options),
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
    const { protocols = [] } = options;
    if (protocols.length === 0) return;
    // The letter case of names in the answer is the service's own (docs/protocol/iap.md, "Answer").
    const named = String(response.headers['sec-websocket-protocol'] ?? '').toLowerCase();
    if (protocols.includes(named)) response.headers['sec-websocket-protocol'] = named;
    else give(protocolRefused(host));
  });
  socket.on('unexpected-response', (_request, response) => {
    response.destroy();
    const { refused = upgradeRefused } = options;
    give(refused(host, response.statusCode ?? 0, response.headers));
  });
  socket.on('error', (error) => give(connectFailure(host, error)));
  socket.on('open', () => {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
    socket.removeAllListeners();
    // Messages may stand behind the upgrade's answer already: nothing may be emitted before somebody listens.
    socket.pause();
    if (options.tcpKeepAlive !== undefined) transport!.setKeepAlive(true, options.tcpKeepAlive);
    resolve(new MessagePump(world, socket, transport!, options));
  });
  return promise;
}

/** How the socket is connected: as told for this one, or by what the machine's network wants. */
function wayOf({ connection, agent, ca, secureContext, certificate }: ConnectOptions): ClientOptions {
  if (connection !== undefined) return { createConnection: () => connection };
  return {
    ...(agent ? { agent } : {}),
    ...(ca ? { ca } : {}),
    ...(secureContext ? { secureContext } : {}),
    ...(certificate ? { ...certificate } : {}),
  };
}

type PumpOptions = Pick<ConnectOptions, 'keepAlive' | 'pongDeadline' | 'wake'>;

export class MessagePump {
  readonly #world: World;
  readonly #socket: WebSocket;
  readonly #batch: FrameBatch;
  readonly #frames: ReceivedFrames;
  readonly #transport: Socket;
  readonly #keepAlive: Millis;
  readonly #pongDeadline: Millis;
  readonly #wake: ConnectOptions['wake'];
  #stopWatching: (() => void) | undefined;
  #handler: PumpHandler | undefined;
  #isInBatch = false;
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

  constructor(world: World, socket: WebSocket, transport: Socket, options: PumpOptions = {}) {
    this.#world = world;
    this.#socket = socket;
    this.#transport = transport;
    this.#keepAlive = options.keepAlive ?? KEEP_ALIVE_INTERVAL_MS;
    this.#wake = options.wake;
    this.#pongDeadline = options.pongDeadline ?? PONG_DEADLINE_MS;
    transport.setNoDelay(true);
    this.#frames = receiveFrames(transport, (call) => world.clock.soon(call), {
      message: (bytes) => this.#handOver(bytes, true),
      pieceEnd: () => this.#endBatch(),
    });
    this.#batch = new FrameBatch(transport, world.random);
    transport.on('drain', () => this.#onDrain());
    // From the first moment: an error that nobody listens to ends the process.
    socket.on('error', (error) => {
      this.#frames.stop();
      // `ws` names what the peer did against RFC 6455.
      const isPeerWrong = systemCode(error)?.startsWith('WS_ERR_') ?? false;
      this.#error ??= isPeerWrong
        ? new CloudtunError('CT_PROTO_FRAME', `the far end broke the websocket protocol (${systemCode(error)})`, {
            cause: error,
          })
        : new CloudtunError('CT_NETWORK', 'the websocket broke', { cause: error });
    });
  }

  /** Starts reading and handing over messages; the socket is paused until then. */
  start(handler: PumpHandler): void {
    this.#handler = handler;
    this.#socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    this.#socket.on('pong', () => this.#onPong());
    this.#socket.on('close', (code, reason) => this.#onClose(code, reason.toString('utf8').slice(0, 200)));
    this.#scheduleKeepAlive();
    this.#stopWatching = this.#wake?.watch.onWake((wake) => this.#onWake(wake), this.#wake.every);
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

  /** The same for a message in parts. */
  transmitParts(first: Buffer, rest: readonly Buffer[]): void {
    if (!this.isOpen) return;
    let byteCount = first.length;
    for (const part of rest) byteCount += part.length;
    this.#batch.begin(byteCount);
    this.#batch.add(first, 0, first.length);
    for (const part of rest) this.#batch.add(part, 0, part.length);
  }

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

  #onMessage(data: Buffer, isBinary: boolean): void {
    this.#handOver(data, isBinary);
    if (this.#batchEndPending) return;
    this.#batchEndPending = true;
    // ws emits every message of one received piece in a row; a microtask comes after the last of them.
    queueMicrotask(() => {
      this.#batchEndPending = false;
      this.#endBatch();
    });
  }

  #handOver(bytes: Buffer, isBinary: boolean): void {
    this.#isInBatch = true;
    this.#handler?.message(bytes, isBinary);
  }

  #endBatch(): void {
    if (!this.#isInBatch) return;
    this.#isInBatch = false;
    if (!this.#isOver) this.#handler?.batchEnd();
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
    this.#keepAliveTimer = this.#world.clock.after(this.#keepAlive, () => {
      if (!this.isOpen) return;
      // The deadline may be longer than the interval: the first ping without an answer counts.
      this.#ask(this.#pongTimer === undefined ? this.#pongDeadline : undefined);
      this.#scheduleKeepAlive();
    });
  }

  /** @param deadline for the answer; undefined: the one that runs stands */
  #ask(deadline: Millis | undefined): void {
    this.#socket.ping();
    if (deadline === undefined || !this.#answersPings || this.#isPaused || this.#isChoked) return;
    this.#pongTimer?.cancel();
    this.#pongTimer = this.#world.clock.after(deadline, () =>
      this.terminate(new CloudtunError('CT_NETWORK', `the far end did not answer a ping for ${deadline / 1000} s`)),
    );
  }

  #onWake({ isNetworkNew, addresses }: Wake): void {
    if (!this.isOpen) return;
    const own = this.#transport.localAddress;
    if (isNetworkNew && own !== undefined && !isAmong(own, addresses)) {
      this.terminate(new CloudtunError('CT_NETWORK', 'the network address of this machine is another one now'));
    } else {
      this.#ask(this.#wake!.probe);
    }
  }

  #onPong(): void {
    this.#answersPings = true;
    this.#pongTimer?.cancel();
    this.#pongTimer = undefined;
  }

  #onClose(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopWatching?.();
    this.#keepAliveTimer?.cancel();
    this.#pongTimer?.cancel();
    this.#closeTimer?.cancel();
    this.#handler?.closed({ code, reason, ...(this.#error ? { error: this.#error } : {}) });
  }
}

/** Sockets of both families write an IPv4 address as `::ffff:192.0.2.1`. */
function isAmong(address: string, addresses: ReadonlySet<string>): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain.startsWith('127.') || plain === '::1' || addresses.has(plain);
}
