import type { OpenedTunnel } from '../broker/broker-types.ts';
import { formatByteCount } from '../domain/byte-count.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import { unlessAborted, withDeadline } from '../runtime/deadline.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';
import { type BudgetStep, ByteBudget } from './core/byte-budget.ts';
import { drainStep, type LimitStep } from './core/limits.ts';
import type { CloseReason, ForwardLimits, ForwardReport, LifeEvent, ServiceStatus } from './forward-types.ts';
import { LimitWatch } from './limit-watch.ts';
import type { ClientReport } from './local-client.ts';
import { TroubleLog } from './trouble-log.ts';

/** Longer than a call that starts a session may take after it was called off, and a session to be ended. */
const START_LIMIT: Millis = 25_000;

/** The part of a tunnel that the life of its service is about. */
export type ServedTunnel = Pick<OpenedTunnel, 'lost' | 'ended' | 'stats' | typeof Symbol.asyncDispose>;

/** Whoever is served, from its connection to its last byte. */
export interface ServedClient {
  /** How long nothing moved; 0 while bytes are on their way. */
  quietFor(): Millis;
  /** What went through so far. */
  moved(): { readonly bytesUp: number; readonly bytesDown: number };
  /** A regular end where nothing moves, else a cut. */
  end(): void;
  cut(): void;
  /** Called for bytes of either direction as they come. */
  onMoved: ((byteCount: number) => void) | undefined;
}

export interface ServiceLifeOptions {
  readonly limits: ForwardLimits;
  readonly onEvent: (event: LifeEvent) => void;
  /** The end has begun: clients that were accepted and not admitted are let go. May be called twice. */
  readonly dropWaiting?: () => void;
  /** Frees what is held of the tunnel besides clients; called after the last client is gone. */
  readonly release?: () => Promise<void>;
}

/**
 * The life of a service on local ports, or on far ones, over an opened tunnel, whoever its clients are: ready or failed, limits, counting, drain, and
 * closing everything in the order in which it leans on each other.
 */
export class ServiceLife {
  /** Bound ports: closed when the end begins. */
  readonly listeners = new Lifetime();
  readonly ready: Promise<void>;
  /** Settles after the last socket is closed and every session is terminated; never rejects. */
  readonly closed: Promise<ForwardReport>;
  readonly #world: World;
  readonly #options: ServiceLifeOptions;
  readonly #clients = new Set<ServedClient>();
  /** Settles with each served client; awaited at the end. */
  readonly #serving = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #opened: ServedTunnel | undefined;
  #starting: Promise<void> = Promise.resolve();
  #limits: LimitWatch | undefined;
  readonly #budget: ByteBudget | undefined;
  #readyAt: Millis | undefined;
  #expiresAt: Millis | undefined;
  #reason: CloseReason | undefined;
  #error: CloudtunError | undefined;
  #isDraining = false;
  #isClosing = false;
  #isReady = false;
  #isClosed = false;
  readonly #trouble = new TroubleLog();
  #recheckDrain: () => void = () => {};
  #connections = 0;
  #bytesUp = 0;
  #bytesDown = 0;
  #becomeReady!: () => void;
  #failReady!: (error: CloudtunError) => void;
  #settleClosed!: (report: ForwardReport) => void;

