import { createHash } from 'node:crypto';
import type { GcpBinding } from '../../../onboarding/core/gcp-evaluator.ts';
import { checkedBindings } from '../iam/checked-bindings.ts';
import type { StoredPolicy } from '../iam/gcp-iam.ts';
import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';

/** A kind of resource with an allow policy of its own. */
interface PolicyPlace {
  /** Of the URL, with the named groups of the resource. */
  readonly path: string;
  readonly service: string;
  readonly action: string;
  /** `compute.instances`: what `.getIamPolicy` and `.setIamPolicy` follow in the names of the permissions. */
  readonly permission: (path: Readonly<Record<string, string>>) => string;
  readonly resource: (path: Readonly<Record<string, string>>) => string;
  /**
   * `colon`: POST `…:getIamPolicy`; `bare`: the same without a body, options in the query; `slash`: GET `…/getIamPolicy`, as Compute Engine
   * has it; `read`: GET `…:getIamPolicy`.
   */
  readonly form: 'colon' | 'bare' | 'slash' | 'read';
}

const part = (name: string, value: string | undefined) => (value ? `/${name}/${value}` : '');

const PLACES: readonly PolicyPlace[] = [
  {
    path: '/cloudresourcemanager/v[13]/projects/(?<project>[^/:]+)',
    service: 'cloudresourcemanager.googleapis.com',
    action: 'resourcemanager.projects',
    permission: () => 'resourcemanager.projects',
    resource: ({ project }) => `projects/${project}`,
    form: 'colon',
  },
  {
    path: '/compute/v1/projects/(?<project>[^/]+)/zones/(?<zone>[^/]+)/instances/(?<instance>[^/]+)',
    service: 'compute.googleapis.com',
    action: 'compute.instances',
    permission: () => 'compute.instances',
    resource: ({ project, zone, instance }) => `projects/${project}/zones/${zone}/instances/${instance}`,
    form: 'slash',
  },
  {
    path: '/iap/v1/projects/(?<project>[^/]+)/iap_tunnel(?:/zones/(?<zone>[^/:]+)(?:/instances/(?<instance>[^/:]+))?)?',
    service: 'iap.googleapis.com',
    action: 'iap',
    permission: ({ zone, instance }) => `iap.${instance ? 'tunnelInstances' : zone ? 'tunnelZones' : 'tunnel'}`,
    resource: ({ project, zone, instance }) =>
      `projects/${project}/iap_tunnel${part('zones', zone)}${part('instances', instance)}`,
    form: 'colon',
  },
  {
    path: '/iap/v1/projects/(?<project>[^/]+)/iap_tunnel/locations/(?<location>[^/:]+)(?:/destGroups/(?<group>[^/:]+))?',
    service: 'iap.googleapis.com',
    action: 'iap',
    permission: ({ group }) => `iap.${group ? 'tunnelDestGroups' : 'tunnelLocations'}`,
    resource: ({ project, location, group }) =>
      `projects/${project}/iap_tunnel/locations/${location}${part('destGroups', group)}`,
    form: 'colon',
  },
  {
    path: '/iam/v1/projects/(?<project>[^/]+)/serviceAccounts/(?<account>[^/:]+)',
    service: 'iam.googleapis.com',
    action: 'iam.serviceAccounts',
    permission: () => 'iam.serviceAccounts',
    resource: ({ project, account = '' }) => `projects/${project}/serviceAccounts/${decodeURIComponent(account)}`,
    form: 'bare',
  },
  {
    path: '/secretmanager/v1/projects/(?<project>[^/]+)/secrets/(?<secret>[^/:]+)',
    service: 'secretmanager.googleapis.com',
    action: 'secretmanager.secrets',
    permission: () => 'secretmanager.secrets',
    resource: ({ project, secret }) => `projects/${project}/secrets/${secret}`,
    form: 'read',
  },
];

/** getIamPolicy, setIamPolicy and testIamPermissions of everything that bindings can be set on. */
export function iamPolicyApi(context: GcpApiContext): readonly GcpOperation[] {
  return PLACES.flatMap((place) => operationsOf(context, place));
}

