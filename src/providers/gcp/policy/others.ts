import { CloudtunError } from '../../../domain/errors.ts';
import type { GcpBinding } from '../../../onboarding/core/gcp-evaluator.ts';
import type { ForeignPolicy, JsonValue, Person } from '../../policy-author.ts';
import type { GcpApi } from '../gcp-api.ts';
import { tunnelResource } from './bindings.ts';
import type { GcpFacts } from './facts.ts';
import { readPolicy } from './policy-store.ts';

/** What everything above a machine or a group is called, from the project down. */
function lineOf(resource: string): readonly string[] {
  const [, project = '', tunnel = '', place = ''] =
    /^(projects\/[^/]+)(\/iap_tunnel)(\/(?:zones|locations)\/[^/]+)/.exec(resource) ?? [];
  return project === '' ? [] : [project, project + tunnel, project + tunnel + place, resource];
}

/**
 * Bindings that are not ours and that the person has, on the project and on what leads to the targets: roles that hold tunnel access
 * without a condition, owners, everybody. Folders and the organization are not looked at, and the answer says nothing of them.
 */
export async function foreignPolicies(
  api: GcpApi,
  person: Person,
  facts: GcpFacts,
  signal: AbortSignal,
): Promise<readonly ForeignPolicy[]> {
  const members = membersOf(person);
  const resources = [...new Set(Object.values(facts.subjects).flatMap((subject) => lineOf(tunnelResource(subject))))];
  const found = await Promise.all(
    resources.map(async (resource): Promise<ForeignPolicy | undefined> => {
      const policy = await readPolicy(api, resource, signal).catch((error: unknown) => {
        if (error instanceof CloudtunError && error.code === 'CT_DENIED') return undefined;
        throw error;
      });
      const bindings = (policy?.bindings ?? []).filter((binding) => isForeign(binding, members));
      if (bindings.length === 0) return undefined;
      return { name: resource, content: { resource, bindings } as unknown as JsonValue };
    }),
  );
  return found.filter((each) => each !== undefined);
}

function membersOf({ principal, name, also = [] }: Person): ReadonlySet<string> {
  const own = [principal, ...also].map((each) => `${each.kind}:${each.name}`.toLowerCase());
  const domain = name.includes('@') ? [`user:${name}`, `domain:${name.split('@')[1]}`] : [];
  return new Set([...own, ...domain.map((each) => each.toLowerCase()), 'allusers', 'allauthenticatedusers']);
}

const isForeign = ({ members, condition }: GcpBinding, own: ReadonlySet<string>) =>
  !condition?.title.startsWith('cloudtun/') && members.some((member) => own.has(member.toLowerCase()));
