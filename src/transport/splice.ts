import type { Socket } from 'node:net';
import type { TunnelStream } from '../domain/dialer.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import { readInto, startReading, stopReading } from '../runtime/socket-reading.ts';
import type { World } from '../runtime/world.ts';
import type { LentBytes, LocalMemory } from './local-memory.ts';
import type { PeerWatch } from './peer-watch.ts';

/*
 * Joins an accepted local socket and a stream of a tunnel. Wired by hand and not with two `pipeline`s, which would answer a broken
 * tunnel with a plain close of the socket: to a local client that looks like the regular end of the data.
 *
 *   local sends FIN        the stream's writable side is ended; the tunnel holds the far FIN back (docs/protocol/smux.md, "Closing"),
 *                          since the client may wait for the answer. Only when nobody owns the client's socket any more is the
 *                          stream destroyed.
 *   local resets           the stream is destroyed
 *   stream ends            the socket is ended, after everything was written
 *   stream closes          nobody takes the client's bytes any more: the socket is closed, after a linger in which what the client
 *                          still had on its way is swallowed, since a reset could cost it the answer it has not read yet
 *   stream fails           the socket is reset: never a regular end after data with a hole
 */

/** How it ended. `local-gone`: the client left without waiting for the end of the answer. */
export type SpliceEnd = 'closed' | 'local-reset' | 'local-gone' | 'remote-failed' | 'cut';

export interface SpliceReport {
  readonly end: SpliceEnd;
  /** Bytes read from the client. */
  readonly bytesUp: number;
  /** Bytes read from the far side. */
  readonly bytesDown: number;
  /** With `remote-failed`. */
  readonly error?: CloudtunError;
}

/** What the client still sends to a stream that is over is swallowed for this long (guessed: many round trips on loopback). */
const LINGER: Millis = 2_000;
/**
 * Where it cannot be told whether a side that ended is still interested, silence in both directions for this long decides: a client
 * that sent FIN and whose socket cannot be looked for, and a client that does not close after the far side has ended.
 */
const PATIENCE: Millis = 60_000;

export class Splice {
  /** Settles once, after both sides are closed; never rejects. */
  readonly closed: Promise<SpliceReport>;
  readonly #world: World;
  readonly #peers: PeerWatch;
  readonly #local: Socket;
  readonly #stream: TunnelStream;
  readonly #memory: LocalMemory;
  readonly #onMoved: ((byteCount: number) => void) | undefined;
  #settle!: (report: SpliceReport) => void;
  #bytesUp = 0;
  #bytesDown = 0;
  #lastActivity: Millis;
  /** Writes to the stream that the tunnel has not taken yet. */
  #pendingWrites = 0;
  #end: SpliceEnd | undefined;
  #error: CloudtunError | undefined;
  #localEnded = false;
  #localClosed = false;
  #streamEnded = false;
  #streamClosed = false;
  #isPeerUntold = false;
  #peerWatch: { cancel(): void } | undefined;
  #patience: Timer | undefined;
  #linger: Timer | undefined;
  readonly #congestionListener = { congested: () => stopReading(this.#local), relieved: () => this.#readLocal() };
  #leaveCongestion: (() => void) | undefined;

  /**
   * @param memory what clients send waits here until the tunnel takes it; one for all connections of a forward
   * @param onMoved called for bytes of either direction as they come; it may cut
   */
  constructor(
    world: World,
    peers: PeerWatch,
    memory: LocalMemory,
    local: Socket,
    stream: TunnelStream,
    onMoved?: (byteCount: number) => void,
  ) {
    this.#onMoved = onMoved;
    this.#world = world;
    this.#peers = peers;
    this.#memory = memory;
    this.#local = local;
    this.#stream = stream;
    this.#lastActivity = world.clock.now();
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    memory.connected();
    this.#leaveCongestion = stream.congestion?.join(this.#congestionListener);
    this.#wireLocal();
    this.#wireStream();
  }

  get bytesUp(): number {
    return this.#bytesUp;
  }

  get bytesDown(): number {
    return this.#bytesDown;
  }

