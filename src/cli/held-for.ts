import { existsSync } from 'node:fs';
import { planKey } from '../plan/plan-key.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import type { World } from '../runtime/world.ts';
import { findHeld } from '../supervisor/control-client.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import type { HeldStatus } from '../supervisor/protocol.ts';

/**
 * The tunnel that a supervisor holds and that serves a plan: the same far end by the same way as the same person, on the local ports
 * that were asked for, if any were. One that cannot be asked is none: the command then opens a tunnel of its own.
 */
export async function heldFor(world: World, plan: TunnelPlan): Promise<HeldStatus | undefined> {
  if (!existsSync(supervisorPaths(world).socket)) return undefined;
  try {
    const held = await findHeld(world, planKey(plan, world.env));
    return held && servesPorts(held, plan) ? held : undefined;
  } catch (error) {
    world.log.info(`the supervisor is passed over: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** A port that follows from the target, or any free one, is whichever the tunnel has. */
function servesPorts({ local }: HeldStatus, { rules, settings }: TunnelPlan): boolean {
  const wanted = rules.flatMap(({ port }) => (typeof port === 'number' && port !== 0 ? [port] : []));
  const ports = new Set(local.map((address) => Number(address.slice(address.lastIndexOf(':') + 1))));
  const hosts = local.map((address) => address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, ''));
  const binds = settings.bind?.filter((bind) => bind !== 'localhost') ?? [];
  return wanted.every((port) => ports.has(port)) && binds.every((bind) => hosts.includes(bind));
}
