import type { LocalEndpoint } from '../domain/endpoint.ts';
import type { Millis } from '../domain/millis.ts';
import type { Route } from '../domain/target.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { connectSupervisor } from '../supervisor/control-client.ts';
import { heldFor } from './held-for.ts';

/** It tells at once what stands. */
const TOLD_WITHIN: Millis = 2_000;

export interface HeldRoute {
  readonly local: readonly LocalEndpoint[];
  /** Undefined: it opens on demand, and who holds it does not tell where it leads. */
  readonly route: Route | undefined;
}

/**
 * Where a tunnel that the supervisor holds leads, if it holds one for this plan. It listens: a connection waits while a session that was
 * lost comes back, or one on demand is opened.
 */
export async function heldRoute(world: World, plan: TunnelPlan): Promise<HeldRoute | undefined> {
  const held = await heldFor(world, plan);
  if (held === undefined) return undefined;
  using supervisor = await connectSupervisor(world);
  if (supervisor === undefined) return undefined;
  const told = async (signal: AbortSignal): Promise<HeldRoute | undefined> => {
    const leave = () => supervisor[Symbol.dispose]();
    signal.addEventListener('abort', leave, { once: true });
    for await (const reply of supervisor.ask({ do: 'watch', names: [held.name] })) {
      if (reply.say !== 'event') continue;
      const { event } = reply;
      if (event.type === 'ready') return event;
      if (event.type === 'waiting') return { local: event.local, route: undefined };
    }
    return undefined;
  };
  // One that cannot tell is passed over: the command opens a tunnel of its own.
  return await withDeadline(world.clock, TOLD_WITHIN, told).catch(() => undefined);
}
