import { CloudtunError } from '../../../domain/errors.ts';
import type { GcpBinding } from '../../../onboarding/core/gcp-evaluator.ts';
import type { ApiRequest, GcpApi } from '../gcp-api.ts';
import { refusalBehind } from '../gcp-errors.ts';
import type { OwnBinding } from './bindings.ts';

/** An allow policy as the API has it; members that we do not know are given back as they came. */
export interface AllowPolicy {
  readonly etag?: string;
  readonly version?: number;
  readonly bindings?: readonly GcpBinding[];
  readonly auditConfigs?: readonly {
    readonly service?: string;
    readonly auditLogConfigs?: readonly { readonly logType?: string }[];
  }[];
}

/** Others write too: how often a write that met another one is tried again. */
const TRIES = 5;

interface Place {
  readonly service: ApiRequest['service'];
  readonly path: string;
  /** How it is read, and where the version that is asked for goes: each service has its own way. */
  readonly reads: 'GET' | 'POST' | 'POST without a body';
  readonly sign: ':' | '/';
  /** What `.getIamPolicy` follows. */
  readonly permission: string;
}

/** Where the policy of a resource is read and written. */
function placeOf(resource: string): Place {
  const of = (service: Place['service'], path: string, permission: string, more: Partial<Place> = {}): Place => ({
    service,
    path,
    permission,
    reads: 'POST',
    sign: ':',
    ...more,
  });
  if (/\/iap_tunnel\/locations\//.test(resource)) return of('iap', `/v1/${resource}`, 'iap.tunnelDestGroups');
  if (/\/iap_tunnel\//.test(resource)) return of('iap', `/v1/${resource}`, 'iap.tunnelInstances');
  if (/\/zones\/[^/]+\/instances\//.test(resource))
    return of('compute', `/v1/${resource}`, 'compute.instances', { reads: 'GET', sign: '/' });
  if (/\/serviceAccounts\//.test(resource))
    return of('iam', `/v1/${resource}`, 'iam.serviceAccounts', { reads: 'POST without a body' });
  if (/\/secrets\//.test(resource))
    return of('secretmanager', `/v1/${resource}`, 'secretmanager.secrets', { reads: 'GET' });
  return of('cloudresourcemanager', `/v1/${resource}`, 'resourcemanager.projects');
}

/** The policy that is set on a resource; undefined where there is no such resource. @throws CT_DENIED … */
export async function readPolicy(api: GcpApi, resource: string, signal: AbortSignal): Promise<AllowPolicy | undefined> {
  const { service, path, reads, sign, permission } = placeOf(resource);
  const call = {
    permission: `${permission}.getIamPolicy`,
    resource,
    doing: `read who may do what on ${resource}`,
    role: 'roles/iam.securityReviewer',
  };
  const name = sign === '/' ? 'optionsRequestedPolicyVersion' : 'options.requestedPolicyVersion';
  const request: ApiRequest = {
    service,
    path: `${path}${sign}getIamPolicy`,
    method: reads === 'GET' ? 'GET' : 'POST',
    ...(reads === 'POST' ? { body: { options: { requestedPolicyVersion: 3 } } } : { query: { [name]: '3' } }),
  };
  try {
    return await api.call<AllowPolicy>(request, call, signal);
  } catch (error) {
    if (refusalBehind(error)?.status === 404) return undefined;
    throw error;
  }
}

/**
 * Reads a policy, changes its bindings and writes it back under its etag, again where somebody else wrote in between. Everything that is
 * not changed goes back as it came.
 *
 * @param change makes the bindings as they should be; undefined: they stay as they are. Told whether this is the first look: later ones
 *   follow a write that may have been heard
 * @param isTaking only takes away: of a resource that is gone, nothing is left to take
 * @throws CT_TARGET_NOT_FOUND, CT_DENIED, CT_POLICY_CHANGED after several tries, what `change` throws
 */
export async function changePolicy(
  api: GcpApi,
  resource: string,
  change: (bindings: readonly GcpBinding[], isFirst: boolean) => readonly GcpBinding[] | undefined,
  isTaking: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { service, path, sign, permission } = placeOf(resource);
  const call = {
    permission: `${permission}.setIamPolicy`,
    resource,
    doing: `change who may do what on ${resource}`,
    role: service === 'iap' ? 'roles/iap.admin' : 'roles/resourcemanager.projectIamAdmin',
  };
  for (let left = TRIES; ; left -= 1) {
    const policy = await readPolicy(api, resource, signal);
    if (policy === undefined && isTaking) return;
    if (policy === undefined) throw new CloudtunError('CT_TARGET_NOT_FOUND', `there is no ${resource}`);
    const bindings = change(policy.bindings ?? [], left === TRIES);
    if (bindings === undefined) return;
    const body = { policy: { ...policy, bindings, version: 3 } };
    try {
      await api.call({ service, path: `${path}${sign}setIamPolicy`, method: 'POST', body }, call, signal);
      return;
    } catch (error) {
      const status = refusalBehind(error)?.status;
      if (status === 400) throw refused(resource, error);
      if (status !== 409 && status !== 412) throw error;
      if (left > 1) continue;
      throw new CloudtunError('CT_POLICY_CHANGED', `somebody else keeps changing who may do what on ${resource}`, {
        hint: 'try again when they are done: cloudtun team apply',
        cause: error,
      });
    }
  }
}

function refused(resource: string, error: unknown): CloudtunError {
  const why = error instanceof Error ? error.message : String(error);
  return new CloudtunError('CT_POLICY_REFUSED', `Google Cloud does not take the permissions on ${resource}: ${why}`, {
    cause: error,
  });
}

/** The members of a policy one by one, those alone whose condition has a title of ours. */
export function ownBindings(resource: string, { bindings = [] }: AllowPolicy, title: string): readonly OwnBinding[] {
  return bindings.flatMap(({ role, members, condition }) =>
    condition?.title.startsWith(title)
      ? members.map((member) => ({
          resource,
          role,
          member,
          condition: { title: condition.title, expression: condition.expression },
        }))
      : [],
  );
}

const isSame = (one: OwnBinding, { role, condition }: GcpBinding) =>
  role === one.role && condition?.title === one.condition.title && condition.expression === one.condition.expression;

/** The same member with the same role under the same title, whose condition is another one than each of these. */
export const hasOther = (bindings: readonly GcpBinding[], known: readonly OwnBinding[]): boolean =>
  bindings.some(
    ({ role, members, condition }) =>
      known.some(
        (one) => one.role === role && members.includes(one.member) && one.condition.title === condition?.title,
      ) && known.every((one) => one.condition.expression !== condition?.expression),
  );

/** The bindings with one member more; undefined where it is there. */
export function withMember(bindings: readonly GcpBinding[], wanted: OwnBinding): readonly GcpBinding[] | undefined {
  const { role, member, condition } = wanted;
  const found = bindings.find((each) => isSame(wanted, each));
  if (found === undefined) return [...bindings, { role, members: [member], condition }];
  if (found.members.includes(member)) return undefined;
  return bindings.map((each) => (each === found ? { ...each, members: [...each.members, member] } : each));
}

/** The bindings without one member; undefined where it is not there. */
export function withoutMember(bindings: readonly GcpBinding[], gone: OwnBinding): readonly GcpBinding[] | undefined {
  const found = bindings.find((each) => isSame(gone, each) && each.members.includes(gone.member));
  if (found === undefined) return undefined;
  const members = found.members.filter((each) => each !== gone.member);
  return bindings.flatMap((each) => (each !== found ? [each] : members.length === 0 ? [] : [{ ...each, members }]));
}
