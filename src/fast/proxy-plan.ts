import type { Catalogue } from '../config/catalogue.ts';
import { planForward, planSsh, type TunnelPlan } from '../plan/tunnel-plan.ts';
import type { ProxyArguments } from './proxy-arguments.ts';

/**
 * The plan of `proxy HOST PORT`: a machine, or a host of the catalogue, at any port. A host is dialled by the machine before it, so that
 * no login there is needed where the cloud's tunnel reaches it through that machine.
 *
 * @throws CT_USAGE for a database, which has a command of its own
 */
export function planProxy(given: ProxyArguments, catalogue: Catalogue): TunnelPlan {
  const { target, port } = given;
  const flags = { ...given, port: undefined };
  const use = given.login === undefined ? 'proxy' : 'proxy of ssh';
  const entry = catalogue.targets.get(target);
  if (entry?.kind !== 'host') return quick(planSsh(target, flags, catalogue, { port, use }), given);
  const plan = planForward(target, [], flags, catalogue);
  if (plan.request.kind !== 'machine') return plan;
  const to = { host: entry.host, port };
  return { ...plan, request: { ...plan.request, to: [to], use }, rules: [{ bind: [], port: 0, to }] };
}

/** A key has to be let in by what the cloud knows of the machine, so it is not taken as named then. */
function quick(plan: TunnelPlan, { login }: ProxyArguments): TunnelPlan {
  const { request } = plan;
  return request.kind !== 'machine' || login !== undefined ? plan : { ...plan, request: { ...request, isQuick: true } };
}
