import { evaluateGcp, type GcpBinding, type GcpIdentity } from '../../../onboarding/core/gcp-evaluator.ts';
import type { CustomRoles } from '../../../onboarding/core/gcp-roles.ts';
import type {
  AccessAttempt,
  ForeignPolicy,
  Judgement,
  Person,
  PolicyDraft,
  StatementWord,
} from '../../policy-author.ts';
import type { GcpAttempt, GcpCall } from './attempts.ts';
import type { OwnBinding } from './bindings.ts';
import type { GcpFacts } from './facts.ts';

/** A foreign policy of Google Cloud: bindings on one resource. */
export interface ForeignBindings {
  readonly resource: string;
  readonly bindings: readonly GcpBinding[];
  readonly customRoles?: CustomRoles;
}

/** Whether what is drafted, with whatever else the person has, lets an attempt through (docs/security/iam.md). */
export function judgeGcp(
  draft: PolicyDraft,
  _facts: GcpFacts,
  person: Person,
  attempt: AccessAttempt,
  { at, others = [] }: { readonly at: number; readonly others?: readonly ForeignPolicy[] },
): Judgement {
  const foreign = others.map(({ content }) => content as unknown as ForeignBindings);
  const own = draft.resources.flatMap(({ kind, content }) =>
    kind === 'binding' ? [content as unknown as OwnBinding] : [],
  );
  const policyOf = (resource: string): readonly GcpBinding[] => [
    ...own
      .filter((each) => each.resource === resource)
      .map(({ role, member, condition }) => ({ role, members: [member], condition })),
    ...foreign.filter((each) => each.resource === resource).flatMap(({ bindings }) => bindings),
  ];
  const custom: CustomRoles = Object.assign(
    {},
    ...draft.resources.flatMap(({ kind, content }) => {
      if (kind !== 'role') return [];
      const { name, permissions } = content as { name: string; permissions: readonly string[] };
      return [{ [name]: permissions }];
    }),
    ...foreign.map(({ customRoles }) => customRoles ?? {}),
  );
  // Attempts are made by this drafter: they carry their calls.
  const calls = (attempt as GcpAttempt).calls.map((call) => judgeCall(policyOf, custom, identityOf(person), call, at));
  const decisions = calls.map(({ decision }) => decision);
  const decision = decisions.includes('denied') ? 'denied' : decisions.includes('unknown') ? 'unknown' : 'allowed';
  return { decision, calls };
}

/** A person is in every group that the catalogue says they are. */
function identityOf({ principal, name, also = [] }: Person): GcpIdentity {
  const groups = [principal, ...also].flatMap(({ kind, name: group }) =>
    kind === 'group' ? [group.toLowerCase()] : [],
  );
  const user = [principal, ...also].find(({ kind }) => kind === 'user');
  return { email: (user?.name ?? name).toLowerCase(), kind: 'user', groups };
}

function judgeCall(
  policyOf: (resource: string) => readonly GcpBinding[],
  custom: CustomRoles,
  who: GcpIdentity,
  { permission, resource, port, ip, resourceName }: GcpCall,
  at: number,
): Judgement['calls'][number] {
  const isTunnel = permission.startsWith('iap.');
  const verdict = evaluateGcp(policyOf, custom, {
    who,
    permission,
    resource,
    attributes: {
      time: at,
      accessLevels: [],
      ...(port !== undefined && { destinationPort: port }),
      ...(ip !== undefined && { destinationIp: ip }),
      ...(isTunnel ? { resourceService: 'iap.googleapis.com' } : { resourceName: resourceName ?? resource }),
    },
  });
  const shown = verdict.decidedBy.length > 0 ? verdict.decidedBy : verdict.bindings.filter(({ isNear }) => isNear);
  const words = shown.map(
    ({ resource: where, binding, grants, reason }): StatementWord => ({
      policy: where,
      statement: binding.condition?.title ?? binding.role,
      effect: 'allow',
      counts: grants === 'yes',
      reason,
    }),
  );
  // Another port is another thing, and the name of the resource does not tell.
  const place = port === undefined ? resource : `${resource} port ${port}`;
  return { action: permission, resource: place, decision: verdict.decision, words };
}
