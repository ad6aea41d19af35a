import type { Dialer } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type Route, type Target, targetLabel } from '../domain/target.ts';
import type { TunnelEvent, TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Identity, Provider } from '../providers/provider.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { AuditTrail } from './audit-trail.ts';
import type { BrokerContext, OpenedTunnel, TunnelExplanation, TunnelRequest } from './broker-types.ts';
import { type DestinationHops, Destinations, ON_DEMAND } from './destinations.ts';
import { recordedSource } from './recorded-source.ts';
import { anyEndpoint, findRoute, findRouteAnywhere, findTarget, requestedEndpoints } from './route.ts';
import { sessionPlace } from './session-ledger.ts';

/** Who asks is wanted for the journal; a network without the service that tells must not keep the tunnel from opening. */
const IDENTITY_LIMIT: Millis = 5_000;
/** The strictest of the clouds: Session Manager's own limit (StartSession, Reason). */
const REASON_LIMIT = 256;
/** Routes that are remembered; what is forgotten is asked for again. */
const KNOWN_LIMIT = 256;

/**
 * The one path to a tunnel: resolves the target and the way to it, learns who asks, and hands back a dialer that records before it
 * starts the first session. The local port should be bound before this is called (spec section 5.1).
 *
 * @throws CT_USAGE for a reason the cloud would not take; CT_TARGET_*, CT_NO_BASTION, CT_DENIED (recorded in the journal) and what
 *   else the provider says; the reason of `signal`
 */
export async function openTunnel(
  context: BrokerContext,
  request: TunnelRequest,
  options: {
    readonly onEvent: TunnelEventListener;
    /** The target, where it is known already: where several clouds were asked for it. */
    readonly target?: Target | undefined;
  },
  signal: AbortSignal,
): Promise<OpenedTunnel> {
  const { world, provider } = context;
  checkRequest(request, provider);
  const asking = timed(world, 'identity', options.onEvent, () => whoAsks(context, signal));
  // Its failure is awaited below; until then it must not count as unhandled.
  asking.catch(() => {});
  let target: Target;
  let routes: readonly Route[];
  try {
    target =
      options.target ??
      (await timed(world, 'find target', options.onEvent, () => findTarget(provider.finder, request, signal)));
    routes = await timed(world, 'choose route', options.onEvent, () => {
      const endpoints = requestedEndpoints(request, target);
      return Promise.all(endpoints.map((to) => findRoute(provider.finder, request, target, to, signal)));
    });
  } catch (error) {
    if (isDenial(error)) newTrail(context, request, await asking.catch(() => undefined)).denied(error);
    throw error;
  }
  const identity = await asking;
  return new BrokeredTunnel(context, request, target, identity, routes, options.onEvent);
}

/**
 * What `openTunnel` would do, without asking for a session: for `--explain`. One for each endpoint, and one for all where the request is
 * for anywhere.
 *
 * @param found the target, where it is known already
 */
export async function explainTunnel(
  context: Pick<BrokerContext, 'provider'>,
  request: TunnelRequest,
  signal: AbortSignal,
  found?: Target,
): Promise<readonly TunnelExplanation[]> {
  const { finder, gatekeeper } = context.provider;
  checkRequest(request, context.provider);
  const target = found ?? (await findTarget(finder, request, signal));
  const isAnywhere = request.kind === 'machine' && request.anywhere === true;
  const endpoints = isAnywhere ? [anyEndpoint(target)] : requestedEndpoints(request, target);
  const routes = await Promise.all(endpoints.map((to) => findRoute(finder, request, target, to, signal)));
  return routes.map((route) => ({ route, access: gatekeeper.explain(route, request) }));
}

class BrokeredTunnel implements OpenedTunnel {
  readonly target: Target;
  readonly identity: Identity | undefined;
  readonly routes: readonly Route[];
  readonly dialer: Dialer;
  readonly lost: Promise<CloudtunError>;
  readonly client: OpenedTunnel['client'];
  readonly ended: OpenedTunnel['ended'];
  readonly #context: BrokerContext;
  readonly #request: TunnelRequest;
  readonly #trail: AuditTrail;
  /** As it was found last. */
  #current: Target;
  /** The newest route to each endpoint. */
  readonly #known = new Map<string, Route>();
  /** Those that the cloud keeps a record of. What a protocol calls a session for each stream is told by the records of clients. */
  readonly #sessions = new Set<string>();
  readonly #startedAt: Millis;

