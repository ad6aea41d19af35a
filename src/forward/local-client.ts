import type { Socket } from 'node:net';
import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import type { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';
import { reset, Splice } from '../transport/splice.ts';
import { QUIET } from './core/limits.ts';

export interface ClientReport {
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Why it was reset, when it neither ended nor left by itself. */
  readonly error?: CloudtunError;
}

/**
 * Opens the stream of a client. It may read from the socket if it puts back what it read. Undefined: the client got all it came for,
 * and the socket is closed.
 */
export type DialForClient = (socket: Socket, signal: AbortSignal) => Promise<TunnelStream | undefined>;

/**
 * One accepted connection: from waiting for a stream to the last byte. A client that leaves before it has a stream is not dialled
 * for: a far side that sees strangers connect and hang up may block the machine they come from (spec section 5.7).
 */
export class LocalClient {
  /** `127.0.0.1:51234` */
  readonly from: string;
  onMoved: ((byteCount: number) => void) | undefined;
  readonly #world: World;
  readonly #peers: PeerWatch;
  readonly #memory: LocalMemory;
  readonly #socket: Socket;
  readonly #leaving = new AbortController();
  readonly #peerWatch: { cancel(): void } | undefined;
  #splice: Splice | undefined;

  constructor(world: World, peers: PeerWatch, memory: LocalMemory, socket: Socket) {
    this.#world = world;
    this.#peers = peers;
    this.#memory = memory;
    this.#socket = socket;
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    this.from = formatEndpoint({ host: remoteAddress ?? 'unknown', port: remotePort ?? 0 });
    socket.once('close', this.#onLeft);
    if (!localAddress || !localPort || !remoteAddress || !remotePort) return;
    this.#peerWatch = peers.watch(
      { localAddress, localPort, remoteAddress, remotePort },
      {
        // What it sent before it left is still to be delivered, and may be in the kernel for one more turn.
        released: () => {
          world.clock.soon(() => {
            if (socket.readableLength === 0 && !this.#splice) this.#onLeft();
          });
        },
      },
    );
  }

  /** Aborts when the client is gone before it had a stream, or is cut. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  /**
   * Gives the client a stream and joins them. Settles after both are closed; never rejects.
   *
   * @param readsEarly whether it may be read, 64 KiB at most, while its stream takes more than a moment to open: a client that leaves
   *   is noticed by that
   */
  async serve(dial: DialForClient, readsEarly: boolean): Promise<ClientReport> {
    const { signal } = this.#leaving;
    let stream: TunnelStream | undefined;
    const early = readsEarly ? this.#world.clock.soon(() => this.#socket.read(0)) : undefined;
    try {
      signal.throwIfAborted();
      stream = await dial(this.#socket, signal);
    } catch (thrown) {
      this.#stopWaiting();
      reset(this.#socket);
      return { bytesUp: 0, bytesDown: 0, ...(!signal.aborted && { error: asCloudtunError(thrown) }) };
    } finally {
      early?.cancel();
    }
    this.#stopWaiting();
    if (stream === undefined) return { bytesUp: 0, bytesDown: 0 };
    this.#splice = new Splice(this.#world, this.#peers, this.#memory, this.#socket, stream, (byteCount) =>
      this.onMoved?.(byteCount),
    );
    if (signal.aborted) this.#splice.cut();
    const { bytesUp, bytesDown, error } = await this.#splice.closed;
    return { bytesUp, bytesDown, ...(error && { error }) };
  }

  moved(): { readonly bytesUp: number; readonly bytesDown: number } {
    return { bytesUp: this.#splice?.bytesUp ?? 0, bytesDown: this.#splice?.bytesDown ?? 0 };
  }

  /** How long nothing moved; a client without a stream counts as quiet, since nothing of it is lost. */
  quietFor(): Millis {
    return this.#splice?.quietFor() ?? QUIET;
  }

  /** Ends a quiet connection regularly and breaks off one that is in the middle of something. */
  end(): void {
    if (this.#splice && this.#splice.quietFor() >= QUIET) this.#splice.close();
    else this.cut();
  }

  /** Breaks it off: the client sees a reset. */
  cut(): void {
    this.#stopWaiting();
    this.#leaving.abort(new CloudtunError('CT_INTERRUPTED', 'the forward is closed'));
    if (this.#splice) this.#splice.cut();
    else reset(this.#socket);
  }

  readonly #onLeft = (): void => {
    this.#stopWaiting();
    this.#leaving.abort(new CloudtunError('CT_INTERRUPTED', 'the local client left'));
  };

  #stopWaiting(): void {
    this.#peerWatch?.cancel();
    this.#socket.off('close', this.#onLeft);
  }
}
