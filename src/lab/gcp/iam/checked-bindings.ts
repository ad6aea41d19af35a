import { checkCel } from '../../../onboarding/core/cel-condition.ts';
import type { GcpBinding } from '../../../onboarding/core/gcp-evaluator.ts';

const MEMBER =
  /^(allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|deleted|principal|principalSet):.+)$/s;
/** Of one policy ("iam/quotas"). */
const MAX_MEMBERS = 1_500;
const MAX_GROUPS = 250;
/** Conditions of one member with one role. */
const MAX_CONDITIONS = 20;

/**
 * Bindings as `setIamPolicy` gets them.
 *
 * @returns the bindings, or a sentence saying what is wrong
 */
export function checkedBindings(
  value: unknown,
  version: unknown,
  isCustomRole: (role: string) => boolean,
): readonly GcpBinding[] | string {
  if (!Array.isArray(value)) return 'bindings must be a list.';
  const bindings: GcpBinding[] = [];
  for (const one of value as readonly unknown[]) {
    if (typeof one !== 'object' || one === null) return 'A binding must be an object.';
    const { role, members, condition } = one as Record<string, unknown>;
    if (typeof role !== 'string') return 'A binding needs a role.';
    const isCustom = /^(projects|organizations)\/[^/]+\/roles\/[^/]+$/.test(role);
    if (!isCustom && !/^roles\/[A-Za-z0-9.]+$/.test(role)) return `Role ${role} is not supported for this resource.`;
    if (isCustom && !isCustomRole(role)) return `Role (${role}) does not exist in the resource's hierarchy.`;
    if (!Array.isArray(members)) return `The binding of ${role} needs members.`;
    const list = members as readonly unknown[];
    const wrong = list.find((member) => typeof member !== 'string' || !MEMBER.test(member));
    if (wrong !== undefined) return `Invalid member ${JSON.stringify(wrong)}.`;
    const read = condition === undefined || condition === null ? undefined : readCondition(condition);
    if (typeof read === 'string') return read;
    if (read !== undefined && version !== 3) return 'Specified policy version must be 3 for a policy with conditions.';
    if (read !== undefined && /^roles\/(owner|editor|viewer)$/.test(role)) {
      return `Conditions can't be set on basic roles such as ${role}.`;
    }
    // A binding of nobody is dropped.
    if (list.length > 0)
      bindings.push({ role, members: list as string[], ...(read === undefined ? {} : { condition: read }) });
  }
  const count = bindings.reduce((sum, { members }) => sum + members.length, 0);
  if (count > MAX_MEMBERS) return `The policy has more than ${MAX_MEMBERS} members.`;
  const each = bindings.flatMap(({ role, members, condition }) =>
    members.map((member) => ({ member, key: `${role} ${member}`, expression: condition?.expression })),
  );
  const groups = new Set(each.flatMap(({ member }) => (/^(group|domain):/.test(member) ? [member] : [])));
  if (groups.size > MAX_GROUPS) return `The policy has more than ${MAX_GROUPS} groups and domains.`;
  const most = [...Map.groupBy(each, ({ key }) => key).values()].find(
    (those) => new Set(those.flatMap(({ expression }) => expression ?? [])).size > MAX_CONDITIONS,
  );
  if (most !== undefined) return `More than ${MAX_CONDITIONS} conditions for ${most[0]?.key}.`;
  return bindings;
}

function readCondition(value: unknown): NonNullable<GcpBinding['condition']> | string {
  if (typeof value !== 'object' || value === null) return 'A condition must be an object.';
  const { title, expression, description } = value as Record<string, unknown>;
  if (typeof title !== 'string' || title === '') return 'A condition needs a title.';
  if (typeof expression !== 'string') return 'A condition needs an expression.';
  const problem = checkCel(expression);
  if (problem !== undefined) return `Condition expression compilation failed: ${problem}.`;
  return { title, expression, ...(typeof description === 'string' ? { description } : {}) };
}
