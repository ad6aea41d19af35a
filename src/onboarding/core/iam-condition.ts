/**
 * A condition of a statement against the context of a request: set operators, `IfExists`, `Null`, several values, keys that are not
 * there (IAM user guide, "reference_policies_elements_condition_operators" and "…_multi-value-conditions").
 */
import type { ContextKeys, ContextValue } from './iam-context.ts';
import { allOf, anyOf, findOperator, type IamOperator, not, settle, type Truth } from './iam-operators.ts';
import type { VariableValue } from './iam-pattern.ts';
import type { IamCondition } from './iam-policy.ts';

export interface ConditionOutcome {
  readonly holds: Truth;
  /** For people, no full stop: `StringEquals aws:username failed: the request has no aws:username`. */
  readonly reason: string;
}

const SETS = /^(ForAllValues|ForAnyValue):/i;
const IF_EXISTS = /IfExists$/i;

/** @param variables undefined: the policy's version has none */
export function checkCondition(
  condition: IamCondition,
  context: ContextKeys,
  variables: VariableValue | undefined,
): ConditionOutcome {
  const { operator, key } = condition;
  const value = context.get(key);
  const set = SETS.exec(operator)?.[1]?.toLowerCase();
  const base = operator.replace(SETS, '').replace(IF_EXISTS, '');
  const say = (holds: Truth, because: string): ConditionOutcome => ({
    holds,
    reason: `${operator} ${key} ${holds === 'yes' ? 'holds' : holds === 'no' ? 'failed' : 'is unknown'}: ${because}`,
  });

  if (base.toLowerCase() === 'null') return checkNull(condition, value, say);
  const known = findOperator(base);
  if (known === undefined) return say('unknown', `the operator ${base} is not known here`);
  if (value.kind === 'absent') {
    if (set === 'foranyvalue') {
      // ForAnyValue is false without the key, IfExists is true without it; what both together are is not documented.
      return say(IF_EXISTS.test(operator) ? 'unknown' : 'no', `the request has no ${key}`);
    }
    const passes = set === 'forallvalues' || IF_EXISTS.test(operator) || known.isNegated;
    return say(passes ? 'yes' : 'no', `the request has no ${key}`);
  }
  const given = value.kind === 'single' ? [value.value] : value.values;
  const verdicts = given.map((one) => compare(known, condition.values, one, variables));
  const shown = `it is ${given.join(', ')}${known.isNegated ? '' : `, wanted ${condition.values.join(' or ')}`}`;
  if (set === 'forallvalues') return say(allOf(verdicts), shown);
  if (set === 'foranyvalue') return say(anyOf(verdicts), shown);
  // A list compared without a set operator has no documented answer.
  if (value.kind === 'list') return say('unknown', `${key} has several values and the condition no set operator`);
  return say(verdicts[0] ?? 'unknown', shown);
}

/** One of the policy's values for a positive operator, none of them for a negated one. */
function compare(
  operator: IamOperator,
  values: readonly string[],
  given: string,
  variables: VariableValue | undefined,
): Truth {
  const found = anyOf(values.map((value) => settle(operator.compare(value, given, variables), operator.isNegated)));
  return operator.isNegated ? not(found) : found;
}

function checkNull(
  { values, key }: IamCondition,
  value: ContextValue,
  say: (holds: Truth, because: string) => ConditionOutcome,
): ConditionOutcome {
  const isThere = value.kind !== 'absent';
  const wanted = values.map((one) => one.toLowerCase());
  const because = isThere ? `the request has ${key}` : `the request has no ${key}`;
  if (wanted.some((one) => one !== 'true' && one !== 'false'))
    return say('unknown', 'Null compares with true or false');
  return say(wanted.includes(isThere ? 'false' : 'true') ? 'yes' : 'no', because);
}
