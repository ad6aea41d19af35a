import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type Route, targetLabel, viaLabel } from '../domain/target.ts';
import type { CloseReason, ForwardEvent, ForwardReport, RunningForward } from '../forward/forward-types.ts';
import type { App } from '../plan/app.ts';
import { openPlanned } from '../plan/open-planned.ts';
import { planKey } from '../plan/plan-key.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import type { HeldPlace, HeldStatus, Reply } from './protocol.ts';

/** Without `--idle`, a session that was opened on demand is closed after this time without a connection. Guessed. */
export const ON_DEMAND_IDLE: Millis = 5 * 60_000;

/** What a tunnel says of its life, to whoever listens. */
export type HeldListener = (reply: Extract<Reply, { say: 'event' }>) => void;

export interface HeldOptions {
  readonly name: string;
  readonly plan: TunnelPlan;
  readonly isProbed: boolean;
  readonly isOnDemand: boolean;
  /** Resolves when it may ask the clouds, and tells when it did. One that opens on demand asks nothing yet. */
  turn(signal: AbortSignal): Promise<Disposable>;
}

/** One tunnel under a supervisor, from the binding of its ports to its end. */
export class HeldTunnel {
  readonly name: string;
  readonly key: string;
  readonly plan: TunnelPlan;
  readonly isOnDemand: boolean;
  /** Settles when it is over, or never came to be. */
  readonly closed: Promise<ForwardReport>;
  readonly #app: App;
  readonly #options: HeldOptions;
  readonly #since: Millis;
  readonly #listeners = new Set<HeldListener>();
  readonly #settleClosed: (report: ForwardReport) => void;
  /** By rule, for whoever listens later. */
  readonly #standing = new Map<number, Extract<ForwardEvent, { type: 'ready' | 'waiting' }>>();
  readonly #opening = new AbortController();
  #forward: RunningForward | undefined;
  #report: ForwardReport | undefined;

  /** @param app lent; its World is the one of whoever wished for this tunnel */
  constructor(app: App, options: HeldOptions) {
    this.name = options.name;
    this.plan = options.plan;
    this.isOnDemand = options.isOnDemand;
    this.key = planKey(options.plan, app.world.env);
    this.#app = app;
    this.#options = options;
    this.#since = app.world.clock.wall();
    const { promise, resolve } = Promise.withResolvers<ForwardReport>();
    this.closed = promise;
    this.#settleClosed = resolve;
  }

  /**
   * Binds and opens. Resolves when it is ready, or listens on demand.
   *
   * @throws what kept it from that; it is closed then
   */
  async open(): Promise<void> {
    const { plan, isProbed, isOnDemand } = this.#options;
    const { app, signal } = { app: this.#app, signal: this.#opening.signal };
    using turn = new DisposableStack();
    try {
      if (!isOnDemand) turn.use(await this.#options.turn(signal));
      const onEvent = (event: ForwardEvent) => this.#onEvent(event);
      const onDemand = isOnDemand && { onDemand: { idle: plan.settings.idle ?? ON_DEMAND_IDLE } };
      // The ports of one on demand stay when nobody uses them.
      const wanted = isOnDemand ? { ...plan, settings: { ...plan.settings, idle: undefined } } : plan;
      const request = { request: plan.request, candidates: app.candidates };
      this.#forward = await openPlanned(app, wanted, request, { isProbed, onEvent, ...onDemand }, signal);
    } catch (thrown) {
      const error = asCloudtunError(thrown);
      const nothing = { duration: 0, connections: 0, bytesUp: 0, bytesDown: 0 };
      this.#end({ reason: 'failed', error, ...nothing });
      throw error;
    }
    void this.#forward.closed.then((report) => this.#end(report));
    if (signal.aborted) this.#forward.cut('ended');
    await this.#forward.ready;
  }

  /** Hears of its life from now on, what stands already first. The result ends that. */
  listen(listener: HeldListener): Disposable {
    for (const event of this.#standing.values()) listener(this.#told(event));
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Hears of its life from now on, to its end. */
  listenLater(listener: HeldListener): void {
    this.#listeners.add(listener);
  }

  drain(because: CloseReason): void {
    this.#opening.abort(new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#forward?.drain(because);
  }

  cut(because: CloseReason): void {
    this.#opening.abort(new CloudtunError('CT_INTERRUPTED', 'it was stopped before it was ready'));
    this.#forward?.cut(because);
  }

  /** The addresses that it listens on, rule by rule. */
  get local(): readonly string[] {
    return this.#forward?.local.flat().map(formatEndpoint) ?? [];
  }

  status(): HeldStatus {
    const status = this.#forward?.status();
    const report = this.#report;
    const isLost = report?.error !== undefined;
    const lastTrouble = isLost && {
      lastTrouble: {
        at: status?.lastTrouble?.at ?? this.#since,
        code: report.error.code,
        message: report.error.message,
      },
    };
    return {
      ...(status ?? NOT_YET),
      ...lastTrouble,
      name: this.name,
      key: this.key,
      state: isLost ? 'lost' : (status?.state ?? 'opening'),
      local: this.local,
      target: this.#target(),
      place: this.#place(),
      since: this.#since,
      isOnDemand: this.isOnDemand,
    };
  }

  #target(): string {
    const route = this.#forward?.route(0);
    if (route) return routeLabel(route);
    const { request } = this.plan;
    const [to] = request.kind === 'machine' ? request.to : [];
    return to === undefined ? request.text : formatEndpoint({ host: to.host ?? request.text, port: to.port });
  }

  #place(): HeldPlace | undefined {
    const { providers } = this.#app;
    const route = this.#forward?.route(0);
    const provider = route ? providers.find(({ id }) => id === route.provider) : providers[0];
    if (provider === undefined || (route === undefined && providers.length > 1)) return undefined;
    const { label, region, project, profile } = provider;
    return {
      label,
      ...(region !== undefined && { region }),
      ...(project !== undefined && { project }),
      ...(profile !== undefined && { profile }),
    };
  }

  #onEvent(event: ForwardEvent): void {
    if (event.type === 'ready' || event.type === 'waiting') this.#standing.set(event.rule, event);
    for (const listener of this.#listeners) listener(this.#told(event));
  }

  #told(event: ForwardEvent): Extract<Reply, { say: 'event' }> {
    const place = event.type === 'ready' && this.#place();
    return { say: 'event', name: this.name, event, ...(place && { place }) };
  }

  #end(report: ForwardReport): void {
    this.#report = report;
    this.#settleClosed(report);
  }
}

const NOT_YET: Omit<HeldStatus, 'name' | 'key' | 'state' | 'local' | 'target' | 'place' | 'since' | 'isOnDemand'> = {
  readyAt: undefined,
  expiresAt: undefined,
  clients: 0,
  connections: 0,
  bytesUp: 0,
  bytesDown: 0,
  sessions: 0,
  roundTripMs: undefined,
  rateUp: 0,
  rateDown: 0,
  each: [],
  renewals: 0,
  lastRenewal: undefined,
  lastTrouble: undefined,
};

/** `orders-prod via bastion-a`, `web-1:80`, `admin.internal:80 via bastion-a` */
function routeLabel(route: Route): string {
  const { target, node, to } = route;
  const what =
    target.kind === 'database'
      ? targetLabel(target)
      : to.host === undefined
        ? `${targetLabel(target)}:${to.port}`
        : formatEndpoint(to);
  return node.id !== target.id || to.host !== undefined ? `${what} via ${viaLabel(route)}` : what;
}