  constructor(
    context: BrokerContext,
    request: TunnelRequest,
    target: Target,
    identity: Identity | undefined,
    routes: readonly Route[],
    onEvent: TunnelEventListener,
  ) {
    this.target = target;
    this.#current = target;
    this.identity = identity;
    this.routes = routes;
    this.#context = context;
    this.#request = request;
    this.#startedAt = context.world.clock.now();
    this.#trail = newTrail(context, request, identity);
    this.client = (record) => this.#trail.client(record);
    this.ended = (record) => this.#trail.ended(record);
    for (const route of routes) this.#known.set(formatEndpoint(route.to).toLowerCase(), route);
    let tellLost: (error: CloudtunError) => void = () => {};
    this.lost = new Promise((resolve) => {
      tellLost = resolve;
    });
    const isAnywhere = request.kind === 'machine' && request.anywhere === true;
    const hops: DestinationHops = {
      open: (to, isFresh, listener, signal) => this.#connect(to, isFresh, listener, signal),
      onEvent: (event: TunnelEvent) => {
        const isOfStream = /^session-/.test(event.type) && 'sessionId' in event && !this.#sessions.has(event.sessionId);
        if (!isOfStream) this.#trail.tunnel(event);
        onEvent(event);
      },
      onRefused: (to, error) => {
        if (isDenial(error)) this.#trail.denied(error, this.#known.get(formatEndpoint(to).toLowerCase()));
      },
      onLost: isAnywhere ? () => {} : tellLost,
    };
    this.dialer = isAnywhere
      ? this.#routed(new Destinations(context.world, hops, ON_DEMAND))
      : new Destinations(context.world, hops);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dialer[Symbol.asyncDispose]();
    const duration = this.#context.world.clock.now() - this.#startedAt;
    this.#trail.ended({ reason: 'ended', duration, connections: 0, bytesUp: 0, bytesDown: 0 });
  }

  /** An endpoint to which no way leads is refused at once: it is no destination, and nothing is tried again for it. */
  #routed(destinations: Destinations): Dialer {
    return {
      dial: async (to, signal) => {
        await this.#route(to, false, signal);
        return destinations.dial(to, signal);
      },
      [Symbol.asyncDispose]: () => destinations[Symbol.asyncDispose](),
    };
  }

  async #connect(
    to: RemoteEndpoint,
    isFresh: boolean,
    onEvent: TunnelEventListener,
    signal: AbortSignal,
  ): Promise<Tunnel> {
    const { world, provider, ledger, connect } = this.#context;
    let route: Route | undefined;
    try {
      route = await this.#route(to, isFresh, signal);
      this.#trail.opening(route);
      const source = recordedSource(
        provider.gatekeeper.ticketSource(route, this.#request),
        world,
        ledger,
        sessionPlace(provider),
        targetLabel(route.target),
        (id) => this.#sessions.add(id),
      );
      return await connect(source, route.to, onEvent, signal);
    } catch (error) {
      if (isDenial(error)) this.#trail.denied(error, route);
      throw error;
    }
  }

  async #route(to: RemoteEndpoint, isFresh: boolean, signal: AbortSignal): Promise<Route> {
    const key = formatEndpoint(to).toLowerCase();
    const known = this.#known.get(key);
    if (known && !isFresh) return known;
    const { finder } = this.#context.provider;
    // A machine that was replaced has another id under the same name, so its name is resolved again as well.
    if (isFresh) this.#current = await findTarget(finder, this.#request, signal);
    const find = this.#request.kind === 'machine' && this.#request.anywhere ? findRouteAnywhere : findRoute;
    const route = await find(finder, this.#request, this.#current, to, signal);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= KNOWN_LIMIT && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, route);
    return route;
  }
}

function newTrail(context: BrokerContext, request: TunnelRequest, identity: Identity | undefined): AuditTrail {
  const { gatekeeper, label } = context.provider;
  return new AuditTrail(context.world, context.journal, {
    request,
    identity,
    place: label,
    documentOf: (route) => gatekeeper.explain(route, request).document,
  });
}

function isDenial(error: unknown): error is CloudtunError {
  return error instanceof CloudtunError && (error.code === 'CT_DENIED' || error.code === 'CT_POLICY');
}

/** Undefined, with a warning, when the cloud cannot say; trouble with the credentials themselves is thrown. */
async function whoAsks(context: BrokerContext, signal: AbortSignal): Promise<Identity | undefined> {
  const { world, provider } = context;
  try {
    return await withDeadline(world.clock, IDENTITY_LIMIT, (limited) => provider.gatekeeper.whoami(limited), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asCloudtunError(thrown);
    if (/^CT_(NO_CREDENTIALS|CREDENTIALS_\w+|NO_PROFILE|NO_REGION|NO_PROJECT|LOGIN_FAILED)$/.test(error.code))
      throw error;
    world.log.warn(`the cloud does not say who you are, so the journal names your login alone: ${error.message}`);
    return undefined;
  }
}

async function timed<Result>(
  world: World,
  phase: string,
  onEvent: TunnelEventListener,
  run: () => Promise<Result>,
): Promise<Result> {
  const start = world.clock.now();
  const result = await run();
  onEvent({ type: 'phase', phase, duration: world.clock.now() - start });
  return result;
}

/** What can be said to be wrong before the cloud is asked. */
function checkRequest(request: TunnelRequest, provider: Provider): void {
  if (request.document !== undefined && !provider.hasSessionDocuments) {
    throw new CloudtunError(
      'CT_USAGE',
      `${provider.label} knows no Session documents, and ${request.document} is one`,
      {
        hint: 'leave out --document (or CLOUDTUN_DOCUMENT)',
      },
    );
  }
  const length = request.reason?.length;
  if (length === undefined || (length >= 1 && length <= REASON_LIMIT)) return;
  throw new CloudtunError('CT_USAGE', `the reason has ${length} characters; the cloud keeps 1 to ${REASON_LIMIT}`);
}
