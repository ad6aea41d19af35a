import { createHash } from 'node:crypto';
import type { CustomRole } from '../iam/gcp-iam.ts';
import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';
import { pageOf } from './page.ts';

const ROLES = '/iam/v1/projects/(?<project>[^/]+)/roles';
const ONE = `${ROLES}/(?<role>[^/:]+)`;

/** Custom roles of a project (IAM API, v1). */
export function iamRolesApi(context: GcpApiContext): readonly GcpOperation[] {
  const { roles } = context.iam;
  const nameOf = (call: GcpCall) => `projects/${call.project.id}/roles/${call.path.role}`;
  const find = (call: GcpCall): CustomRole => {
    const found = roles.get(nameOf(call));
    if (found === undefined) throw faults.notFound(nameOf(call));
    return found;
  };
  const keep = (role: Omit<CustomRole, 'etag'>): CustomRole => {
    const etag = createHash('sha256').update(context.world.random.bytes(8)).digest('base64').slice(0, 11);
    const kept = { ...role, etag };
    roles.set(role.name, kept);
    return kept;
  };
  const operation = (
    method: GcpOperation['method'],
    verb: string,
    path: string,
    run: (call: GcpCall) => object,
  ): GcpOperation => ({
    method,
    path: new RegExp(`^${path}$`),
    action: `iam.roles.${verb}`,
    service: 'iam.googleapis.com',
    needs: ({ project }) => ({ permission: `iam.roles.${verb}`, resource: `projects/${project}` }),
    run,
  });
  return [
    operation('POST', 'create', ROLES, (call) => {
      const { roleId, role } = call.body ?? {};
      if (typeof roleId !== 'string' || !/^[a-zA-Z0-9_.]{3,64}$/.test(roleId)) {
        throw faults.invalid('The role_id must be 3 to 64 letters, digits, underscores and periods.');
      }
      const name = `projects/${call.project.id}/roles/${roleId}`;
      if (roles.get(name) !== undefined) throw faults.exists(`A role named ${roleId} in ${name} already exists.`);
      return shape(keep({ name, ...readRole(role, undefined), deleted: false }));
    }),
    operation('GET', 'list', ROLES, (call) => {
      const all = [...roles.values()].filter(
        ({ name, deleted }) => name.startsWith(`projects/${call.project.id}/`) && !deleted,
      );
      const page = pageOf(all.map(shape), call.query, context.pageLimit);
      return {
        ...(page.items.length === 0 ? {} : { roles: page.items }),
        ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
      };
    }),
    operation('GET', 'get', ONE, (call) => shape(find(call))),
    operation('PATCH', 'update', ONE, (call) => {
      const before = find(call);
      const asked = call.body?.etag;
      if (asked !== undefined && asked !== before.etag) throw faults.conflict();
      return shape(keep({ ...before, ...readRole(call.body, before) }));
    }),
    // A deleted role is kept for a while, grants nothing, and its name is taken.
    operation('DELETE', 'delete', ONE, (call) => shape(keep({ ...find(call), deleted: true }))),
    operation('POST', 'undelete', `${ONE}:undelete`, (call) => shape(keep({ ...find(call), deleted: false }))),
  ];
}

function readRole(
  value: unknown,
  before: CustomRole | undefined,
): Pick<CustomRole, 'title' | 'description' | 'stage' | 'includedPermissions'> {
  if (typeof value !== 'object' || value === null) throw faults.invalid('The role is missing.');
  const { title, description, stage, includedPermissions } = value as Record<string, unknown>;
  const permissions = includedPermissions ?? before?.includedPermissions ?? [];
  if (!Array.isArray(permissions) || !permissions.every((one) => typeof one === 'string' && /^[\w.]+$/.test(one))) {
    throw faults.invalid('Permissions must be texts such as compute.instances.get.');
  }
  const text = (one: unknown, fallback: string) => (typeof one === 'string' ? one : fallback);
  return {
    title: text(title, before?.title ?? ''),
    description: text(description, before?.description ?? ''),
    stage: text(stage, before?.stage ?? 'GA'),
    includedPermissions: permissions as string[],
  };
}

const shape = ({ deleted, ...role }: CustomRole): object => (deleted ? { ...role, deleted } : role);
