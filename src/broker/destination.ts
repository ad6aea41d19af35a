import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import type { TunnelFigures } from './broker-types.ts';
import { Renewal } from './core/renewal.ts';
import type { DestinationHops } from './destinations.ts';
import { NO_FIGURES, sumFigures } from './sum-figures.ts';

/** Terminating a session is a call to a cloud that may be out of reach; what was not ended is found at the next start. */
const CLOSE_LIMIT: Millis = 10_000;

/** One endpoint, and the tunnel to it while there is one. */
export class Destination implements AsyncDisposable {
  readonly #world: World;
  readonly #to: RemoteEndpoint;
  readonly #hops: DestinationHops;
  readonly #renewal = new Renewal();
  readonly #lifetime = new AbortController();
  /** Every tunnel that is not closed yet: the current one, and those that still carry streams after a rotation. */
  readonly #tunnels = new Set<Tunnel>();
  #current: Tunnel | undefined;
  #opening: Promise<Tunnel> | undefined;
  #lastSessionId: string | undefined;
  #hasOpenedBefore = false;
  #isLost = false;
  /** Of tunnels that are closed. */
  readonly #pastBytes = { up: 0, down: 0 };
  #closing: Promise<void> | undefined;

  constructor(world: World, to: RemoteEndpoint, hops: DestinationHops) {
    this.#world = world;
    this.#to = to;
    this.#hops = hops;
  }

  /** @throws CloudtunError when no session can be had; the reason of `signal` */
  async dial(signal: AbortSignal): Promise<TunnelStream> {
    // The second attempt is for a tunnel that ended between two lines; a third would hide a defect.
    for (let isLast = false; ; isLast = true) {
      signal.throwIfAborted();
      if (this.#lifetime.signal.aborted) throw this.#lifetime.signal.reason;
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
    return sumFigures([past, ...[...this.#tunnels].map((tunnel) => tunnel.stats())]);
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
    const { clock, random } = this.#world;
    const { signal } = this.#lifetime;
    const startedAt = clock.now();
    this.#renewal.begin();
    for (let attempt = 1; ; attempt += 1) {
      const step = this.#renewal.next(clock.now(), startedAt);
      switch (step.do) {
        case 'wait':
          await clock.sleep(step.until - clock.now(), signal);
          break;
        case 'open':
          try {
            const tunnel = await this.#hops.open(this.#to, step.route === 'resolve', this.#onEvent, signal);
            return await this.#opened(tunnel, startedAt);
          } catch (thrown) {
            if (signal.aborted) throw signal.reason;
            const error = asCloudtunError(thrown);
            this.#renewal.failed(error, clock.now(), random.fraction());
            this.#tellAttempt(error, attempt);
          }
          break;
        case 'lost':
          this.#tellLost(step.error);
          throw step.error;
        case 'refuse':
          throw step.error;
      }
    }
  }

  async #opened(tunnel: Tunnel, startedAt: Millis): Promise<Tunnel> {
    const { clock, random } = this.#world;
    const { signal } = this.#lifetime;
    if (signal.aborted) {
      await this.#closeTunnel(tunnel);
      throw signal.reason;
    }
    this.#renewal.opened(clock.now());
    this.#tunnels.add(tunnel);
    this.#current = tunnel;
    void tunnel.closed.then(() => {
      if (this.#current === tunnel) {
        this.#current = undefined;
        this.#renewal.closed(clock.now(), random.fraction());
      }
      void this.#closeTunnel(tunnel);
    });
    if (this.#hasOpenedBefore) {
      const sessionId = this.#lastSessionId ?? 'unknown';
      this.#hops.onEvent({ type: 'renewed', sessionId, how: 'new-session', downtime: clock.now() - startedAt });
    }
    this.#hasOpenedBefore = true;
    return tunnel;
  }

  readonly #onEvent = (event: TunnelEvent): void => {
    if (event.type === 'session-started') this.#lastSessionId = event.sessionId;
    this.#hops.onEvent(event);
  };

  #tellAttempt(error: CloudtunError, attempt: number): void {
    if (!this.#hasOpenedBefore || this.#lastSessionId === undefined) return;
    this.#hops.onEvent({ type: 'reconnecting', sessionId: this.#lastSessionId, reason: error.message, attempt });
  }

  #watched(tunnel: Tunnel, stream: TunnelStream): TunnelStream {
    let isReached = false;
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
    this.#hops.onRefused(this.#to, error);
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
    if (this.#current !== tunnel || !this.#renewal.refused(this.#world.clock.now())) return;
    this.#world.log.info(`${formatEndpoint(this.#to)} does not answer: the next connection gets a new session`);
    this.#current = undefined;
    void this.#retire(tunnel);
  }

  /** Streams that work on the old session keep it; it is closed after the last one. */
  async #retire(tunnel: Tunnel): Promise<void> {
    const { clock } = this.#world;
    const { signal } = this.#lifetime;
    while (tunnel.stats().openStreams > 0 && this.#tunnels.has(tunnel) && !signal.aborted) {
      await clock.sleep(1_000, signal).catch(() => {});
    }
    await this.#closeTunnel(tunnel);
  }

  async #close(): Promise<void> {
    this.#lifetime.abort(new CloudtunError('CT_INTERRUPTED', 'the tunnel is closed'));
    await this.#opening?.catch(() => {});
    await Promise.all([...this.#tunnels].map((tunnel) => this.#closeTunnel(tunnel)));
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
