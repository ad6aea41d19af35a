/**
 * Streams to one port through the relay of Identity-Aware Proxy: each has a session and a websocket of its own (docs/protocol/iap.md,
 * "Sessions and local connections"), so none can hold up another. What they share is memory, a spare connection, and the question
 * why the service refuses.
 */
import { ByteCarver } from '../../domain/byte-carver.ts';
import type { TunnelStream } from '../../domain/dialer.ts';
import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { RateWindow } from '../../domain/rate-window.ts';
import { SlabPool } from '../../domain/slab-pool.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import { unlessAborted } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import type { Tunnel, TunnelEnd, TunnelStats } from '../tunnel.ts';
import { MemoryBudget } from './core/memory-budget.ts';
import type { RelayOptions } from './relay-options.ts';
import { RelayStream, type RelayStreamParts } from './relay-stream.ts';
import { SecondOpinion } from './second-opinion.ts';
import { SpareConnections } from './spare-connections.ts';

/** What all streams together may keep for the case that a websocket is lost; each may keep its share in any case. */
const UPLOAD_BYTES = 96 * 1024 * 1024;
const UPLOAD_SHARE = 64 * 1024;
/** What all streams together may hold for slow readers. */
const DOWNLOAD_BYTES = 64 * 1024 * 1024;
const DOWNLOAD_SHARE = 256 * 1024;

/** Connections inside a network stand within milliseconds; a firewall that drops is only found out by waiting. Guessed. */
const EARLY_QUESTION_MS: Millis = 5_000;

export class RelayTunnel implements Tunnel {
  readonly #parts: RelayStreamParts;
  readonly #opinion: SecondOpinion;
  readonly #spares: SpareConnections;
  readonly #streams = new Set<RelayStream>();
  readonly #closed = Promise.withResolvers<TunnelEnd>();
  readonly #abort = new AbortController();
  #opening = 0;
  #bytesUp = 0;
  #bytesDown = 0;
  readonly #rateUp = new RateWindow();
  readonly #rateDown = new RateWindow();
  #closing: Promise<void> | undefined;
  #hasToldWaiting = false;

  private constructor(world: World, source: TicketSource<IapRelayTicket>, to: RemoteEndpoint, options: RelayOptions) {
    this.#opinion = new SecondOpinion(world, source, to);
    this.#spares = new SpareConnections(world, options.route);
    this.#parts = {
      world,
      source,
      to,
      options,
      slabs: new SlabPool(),
      memory: new ByteCarver(),
      uploads: new MemoryBudget(UPLOAD_BYTES, UPLOAD_SHARE),
      downloads: new MemoryBudget(DOWNLOAD_BYTES, DOWNLOAD_SHARE),
      spares: this.#spares,
      moved: (bytesUp, bytesDown) => {
        this.#bytesUp += bytesUp;
        this.#bytesDown += bytesDown;
        const now = world.clock.now();
        this.#rateUp.sample(this.#bytesUp, now);
        this.#rateDown.sample(this.#bytesDown, now);
      },
      released: (stream) => this.#streams.delete(stream),
    };
  }

  /**
   * Makes sure that there is a token. No session is opened: the service knows sessions for connections only, and one that nobody uses
   * would be a connection to the backend that greets and hangs up.
   *
   * @throws CloudtunError of the source; the reason of `signal`
   */
  static async open(
    world: World,
    source: TicketSource<IapRelayTicket>,
    to: RemoteEndpoint,
    options: RelayOptions,
    signal: AbortSignal,
  ): Promise<RelayTunnel> {
    await source.issue(to, signal);
    return new RelayTunnel(world, source, to, options);
  }

  /** Settles by disposal only: what the service refuses is one stream, and the next one may be granted. */
  get closed(): Promise<TunnelEnd> {
    return this.#closed.promise;
  }

  /**
   * Opens a stream; resolves when the far connection stands.
   *
   * @throws CT_REMOTE_REFUSED, CT_REMOTE_SILENT, CT_TARGET_NOT_FOUND, CT_DENIED and what else the source's `diagnose` makes of them;
   *   CT_CREDENTIALS_EXPIRED, CT_NETWORK, CT_PROXY, CT_TLS, CT_SERVICE, CT_THROTTLED …; the reason of `signal`
   */
  async open(signal: AbortSignal): Promise<TunnelStream> {
    signal.throwIfAborted();
    if (this.#closing) throw closed();
    const stream = new RelayStream(this.#parts);
    this.#streams.add(stream);
    this.#opening += 1;
    const useless = new AbortController();
    const early = this.#parts.world.clock.after(EARLY_QUESTION_MS, () => this.#ask(useless), { background: true });
    try {
      await stream.connect(AbortSignal.any([signal, useless.signal]));
    } catch (thrown) {
      if (useless.signal.aborted && !this.#closing) throw thrown;
      if (!(thrown instanceof CloudtunError) || signal.aborted) throw thrown;
      if (this.#closing) throw closed();
      throw await unlessAborted(this.#opinion.on(thrown, this.#abort.signal), signal);
    } finally {
      early.cancel();
      this.#opening -= 1;
    }
    return stream;
  }

  /** The service says nothing yet: does the cloud know that it never will? */
  async #ask(useless: AbortController): Promise<void> {
    const { source, to, options } = this.#parts;
    const reason = await source.whySilent?.(to, this.#abort.signal);
    if (reason !== undefined) useless.abort(reason);
    else if (!this.#hasToldWaiting) {
      this.#hasToldWaiting = true;
      const waited = Math.round(EARLY_QUESTION_MS / 1_000);
      options.onEvent({ type: 'warning', message: `port ${to.port} has not answered for ${waited} s; still waiting` });
    }
  }

  stats(): TunnelStats {
    const openStreams = this.#streams.size - this.#opening;
    const now = this.#parts.world.clock.now();
    return {
      openStreams,
      sessions: openStreams,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      rateUp: this.#rateUp.rate(this.#bytesUp, now),
      rateDown: this.#rateDown.rate(this.#bytesDown, now),
      roundTripMs: undefined,
      each: [],
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort(closed());
    this.#spares.close();
    await Promise.all(
      [...this.#streams].map((stream) => {
        stream.destroy();
        return stream.settled();
      }),
    );
    this.#closed.resolve({ reason: 'closed-by-us' });
  }
}

function closed(): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', 'the tunnel is closed');
}
