import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ClientRecord, OpenedTunnel } from '../broker/broker-types.ts';
import type { TunnelStream } from '../domain/dialer.ts';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { farEndpoint, type Route } from '../domain/target.ts';
import type { TunnelEvent, TunnelEventListener } from '../domain/tunnel-event.ts';
import type { World } from '../runtime/world.ts';
import { openListener } from '../transport/listener.ts';
import { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';
import { reset } from '../transport/splice.ts';
import { begunStream } from './begun-stream.ts';
import { DirectClient } from './direct-client.ts';
import type {
  CloseReason,
  ForwardEventListener,
  ForwardLimits,
  ForwardReport,
  ListenRule,
  RunningForward,
  ServiceStatus,
} from './forward-types.ts';
import { LazyTunnel } from './lazy-tunnel.ts';
import { type ClientReport, LocalClient } from './local-client.ts';
import { type ProbedFarSide, probe as systemProbe } from './probe.ts';
import { ServiceLife } from './service-life.ts';

/** Waiting clients whose first bytes are read already, 64 KiB at most of each. */
const READ_WHILE_WAITING = 32;

/** Clients of one rule that wait for it to become ready; one more is reset (guessed: connection pools open tens). */
const WAITING_LIMIT = 64;

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
  /** Nothing is opened before the first connection, and what is open is closed after this time without one; the ports stay bound. */
  readonly onDemand?: { readonly idle: Millis };
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
  readonly #life: ServiceLife;
  readonly #rules: readonly RuleState[];
  #opened: OpenedTunnel | undefined;
  #lazy: LazyTunnel | undefined;
  #hasWarnedOfCrowd = false;

  constructor(context: ForwardContext, plan: ForwardPlan) {
    this.#context = context;
    this.#memory = context.memory ?? new LocalMemory();
    this.#plan = plan;
    this.#rules = plan.listen.map(() => ({ waiting: new Set() }));
    this.#life = new ServiceLife(context.world, {
      limits: plan.limits,
      onEvent: plan.onEvent,
      dropWaiting: () => this.#dropWaiting(),
      release: async () => {
        await Promise.all(this.#rules.map(({ probed }) => probed?.release()));
      },
    });
    this.ready = this.#life.ready;
    this.closed = this.#life.closed;
  }

  async bind(): Promise<void> {
    const { world } = this.#context;
    const { listeners } = this.#life;
    try {
      for (const [rule, { bind, port }] of this.#plan.listen.entries()) {
        const onConnection = (socket: Socket) => this.#accept(rule, socket);
        const listener = listeners.use(await openListener(world, { bind, port, onConnection }));
        this.local.push([...listener.local]);
      }
    } catch (error) {
      await listeners[Symbol.asyncDispose]();
      throw error;
    }
  }

  start(): void {
    const { onDemand } = this.#plan;
    if (onDemand) {
      this.#life.start(
        async () => this.#lazyTunnel(onDemand.idle),
        async (lazy) => this.#wait(lazy),
      );
      return;
    }
    this.#life.start(
      (signal) => this.#plan.open((event) => this.#onTunnelEvent(event), signal),
      (opened, signal) => this.#openRules(opened, signal),
    );
  }

  status(): ServiceStatus {
    const status = this.#life.status();
    const isWaiting = status.state === 'ready' && this.#lazy?.isAsleep === true;
    return isWaiting ? { ...status, state: 'waiting' } : status;
  }

  route(rule: number): Route | undefined {
    return this.#lazy ? this.#lazy.route(rule) : this.#rules[rule]?.route;
  }

  async connect(rule: number, from: string, signal: AbortSignal): Promise<Duplex> {
    const route = this.#rules[rule]?.route;
    if (this.#life.isEnding || (!route && !this.#lazy)) {
      throw new CloudtunError('CT_INTERRUPTED', 'the tunnel is not open');
    }
    const stream = this.#lazy
      ? await this.#lazy.dial(rule, signal)
      : await this.#opened!.dialer.dial(route!.to, signal);
    if (this.#life.isEnding) {
      stream.destroy();
      throw new CloudtunError('CT_INTERRUPTED', 'the tunnel is not open');
    }
    const client = new DirectClient(this.#context.world.clock, stream);
    const tell = this.#teller(rule, from);
    const serve = () => {
      tell('connected');
      return client.closed;
    };
    void this.#life.admit(client, serve, (report) => tell('closed', report));
    return client.stream;
  }

  drain(because: CloseReason): void {
    this.#life.drain(because);
  }

  cut(because: CloseReason): void {
    this.#life.cut(because);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut('ended');
    await this.closed;
  }

  #onTunnelEvent(event: TunnelEvent): void {
    this.#life.note(event);
    this.#plan.onEvent({ type: 'tunnel', event });
  }

  #lazyTunnel(idle: Millis): LazyTunnel {
    const onEvent = (event: TunnelEvent) => this.#onTunnelEvent(event);
    return new LazyTunnel(this.#context.world, {
      open: (signal) => this.#plan.open(onEvent, signal),
      idle,
      onEvent,
    });
  }

  #wait(lazy: LazyTunnel): void {
    this.#lazy = lazy;
    this.#life.startLimits();
    const { expiresAt } = this.#life;
    for (const [rule, { waiting }] of this.#rules.entries()) {
      this.#plan.onEvent({ type: 'waiting', rule, local: this.local[rule]!, expiresAt });
      for (const client of waiting) void this.#serve(rule, client);
      waiting.clear();
    }
  }

  /** All at once; the first failure calls the others off, and is thrown when they are off. */
  async #openRules(opened: OpenedTunnel, signal: AbortSignal): Promise<void> {
    this.#opened = opened;
    if (opened.routes.length !== this.#rules.length) {
      throw new CloudtunError('CT_INTERNAL', `${this.#rules.length} rules have ${opened.routes.length} routes`);
    }
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
    this.#life.startLimits();
    const local = this.local[rule]!;
    const { readiness } = probed;
    this.#plan.onEvent({ type: 'ready', rule, local, route, readiness, expiresAt: this.#life.expiresAt });
    for (const client of state.waiting) void this.#serve(rule, client);
    state.waiting.clear();
  }

  #accept(rule: number, socket: Socket): void {
    if (this.#life.isEnding) {
      reset(socket);
      return;
    }
    const { world, peers } = this.#context;
    const state = this.#rules[rule]!;
    if (!state.probed && !this.#lazy && state.waiting.size >= WAITING_LIMIT) {
      reset(socket);
      if (!this.#hasWarnedOfCrowd)
        world.log.warn(`more than ${WAITING_LIMIT} clients wait for the tunnel; the others are refused`);
      this.#hasWarnedOfCrowd = true;
      return;
    }
    // To notice that a client leaves while it waits, it must be read; not so when many of them wait, or when it need not.
    if (!state.probed && state.waiting.size < READ_WHILE_WAITING) socket.read(0);
    const client = new LocalClient(world, peers, this.#memory, socket);
    if (state.probed || this.#lazy) {
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
    const tell = this.#teller(rule, client.from);
    const serve = async () => {
      // On demand, who it goes to is known once the tunnel is open.
      if (!this.#lazy) tell('connected');
      return client.serve(async (socket, signal) => {
        const stream = await this.#streamFor(rule, socket, signal);
        if (this.#lazy) tell('connected');
        return stream;
      }, this.#life.clientCount <= READ_WHILE_WAITING);
    };
    return this.#life.admit(client, serve, (report) => tell('closed', report));
  }

  /** Counts a connection; what is told of it goes to the journal and to whoever listens. */
  #teller(rule: number, from: string): (change: 'connected' | 'closed', report?: ClientReport) => void {
    const connection = this.#life.connected();
    return (change, { bytesUp, bytesDown, error } = { bytesUp: 0, bytesDown: 0 }) => {
      const facts = { change, from, bytesUp, bytesDown, ...(error && { error }) };
      this.#record(rule, facts);
      this.#plan.onEvent({ type: 'client', rule, connection, clients: this.#life.clientCount, ...facts });
    };
  }

  async #streamFor(rule: number, socket: Socket, signal: AbortSignal): Promise<TunnelStream> {
    const lazy = this.#lazy;
    if (lazy) return begunStream(() => lazy.dial(rule, signal), socket, signal);
    const { probed, route } = this.#rules[rule]!;
    const kept = await probed!.takeOver(socket);
    return kept ?? begunStream(() => this.#opened!.dialer.dial(route!.to, signal), socket, signal);
  }

  #record(rule: number, record: Omit<ClientRecord, 'to'>): void {
    if (this.#lazy) this.#lazy.client(rule, record);
    else this.#opened!.client({ ...record, to: farEndpoint(this.#rules[rule]!.route!) });
  }

  #dropWaiting(): void {
    for (const { waiting } of this.#rules) {
      for (const client of [...waiting]) client.cut();
      waiting.clear();
    }
  }
}
