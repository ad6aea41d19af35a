import type { Socket } from 'node:net';
import type { OpenedTunnel } from '../broker/broker-types.ts';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { farEndpoint, type Route } from '../domain/target.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import { unlessAborted, withDeadline } from '../runtime/deadline.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';
import { openListener } from '../transport/listener.ts';
import { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';
import { reset } from '../transport/splice.ts';
import { drainStep, type LimitStep } from './core/limits.ts';
import type {
  CloseReason,
  ForwardEventListener,
  ForwardLimits,
  ForwardReport,
  ListenRule,
  RunningForward,
} from './forward-types.ts';
import { LimitWatch } from './limit-watch.ts';
import { LocalClient } from './local-client.ts';
import { type ProbedFarSide, probe as systemProbe } from './probe.ts';

/** Waiting clients whose first bytes are read already, 64 KiB at most of each. */
const READ_WHILE_WAITING = 32;

/** Clients of one rule that wait for it to become ready; one more is reset (guessed: connection pools open tens). */
const WAITING_LIMIT = 64;
/** Longer than a call that starts a session may take after it was called off, and a session to be ended. */
const START_LIMIT: Millis = 25_000;

export interface ForwardContext {
  readonly world: World;
  /** One for all forwards of a process. */
  readonly peers: PeerWatch;
  /** Where what clients sent waits; one of the forward's own when absent. */
  readonly memory?: LocalMemory;
  /** For tests. */
  readonly probe?: typeof systemProbe;
}

export interface ForwardPlan {
  readonly listen: readonly ListenRule[];
  /**
   * Asks the cloud, such as `broker/open-tunnel.ts`; called once, after everything is bound. The forward owns what it gives, whose
   * `routes` answer the rules of `listen` one by one.
   */
  open(onEvent: TunnelEventListener, signal: AbortSignal): Promise<OpenedTunnel>;
  readonly limits: ForwardLimits;
  readonly onEvent: ForwardEventListener;
}

/**
 * Binds local ports, then opens what they lead to. Resolves as soon as they are bound; see `ready` and `closed` of the result for
 * the rest. Clients that connect before the far side was found to be there wait.
 *
 * @throws CT_PORT_BUSY, CT_BIND: then nothing stays bound and nothing was asked of the cloud
 */
export async function openForward(context: ForwardContext, plan: ForwardPlan): Promise<RunningForward> {
  const forward = new Forward(context, plan);
  await forward.bind();
  forward.start();
  return forward;
}

/** One rule: who waits for it, and where it leads once it is known. */
interface RuleState {
  readonly waiting: Set<LocalClient>;
  probed?: ProbedFarSide;
  route?: Route;
}

class Forward implements RunningForward {
  readonly local: LocalEndpoint[][] = [];
  readonly ready: Promise<void>;
  readonly closed: Promise<ForwardReport>;
  readonly #context: ForwardContext;
  readonly #memory: LocalMemory;
  readonly #plan: ForwardPlan;
  readonly #listeners = new Lifetime();
  readonly #rules: readonly RuleState[];
  readonly #clients = new Set<LocalClient>();
  /** Settles with each served client; awaited at the end. */
  readonly #serving = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #opened: OpenedTunnel | undefined;
  #starting: Promise<void> = Promise.resolve();
  #limits: LimitWatch | undefined;
  #readyAt: Millis | undefined;
  #expiresAt: Millis | undefined;
  #reason: CloseReason | undefined;
  #error: CloudtunError | undefined;
  #isDraining = false;
  #isClosing = false;
  #recheckDrain: () => void = () => {};
  #hasWarnedOfCrowd = false;
  #connections = 0;
  #bytesUp = 0;
  #bytesDown = 0;
  #becomeReady!: () => void;
  #failReady!: (error: CloudtunError) => void;
  #settleClosed!: (report: ForwardReport) => void;

  constructor(context: ForwardContext, plan: ForwardPlan) {
    this.#context = context;
    this.#memory = context.memory ?? new LocalMemory();
    this.#plan = plan;
    this.#rules = plan.listen.map(() => ({ waiting: new Set() }));
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

  async bind(): Promise<void> {
    const { world } = this.#context;
    try {
      for (const [rule, { bind, port }] of this.#plan.listen.entries()) {
        const onConnection = (socket: Socket) => this.#accept(rule, socket);
        const listener = this.#listeners.use(await openListener(world, { bind, port, onConnection }));
        this.local.push([...listener.local]);
      }
    } catch (error) {
      await this.#listeners[Symbol.asyncDispose]();
      throw error;
    }
  }

  start(): void {
    this.#starting = this.#open().catch((thrown) => {
      const error = asCloudtunError(thrown);
      // After an ending has begun, what fails is only its echo.
      if (this.#reason === undefined) this.#error = error;
      this.cut('failed');
    });
  }

  drain(because: CloseReason): void {
    if (this.#isDraining || this.#isClosing) return;
    if (this.#readyAt === undefined) {
      this.cut(because);
      return;
    }
    this.#isDraining = true;
    this.#reason = because;
    this.#limits?.stop();
    void this.#listeners[Symbol.asyncDispose]();
    this.#dropWaiting();
    this.#plan.onEvent({ type: 'draining', clients: this.#clients.size, because });
    const { clock } = this.#context.world;
    const startedAt = clock.now();
    let timer: { cancel(): void } | undefined;
    this.#recheckDrain = () => {
      timer?.cancel();
      if (this.#isClosing) return;
      const quiet = [...this.#clients].map((client) => client.quietFor());
      const step = drainStep(clock.now() - startedAt, this.#plan.limits.grace, quiet);
      if (step.do === 'wait') timer = clock.after(step.for, this.#recheckDrain);
      else this.#close((client) => client.end());
    };
    this.#recheckDrain();
  }

  cut(because: CloseReason): void {
    this.#reason ??= because;
    this.#close((client) => client.cut());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut('ended');
    await this.closed;
  }

  async #open(): Promise<void> {
    const { signal } = this.#ending;
    const opened = await this.#plan.open((event) => this.#plan.onEvent({ type: 'tunnel', event }), signal);
    this.#opened = opened;
    if (signal.aborted) {
      // The end may not have waited for this.
      await opened[Symbol.asyncDispose]();
      throw signal.reason;
    }
    if (opened.routes.length !== this.#rules.length) {
      throw new CloudtunError('CT_INTERNAL', `${this.#rules.length} rules have ${opened.routes.length} routes`);
    }
    void opened.lost.then((error) => this.#onLost(error));
    await this.#openRules(opened, signal);
    this.#becomeReady();
  }

  /** All at once; the first failure calls the others off, and is thrown when they are off. */
  async #openRules(opened: OpenedTunnel, signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const opening = opened.routes.map((route, rule) => this.#openRule(opened, route, rule, either));
    await Promise.all(opening.map((each) => each.catch((error: unknown) => failed.abort(error))));
    either.throwIfAborted();
  }

  async #openRule(opened: OpenedTunnel, route: Route, rule: number, signal: AbortSignal): Promise<void> {
    const { world, probe = systemProbe } = this.#context;
    const engine = route.target.kind === 'database' ? { engine: route.target.engine } : {};
    const open = (probing: AbortSignal) => opened.dialer.dial(route.to, probing);
    const probed = await probe(open, { ...engine, to: farEndpoint(route) }, world, signal);
    const state = this.#rules[rule]!;
    state.probed = probed;
    state.route = route;
    signal.throwIfAborted();
    this.#startLimits();
    const local = this.local[rule]!;
    this.#plan.onEvent({ type: 'ready', rule, local, route, readiness: probed.readiness, expiresAt: this.#expiresAt });
    for (const client of state.waiting) void this.#serve(rule, client);
    state.waiting.clear();
  }

  #startLimits(): void {
    if (this.#readyAt !== undefined) return;
    const { world } = this.#context;
    const { limits } = this.#plan;
    this.#readyAt = world.clock.now();
    this.#expiresAt = limits.ttl === undefined ? undefined : world.clock.wall() + limits.ttl;
    this.#limits = new LimitWatch(world, limits, (step) => this.#onLimit(step));
  }

  #onLimit(step: LimitStep): void {
    if (step.do === 'tell') this.#plan.onEvent({ type: 'expiring', left: step.left, because: step.because });
    else this.drain(step.because);
  }

  #onLost(error: CloudtunError): void {
    if (this.#reason !== undefined) return;
    this.#error = error;
    this.cut(this.#readyAt === undefined ? 'failed' : 'lost');
  }

  #accept(rule: number, socket: Socket): void {
    if (this.#isClosing || this.#isDraining) {
      reset(socket);
      return;
    }
    const { world, peers } = this.#context;
    const state = this.#rules[rule]!;
    if (!state.probed && state.waiting.size >= WAITING_LIMIT) {
      reset(socket);
      if (!this.#hasWarnedOfCrowd)
        world.log.warn(`more than ${WAITING_LIMIT} clients wait for the tunnel; the others are refused`);
      this.#hasWarnedOfCrowd = true;
      return;
    }
    // To notice that a client leaves while it waits, it must be read; not so when many of them wait, or when it need not.
    if (!state.probed && state.waiting.size < READ_WHILE_WAITING) socket.read(0);
    const client = new LocalClient(world, peers, this.#memory, socket);
    if (state.probed) {
      void this.#serve(rule, client);
      return;
    }
    state.waiting.add(client);
    client.left.addEventListener('abort', () => {
      if (!state.waiting.delete(client)) return;
      client.cut();
    });
  }

  #serve(rule: number, client: LocalClient): Promise<void> {
    const serving = this.#serveClient(rule, client).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
    return serving;
  }

  async #serveClient(rule: number, client: LocalClient): Promise<void> {
    const { probed, route } = this.#rules[rule]!;
    const opened = this.#opened!;
    const { to } = route!;
    this.#connections += 1;
    const connection = this.#connections;
    this.#clients.add(client);
    this.#limits?.busy(true);
    const tell = (change: 'connected' | 'closed', bytesUp = 0, bytesDown = 0, error?: CloudtunError) => {
      const facts = { change, from: client.from, bytesUp, bytesDown, ...(error && { error }) };
      opened.client({ ...facts, to: farEndpoint(route!) });
      this.#plan.onEvent({ type: 'client', rule, connection, clients: this.#clients.size, ...facts });
    };
    tell('connected');
    const report = await client.serve(
      async (socket, signal) => (await probed!.takeOver(socket)) ?? (await opened.dialer.dial(to, signal)),
      this.#serving.size <= READ_WHILE_WAITING,
    );
    this.#clients.delete(client);
    this.#bytesUp += report.bytesUp;
    this.#bytesDown += report.bytesDown;
    if (this.#clients.size === 0) this.#limits?.busy(false);
    tell('closed', report.bytesUp, report.bytesDown, report.error);
    this.#recheckDrain();
  }

  #dropWaiting(): void {
    for (const { waiting } of this.#rules) {
      for (const client of [...waiting]) client.cut();
      waiting.clear();
    }
  }

  #close(endClient: (client: LocalClient) => void): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#limits?.stop();
    this.#ending.abort(new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#dropWaiting();
    for (const client of [...this.#clients]) endClient(client);
    void this.#finish();
  }

  /** Everything is closed in the order in which it leans on each other; nothing here takes unbounded time, and nothing throws. */
  async #finish(): Promise<void> {
    const { world } = this.#context;
    await this.#listeners[Symbol.asyncDispose]();
    await withDeadline(world.clock, START_LIMIT, (late) => unlessAborted(this.#starting, late)).catch(() => {
      world.log.warn('what was being opened could not be called off in time');
    });
    await Promise.all(this.#serving);
    await Promise.all(this.#rules.map(({ probed }) => probed?.release()));
    const report: ForwardReport = {
      reason: this.#reason ?? 'ended',
      duration: this.#readyAt === undefined ? 0 : world.clock.now() - this.#readyAt,
      connections: this.#connections,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      ...(this.#error && { error: this.#error }),
    };
    this.#opened?.ended(report);
    try {
      await this.#opened?.[Symbol.asyncDispose]();
    } catch (error) {
      world.log.warn(`the tunnel did not close cleanly: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#failReady(this.#error ?? new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#settleClosed(report);
  }
}
