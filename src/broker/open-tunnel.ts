import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { CloudTarget, MachineTarget, Route } from '../domain/target.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Identity, NeededAction, Provider, TargetFinder } from '../providers/provider.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { BrokerContext, OpenedTunnel, TunnelExplanation, TunnelRequest } from './broker-types.ts';
import { BrokeredTunnel, behindItself, isDenial, newTrail } from './brokered-tunnel.ts';
import { ChainedTunnel, chainRoute } from './chained-tunnel.ts';
import {
  type Chain,
  findChain,
  hasNoRoute,
  type LoginWay,
  loginWay,
  mayLogIn,
  needsLogins,
  noLogins,
  SSH_PORT,
} from './login-way.ts';
import { anyEndpoint, findRoute, findTarget, requestedEndpoints } from './route.ts';

/** Who asks is wanted for the journal; a network without the service that tells must not keep the tunnel from opening. */
const IDENTITY_LIMIT: Millis = 5_000;
/** The strictest of the clouds: Session Manager's own limit (StartSession, Reason). */
const REASON_LIMIT = 256;

/** What is known before a tunnel is opened, and who hears of it. */
export interface OpenTunnelOptions {
  readonly onEvent: TunnelEventListener;
  /** What `entryRequest` asks for, where it is known already: where several clouds were asked for it. */
  readonly target?: CloudTarget | undefined;
}

/**
 * The one path to a tunnel: resolves the target and the way to it, learns who asks, and hands back a dialer that records before it
 * starts the first session. The local port should be bound before this is called (spec section 5.1). Where the cloud's own tunnel
 * service leads to the target it is taken; else machines on the way are logged in to.
 *
 * @throws CT_USAGE for a reason the cloud would not take; CT_TARGET_*, CT_NO_BASTION, CT_DENIED (recorded in the journal) and what
 *   else the provider says; the reason of `signal`
 */
export async function openTunnel(
  context: BrokerContext,
  request: TunnelRequest,
  options: OpenTunnelOptions,
  signal: AbortSignal,
): Promise<OpenedTunnel> {
  checkRequest(request, context.provider);
  if (!needsLogins(request)) {
    try {
      return await openDirectly(context, request, options, signal);
    } catch (error) {
      if (signal.aborted || !mayLogIn(error, request, context.provider)) throw error;
      return openByLogins(context, request, options, signal, error);
    }
  }
  return openByLogins(context, request, options, signal);
}

async function openDirectly(
  context: BrokerContext,
  request: TunnelRequest,
  { onEvent, target: known }: OpenTunnelOptions,
  signal: AbortSignal,
): Promise<OpenedTunnel> {
  const { finder } = context.provider;
  const look = async () => {
    const target =
      (request.via === undefined || request.kind === 'database' ? known : undefined) ??
      (await timed(context.world, 'find target', onEvent, () => findTarget(finder, request, signal)));
    const routes = await timed(context.world, 'choose route', onEvent, () =>
      Promise.all(requestedEndpoints(request, target).map((to) => findRoute(finder, request, target, to, signal))),
    );
    return { target, routes };
  };
  if (request.kind === 'machine' && request.isQuick) {
    // Not called off with the rest: who it was is wanted in the journal also of what ended early.
    const askWho = () =>
      timed(context.world, 'identity', onEvent, () => whoAsks(context, new AbortController().signal));
    return new BrokeredTunnel(context, request, { ...(await look()), identity: undefined, askWho }, onEvent);
  }
  return new BrokeredTunnel(context, request, await identified(context, request, onEvent, signal, look), onEvent);
}

/** @param because why the tunnel service does not do, where that was tried */
async function openByLogins(
  context: BrokerContext,
  request: TunnelRequest,
  { onEvent, target: known }: OpenTunnelOptions,
  signal: AbortSignal,
  because?: unknown,
): Promise<OpenedTunnel> {
  const { finder } = context.provider;
  const way = loginWay(request);
  const found = await identified(context, request, onEvent, signal, async () => {
    const node =
      known ??
      (await timed(context.world, 'find target', onEvent, () => finder.findMachine(way.base.text, {}, signal)));
    if (node.kind !== 'machine') throw because ?? noLogins(node);
    const chain = await timed(context.world, 'find hops', onEvent, () => findChain(finder, request, way, node, signal));
    return { target: node, routes: [], chain };
  });
  const { chain, target: node } = found;
  if (request.kind === 'machine' && way.isItself) {
    const routes = await Promise.all(
      request.to.map((to) =>
        findRoute(finder, request, node, to, signal).catch((error: unknown) => {
          if (!hasNoRoute(error)) throw error;
          return behindItself(node, to);
        }),
      ),
    );
    return new BrokeredTunnel(context, request, { ...found, routes }, onEvent, way.login);
  }
  const { reason, document, keepActive, intervals } = request;
  const base: TunnelRequest = {
    kind: 'machine',
    text: way.base.text,
    to: [],
    anywhere: true,
    use: `on the way to ${request.text}`,
    ...(reason !== undefined && { reason }),
    ...(document !== undefined && { document }),
    ...(keepActive && { keepActive }),
    ...(intervals && { intervals }),
  };
  if (request.sessions !== undefined) {
    onEvent({ type: 'hint', message: 'all connections share the login on the way: --sessions changes nothing there' });
  }
  const below = new BrokeredTunnel(context, base, found, onEvent, way.login);
  return new ChainedTunnel(context, request, below, chain, onEvent);
}

