import type { LocalEndpoint } from '../domain/endpoint.ts';
import type { Millis } from '../domain/millis.ts';
import type { Route } from '../domain/target.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { connectSupervisor } from '../supervisor/control-client.ts';
import { heldFor } from './held-for.ts';

/** It tells at once what is ready. */
const TOLD_WITHIN: Millis = 2_000;

export interface HeldRoute {
  readonly local: readonly LocalEndpoint[];
  readonly route: Route;
}

/** Where a tunnel that the supervisor holds leads, if it holds one for this plan and it is ready now. */
export async function heldRoute(world: World, plan: TunnelPlan): Promise<HeldRoute | undefined> {
  const held = await heldFor(world, plan);
  if (held?.state !== 'ready') return undefined;
  using supervisor = await connectSupervisor(world);
  if (supervisor === undefined) return undefined;
  const told = async (signal: AbortSignal): Promise<HeldRoute | undefined> => {
    const leave = () => supervisor[Symbol.dispose]();
    signal.addEventListener('abort', leave, { once: true });
    for await (const reply of supervisor.ask({ do: 'watch', names: [held.name] })) {
      if (reply.say === 'event' && reply.event.type === 'ready') return reply.event;
    }
    return undefined;
  };
  // One that cannot tell is passed over: the command opens a tunnel of its own.
  return await withDeadline(world.clock, TOLD_WITHIN, told).catch(() => undefined);
}
