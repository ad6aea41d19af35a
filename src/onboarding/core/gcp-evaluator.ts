/**
 * Whether Google Cloud IAM would let somebody do something on a resource, and which bindings decided ("iam/docs/allow-policies"): the
 * policies of the resource and of everything above it are united, a binding counts when its role has the permission, a member of it is
 * the person, and its condition holds. Nothing takes away. Left out on purpose: deny policies and principal access boundaries, which
 * cloudtun does not write; folders and organizations count when the caller hands their policies in.
 */
import { type CelAttributes, evaluateCel } from './cel-condition.ts';
import { type CustomRoles, roleHas } from './gcp-roles.ts';

export interface GcpBinding {
  /** `roles/iap.tunnelResourceAccessor`, `projects/P/roles/NAME` */
  readonly role: string;
  /** `user:alice@example.com`, `group:readers@example.com` … */
  readonly members: readonly string[];
  readonly condition?: { readonly title: string; readonly expression: string; readonly description?: string };
}

export interface GcpIdentity {
  readonly email: string;
  readonly kind: 'user' | 'serviceAccount';
  /** Of all groups, those that hold another group of the person included. */
  readonly groups: readonly string[];
}

export interface GcpRequest {
  readonly who: GcpIdentity;
  /** `iap.tunnelInstances.accessViaIAP` */
  readonly permission: string;
  /** `projects/P/iap_tunnel/zones/Z/instances/ID` */
  readonly resource: string;
  readonly attributes: CelAttributes;
}

export interface BindingOutcome {
  /** Where the policy is. */
  readonly resource: string;
  readonly binding: GcpBinding;
  readonly grants: 'yes' | 'no' | 'unknown';
  /** Role and member fit. */
  readonly isNear: boolean;
  /** For people, no full stop. */
  readonly reason: string;
}

export interface GcpVerdict {
  readonly decision: 'allowed' | 'denied' | 'unknown';
  /** The bindings that grant it, or those that nobody can judge. */
  readonly decidedBy: readonly BindingOutcome[];
  readonly bindings: readonly BindingOutcome[];
}

/**
 * @param policyOf the bindings that are set on a resource; asked for the resource and each one above it
 */
export function evaluateGcp(
  policyOf: (resource: string) => readonly GcpBinding[],
  custom: CustomRoles,
  request: GcpRequest,
): GcpVerdict {
  const bindings = resourceLine(request.resource).flatMap((resource) =>
    policyOf(resource).map((binding) => ({ resource, binding, ...judge(binding, custom, request) })),
  );
  const those = (grants: BindingOutcome['grants']) => bindings.filter((one) => one.grants === grants);
  const yes = those('yes');
  if (yes.length > 0) return { decision: 'allowed', decidedBy: yes, bindings };
  const unknown = those('unknown');
  return { decision: unknown.length > 0 ? 'unknown' : 'denied', decidedBy: unknown, bindings };
}

function judge(
  binding: GcpBinding,
  custom: CustomRoles,
  { who, permission, attributes }: GcpRequest,
): Pick<BindingOutcome, 'grants' | 'isNear' | 'reason'> {
  const has = roleHas(binding.role, permission, custom);
  if (has === 'no') return { grants: 'no', isNear: false, reason: `${binding.role} has no ${permission}` };
  const members = binding.members.map((member) => isMember(member, who));
  if (!members.includes('yes')) {
    const grants = members.includes('unknown') ? 'unknown' : 'no';
    return { grants, isNear: false, reason: `${who.email} is none of its members: ${binding.members.join(', ')}` };
  }
  if (has === 'unknown')
    return { grants: 'unknown', isNear: true, reason: `the role ${binding.role} is not known here` };
  if (binding.condition === undefined) return { grants: 'yes', isNear: true, reason: 'it has no condition' };
  const { title, expression } = binding.condition;
  const { holds, reason } = evaluateCel(expression, attributes);
  return { grants: holds, isNear: true, reason: `condition ${title}: ${reason}` };
}

function isMember(member: string, who: GcpIdentity): 'yes' | 'no' | 'unknown' {
  if (member === 'allUsers' || member === 'allAuthenticatedUsers') return 'yes';
  const [kind = '', name = ''] = member.split(/:(.*)/s);
  const same = (one: string) => one.toLowerCase() === name.toLowerCase();
  switch (kind) {
    case 'user':
    case 'serviceAccount':
      return kind === who.kind && same(who.email) ? 'yes' : 'no';
    case 'group':
      return who.groups.some(same) ? 'yes' : 'no';
    case 'domain':
      return who.kind === 'user' && same(who.email.replace(/^.*@/, '')) ? 'yes' : 'no';
    case 'deleted':
      return 'no';
    default:
      return 'unknown';
  }
}

/**
 * A resource and those above it, nearest first: an instance, its zone, all tunnels of the project, the project
 * (iam.md 4.5; "iap/docs/managing-access").
 */
export function resourceLine(resource: string): readonly string[] {
  const tunnel =
    /^(projects\/[^/]+)(\/iap_tunnel)((?:\/zones|\/locations)\/[^/]+)?(\/(?:instances|destGroups)\/[^/]+)?$/.exec(
      resource,
    );
  if (tunnel !== null) {
    const [, project = '', all = '', place = '', one = ''] = tunnel;
    return [...new Set([project + all + place + one, project + all + place, project + all, project])];
  }
  const project = /^projects\/[^/]+/.exec(resource)?.[0];
  return project === undefined || project === resource ? [resource] : [resource, project];
}
