import { CloudtunError } from '../../../domain/errors.ts';
import type { GcpBinding } from '../../../onboarding/core/gcp-evaluator.ts';
import type { ForeignPolicy, JsonValue, Person } from '../../policy-author.ts';
import type { GcpApi } from '../gcp-api.ts';
import { accountResource, tunnelResource } from './bindings.ts';
import type { GcpFacts, SubjectFacts } from './facts.ts';
import { readPolicy } from './policy-store.ts';
import type { RoleStore } from './role-store.ts';

/** What everything above a machine or a group is called, from the project down. */
function lineOf(resource: string): readonly string[] {
  const [, project = '', tunnel = '', place = ''] =
    /^(projects\/[^/]+)(\/iap_tunnel)(\/(?:zones|locations)\/[^/]+)/.exec(resource) ?? [];
  return project === '' ? [] : [project, project + tunnel, project + tunnel + place, resource];
}

/** Where a binding opens a way to a subject or a login to its machine. */
function placesOf(subject: SubjectFacts): readonly string[] {
  const { project, way } = subject;
  const tunnel = lineOf(tunnelResource(subject));
  if (way.kind === 'group') return tunnel;
  const { zone, instance, serviceAccount: account } = way;
  return [
    ...tunnel,
    `projects/${project}/zones/${zone}/instances/${instance}`,
    ...(account === undefined ? [] : [accountResource(account, project)]),
  ];
}

/**
 * Bindings that are not ours and that the person has, on the project and on what leads to the targets: roles that hold tunnel access
 * without a condition, logins, owners, everybody. Folders and the organization are not looked at, and the answer says nothing of them.
 * Custom roles of the project come with what they hold; others stay unknown.
 */
export async function foreignPolicies(
  api: GcpApi,
  roles: RoleStore,
  person: Person,
  facts: GcpFacts,
  signal: AbortSignal,
): Promise<readonly ForeignPolicy[]> {
  const members = membersOf(person);
  const resources = [...new Set(Object.values(facts.subjects).flatMap(placesOf))];
  const found = await Promise.all(
    resources.map(async (resource): Promise<ForeignPolicy | undefined> => {
      const policy = await readPolicy(api, resource, signal).catch((error: unknown) => {
        if (error instanceof CloudtunError && error.code === 'CT_DENIED') return undefined;
        throw error;
      });
      const bindings = (policy?.bindings ?? []).filter((binding) => isForeign(binding, members));
      if (bindings.length === 0) return undefined;
      const customRoles = await heldBy(roles, bindings, signal);
      return { name: resource, content: { resource, bindings, customRoles } as unknown as JsonValue };
    }),
  );
  return found.filter((each) => each !== undefined);
}

async function heldBy(
  roles: RoleStore,
  bindings: readonly GcpBinding[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const names = new Set(bindings.flatMap(({ role }) => (role.startsWith('projects/') ? [role] : [])));
  const found = await Promise.all(
    [...names].map(async (name) => {
      const role = await roles.read(name, signal).catch((error: unknown) => {
        if (error instanceof CloudtunError && error.code === 'CT_DENIED') return null;
        throw error;
      });
      // What may not be looked at stays unknown; what is deleted holds nothing.
      return role === null ? [] : [[name, role?.permissions ?? []] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}

function membersOf({ principal, name, also = [] }: Person): ReadonlySet<string> {
  const own = [principal, ...also].map((each) => `${each.kind}:${each.name}`.toLowerCase());
  const domain = name.includes('@') ? [`user:${name}`, `domain:${name.split('@')[1]}`] : [];
  return new Set([...own, ...domain.map((each) => each.toLowerCase()), 'allusers', 'allauthenticatedusers']);
}

const isForeign = ({ members, condition }: GcpBinding, own: ReadonlySet<string>) =>
  !condition?.title.startsWith('cloudtun/') && members.some((member) => own.has(member.toLowerCase()));
