import type { TunnelRequest } from '../broker/broker-types.ts';
import { openTunnel } from '../broker/open-tunnel.ts';
import type { App } from '../compose.ts';
import type { ForwardEventListener, ListenRule, RunningForward } from '../forward/forward-types.ts';
import { noProbe } from '../forward/no-probe.ts';
import { openForward } from '../forward/open-forward.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

/** What `rds`, `forward` and `demo` do alike: binds the plan's local ports, then opens what they lead to. */
export function openPlanned(
  app: App,
  plan: TunnelPlan,
  request: TunnelRequest,
  options: { readonly isProbed: boolean; readonly onEvent: ForwardEventListener },
): Promise<RunningForward> {
  const { world, peers, memory } = app;
  return openForward(
    { world, peers, memory, ...(!options.isProbed && { probe: noProbe }) },
    {
      listen: listenRules(plan, app.provider.scope),
      open: (onEvent, signal) => openTunnel(app, request, { onEvent }, signal),
      limits: plan.settings,
      onEvent: options.onEvent,
    },
  );
}

/** The local side of a plan, the stable ports worked out. */
export function listenRules(plan: TunnelPlan, region: string): readonly ListenRule[] {
  return plan.rules.map(({ bind, port }) => ({
    bind: bind ?? plan.settings.bind ?? ['localhost'],
    port: typeof port === 'number' ? port : port(region),
  }));
}
