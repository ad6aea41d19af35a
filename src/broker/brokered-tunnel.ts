import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { INTERVALS } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import { type CloudTarget, type MachineTarget, type Route, targetLabel } from '../domain/target.ts';
import type { TunnelEvent, TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Identity, SessionOptions } from '../providers/provider.ts';
import type { Timer } from '../runtime/clock.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { AuditTrail } from './audit-trail.ts';
import type { BrokerContext, OpenedTunnel, TunnelFigures, TunnelRequest } from './broker-types.ts';
import type { DestinationOptions } from './destination.ts';
import { type DestinationHops, Destinations, ON_DEMAND } from './destinations.ts';
import { HopDialer } from './hop-dialer.ts';
import { recordedSource } from './recorded-source.ts';
import { findRoute, findRouteAnywhere, findTarget } from './route.ts';
import { sessionPlace } from './session-ledger.ts';
import { SharedLooks } from './shared-looks.ts';
import { sumFigures } from './sum-figures.ts';
import { type Watched, WhereaboutsWatch } from './whereabouts-watch.ts';

/** Routes that are remembered; what is forgotten is asked for again. */
const KNOWN_LIMIT = 256;
const SSH_PORT = 22;
/** The client's first bytes are on their way until then (guessed), and loading what asks would hold them up. */
const ASK_WHO_AFTER: Millis = 500;

/** What was found out before a tunnel is made of it. */
export interface FoundTunnel {
  readonly target: CloudTarget;
  readonly identity: Identity | undefined;
  readonly routes: readonly Route[];
  /** Who asks, where that was not asked yet. */
  readonly askWho?: () => Promise<Identity | undefined>;
}

/** How the machine itself is logged in to, where other hosts are to be reached from it and the tunnel service does not. */
export interface OwnHop {
  readonly user?: string;
  readonly port?: number;
  /** Whatever the tunnel service could do: a person asked for this login. */
  readonly isWanted: boolean;
}

/** A tunnel by the cloud's own service: to the endpoints of its routes, or to any that the target reaches. */
export class BrokeredTunnel implements OpenedTunnel {
  readonly target: CloudTarget;
  readonly identity: Identity | undefined;
  readonly routes: readonly Route[];
  readonly dialer: Dialer;
  readonly lost: Promise<CloudtunError>;
  readonly client: OpenedTunnel['client'];
  readonly denied: OpenedTunnel['denied'];
  readonly runs: OpenedTunnel['runs'];
  readonly ended: OpenedTunnel['ended'];
  readonly #context: BrokerContext;
  readonly #request: TunnelRequest;
  readonly #trail: AuditTrail;
  /** As it was found last. */
  #current: CloudTarget;
  /** The newest route to each endpoint. */
  readonly #known = new Map<string, Route>();
  /** Those that the cloud keeps a record of. What a protocol calls a session for each stream is told by the records of clients. */
  readonly #sessions = new Set<string>();
  readonly #startedAt: Millis;
  /** Dials whatever it is asked for, and not the endpoints of its routes alone. */
  readonly #isRouted: boolean;
  readonly #askWho: FoundTunnel['askWho'];
  #learningWho: Promise<void> | undefined;
  #askingSoon: Timer | undefined;
  #hasSession = false;
  readonly #tellLost: (error: CloudtunError) => void;
  readonly #destinations: Destinations[] = [];
  readonly #life: DestinationOptions;
  readonly #watch: WhereaboutsWatch;