  constructor(world: World, options: ServiceLifeOptions) {
    this.#world = world;
    this.#options = options;
    const { budget, maxBytes } = options.limits;
    this.#budget = budget ?? (maxBytes === undefined ? undefined : new ByteBudget(maxBytes));
    this.ready = new Promise((resolve, reject) => {
      this.#becomeReady = resolve;
      this.#failReady = reject;
    });
    // Whoever looks at `closed` alone need not look at `ready` as well.
    this.ready.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** Nobody is let in any more. */
  get isEnding(): boolean {
    return this.#isClosing || this.#isDraining;
  }

  /** Clients that were admitted and are not gone. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Wall clock; known once the limits count. */
  get expiresAt(): Millis | undefined {
    return this.#expiresAt;
  }

  /** Something happened to the tunnel; for `status`. */
  note(event: TunnelEvent): void {
    this.#trouble.note(event, this.#world.clock.wall());
  }

  status(): ServiceStatus {
    const { clock } = this.#world;
    const moved = [...this.#clients].map((client) => client.moved());
    const figures = this.#opened?.stats();
    return {
      state: this.#state(),
      readyAt: this.#readyAt === undefined ? undefined : clock.wall() - (clock.now() - this.#readyAt),
      expiresAt: this.#expiresAt,
      clients: this.#clients.size,
      connections: this.#connections,
      bytesUp: moved.reduce((sum, { bytesUp }) => sum + bytesUp, this.#bytesUp),
      bytesDown: moved.reduce((sum, { bytesDown }) => sum + bytesDown, this.#bytesDown),
      sessions: figures?.sessions ?? 0,
      rateUp: figures?.rateUp ?? 0,
      rateDown: figures?.rateDown ?? 0,
      roundTripMs: figures?.roundTripMs,
      each: figures?.each ?? [],
      ...this.#trouble.facts(),
    };
  }

  #state(): ServiceStatus['state'] {
    if (this.#isClosed) return 'closed';
    if (this.isEnding) return 'draining';
    if (!this.#isReady) return 'opening';
    return this.#trouble.isReconnecting ? 'reconnecting' : 'ready';
  }

  /**
   * Opens what the service leads to; what fails ends the service.
   *
   * @param open asks the cloud; what it gives is owned from then on
   * @param prepare what has to be done before the service is ready, `startLimits` included
   */
  start<Opened extends ServedTunnel>(
    open: (signal: AbortSignal) => Promise<Opened>,
    prepare: (opened: Opened, signal: AbortSignal) => Promise<void>,
  ): void {
    this.#starting = this.#start(open, prepare).catch((thrown) => {
      const error = asCloudtunError(thrown);
      // After an ending has begun, what fails is only its echo.
      if (this.#reason === undefined) this.#error = error;
      this.cut('failed');
    });
  }

  /** The limits count from the first call. */
  startLimits(): void {
    if (this.#readyAt !== undefined) return;
    const { clock } = this.#world;
    const { limits } = this.#options;
    this.#readyAt = clock.now();
    const ends = [limits.ttl === undefined ? undefined : clock.wall() + limits.ttl, limits.hoursEnd];
    const known = ends.filter((end) => end !== undefined);
    this.#expiresAt = known.length === 0 ? undefined : Math.min(...known);
    this.#limits = new LimitWatch(this.#world, limits, (step) => this.#onLimit(step));
    if (this.#clients.size > 0) this.#limits.busy(true);
  }

  /** Counts a connection, from 1. */
  connected(): number {
    this.#connections += 1;
    return this.#connections;
  }

  /**
   * Serves a client to its end.
   *
   * @param tell called when it is gone and counted
   */
  admit(client: ServedClient, serve: () => Promise<ClientReport>, tell: (report: ClientReport) => void): Promise<void> {
    const serving = this.#admit(client, serve, tell).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
    return serving;
  }

  drain(because: CloseReason): void {
    if (this.isEnding) return;
    if (this.#readyAt === undefined) {
      this.cut(because);
      return;
    }
    this.#isDraining = true;
    this.#reason = because;
    this.#limits?.stop();
    void this.listeners[Symbol.asyncDispose]();
    this.#options.dropWaiting?.();
    this.#options.onEvent({ type: 'draining', clients: this.#clients.size, because });
    const { clock } = this.#world;
    const startedAt = clock.now();
    let timer: { cancel(): void } | undefined;
    this.#recheckDrain = () => {
      timer?.cancel();
      if (this.#isClosing) return;
      const quiet = [...this.#clients].map((client) => client.quietFor());
      const step = drainStep(clock.now() - startedAt, this.#options.limits.grace, quiet);
      if (step.do === 'wait') timer = clock.after(step.for, this.#recheckDrain);
      else this.#close((client) => client.end());
    };
    this.#recheckDrain();
  }

  cut(because: CloseReason): void {
    this.#reason ??= because;
    this.#close((client) => client.cut());
  }

  async #start<Opened extends ServedTunnel>(
    open: (signal: AbortSignal) => Promise<Opened>,
    prepare: (opened: Opened, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#ending;
    const opened = await open(signal);
    this.#opened = opened;
    if (signal.aborted) {
      // The end may not have waited for this.
      await opened[Symbol.asyncDispose]();
      throw signal.reason;
    }
    void opened.lost.then((error) => this.#onLost(error));
    await prepare(opened, signal);
    this.#isReady = true;
    this.#becomeReady();
  }

  async #admit(
    client: ServedClient,
    serve: () => Promise<ClientReport>,
    tell: (report: ClientReport) => void,
  ): Promise<void> {
    this.#clients.add(client);
    if (this.#budget) client.onMoved = (byteCount) => this.#onMoved(byteCount);
    this.#limits?.busy(true);
    const report = await serve();
    this.#clients.delete(client);
    this.#bytesUp += report.bytesUp;
    this.#bytesDown += report.bytesDown;
    if (this.#clients.size === 0) this.#limits?.busy(false);
    tell(report);
    this.#recheckDrain();
  }

  #onLimit(step: LimitStep): void {
    if (step.do === 'tell') this.#options.onEvent({ type: 'expiring', left: step.left, because: step.because });
    else this.drain(step.because === 'hours' ? 'policy' : step.because);
  }

  #onMoved(byteCount: number): void {
    const budget = this.#budget!;
    const step = budget.add(byteCount);
    if (step === undefined) return;
    if (step.do === 'tell') {
      if (!this.isEnding) this.#options.onEvent({ type: 'expiring', leftBytes: step.leftBytes, because: 'max-bytes' });
      return;
    }
    // Not in the middle of the chunk that is being counted: its client may be the one that is closed.
    this.#world.clock.soon(() => this.#onUsedUp(budget, step));
  }

  #onUsedUp({ limit }: ByteBudget, step: BudgetStep): void {
    // What ends for another reason, or was let go on until it is done, ends as it was going to.
    if (this.#reason === undefined) {
      this.#error = new CloudtunError('CT_MAX_BYTES', `${formatByteCount(limit)} went through, the most that may`, {
        hint: 'open it again for more, or allow more: --max-bytes',
      });
      this.drain('max-bytes');
    }
    if (step.do === 'cut') this.cut('max-bytes');
  }

  #onLost(error: CloudtunError): void {
    if (this.#reason !== undefined) return;
    this.#error = error;
    this.cut(this.#readyAt === undefined ? 'failed' : 'lost');
  }

  #close(endClient: (client: ServedClient) => void): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#limits?.stop();
    this.#ending.abort(new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#options.dropWaiting?.();
    for (const client of [...this.#clients]) endClient(client);
    void this.#finish();
  }

  /** Everything is closed in the order in which it leans on each other; nothing here takes unbounded time, and nothing throws. */
  async #finish(): Promise<void> {
    const { clock, log } = this.#world;
    await this.listeners[Symbol.asyncDispose]();
    await withDeadline(clock, START_LIMIT, (late) => unlessAborted(this.#starting, late)).catch(() => {
      log.warn('what was being opened could not be called off in time');
    });
    await Promise.all(this.#serving);
    await this.#options.release?.();
    const report: ForwardReport = {
      reason: this.#reason ?? 'ended',
      duration: this.#readyAt === undefined ? 0 : clock.now() - this.#readyAt,
      connections: this.#connections,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      ...(this.#error && { error: this.#error }),
    };
    this.#opened?.ended(report);
    try {
      await this.#opened?.[Symbol.asyncDispose]();
    } catch (error) {
      log.warn(`the tunnel did not close cleanly: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#failReady(this.#error ?? new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#isClosed = true;
    this.#settleClosed(report);
  }
}
