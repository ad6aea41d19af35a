import { endOrphans } from '../broker/orphans.ts';
import { StartLimiter } from '../broker/start-limiter.ts';
import { closedJson, errorEventJson, eventJson } from '../cli/present/event-json.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { orphanNote } from '../cli/present/orphan-note.ts';
import { composeApp, farPortOf } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { ProviderId } from '../domain/target.ts';
import type { ForwardEvent, RunningForward } from '../forward/forward-types.ts';
import type { App } from '../plan/app.ts';
import { planNamed } from '../plan/named-plan.ts';
import { openPlanned } from '../plan/open-planned.ts';
import { type PlanFlags, questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { silentLog } from '../runtime/log.ts';
import { systemWorld, type World } from '../runtime/world.ts';
import { LocalMemory } from '../transport/local-memory.ts';
import { HeldTunnel } from './held-tunnel.ts';
import type { TunnelEvent } from './tunnel-event.ts';
import type { OpenTunnel, TunnelContext, TunnelOptions } from './tunnel-types.ts';

/** What a cloud bears is counted by process, and every call composes anew. */
let starts: StartLimiter | undefined;

/**
 * Opens a tunnel and resolves when the far side has answered. Reads `cloudtun.yaml` and credentials as the command line does, but no
 * `CLOUDTUN_*` variable; takes no signals, prints nothing, never ends the process. Any number may be open in one process.
 *
 * @throws CloudtunError with the codes of docs/reference/errors.md; the reason of `signal`
 */
export async function openTunnel(options: TunnelOptions, context: TunnelContext = {}): Promise<OpenTunnel> {
  const { signal = new AbortController().signal, onEvent = () => {} } = context;
  signal.throwIfAborted();
  const world = libraryWorld(options, onEvent);
  const lifetime = new Lifetime();
  try {
    const catalogue = await loadCatalogue(world);
    const farPort = (target: string) => farPortOf(splitCloudPrefix(target).text);
    const planned = await planNamed(options.target, flagsOf(options), catalogue, farPort);
    const plan = options.listen === false ? withoutPort(planned) : planned;
    starts ??= new StartLimiter(world);
    const composed = lifetime.use(await composeApp(world, questionOf(plan), {}, undefined, starts));
    // Garbage is the business of the program that this is a part of.
    const app: App = { ...composed, memory: new LocalMemory() };
    for (const orphan of await endOrphans(app, signal)) world.log.warn(orphanNote(orphan));
    signal.throwIfAborted();
    const forward = lifetime.use(await open(world, app, plan, options, onEvent, signal));
    const cut = () => forward.cut('interrupted');
    signal.addEventListener('abort', cut, { once: true });
    lifetime.defer(() => signal.removeEventListener('abort', cut));
    await forward.ready;
    return new HeldTunnel(forward, lifetime, (report) => onEvent(closedJson(report, world.clock.wall())));
  } catch (thrown) {
    await lifetime[Symbol.asyncDispose]();
    if (signal.aborted) throw signal.reason;
    const error = asCloudtunError(thrown);
    tell(errorEventJson(error, world.clock.wall()), onEvent);
    throw error;
  }
}

function open(
  world: World,
  app: App,
  plan: TunnelPlan,
  { probe }: TunnelOptions,
  onEvent: (event: TunnelEvent) => void,
  signal: AbortSignal,
): Promise<RunningForward> {
  const placeOf = (cloud: ProviderId) =>
    app.providers.find(({ id }) => id === cloud) ?? { label: cloud, profile: undefined };
  return openPlanned(
    app,
    plan,
    { request: plan.request, candidates: app.candidates },
    {
      isProbed: probe !== false,
      onEvent: (event: ForwardEvent) => tell(eventJson(event, placeOf, world.clock.wall()), onEvent),
    },
    signal,
  );
}

/** What would be warned of on stderr comes as an event. */
function libraryWorld({ cwd }: TunnelOptions, onEvent: (event: TunnelEvent) => void): World {
  const world = systemWorld(cwd === undefined ? {} : { cwd });
  const warn = (message: string) => onEvent({ event: 'warning', at: isoTime(world.clock.wall()), message });
  return { ...world, log: { ...silentLog, warn } };
}

function flagsOf(options: TunnelOptions): PlanFlags {
  const { port, bind, via, reader, ttl, idle, grace, reason, document } = options;
  const { profile, region, project, zone } = options;
  const list = (value: string | readonly string[] | undefined) => (typeof value === 'string' ? [value] : value);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new CloudtunError('CT_USAGE', `port ${port} is not a port`, {
      hint: 'a number from 0 to 65535; 0: any free one',
    });
  }
  return {
    port: port === undefined ? undefined : port === 0 ? 'auto' : String(port),
    bind: list(bind),
    via: list(via),
    ...{ reader, ttl, idle, grace, reason, document, profile, region, project, zone },
    'max-bytes': options.maxBytes,
    'keep-active': options.keepActive,
    sessions: options.sessions === undefined ? undefined : String(options.sessions),
  };
}

function withoutPort(plan: TunnelPlan): TunnelPlan {
  return { ...plan, rules: plan.rules.map((rule) => ({ ...rule, bind: [], port: 0 })) };
}

/** Events of commands that the library has no counterpart of do not come from a forward. */
function tell(event: EventJson, onEvent: (event: TunnelEvent) => void): void {
  if (event.event !== 'refused' && event.event !== 'file') onEvent(event);
}
