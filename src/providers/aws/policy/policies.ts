import { CloudtunError } from '../../../domain/errors.ts';
import { policyDocument, type Statement } from './statements.ts';

/** Characters of a managed policy, white space left out ("reference_iam-quotas"). */
export const POLICY_LIMIT = 6_144;
/** Managed policies of one user or role: the default of the quota. */
export const ATTACHMENT_LIMIT = 10;

/** How much of the limit a policy document takes. */
export const policySize = (statements: readonly Statement[]) =>
  JSON.stringify(policyDocument(statements)).replaceAll(/\s/g, '').length;

/**
 * Statements as policies that fit, in their order: the same statements always make the same policies, and one that grows at the end
 * leaves those before it as they are.
 *
 * @throws CT_POLICY_REFUSED when one statement alone is too large
 */
export function splitPolicy(name: string, statements: readonly Statement[]): readonly (readonly Statement[])[] {
  const parts: Statement[][] = [[]];
  for (const statement of statements) {
    const alone = policySize([statement]);
    if (alone > POLICY_LIMIT) {
      throw new CloudtunError(
        'CT_POLICY_REFUSED',
        `statement ${statement.Sid} of ${name} has ${alone} characters; a policy may have ${POLICY_LIMIT}`,
        { hint: 'give the team fewer targets, or make two teams of it' },
      );
    }
    const last = parts.at(-1)!;
    if (policySize([...last, statement]) > POLICY_LIMIT) parts.push([statement]);
    else last.push(statement);
  }
  return parts;
}

/** `cloudtun-readers`, `cloudtun-readers-2` … */
export const policyName = (name: string, index: number) => (index === 0 ? name : `${name}-${index + 1}`);
