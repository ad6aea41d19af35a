import { createHash } from 'node:crypto';
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
  return JSON.stringify([cloud ?? '', sorted(request), rules.map(sorted), sorted(settings)], (_key, value: unknown) =>
    typeof value === 'function' ? 'stable' : value,
  );
}

function sorted(value: object): readonly (readonly [string, unknown])[] {
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([one], [two]) => (one < two ? -1 : 1));
}
