import { createHash } from 'node:crypto';
import type { PortPlace } from '../config/stable-port.ts';
import { PROVIDER_IDS } from '../domain/target.ts';
import type { Environment } from '../runtime/world.ts';
import type { TunnelPlan } from './tunnel-plan.ts';

/** Decide which account a name is looked up in, and as whom. */
const IDENTITY =
  /^(AWS_(PROFILE|DEFAULT_PROFILE|REGION|DEFAULT_REGION|ACCESS_KEY_ID|CONFIG_FILE|SHARED_CREDENTIALS_FILE|ENDPOINT_URL\w*|ROLE_ARN)|GOOGLE_\w+|CLOUDSDK_\w+|HOME)$/;

/**
 * Which tunnel a plan is about, whatever it is called and on whichever local port: two plans with the same key lead to the same far
 * end by the same way, as the same person. Opaque.
 */
export function planKey({ request, cloud, settings }: TunnelPlan, env: Environment): string {
  // Over how many sessions it goes says nothing of where it leads.
  const { reason: _, sessions: __, ...asked } = { reason: undefined, sessions: undefined, ...request };
  const identity = Object.entries(env).filter(([name]) => IDENTITY.test(name));
  const text = JSON.stringify([cloud ?? '', sorted(asked), sorted(settings.selection), identity.sort()]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Everything that was said of a plan: a change of it is another tunnel, or the same one otherwise. */
export function planSignature({ request, cloud, rules, settings }: TunnelPlan): string {
  const ports = rules.map(({ port, ...rest }) => [
    typeof port === 'number' ? port : portSomewhere(port, cloud),
    sorted(rest),
  ]);
  return JSON.stringify([cloud ?? '', sorted(request), ports, sorted(settings)]);
}

/** A port that follows from the place, in a place that stands for any: it changes with everything else that it is made of. */
function portSomewhere(port: (place: PortPlace) => number, cloud: TunnelPlan['cloud']): number | string {
  try {
    return port({ id: cloud ?? PROVIDER_IDS[0], scope: '' });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function sorted(value: object): readonly (readonly [string, unknown])[] {
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([one], [two]) => (one < two ? -1 : 1));
}
