import { explainTunnel } from '../broker/open-tunnel.ts';
import { endOrphans, type OrphanReport } from '../broker/orphans.ts';
import type { CatalogueTarget } from '../config/catalogue.ts';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Route } from '../domain/target.ts';
import type { ForwardEvent, ForwardReport, RunningForward } from '../forward/forward-types.ts';
import type { App } from '../plan/app.ts';
import { openPlanned, settled } from '../plan/open-planned.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import type { Provider } from '../providers/provider.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';
import { pauseBefore } from './core/retry-pause.ts';

/** A name that is to be opened. */
export interface WantedName {
  readonly name: string;
  readonly plan: TunnelPlan;
  /** What the catalogue says of it. */
  readonly entry: CatalogueTarget | undefined;
}

export interface OpenNamesOptions {
  /** Puts together what opens a plan; each name has one of its own, since names may be in different clouds and accounts. */
  compose(plan: TunnelPlan): Promise<App>;
  /** A tunnel that stands already and leads there, on demand where its route is not known yet; it is used, and stays. */
  held(plan: TunnelPlan): Promise<HeldName | undefined>;
  readonly isProbed: boolean;
  /** How often a failure that may pass is tried again. */
  readonly retries: number;
  /** How long one try may take. */
  readonly connectTimeout: Millis;
  readonly onEvent: (name: string, event: ForwardEvent) => void;
  readonly onRetry: (name: string, error: CloudtunError, pause: Millis) => void;
  readonly onOrphan: (orphan: OrphanReport) => void;
}

interface HeldName {
  readonly local: readonly LocalEndpoint[];
  readonly route: Route | undefined;
}

/** A name whose far side has answered, or that somebody else holds. */
export interface OpenName extends WantedName {
  readonly app: App;
  readonly provider: Provider;
  /** Undefined: somebody else holds the tunnel. */
  readonly forward: RunningForward | undefined;
  readonly route: Route;
  readonly local: LocalEndpoint;
  /** From the start to ready. */
  readonly took: Millis;
}

/** Disposing it cuts what is open and terminates the sessions. */
export interface OpenNames extends AsyncDisposable {
  readonly names: readonly OpenName[];
  /** Drains all; resolves when everything is closed. */
  close(): Promise<readonly (ForwardReport | undefined)[]>;
}

/**
 * Opens all names at once and waits until each far side has answered. One that cannot be opened closes the others.
 *
 * @throws the first failure, after everything was closed again
 */
export async function openNames(
  world: World,
  wanted: readonly WantedName[],
  options: OpenNamesOptions,
  signal: AbortSignal,
): Promise<OpenNames> {
  const lifetime = new Lifetime();
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const opening = wanted.map((each) => openName(world, each, options, lifetime, either));
  const settled = await Promise.all(
    opening.map((each) =>
      each.catch((error: unknown) => {
        failed.abort(error);
        return undefined;
      }),
    ),
  );
  const names = settled.filter((each) => each !== undefined);
  if (names.length < wanted.length) {
    await lifetime[Symbol.asyncDispose]();
    throw either.reason;
  }
  return {
    names,
    close: () => {
      for (const { forward } of names) forward?.drain('ended');
      return Promise.all(names.map(async ({ forward }) => forward?.closed));
    },
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

async function openName(
  world: World,
  wanted: WantedName,
  options: OpenNamesOptions,
  lifetime: Lifetime,
  signal: AbortSignal,
): Promise<OpenName> {
  const started = world.clock.now();
  const app = lifetime.use(await options.compose(wanted.plan));
  const held = await options.held(wanted.plan);
  if (held) {
    const route = held.route ?? (await routeOf(app, wanted, signal));
    const provider = app.providers.find(({ id }) => id === route.provider) ?? app.providers[0]!;
    return { ...wanted, app, provider, forward: undefined, route, local: ipv4First(held.local), took: 0 };
  }
  for (const orphan of await endOrphans(app, signal)) options.onOrphan(orphan);
  const forward = await patiently(world, wanted, options, signal, (calledOff) =>
    openOnce(app, wanted, options, calledOff),
  );
  lifetime.use(forward);
  const route = forward.route(0)!;
  const provider = app.providers.find(({ id }) => id === route.provider)!;
  const local = ipv4First(forward.local[0]!);
  return { ...wanted, app, provider, forward, route, local, took: world.clock.now() - started };
}

/** Asks where a plan leads, and opens nothing: to connect and hang up would count against us at the database. */
async function routeOf(app: App, { plan: { request } }: WantedName, signal: AbortSignal): Promise<Route> {
  const { provider, target } = await settled(app, { request, candidates: app.candidates }, () => {}, signal);
  const [explained] = await explainTunnel({ provider }, request, signal, target);
  return explained!.route;
}

/** Every client takes it, and many know no other. */
function ipv4First(local: readonly LocalEndpoint[]): LocalEndpoint {
  return local.find(({ host }) => host === '127.0.0.1') ?? local[0]!;
}

async function openOnce(
  app: App,
  { name, plan }: WantedName,
  { isProbed, onEvent }: OpenNamesOptions,
  signal: AbortSignal,
): Promise<RunningForward> {
  const planned = { request: plan.request, candidates: app.candidates };
  const forward = await openPlanned(app, plan, planned, { isProbed, onEvent: (event) => onEvent(name, event) }, signal);
  const cut = () => forward.cut('interrupted');
  signal.addEventListener('abort', cut, { once: true });
  try {
    if (signal.aborted) cut();
    await forward.ready;
    signal.throwIfAborted();
    return forward;
  } catch (error) {
    await forward[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

/** Tries again what may pass, after a pause that grows; each try within its time. */
async function patiently(
  { clock, random }: World,
  { name }: WantedName,
  { retries, connectTimeout, onRetry }: OpenNamesOptions,
  signal: AbortSignal,
  open: (signal: AbortSignal) => Promise<RunningForward>,
): Promise<RunningForward> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await withDeadline(clock, connectTimeout, open, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = inTime(thrown, name, connectTimeout);
      if (!error.retryable || attempt >= retries) throw error;
      const pause = pauseBefore(attempt, random.fraction());
      onRetry(name, error, pause);
      await clock.sleep(pause, signal);
    }
  }
}

function inTime(thrown: unknown, name: string, limit: Millis): CloudtunError {
  if (!(thrown instanceof DOMException) || thrown.name !== 'TimeoutError') return asCloudtunError(thrown);
  return new CloudtunError('CT_TIMEOUT', `${name} did not become ready within ${limit / 1_000} s (--connect-timeout)`, {
    hint: 'allow it more: --connect-timeout 60s, or more tries: --retries 5',
    cause: thrown,
  });
}
