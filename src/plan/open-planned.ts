import type { TunnelRequest } from '../broker/broker-types.ts';
import { openTunnel } from '../broker/open-tunnel.ts';
import { type CandidateCloud, type SettledCloud, settleCloud } from '../broker/settle-cloud.ts';
import type { PortPlace } from '../config/stable-port.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { ForwardEventListener, ListenRule, RunningForward } from '../forward/forward-types.ts';
import { noProbe } from '../forward/no-probe.ts';
import { type ForwardPlan, openForward } from '../forward/open-forward.ts';
import { openSocks } from '../socks/socks-server.ts';
import type { RunningSocks, SocksPlan } from '../socks/socks-types.ts';
import type { App } from './app.ts';
import { permitted } from './permit.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

/** What is asked, and of whom. */
export interface PlannedRequest {
  readonly request: TunnelRequest;
  /** At least one. */
  readonly candidates: readonly CandidateCloud[];
}

/**
 * What `rds`, `sql`, `forward` and `demo` do alike: binds the plan's local ports, then opens what they lead to. No cloud is asked
 * before the policy allows it and the ports are bound, with one exception: where a stable port is wanted and several clouds may have
 * the target, they are asked before, since the port is made of where it is.
 *
 * @param signal calls off what may have to be asked before the ports are bound
 * @throws CT_POLICY
 */
export async function openPlanned(
  app: App,
  asked: TunnelPlan,
  { request, candidates }: PlannedRequest,
  options: {
    readonly isProbed: boolean;
    readonly onEvent: ForwardEventListener;
    readonly onDemand?: ForwardPlan['onDemand'];
  },
  signal: AbortSignal,
): Promise<RunningForward> {
  const { world, peers, memory } = app;
  const plan = permitted(app, asked);
  const [only, ...others] = candidates;
  const settle = (onEvent: TunnelEventListener, calledOff: AbortSignal) =>
    settled(app, { request, candidates }, onEvent, calledOff);
  const mustBeSettled = others.length > 0 && plan.rules.some(({ port }) => typeof port !== 'number');
  const early = mustBeSettled ? await settle((event) => options.onEvent({ type: 'tunnel', event }), signal) : undefined;
  return openForward(
    { world, peers, memory, ...(!options.isProbed && { probe: noProbe }) },
    {
      listen: listenRules(plan, () => placeOf(early, only)),
      open: async (onEvent, calledOff) => {
        const { provider, target } = early ?? (await settle(onEvent, calledOff));
        return openTunnel(app.contextFor(provider), request, { onEvent, target }, calledOff);
      },
      limits: plan.settings,
      onEvent: options.onEvent,
      ...(options.onDemand && { onDemand: options.onDemand }),
    },
  );
}

/** The same for `socks`: one port, and what its clients name. @throws CT_POLICY */
export async function openPlannedSocks(
  app: App,
  asked: TunnelPlan,
  planned: PlannedRequest,
  options: Pick<SocksPlan, 'rules' | 'onEvent'>,
): Promise<RunningSocks> {
  const plan = permitted(app, asked);
  const [only] = planned.candidates;
  const [listen] = listenRules(plan, () => placeOf(undefined, only));
  return openSocks(app, {
    ...options,
    listen: listen!,
    limits: plan.settings,
    open: async (onEvent, calledOff) => {
      const { provider, target } = await settled(app, planned, onEvent, calledOff);
      return openTunnel(app.contextFor(provider), planned.request, { onEvent, target }, calledOff);
    },
  });
}

/** The local side of a plan, the stable ports worked out; `place` is asked only if there is one. */
export function listenRules(plan: TunnelPlan, place: () => PortPlace): readonly ListenRule[] {
  return plan.rules.map(({ bind, port }) => ({
    bind: bind ?? plan.settings.bind ?? ['localhost'],
    port: typeof port === 'number' ? port : port(place()),
  }));
}

/** Which cloud it is, with a phase for `-v` where that had to be asked. */
export async function settled(
  { world }: App,
  { request, candidates }: PlannedRequest,
  onEvent: TunnelEventListener,
  signal: AbortSignal,
): Promise<SettledCloud> {
  const start = world.clock.now();
  const cloud = await settleCloud(world, candidates, request, signal);
  if (cloud.target) onEvent({ type: 'phase', phase: 'find cloud and target', duration: world.clock.now() - start });
  return cloud;
}

function placeOf(early: SettledCloud | undefined, only: CandidateCloud | undefined): PortPlace {
  if (early) return early.provider;
  if (only && 'provider' in only) return only.provider;
  throw only?.error;
}
