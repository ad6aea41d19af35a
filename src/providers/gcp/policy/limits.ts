import { CloudtunError } from '../../../domain/errors.ts';
import type { PolicyResource } from '../../policy-author.ts';
import type { OwnBinding } from './bindings.ts';

/** Of one allow policy ("iam/quotas"). What others have in it counts too, and that the cloud alone says. */
const MEMBER_LIMIT = 1_500;
const GROUP_LIMIT = 250;
/** Conditions of one member with one role. */
const CONDITION_LIMIT = 20;

/** @throws CT_POLICY_REFUSED where a policy would hold more than Google Cloud takes */
export function checkLimits(resources: readonly PolicyResource[]): void {
  const bindings = resources.flatMap(({ kind, content }) =>
    kind === 'binding' ? [content as unknown as OwnBinding] : [],
  );
  for (const [resource, those] of Map.groupBy(bindings, (each) => each.resource)) {
    if (those.length > MEMBER_LIMIT) {
      throw refused(`${resource} would have ${those.length} members; ${MEMBER_LIMIT} are taken`);
    }
    const groups = those.filter(({ member }) => member.startsWith('group:'));
    const distinct = new Set(groups.map(({ member }) => member));
    if (distinct.size > GROUP_LIMIT) {
      throw refused(`${resource} would have ${distinct.size} groups; ${GROUP_LIMIT} are taken`);
    }
    for (const [who, same] of Map.groupBy(those, ({ role, member }) => `${member} with ${role}`)) {
      const conditions = new Set(same.map(({ condition }) => condition.expression));
      if (conditions.size <= CONDITION_LIMIT) continue;
      throw refused(`${resource} would have ${conditions.size} conditions of ${who}; ${CONDITION_LIMIT} are taken`);
    }
  }
}

function refused(sentence: string): CloudtunError {
  return new CloudtunError('CT_POLICY_REFUSED', sentence, {
    hint: 'give it to fewer and larger groups, or spread it over several groups of people',
  });
}