  constructor(
    context: BrokerContext,
    request: TunnelRequest,
    { target, identity, routes, askWho }: FoundTunnel,
    onEvent: TunnelEventListener,
    ownHop?: OwnHop,
  ) {
    this.target = target;
    this.#current = target;
    this.identity = identity;
    this.routes = routes;
    this.#context = context;
    this.#request = request;
    this.#askWho = askWho;
    this.#startedAt = context.world.clock.now();
    this.#life = { intervals: request.intervals, wake: context.wake };
    this.#watch = new WhereaboutsWatch({
      world: context.world,
      intervals: request.intervals ?? INTERVALS,
      wake: context.wake,
      finder: context.provider.finder,
      looks: context.looks ?? new SharedLooks(context.world.clock),
      place: context.provider.label,
      request,
      resolveHost: context.resolveHost,
      watched: () => this.#watched(),
    });
    this.#trail = newTrail(context, request, identity);
    this.client = (record) => this.#trail.client(record);
    this.denied = (error) => this.#trail.denied(error, routes[0]);
    this.runs = (program) => this.#trail.runs(program);
    this.ended = (record) => this.#trail.ended(record);
    for (const route of routes) {
      if (route.hops === undefined) this.#known.set(formatEndpoint(route.to).toLowerCase(), route);
    }
    let tellLost: (error: CloudtunError) => void = () => {};
    this.lost = new Promise((resolve) => {
      tellLost = resolve;
    });
    const isAnywhere = request.kind === 'machine' && request.anywhere === true;
    this.#isRouted = isAnywhere || ownHop !== undefined;
    this.#tellLost = isAnywhere ? () => {} : tellLost;
    const hops: DestinationHops = {
      open: (to, isFresh, listener, signal) => this.#connect(to, isFresh, listener, signal),
      onEvent: (event: TunnelEvent) => {
        const isOfStream = /^session-/.test(event.type) && 'sessionId' in event && !this.#sessions.has(event.sessionId);
        if (!isOfStream) this.#trail.tunnel(event);
        onEvent(event);
      },
      onRefused: (to, error) => {
        this.#watch.soon();
        if (isDenial(error)) this.#trail.denied(error, this.#known.get(formatEndpoint(to).toLowerCase()));
      },
      onDoubt: () => this.#watch.soon(),
      onLost: this.#tellLost,
    };
    this.dialer = this.#isRouted
      ? this.#routed(hops, ownHop ?? { isWanted: false }, onEvent)
      : this.#kept(new Destinations(context.world, hops, undefined, this.#life));
  }

  stats(): TunnelFigures {
    return sumFigures(this.#destinations.map((destinations) => destinations.stats()));
  }

  /** What stands, with the route that it was opened on. */
  #watched(): readonly Watched[] {
    return this.#destinations.flatMap((destinations) =>
      destinations.inUse().flatMap((destination): Watched[] => {
        const route = this.#known.get(formatEndpoint(destination.to).toLowerCase());
        const { usedAt } = destination;
        return route === undefined || usedAt === undefined
          ? []
          : [{ route, usedAt, moved: (what) => destination.moved(what) }];
      }),
    );
  }

  #kept(destinations: Destinations): Destinations {
    this.#destinations.push(destinations);
    return destinations;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#askingSoon?.cancel();
    if (this.#hasSession) this.#learnWho();
    await this.#watch.close();
    await this.dialer[Symbol.asyncDispose]();
    await this.#learningWho;
    const duration = this.#context.world.clock.now() - this.#startedAt;
    this.#trail.ended({ reason: 'ended', duration, connections: 0, bytesUp: 0, bytesDown: 0 });
  }

  /**
   * An endpoint to which no way leads is no destination, and nothing is tried again for it: it is reached through a login to the machine
   * itself, where that can be had. So is one that would be a destination too many.
   */
  #routed(hops: DestinationHops, own: OwnHop, onEvent: TunnelEventListener): Dialer {
    const destinations = this.#kept(new Destinations(this.#context.world, hops, ON_DEMAND, this.#life));
    // Its own, so that a login can be had where there are too many destinations.
    const sshd = this.#kept(new Destinations(this.#context.world, hops, undefined, this.#life));
    const hop = this.#ownHop(sshd, own, onEvent);
    const through = async (to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> => {
      await hop!.open(signal).catch((error: unknown) => this.#hopRefused(to, error));
      this.#trail.opening(this.#behind(to));
      return hop!.dial(to, signal);
    };
    return {
      dial: async (to, signal) => {
        if (hop !== undefined && own.isWanted) return through(to, signal);
        try {
          await this.#route(to, false, signal);
        } catch (error) {
          if (hop === undefined || !hasCode(error, 'CT_REMOTE_FORBIDDEN')) throw error;
          return through(to, signal);
        }
        try {
          return await destinations.dial(to, signal);
        } catch (error) {
          if (hop === undefined || !hasCode(error, 'CT_DESTINATION_LIMIT')) throw error;
          return await through(to, signal).catch((thrown: unknown) => {
            signal.throwIfAborted();
            throw withoutHop(error, asCloudtunError(thrown));
          });
        }
      },
      [Symbol.asyncDispose]: async () => {
        await hop?.[Symbol.asyncDispose]();
        await sshd[Symbol.asyncDispose]();
        await destinations[Symbol.asyncDispose]();
      },
    };
  }

  #ownHop(sshd: Destinations, { user, port }: OwnHop, onEvent: TunnelEventListener): HopDialer | undefined {
    const { world, provider, openHop } = this.#context;
    if (this.#current.kind !== 'machine' || provider.logins === undefined) return undefined;
    const to = { port: port ?? SSH_PORT };
    const told: TunnelEventListener = (event) => {
      this.#trail.tunnel(event);
      onEvent(event);
    };
    const logIn = (signal: AbortSignal) => {
      const target = this.#current as MachineTarget;
      return openHop(
        { provider, target, port: to.port, ...(user !== undefined && { user }) },
        { dial: (_, calledOff) => sshd.dial(to, calledOff) },
        told,
        signal,
      );
    };
    return new HopDialer(world, logIn, { ...this.#life, name: targetLabel(this.#current), onEvent: told });
  }

  /** @throws `error`, always */
  #hopRefused(to: RemoteEndpoint, error: unknown): never {
    if (isRefusedLogin(error)) this.#trail.denied(error, this.#behind(to));
    if (isHopless(error)) this.#tellLost(error);
    throw error;
  }

  #behind(to: RemoteEndpoint): Route {
    return behindItself(this.#current as MachineTarget, to);
  }

  async #connect(
    to: RemoteEndpoint,
    isFresh: boolean,
    onEvent: TunnelEventListener,
    signal: AbortSignal,
  ): Promise<Tunnel> {
    const { world, provider, ledger, connect, starts } = this.#context;
    let route: Route | undefined;
    try {
      route = await this.#route(to, isFresh, signal);
      this.#trail.opening(route);
      const source = recordedSource(
        provider.gatekeeper.ticketSource(route, optionsFor(route, this.#request)),
        world,
        ledger,
        sessionPlace(provider),
        targetLabel(route.target),
        (id) => this.#sessions.add(id),
        (start, calledOff) =>
          starts.run(this, accountName(provider), start, calledOff).catch((error: unknown) => {
            // That of the first session is told below. A further one is done without, and nobody else hears of it.
            if (this.#hasSession && isDenial(error)) this.#trail.denied(error, route);
            throw error;
          }),
      );
      const tunnel = await connect(source, route.to, onEvent, signal, {
        keepActive: this.#request.keepActive === true,
        ...(this.#request.sessions !== undefined && { sessions: this.#request.sessions }),
        ...(this.#request.intervals && { intervals: this.#request.intervals }),
      });
      this.#hasSession = true;
      this.#watch.start();
      this.#askingSoon ??= world.clock.after(ASK_WHO_AFTER, () => void this.#learnWho(), { background: true });
      return tunnel;
    } catch (error) {
      if (isDenial(error)) {
        await this.#learnWho();
        this.#trail.denied(error, route);
      }
      throw error;
    }
  }

  /** Never rejects: without an answer the journal has the login of this machine, as everywhere. */
  #learnWho(): Promise<void> | undefined {
    this.#learningWho ??= this.#askWho?.().then(
      (identity) => this.#trail.identify(identity),
      () => {},
    );
    return this.#learningWho;
  }

  async #route(to: RemoteEndpoint, isFresh: boolean, signal: AbortSignal): Promise<Route> {
    const key = formatEndpoint(to).toLowerCase();
    const known = this.#known.get(key);
    if (known && !isFresh) return known;
    const { finder } = this.#context.provider;
    // A machine that was replaced has another id under the same name, so its name is resolved again as well.
    if (isFresh) this.#current = await findTarget(finder, this.#request, signal);
    const find = this.#isRouted ? findRouteAnywhere : findRoute;
    const route = await find(finder, this.#request, this.#current, to, signal);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= KNOWN_LIMIT && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, route);
    return route;
  }
}

/** A pinned document is for the far end that was asked for, and not for what is dialled on the way there. */
function optionsFor(route: Route, request: TunnelRequest): SessionOptions {
  const { to } = route;
  const isAsked =
    request.kind === 'database'
      ? to.host !== undefined
      : request.anywhere === true ||
        request.to.some((each) => formatEndpoint(each) === formatEndpoint(to) || isPortOfTarget(each, route));
  if (isAsked) return request;
  const { pinned: _, ...rest } = request;
  return rest;
}

/** A port of a machine behind another one is dialled by its address. */
function isPortOfTarget(asked: RemoteEndpoint, { target, node, to }: Route): boolean {
  if (asked.host !== undefined || target.kind !== 'machine' || target.id === node.id) return false;
  return asked.port === to.port && to.host !== undefined && to.host === target.privateIp;
}

/** Whoever complains that sessions are started too fast. */
function accountName({ id, scope, profile = '', endpoint = '' }: BrokerContext['provider']): string {
  return [id, scope, profile, endpoint].join(' ');
}

/** The way to what a machine itself connects to. */
export function behindItself(node: MachineTarget, to: RemoteEndpoint): Route {
  const reasons = ['by a login to it'];
  return { provider: node.provider, target: node, node, to, hops: [targetLabel(node)], reasons, rejected: [] };
}

export function newTrail(context: BrokerContext, request: TunnelRequest, identity: Identity | undefined): AuditTrail {
  const { gatekeeper, label } = context.provider;
  return new AuditTrail(context.world, context.journal, {
    request,
    identity,
    place: label,
    documentOf: (route) => gatekeeper.explain(route, optionsFor(route, request)).document,
  });
}

export function isDenial(error: unknown): error is CloudtunError {
  return hasCode(error, 'CT_DENIED') || hasCode(error, 'CT_POLICY');
}

/** Of a login on the way: what the journal calls a denial, as it does for a login to the target itself. */
export function isRefusedLogin(error: unknown): error is CloudtunError {
  return isDenial(error) || hasCode(error, 'CT_LOGIN_REFUSED');
}

/** Of a login on the way: no waiting mends it. */
export function isHopless(error: unknown): error is CloudtunError {
  return isDenial(error) || hasCode(error, 'CT_HOST_KEY_CHANGED');
}

function hasCode(error: unknown, code: ErrorCode): error is CloudtunError {
  return error instanceof CloudtunError && error.code === code;
}

function withoutHop(limit: CloudtunError, thrown: CloudtunError): CloudtunError {
  return new CloudtunError(limit.code, limit.message, {
    details: [...limit.details, ['by ssh', `${thrown.message} (${thrown.code})`]],
    hint: limit.hints,
    cause: thrown,
  });
}