function operationsOf(context: GcpApiContext, place: PolicyPlace): readonly GcpOperation[] {
  const { iam, audit } = context;
  const sign = place.form === 'slash' ? '/' : ':';
  const operation = (
    method: GcpOperation['method'],
    verb: 'getIamPolicy' | 'setIamPolicy' | 'testIamPermissions',
    run: (call: GcpCall, resource: string) => object,
  ): GcpOperation => ({
    method,
    path: new RegExp(`^${place.path}${sign}${verb}$`),
    action: `${place.action}.${verb}`,
    service: place.service,
    ...(verb === 'testIamPermissions'
      ? {}
      : {
          needs: (path) => ({
            permission: `${place.permission(path)}.${verb}`,
            resource: place.resource(path),
          }),
        }),
    run: (call) => run(call, place.resource(call.path)),
  });
  return [
    operation(place.form === 'colon' || place.form === 'bare' ? 'POST' : 'GET', 'getIamPolicy', (call, resource) => {
      if (place.form === 'bare' && call.body?.options !== undefined) {
        throw faults.invalid('Invalid JSON payload received. Unknown name "options": Cannot find field.');
      }
      return policyShape(iam.policy(resource), requestedVersion(call));
    }),
    operation('POST', 'setIamPolicy', (call, resource) => {
      const { bindings, etag, version, auditConfigs } = asObject(call.body?.policy, 'policy');
      const read = checkedBindings(bindings ?? [], version, (role) => iam.roles.get(role)?.deleted === false);
      if (typeof read === 'string') throw faults.invalid(read);
      const before = iam.policy(resource);
      if (etag !== undefined && etag !== '' && etag !== before.etag) throw faults.conflict();
      if (before.bindings.some(({ condition }) => condition !== undefined) && version !== 3 && etag !== undefined) {
        throw faults.invalid('The policy has conditions: read and write it with version 3.');
      }
      const configs = Array.isArray(auditConfigs) ? (auditConfigs as object[]) : before.auditConfigs;
      const stored = iam.setPolicy(resource, read, configs);
      audit.setIamPolicy(call.caller.email, call.project.id, place.service, resource, { policy: { bindings: read } });
      return policyShape(stored, 3);
    }),
    operation('POST', 'testIamPermissions', (call, resource) => {
      const asked = call.body?.permissions;
      if (!Array.isArray(asked)) throw faults.invalid('permissions are missing');
      const held = asked.filter(
        (one): one is string => typeof one === 'string' && iam.may(call.caller.email, one, resource),
      );
      return held.length === 0 ? {} : { permissions: held };
    }),
  ];
}

function requestedVersion(call: GcpCall): number {
  const options = call.body?.options;
  const inBody =
    typeof options === 'object' && options !== null
      ? (options as { readonly requestedPolicyVersion?: unknown }).requestedPolicyVersion
      : undefined;
  const asked =
    inBody ?? call.query.get('optionsRequestedPolicyVersion') ?? call.query.get('options.requestedPolicyVersion') ?? 1;
  return Number(asked);
}

/** Whoever does not ask for version 3 is not shown conditions, but roles of a strange name in their place. */
function policyShape({ bindings, etag, auditConfigs }: StoredPolicy, version: number): object {
  const hasConditions = bindings.some(({ condition }) => condition !== undefined);
  const shown = version >= 3 ? bindings : bindings.map(withoutCondition);
  return {
    version: version >= 3 && hasConditions ? 3 : 1,
    etag,
    ...(shown.length === 0 ? {} : { bindings: shown }),
    ...(auditConfigs.length === 0 ? {} : { auditConfigs }),
  };
}

function withoutCondition({ role, members, condition }: GcpBinding): GcpBinding {
  if (condition === undefined) return { role, members };
  const hash = createHash('sha256').update(condition.expression).digest('hex').slice(0, 20);
  return { role: `${role}_withcond_${hash}`, members };
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw faults.invalid(`${what} is missing`);
}