/** Looks for something while the cloud is asked who we are; a denial is recorded. */
async function identified<Found>(
  context: BrokerContext,
  request: TunnelRequest,
  onEvent: TunnelEventListener,
  signal: AbortSignal,
  look: () => Promise<Found>,
): Promise<Found & { readonly identity: Identity | undefined }> {
  const asking = timed(context.world, 'identity', onEvent, () => whoAsks(context, signal));
  // Its failure is awaited below; until then it must not count as unhandled.
  asking.catch(() => {});
  let found: Found;
  try {
    found = await look();
  } catch (error) {
    if (isDenial(error)) newTrail(context, request, await asking.catch(() => undefined)).denied(error);
    throw error;
  }
  return { ...found, identity: await asking };
}

/**
 * What `openTunnel` would do, without asking for a session: for `--explain`. One for each endpoint, and one for all where the request is
 * for anywhere.
 *
 * @param known what `entryRequest` asks for, where it is known already
 */
export async function explainTunnel(
  context: Pick<BrokerContext, 'provider'>,
  request: TunnelRequest,
  signal: AbortSignal,
  known?: CloudTarget,
): Promise<readonly TunnelExplanation[]> {
  const { finder, gatekeeper } = context.provider;
  checkRequest(request, context.provider);
  const access = (route: Route) => gatekeeper.explain(route, request);
  const isAnywhere = request.kind === 'machine' && request.anywhere === true;
  const directly = async (): Promise<readonly Route[]> => {
    const target =
      (request.via === undefined || request.kind === 'database' ? known : undefined) ??
      (await findTarget(finder, request, signal));
    const endpoints = isAnywhere ? [anyEndpoint(target)] : requestedEndpoints(request, target);
    return Promise.all(endpoints.map((to) => findRoute(finder, request, target, to, signal)));
  };
  let because: unknown;
  if (!needsLogins(request)) {
    try {
      return (await directly()).map((route) => ({ route, access: access(route) }));
    } catch (error) {
      if (signal.aborted || !mayLogIn(error, request, context.provider)) throw error;
      because = error;
    }
  }
  const way = loginWay(request);
  const node = known ?? (await finder.findMachine(way.base.text, {}, signal));
  if (node.kind !== 'machine') throw because ?? noLogins(node);
  const chain = await findChain(finder, request, way, node, signal);
  const { target } = chainRoute(chain, node, { port: SSH_PORT });
  const endpoints = isAnywhere ? [{ port: SSH_PORT }] : requestedEndpoints(request, target);
  const logins = await loginActions(context.provider, node, way, chain, signal);
  return Promise.all(
    endpoints.map(async (to) => {
      const { actions, ...rest } = access(await firstLeg(finder, node, way, chain, to, signal));
      const route = way.isItself ? behindItself(node, to) : chainRoute(chain, node, to);
      return { route, access: { ...rest, actions: [...actions, ...logins] } };
    }),
  );
}

/** What the logins on a way ask of the cloud. */
async function loginActions(
  { logins }: Provider,
  node: MachineTarget,
  { isItself, login }: LoginWay,
  { hops }: Chain,
  signal: AbortSignal,
): Promise<readonly NeededAction[]> {
  const own = isItself || login.isWanted ? [{ target: node, user: login.user }] : [];
  const lists = await Promise.all(
    [...own, ...hops].map(({ target, user }) =>
      target.kind === 'machine' && logins !== undefined ? logins.access(target, user, signal) : [],
    ),
  );
  return lists.flat();
}

/** What the cloud's own tunnel is asked for on a way that goes on by logins: the next machine, or the sshd of the first one. */
async function firstLeg(
  finder: TargetFinder,
  node: MachineTarget,
  { login }: LoginWay,
  { hops: [next], end }: Chain,
  to: RemoteEndpoint,
  signal: AbortSignal,
): Promise<Route> {
  const request: TunnelRequest = { kind: 'machine', text: node.id, to: [] };
  const found = next ?? (end.kind === 'machine' ? end.found : undefined);
  const far = found === undefined ? to : { host: found.address, port: next?.port ?? to.port };
  const own = { port: login.port ?? SSH_PORT };
  if (login.isWanted) return findRoute(finder, request, node, own, signal);
  return findRoute(finder, request, node, far, signal).catch((error: unknown) => {
    if (!hasNoRoute(error)) throw error;
    return findRoute(finder, request, node, own, signal);
  });
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
