import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { INTERVALS, type Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import type { TunnelFigures } from './broker-types.ts';
import { needsPerson, Renewal } from './core/renewal.ts';
import type { DestinationHops } from './destinations.ts';
import { openAgain } from './open-again.ts';
import { NO_FIGURES, sumFigures } from './sum-figures.ts';

/** Terminating a session is a call to a cloud that may be out of reach; what was not ended is found at the next start. */
const CLOSE_LIMIT: Millis = 10_000;

/** What a destination lives by beside its hops. */
export interface DestinationOptions {
  readonly intervals?: Intervals | undefined;
  readonly wake?: WakeWatch | undefined;
}

/** What is known of one tunnel beside itself. */
interface TunnelLife {
  readonly streams: Set<TunnelStream>;
  /** It leads to where the target was. */
  isMoved: boolean;
}

/** One endpoint, and the tunnel to it while there is one. */
export class Destination implements AsyncDisposable {
  readonly #world: World;
  readonly to: RemoteEndpoint;
  readonly #hops: DestinationHops;
  readonly #renewal: Renewal;
  readonly #intervals: Intervals;
  readonly #wake: WakeWatch | undefined;
  readonly #lifetime = new AbortController();
  /** Every tunnel that is not closed yet: the current one, and those that still carry streams after a rotation. */
  readonly #tunnels = new Map<Tunnel, TunnelLife>();
  #current: Tunnel | undefined;
  #opening: Promise<Tunnel> | undefined;
  #lastSessionId: string | undefined;
  #hasOpenedBefore = false;
  #isLost = false;
  /** Of tunnels that are closed. */
  readonly #pastBytes = { up: 0, down: 0 };
  #closing: Promise<void> | undefined;
  /** Since when a person has to sign in. */
  #signedOutAt: Millis | undefined;
  #usedAt: Millis;

  constructor(world: World, to: RemoteEndpoint, hops: DestinationHops, options: DestinationOptions = {}) {
    const { intervals = INTERVALS, wake } = options;
    this.#world = world;
    this.to = to;
    this.#hops = hops;
    this.#intervals = intervals;
    this.#wake = wake;
    this.#renewal = new Renewal(intervals);
    this.#usedAt = world.clock.now();
  }

  /** When a stream was asked for last, now while one is open; undefined without a tunnel. */
  get usedAt(): Millis | undefined {
    if (this.#current === undefined) return undefined;
    return this.#current.stats().openStreams > 0 ? this.#world.clock.now() : this.#usedAt;
  }

  /**
   * Where the tunnel leads is not where the target is: the next stream gets a new session on a way that is asked for again. Streams
   * that are open have `intervals.drain` to end on the old one; then they are reset.
   *
   * @param what happened, for people
   */
  moved(what: string): void {
    const tunnel = this.#current;
    if (tunnel === undefined) return;
    this.#renewal.moved();
    this.#current = undefined;
    this.#hops.onEvent({ type: 'moved', what, openStreams: tunnel.stats().openStreams });
    void this.#retire(tunnel);
  }

  /** @throws CloudtunError when no session can be had; the reason of `signal` */
  async dial(signal: AbortSignal): Promise<TunnelStream> {
    // The second attempt is for a tunnel that ended between two lines; a third would hide a defect.
    for (let isLast = false; ; isLast = true) {
      signal.throwIfAborted();
      if (this.#lifetime.signal.aborted) throw this.#lifetime.signal.reason;
      this.#usedAt = this.#world.clock.now();
      const tunnel = this.#current ?? (await unlessAborted(this.#tunnel(), signal));
      try {
        return this.#watched(tunnel, await tunnel.open(signal));
      } catch (error) {
        // A tunnel that ends refuses streams before it says that it is closed: let it say so.
        await new Promise<void>((resolve) => this.#world.clock.soon(resolve));
        if (isLast || signal.aborted) throw error;
        if (this.#current !== tunnel) continue;
        this.#onStreamFailed(tunnel, error);
        throw error;
      }
    }
  }

  /** Of every session that was opened to this endpoint. */
  stats(): TunnelFigures {
    const past = { ...NO_FIGURES, bytesUp: this.#pastBytes.up, bytesDown: this.#pastBytes.down };
    return sumFigures([past, ...[...this.#tunnels.keys()].map((tunnel) => tunnel.stats())]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #tunnel(): Promise<Tunnel> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** One round of trying, shared by all who wait. It goes on when they leave: the next one will be glad of it. */
  async #open(): Promise<Tunnel> {
    const { clock } = this.#world;
    const startedAt = clock.now();
    return openAgain(
      {
        world: this.#world,
        intervals: this.#intervals,
        wake: this.#wake,
        renewal: this.#renewal,
        open: async (isFresh, signal) => {
          const life: TunnelLife = { streams: new Set(), isMoved: false };
          const onEvent = (event: TunnelEvent) => this.#onEvent(event, life);
          return this.#opened(await this.#hops.open(this.to, isFresh, onEvent, signal), life, startedAt);
        },
        failed: (error, attempt, heldFor) => this.#tellAttempt(error, attempt, heldFor),
        lost: (error) => this.#tellLost(error),
      },
      this.#lifetime.signal,
    );
  }

  async #opened(tunnel: Tunnel, life: TunnelLife, startedAt: Millis): Promise<Tunnel> {
    const { clock, random } = this.#world;
    const { signal } = this.#lifetime;
    if (signal.aborted) {
      await this.#closeTunnel(tunnel);
      throw signal.reason;
    }
    this.#renewal.opened(clock.now());
    this.#tunnels.set(tunnel, life);
    this.#current = tunnel;
    void tunnel.closed.then(() => {
      if (this.#current === tunnel) {
        this.#current = undefined;
        this.#renewal.closed(clock.now(), random.fraction());
      }
      void this.#closeTunnel(tunnel);
    });
    if (this.#signedOutAt !== undefined) {
      this.#hops.onEvent({ type: 'signed-in', after: clock.now() - this.#signedOutAt });
      this.#signedOutAt = undefined;
    }
    if (this.#hasOpenedBefore) {
      const sessionId = this.#lastSessionId ?? 'unknown';
      this.#hops.onEvent({ type: 'renewed', sessionId, how: 'new-session', downtime: clock.now() - startedAt });
    }
    this.#hasOpenedBefore = true;
    return tunnel;
  }

  #onEvent(event: TunnelEvent, { isMoved }: TunnelLife): void {
    if (event.type === 'session-started') this.#lastSessionId = event.sessionId;
    if (event.type !== 'session-ended' || event.ending === undefined) {
      this.#hops.onEvent(event);
      return;
    }
    const { ending } = event;
    const cause = isMoved && ending.cause === 'closed' ? 'moved' : ending.cause;
    const next = ending.by === 'us' || this.#lifetime.signal.aborted ? 'nothing' : 'new-session';
    this.#hops.onEvent({ ...event, ending: { ...ending, cause, next } });
  }

  #tellAttempt(error: CloudtunError, attempt: number, heldFor: Millis): void {
    if (!this.#hasOpenedBefore || this.#lastSessionId === undefined) return;
    if (needsPerson(error)) {
      if (this.#signedOutAt === undefined) {
        this.#signedOutAt = this.#world.clock.now();
        this.#hops.onEvent({ type: 'sign-in-needed', error, heldFor });
      }
      return;
    }
    this.#hops.onEvent({ type: 'reconnecting', sessionId: this.#lastSessionId, reason: error.message, attempt });
  }

  #watched(tunnel: Tunnel, stream: TunnelStream): TunnelStream {
    let isReached = false;
    const streams = this.#tunnels.get(tunnel)?.streams;
    streams?.add(stream);
    stream.once('close', () => streams?.delete(stream));
    stream.accepted.then(
      (how) => {
        isReached = how !== 'acknowledged';
        if (isReached) this.#renewal.reached();
        if (how === 'answered') this.#renewal.answered();
      },
      () => {},
    );
    stream.once('error', (error) => {
      if (!(error instanceof CloudtunError)) return;
      if (/^CT_REMOTE_(REFUSED|SILENT)$/.test(error.code)) this.#onRefused(tunnel);
      // A stream that is given before the service has answered may be refused here as well as by `open`.
      else if (!isReached) {
        // By then it is no longer counted among the open ones.
        this.#world.clock.soon(() => {
          if (this.#current === tunnel) this.#onStreamFailed(tunnel, error);
        });
      }
    });
    return stream;
  }

  /** A stream could not be had of a tunnel that goes on: for that client alone, for all, or because the way leads nowhere any more. */
  #onStreamFailed(tunnel: Tunnel, thrown: unknown): void {
    const error = asCloudtunError(thrown);
    this.#hops.onRefused(this.to, error);
    const verdict = this.#renewal.streamFailed(error, this.#world.clock.now(), tunnel.stats().openStreams > 0);
    if (verdict === 'refuse') return;
    if (verdict === 'lost') {
      this.#tellLost(error);
      return;
    }
    this.#current = undefined;
    void this.#retire(tunnel);
  }

  #tellLost(error: CloudtunError): void {
    if (!this.#isLost) this.#hops.onLost(error);
    this.#isLost = true;
  }

  /** A far side that moved (a database that failed over) is found by a new session only: the old one keeps the old address. */
  #onRefused(tunnel: Tunnel): void {
    if (this.#current !== tunnel) return;
    this.#hops.onDoubt?.();
    if (!this.#renewal.refused(this.#world.clock.now())) return;
    this.moved(`${formatEndpoint(this.to)} does not answer`);
  }

  /** Streams that work on the old session keep it for a while; it is closed after the last one. */
  async #retire(tunnel: Tunnel): Promise<void> {
    const { clock } = this.#world;
    const { signal } = this.#lifetime;
    const until = clock.now() + this.#intervals.drain;
    const life = this.#tunnels.get(tunnel);
    if (life) life.isMoved = true;
    while (clock.now() < until && tunnel.stats().openStreams > 0 && this.#tunnels.has(tunnel) && !signal.aborted) {
      await clock.sleep(Math.min(1_000, until - clock.now()), signal).catch(() => {});
    }
    // A regular end here could pass for the end of what was being sent.
    const late = new CloudtunError('CT_TUNNEL_LOST', 'the target moved, and the connection was still on the old way');
    if (!signal.aborted) for (const stream of [...(life?.streams ?? [])]) stream.destroy(late);
    await this.#closeTunnel(tunnel);
  }

  async #close(): Promise<void> {
    this.#lifetime.abort(new CloudtunError('CT_INTERRUPTED', 'the tunnel is closed'));
    await this.#opening?.catch(() => {});
    await Promise.all([...this.#tunnels.keys()].map((tunnel) => this.#closeTunnel(tunnel)));
  }

  /** Bounded, and never fails: there is nobody left to whom it would matter. */
  async #closeTunnel(tunnel: Tunnel): Promise<void> {
    const { clock, log } = this.#world;
    const limit = new AbortController();
    const closing = tunnel[Symbol.asyncDispose]().then(
      () => true,
      (error: unknown) => {
        log.warn(`a session could not be ended: ${error instanceof Error ? error.message : String(error)}`);
        return true;
      },
    );
    const isDone = await Promise.race([
      closing,
      clock.sleep(CLOSE_LIMIT, limit.signal).then(
        () => false,
        () => true,
      ),
    ]);
    limit.abort();
    if (this.#tunnels.delete(tunnel)) {
      const { bytesUp, bytesDown } = tunnel.stats();
      this.#pastBytes.up += bytesUp;
      this.#pastBytes.down += bytesDown;
    }
    if (!isDone) log.warn('the cloud did not confirm the end of a session within 10 s; the next start ends it');
  }
}
