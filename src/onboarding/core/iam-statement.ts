/** One statement against one request: whether it applies, and why or why not, part by part. */
import { checkCondition } from './iam-condition.ts';
import type { ContextKeys } from './iam-context.ts';
import { allOf, anyOf, arnFits, not, settle, type Truth } from './iam-operators.ts';
import { compilePattern, matchesTokens } from './iam-pattern.ts';
import type { IamSelection, IamStatement } from './iam-policy.ts';

export interface StatementCheck {
  readonly applies: Truth;
  /** Action and resource fit: what people want to see when nothing allowed a request. */
  readonly isNear: boolean;
  /** For people, no full stops, in the order in which AWS documents them: action, resource, conditions. */
  readonly reasons: readonly string[];
}

/** @param variables whether the policy's version has variables */
export function checkStatement(
  statement: IamStatement,
  request: { readonly action: string; readonly resource: string },
  context: ContextKeys,
  hasVariables: boolean,
): StatementCheck {
  const variables = hasVariables ? context.single : undefined;
  const action = checkAction(statement.actions, request.action);
  if (action === 'no') {
    return {
      applies: 'no',
      isNear: false,
      reasons: [`${named(statement.actions, 'Action')} is not ${request.action}`],
    };
  }
  const resource = checkResource(statement.resources, request.resource, (pattern) =>
    settle(arnFits(pattern, request.resource, variables), statement.resources.isInverted),
  );
  if (resource !== 'yes') {
    const what = named(statement.resources, 'Resource');
    const because =
      resource === 'no' ? `${what} does not cover ${request.resource}` : `${what} has a variable without a value`;
    return { applies: resource, isNear: false, reasons: [because] };
  }
  const conditions = statement.conditions.map((condition) => checkCondition(condition, context, variables));
  const applies = allOf(conditions.map(({ holds }) => holds));
  const shown = conditions.filter(({ holds }) => applies === 'yes' || holds !== 'yes').map(({ reason }) => reason);
  return {
    applies,
    isNear: true,
    reasons: shown.length > 0 ? shown : ['action and resource fit, and there is no condition'],
  };
}

/** Action names do not depend on case. */
function checkAction({ isInverted, patterns }: IamSelection, action: string): Truth {
  const lower = action.toLowerCase();
  const fits = patterns.some((pattern) => {
    const compiled = compilePattern(pattern.toLowerCase(), { variables: undefined, wildcards: true });
    return matchesTokens(compiled.tokens, lower);
  });
  return fits === isInverted ? 'no' : 'yes';
}

function checkResource(
  { isInverted, patterns }: IamSelection,
  resource: string,
  fits: (pattern: string) => Truth,
): Truth {
  // An action without resources is asked for as `*`, which only `*` covers.
  const found = anyOf(
    patterns.map((pattern) => {
      if (pattern === '*') return 'yes';
      if (resource === '*') return 'no';
      const verdict = fits(pattern);
      // An ARN that breaks off is taken as one that ends with `*`; what NotResource makes of it is not documented.
      return isInverted && verdict === 'no' && pattern.split(':').length < 6 ? 'unknown' : verdict;
    }),
  );
  return isInverted ? not(found) : found;
}

const SHOWN_PATTERNS = 4;

function named({ isInverted, patterns }: IamSelection, name: string): string {
  const more = patterns.length > SHOWN_PATTERNS ? ` and ${patterns.length - SHOWN_PATTERNS} more` : '';
  return `${isInverted ? 'Not' : ''}${name} ${patterns.slice(0, SHOWN_PATTERNS).join(', ')}${more}`;
}
