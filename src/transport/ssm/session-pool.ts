/**
 * Several sessions behind one tunnel. Usually there is one. Another one is started when a slow reader makes a session pause (new
 * connections must not wait behind it, spec section 5.5), for every further connection in basic mode, and when a session was lost.
 */
import type { TunnelStream } from '../../domain/dialer.ts';
import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import type { Tunnel, TunnelEnd, TunnelStats } from '../tunnel.ts';
import { PortSession } from './port-session.ts';
import type { SsmOptions } from './session-options.ts';

/** Sessions of one tunnel at the same time. Guessed: accounts have limits that nobody publishes. */
const MAX_SESSIONS = 8;

export class SessionPool implements Tunnel {
  readonly #world: World;
  readonly #source: TicketSource<SsmSessionTicket>;
  readonly #to: RemoteEndpoint;
  readonly #options: SsmOptions;
  readonly #sessions = new Set<PortSession>();
  readonly #closed = Promise.withResolvers<TunnelEnd>();
  readonly #abort = new AbortController();
  /** Sessions that are over here and not yet terminated in the cloud. */
  readonly #releasing = new Set<Promise<void>>();
  /** Told when a session of basic mode is over and its place is free. */
  readonly #waiting = new Set<() => void>();
  #starting: Promise<PortSession> | undefined;
  #startingCount = 0;
  #closing: Promise<void> | undefined;
  #lastError: CloudtunError | undefined;
  #pastBytes = { up: 0, down: 0 };

  private constructor(world: World, source: TicketSource<SsmSessionTicket>, to: RemoteEndpoint, options: SsmOptions) {
    this.#world = world;
    this.#source = source;
    this.#to = to;
    this.#options = options;
  }

  /** Starts the first session. @throws CloudtunError */
  static async open(
    world: World,
    source: TicketSource<SsmSessionTicket>,
    to: RemoteEndpoint,
    options: SsmOptions,
    signal: AbortSignal,
  ): Promise<SessionPool> {
    const pool = new SessionPool(world, source, to, options);
    await pool.#startSession(signal);
    return pool;
  }

  get closed(): Promise<TunnelEnd> {
    return this.#closed.promise;
  }

  async open(signal: AbortSignal): Promise<TunnelStream> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closing) throw new CloudtunError('CT_TUNNEL_LOST', 'the tunnel is closed');
      const mayStart = this.#sessions.size + this.#startingCount < MAX_SESSIONS;
      const session = this.#choose(!mayStart);
      if (session) return session.carrier.open();
      if (mayStart) {
        try {
          await this.#startShared(signal);
        } catch (thrown) {
          // Behind a slow reader is better than nowhere, when the cloud gives no further session.
          const stalled = signal.aborted || this.#closing ? undefined : this.#choose(true);
          if (stalled === undefined) throw thrown;
          return stalled.carrier.open();
        }
      } else {
        await this.#placeFree(signal);
      }
    }
  }

  /** A session that takes a stream now: not stalled if possible, stalled only where that will do. */
  #choose(mayBeStalled: boolean): PortSession | undefined {
    let stalled: PortSession | undefined;
    for (const session of this.#sessions) {
      if (session.isOver || !session.carrier.canOpen) continue;
      if (!session.carrier.isStalled) return session;
      stalled ??= session;
    }
    return mayBeStalled ? stalled : undefined;
  }

  /** One start serves all who wait for it; in basic mode each then finds its place taken and comes again. */
  async #startShared(signal: AbortSignal): Promise<void> {
    this.#starting ??= this.#startSession(this.#abort.signal).finally(() => {
      this.#starting = undefined;
    });
    await abortable(this.#starting, signal);
  }

  async #startSession(signal: AbortSignal): Promise<PortSession> {
    this.#startingCount++;
    try {
      const session = await PortSession.start(this.#world, this.#source, this.#to, this.#options, signal);
      if (this.#closing) {
        await session.close();
        throw new CloudtunError('CT_TUNNEL_LOST', 'the tunnel is closed');
      }
      this.#adopt(session);
      return session;
    } finally {
      this.#startingCount--;
    }
  }

  #adopt(session: PortSession): void {
    this.#sessions.add(session);
    void session.ended.then((end) => {
      this.#sessions.delete(session);
      const released = session.close().finally(() => this.#releasing.delete(released));
      this.#releasing.add(released);
      this.#pastBytes.up += session.carrier.bytesUp;
      this.#pastBytes.down += session.carrier.bytesDown;
      this.#lastError = end.error;
      this.#wakeWaiting();
      const isLastOne = this.#sessions.size === 0 && this.#startingCount === 0;
      // A basic session ends with its connection; the tunnel goes on.
      if (isLastOne && end.error && !this.#closing) {
        this.#closed.resolve({
          reason: end.error.code === 'CT_SESSION_ENDED' ? 'ended-by-service' : 'lost',
          error: end.error,
        });
      }
    });
  }

  async #placeFree(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await abortable(promise, signal);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting) wake();
  }

  stats(): TunnelStats {
    const each = [...this.#sessions].map((session) => session.figures());
    const sum = (key: 'openStreams' | 'bytesUp' | 'bytesDown' | 'rateUp' | 'rateDown') =>
      each.reduce((total, figures) => total + figures[key], 0);
    const roundTrips = each.flatMap(({ roundTripMs }) => (roundTripMs === undefined ? [] : [roundTripMs]));
    return {
      openStreams: sum('openStreams'),
      sessions: each.length,
      bytesUp: this.#pastBytes.up + sum('bytesUp'),
      bytesDown: this.#pastBytes.down + sum('bytesDown'),
      rateUp: sum('rateUp'),
      rateDown: sum('rateDown'),
      roundTripMs: roundTrips.length === 0 ? undefined : Math.max(...roundTrips),
      each,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort(new CloudtunError('CT_TUNNEL_LOST', 'the tunnel is closed'));
    this.#wakeWaiting();
    await Promise.allSettled([...[...this.#sessions].map((session) => session.close()), this.#starting]);
    await Promise.allSettled(this.#releasing);
    this.#closed.resolve({ reason: 'closed-by-us', ...(this.#lastError ? { error: this.#lastError } : {}) });
  }
}

/** The promise, or the signal's reason when that comes first; the promise itself goes on for others. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