  /** How long nothing moved in either direction; 0 while bytes wait to be taken by the client or by the tunnel. */
  quietFor(): Millis {
    if (this.#pendingWrites > 0 || this.#local.writableLength > 0) return 0;
    return this.#world.clock.now() - this.#lastActivity;
  }

  /** Ends a connection on which nothing moves, so that both sides see a regular end. */
  close(): void {
    this.#finish('cut');
    if (!this.#local.destroyed) this.#local.destroySoon();
    this.#stream.destroy();
  }

  /** Breaks the connection off: the client sees a reset. */
  cut(): void {
    this.#finish('cut');
    reset(this.#local);
    this.#stream.destroy();
  }

  #wireLocal(): void {
    const local = this.#local;
    readInto(local, (bytes) => {
      if (this.#takesLocalData) {
        const lent = this.#memory.lend(bytes);
        this.#onLocalData(lent.bytes, lent);
      }
      return true;
    });
    local.on('data', (chunk: Buffer) => this.#onLocalData(chunk, undefined));
    local.on('drain', () => this.#stream.resume());
    local.on('end', () => this.#onLocalEnd());
    local.on('error', () => this.#onLocalError());
    local.on('close', () => this.#onLocalClose());
    if (local.destroyed) this.#onLocalClose();
    // A socket that was paused on purpose while it waited does not start by getting a listener.
    else this.#readLocal();
  }

  #wireStream(): void {
    const stream = this.#stream;
    stream.lendTo?.((pieces, byteCount) => this.#onStreamLends(pieces, byteCount));
    stream.on('data', (chunk: Buffer) => this.#onStreamData(chunk));
    stream.on('drain', () => this.#readLocal());
    stream.on('end', () => this.#onStreamEnd());
    stream.on('error', (error) => this.#onStreamError(error));
    stream.on('close', () => this.#onStreamClose());
    // `accepted` tells the same as `error`, to whoever asks.
    stream.accepted.catch(() => {});
    if (stream.errored) this.#onStreamError(stream.errored);
    if (stream.destroyed) this.#onStreamClose();
  }

  /** Reads the client, unless its stream or the whole tunnel has enough waiting. */
  #readLocal(): void {
    const isStopped = this.#stream.congestion?.stops(this.#congestionListener) || this.#stream.writableNeedDrain;
    if (this.#streamClosed || !isStopped) startReading(this.#local);
  }

  #onTaken(byteCount: number, lent: LentBytes | undefined): void {
    if (lent) this.#memory.giveBack(lent);
    this.#stream.congestion?.sent(byteCount);
    this.#pendingWrites -= 1;
    if (this.#pendingWrites === 0 && this.#localClosed) this.#destroyFinished();
  }

  get #takesLocalData(): boolean {
    return !(this.#streamClosed || this.#stream.writableEnded || this.#stream.destroyed);
  }

  #onLocalData(chunk: Buffer, lent: LentBytes | undefined): void {
    if (!this.#takesLocalData) return;
    this.#lastActivity = this.#world.clock.now();
    this.#bytesUp += chunk.length;
    this.#memory.busy(chunk.length);
    this.#onMoved?.(chunk.length);
    this.#pendingWrites += 1;
    const hasRoom = this.#stream.write(chunk, () => this.#onTaken(chunk.length, lent));
    this.#stream.congestion?.waiting(chunk.length);
    if (hasRoom) return;
    stopReading(this.#local);
    this.#bePatient();
  }

  #onStreamLends(pieces: readonly Buffer[], byteCount: number): void {
    if (!this.#countDown(byteCount)) return;
    const lent = this.#memory.lendAll(pieces, byteCount);
    if (lent.length === 1) return this.#giveLocal(lent[0]!.bytes, lent[0]);
    this.#local.cork();
    for (const piece of lent) this.#giveLocal(piece.bytes, piece);
    this.#local.uncork();
  }

  #onStreamData(chunk: Buffer): void {
    if (this.#countDown(chunk.length)) this.#giveLocal(chunk, undefined);
  }

  /** Bytes came from the far side; returns whether the client still takes any. */
  #countDown(byteCount: number): boolean {
    this.#lastActivity = this.#world.clock.now();
    this.#bytesDown += byteCount;
    this.#memory.busy(byteCount);
    this.#onMoved?.(byteCount);
    return !this.#local.destroyed && !this.#local.writableEnded;
  }

  #giveLocal(chunk: Buffer, lent: LentBytes | undefined): void {
    const { congestion } = this.#stream;
    congestion?.hold(chunk.length);
    // The callback comes also when the socket is destroyed.
    const hasRoom = this.#local.write(chunk, () => {
      if (lent) this.#memory.giveBack(lent);
      congestion?.release(chunk.length);
    });
    if (!hasRoom) this.#stream.pause();
  }

  #onLocalEnd(): void {
    this.#localEnded = true;
    if (this.#streamClosed) return;
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.end();
    if (!this.#streamEnded) this.#watchPeer();
  }

  #onLocalError(): void {
    this.#finish('local-reset');
    this.#stream.destroy();
  }

  #onLocalClose(): void {
    this.#localClosed = true;
    this.#leaveCongestion?.();
    this.#stopWaiting();
    if (!this.#streamClosed) this.#releaseStream();
    this.#settleWhenClosed();
  }

  #onStreamEnd(): void {
    this.#streamEnded = true;
    this.#peerWatch?.cancel();
    if (this.#local.destroyed) return;
    this.#local.end();
    if (!this.#localEnded) this.#bePatient();
  }

  #onStreamError(error: Error): void {
    if (this.#end === undefined) this.#error = asCloudtunError(error);
    this.#finish('remote-failed');
    reset(this.#local);
  }

  #onStreamClose(): void {
    if (this.#streamClosed) return;
    this.#streamClosed = true;
    this.#leaveCongestion?.();
    this.#stopWaiting();
    if (!this.#local.destroyed) {
      if (this.#streamEnded) this.#lingerLocal();
      else {
        // Destroyed without an end, an error, or a word from us: to the client that is a break like any other.
        if (this.#end === undefined) this.#error = brokenOff();
        this.#finish('remote-failed');
        reset(this.#local);
      }
    }
    this.#settleWhenClosed();
  }

  #lingerLocal(): void {
    this.#local.end();
    startReading(this.#local);
    const startLinger = () => {
      if (this.#localEnded || this.#linger) return;
      this.#linger = this.#world.clock.after(LINGER, () => this.#local.destroy());
    };
    if (this.#local.writableFinished) startLinger();
    else this.#local.once('finish', startLinger);
  }

  /** The client's socket is closed. What it sent before is still owed to the far side, unless the connection was broken off. */
  #releaseStream(): void {
    this.#finish(this.#streamEnded ? 'closed' : 'local-gone');
    const isRegular = this.#end === 'closed' || this.#end === 'local-gone';
    if (!isRegular) {
      this.#stream.destroy();
      return;
    }
    this.#stream.resume();
    if (this.#pendingWrites === 0) this.#destroyFinished();
    else this.#bePatient();
  }

  /** A stream that is destroyed before its `finish` was cut, and may drop what it queued; one that is finished was closed. */
  #destroyFinished(): void {
    if (this.#stream.writableEnded && !this.#stream.writableFinished && !this.#stream.destroyed) {
      this.#stream.once('finish', () => this.#stream.destroy());
      this.#bePatient();
    } else this.#stream.destroy();
  }

  #watchPeer(): void {
    this.#peerWatch?.cancel();
    const { localAddress, localPort, remoteAddress, remotePort } = this.#local;
    const onUntold = () => {
      this.#isPeerUntold = true;
      this.#bePatient();
    };
    if (!localAddress || !localPort || !remoteAddress || !remotePort) return onUntold();
    this.#peerWatch = this.#peers.watch(
      { localAddress, localPort, remoteAddress, remotePort },
      { released: () => this.#local.destroy(), untold: onUntold },
    );
  }

  /** One timer a minute at most, however often a connection stops and goes. */
  #bePatient(): void {
    this.#patience ??= this.#world.clock.after(PATIENCE, () => this.#onPatienceOver(), { background: true });
  }

  #onPatienceOver(): void {
    this.#patience = undefined;
    const isStuck = this.#pendingWrites > 0;
    const mayBeAlone = this.#localClosed || this.#streamEnded || (this.#localEnded && this.#isPeerUntold);
    if (!isStuck && !mayBeAlone) return;
    const left = this.#lastActivity + PATIENCE - this.#world.clock.now();
    if (left > 0) {
      this.#patience = this.#world.clock.after(left, () => this.#onPatienceOver(), { background: true });
      return;
    }
    if (mayBeAlone) {
      this.#finish(this.#streamEnded ? 'closed' : 'local-gone');
      this.#local.destroy();
      this.#stream.destroy();
      return;
    }
    // The far side takes nothing, so the socket is not read and its end would not be seen: ask the system instead.
    this.#watchPeer();
    this.#bePatient();
  }

  #stopWaiting(): void {
    this.#peerWatch?.cancel();
    this.#patience?.cancel();
    this.#patience = undefined;
  }

  #finish(end: SpliceEnd): void {
    this.#end ??= end;
  }

  #settleWhenClosed(): void {
    if (!this.#localClosed || !this.#streamClosed) return;
    this.#linger?.cancel();
    this.#settle({
      end: this.#end ?? 'closed',
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      ...(this.#error && { error: this.#error }),
    });
  }
}

function brokenOff(): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', 'the stream was broken off');
}

/** Sends RST. Never throws, does nothing to a socket that is closed. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  // While a shutdown is under way, libuv refuses to reset (EINVAL) and Node would never close the socket. Everything was handed to
  // the kernel by then, FIN included, so a plain close says nothing that was not said already.
  const isShuttingDown = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
  if (isShuttingDown) socket.destroy();
  else socket.resetAndDestroy();
}
