import type { ClientRecord, EndRecord, OpenedTunnel, TunnelFigures } from '../broker/broker-types.ts';
import { NO_FIGURES, sumFigures } from '../broker/sum-figures.ts';
import type { TunnelStream } from '../domain/dialer.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { farEndpoint, type Route } from '../domain/target.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Timer } from '../runtime/clock.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';

/** After a failure to open, the same answer stands for this long: clients that hammer do not become calls that hammer. */
const FAILURE_REST: Millis = 1_000;

export interface LazyTunnelOptions {
  /** Asks the cloud; called at the first stream after there was none for a while. */
  open(signal: AbortSignal): Promise<OpenedTunnel>;
  /** Closed after this time without a stream. */
  readonly idle: Millis;
  readonly onEvent: TunnelEventListener;
}

/** A tunnel while there is one: what its clients were counted for goes into its own `end` record. */
interface Awake {
  readonly opened: OpenedTunnel;
  readonly since: Millis;
  connections: number;
  bytesUp: number;
  bytesDown: number;
}

/**
 * What an on-demand listener leads to: opened at the first stream, closed when nobody uses it, opened again. Which cloud, which
 * machine and which address are asked anew each time, so what moved in between is found. A failure ends nothing: the client that
 * came gets it, and the next one tries again.
 */
export class LazyTunnel implements AsyncDisposable {
  /** Never settles: there is always a next client. */
  readonly lost: Promise<CloudtunError> = new Promise(() => {});
  readonly #world: World;
  readonly #options: LazyTunnelOptions;
  readonly #lifetime = new AbortController();
  readonly #closing = new Set<Promise<void>>();
  #awake: Awake | undefined;
  #waking: Promise<Awake> | undefined;
  #failure: { readonly error: CloudtunError; readonly until: Millis } | undefined;
  #uses = 0;
  #timer: Timer | undefined;
  #past: TunnelFigures = NO_FIGURES;

  constructor(world: World, options: LazyTunnelOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Nothing is open, and the next stream opens it. */
  get isAsleep(): boolean {
    return this.#awake === undefined;
  }

  /** The route of a rule, while the tunnel is open. */
  route(rule: number): Route | undefined {
    return this.#awake?.opened.routes[rule];
  }

  /** @throws what opening the tunnel or the stream throws; the reason of `signal` */
  async dial(rule: number, signal: AbortSignal): Promise<TunnelStream> {
    this.#uses += 1;
    this.#timer?.cancel();
    try {
      const { opened } = await unlessAborted(this.#wake(), signal);
      const route = opened.routes[rule];
      if (route === undefined) throw new CloudtunError('CT_INTERNAL', `rule ${rule} has no route`);
      const stream = await opened.dialer.dial(route.to, signal);
      if (stream.closed) this.#leave();
      else stream.once('close', () => this.#leave());
      return stream;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  stats(): TunnelFigures {
    return sumFigures([this.#past, this.#awake?.opened.stats() ?? NO_FIGURES]);
  }

  /** A client of a rule came or went; nothing is recorded of one that came to nothing. */
  client(rule: number, record: Omit<ClientRecord, 'to'>): void {
    const awake = this.#awake;
    const route = awake?.opened.routes[rule];
    if (awake === undefined || route === undefined) return;
    if (record.change === 'connected') awake.connections += 1;
    awake.bytesUp += record.bytesUp;
    awake.bytesDown += record.bytesDown;
    awake.opened.client({ ...record, to: farEndpoint(route) });
  }

  ended({ reason, error }: EndRecord): void {
    this.#end(reason, error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lifetime.abort(new CloudtunError('CT_INTERRUPTED', 'the tunnel is closed'));
    this.#timer?.cancel();
    await this.#waking?.catch(() => {});
    this.#sleep('ended');
    await Promise.all(this.#closing);
  }

  async #wake(): Promise<Awake> {
    const { clock } = this.#world;
    if (this.#lifetime.signal.aborted) throw this.#lifetime.signal.reason;
    if (this.#awake) return this.#awake;
    if (this.#failure && clock.now() < this.#failure.until) throw this.#failure.error;
    this.#waking ??= this.#open().finally(() => {
      this.#waking = undefined;
    });
    return this.#waking;
  }

  async #open(): Promise<Awake> {
    const { clock } = this.#world;
    const { signal } = this.#lifetime;
    try {
      const opened = await this.#options.open(signal);
      if (signal.aborted) {
        await opened[Symbol.asyncDispose]();
        throw signal.reason;
      }
      const awake: Awake = { opened, since: clock.now(), connections: 0, bytesUp: 0, bytesDown: 0 };
      this.#failure = undefined;
      this.#awake = awake;
      void opened.lost.then((error) => this.#onLost(awake, error));
      return awake;
    } catch (thrown) {
      const error = asCloudtunError(thrown);
      this.#failure = { error, until: clock.now() + FAILURE_REST };
      throw error;
    }
  }

  #leave(): void {
    this.#uses -= 1;
    if (this.#uses > 0 || this.#awake === undefined || this.#lifetime.signal.aborted) return;
    this.#timer = this.#world.clock.after(this.#options.idle, () => this.#sleep('idle'), { background: true });
  }

  #onLost(awake: Awake, error: CloudtunError): void {
    if (this.#awake !== awake) return;
    this.#options.onEvent({ type: 'warning', message: error.message });
    this.#failure = { error, until: this.#world.clock.now() + FAILURE_REST };
    this.#sleep('lost', error);
  }

  #sleep(reason: string, error?: CloudtunError): void {
    const awake = this.#awake;
    if (awake === undefined) return;
    this.#end(reason, error);
    this.#awake = undefined;
    const { bytesUp, bytesDown } = awake.opened.stats();
    this.#past = {
      ...NO_FIGURES,
      bytesUp: this.#past.bytesUp + bytesUp,
      bytesDown: this.#past.bytesDown + bytesDown,
    };
    const closing = awake.opened[Symbol.asyncDispose]().then(undefined, (thrown: unknown) => {
      this.#world.log.warn(`the tunnel did not close cleanly: ${asCloudtunError(thrown).message}`);
    });
    const settled = Promise.resolve(closing).finally(() => this.#closing.delete(settled));
    this.#closing.add(settled);
  }

  #end(reason: string, error?: CloudtunError): void {
    const awake = this.#awake;
    if (awake === undefined) return;
    const { since, connections, bytesUp, bytesDown } = awake;
    const duration = this.#world.clock.now() - since;
    awake.opened.ended({ reason, duration, connections, bytesUp, bytesDown, ...(error && { error }) });
  }
}
