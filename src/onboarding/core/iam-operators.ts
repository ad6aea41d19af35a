/**
 * Condition operators of IAM for one value of the request against one value of the policy (IAM user guide,
 * "reference_policies_elements_condition_operators"). A negated operator is its positive form with the answer turned round, which
 * iam-condition.ts does. Left out on purpose: BinaryEquals, which no key of tunnels has; like every operator that is not here it makes
 * the answer unknown.
 */
import {
  type CompiledPattern,
  compileArnPattern,
  compilePattern,
  matchesTokens,
  type VariableValue,
} from './iam-pattern.ts';
import { isInRange } from './ip-range.ts';

/** Whether something holds; `unknown` is never taken for yes. */
export type Truth = 'yes' | 'no' | 'unknown';

/**
 * `no-value`: a variable of the policy has no value in the request. AWS documents that nothing is equal to it or like it, so it is no for
 * a positive operator; what a negated one then says is not documented.
 */
export type Compared = Truth | 'no-value';

/** What a comparison means once it is known which way round it is asked. */
export const settle = (compared: Compared, isNegated: boolean): Truth =>
  compared === 'no-value' ? (isNegated ? 'unknown' : 'no') : compared;

/**
 * @param inPolicy the value as the policy has it
 * @param inRequest the value of the context key
 * @param variables undefined: the policy's version has none
 */
type Comparison = (inPolicy: string, inRequest: string, variables: VariableValue | undefined) => Compared;

export interface IamOperator {
  readonly compare: Comparison;
  readonly isNegated: boolean;
}

const truth = (holds: boolean): Truth => (holds ? 'yes' : 'no');

function text(options: { readonly wildcards: boolean; readonly ignoreCase?: boolean }): Comparison {
  const fold = (one: string) => (options.ignoreCase ? one.toLowerCase() : one);
  return (inPolicy, inRequest, variables) => {
    const pattern = compilePattern(inPolicy, { variables, wildcards: options.wildcards });
    return fits(foldText(pattern, fold), fold(inRequest));
  };
}

function foldText(pattern: CompiledPattern, fold: (text: string) => string): CompiledPattern {
  const tokens = pattern.tokens.map((token) => (token.kind === 'text' ? { ...token, text: fold(token.text) } : token));
  return { ...pattern, tokens };
}

const fits = (pattern: CompiledPattern, value: string): Compared =>
  !matchesTokens(pattern.tokens, value) ? 'no' : pattern.isIncomplete ? 'no-value' : 'yes';

/** ARN operators compare part by part, wildcards in both ArnEquals and ArnLike. */
const arn: Comparison = (inPolicy, inRequest, variables) => {
  const parts = inPolicy.split(':');
  const given = inRequest.split(':');
  if (parts.length < 6) return inPolicy === '*' ? 'yes' : 'unknown';
  if (given.length < 6) return 'no';
  const pairs = [
    ...parts.slice(0, 5).map((part, index): [string, string] => [part, given[index]!]),
    [parts.slice(5).join(':'), given.slice(5).join(':')] as const,
  ];
  const verdicts = pairs.map(([part, value]) => fits(compilePattern(part, { variables, wildcards: true }), value));
  if (verdicts.includes('no')) return 'no';
  return verdicts.find((one) => one !== 'yes') ?? 'yes';
};

function number(holds: (inRequest: number, inPolicy: number) => boolean): Comparison {
  const read = (value: string) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value.trim()) ? Number(value) : NaN);
  return (inPolicy, inRequest) => {
    const wanted = read(inPolicy);
    const given = read(inRequest);
    return Number.isNaN(wanted) || Number.isNaN(given) ? 'unknown' : truth(holds(given, wanted));
  };
}

/** W3C date forms, and seconds since 1970. @returns milliseconds since 1970 */
function readDate(value: string): number {
  if (/^\d{1,12}$/.test(value))
    return Number(value) < 10_000 ? Date.parse(`${value}-01-01T00:00:00Z`) : Number(value) * 1_000;
  return /^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?)?)?$/.test(value)
    ? Date.parse(value)
    : NaN;
}

function date(holds: (inRequest: number, inPolicy: number) => boolean): Comparison {
  return (inPolicy, inRequest) => {
    const wanted = readDate(inPolicy);
    const given = readDate(inRequest);
    return Number.isNaN(wanted) || Number.isNaN(given) ? 'unknown' : truth(holds(given, wanted));
  };
}

const bool: Comparison = (inPolicy, inRequest, variables) => {
  const pattern = foldText(compilePattern(inPolicy, { variables, wildcards: false }), (one) => one.toLowerCase());
  if (!/^(true|false)$/i.test(inPolicy) && variables === undefined) return 'unknown';
  return fits(pattern, inRequest.toLowerCase());
};

const address: Comparison = (inPolicy, inRequest) => {
  const found = isInRange(inPolicy, inRequest);
  return found === undefined ? 'unknown' : truth(found);
};

const POSITIVE: Readonly<Record<string, Comparison>> = {
  stringequals: text({ wildcards: false }),
  stringequalsignorecase: text({ wildcards: false, ignoreCase: true }),
  stringlike: text({ wildcards: true }),
  arnequals: arn,
  arnlike: arn,
  numericequals: number((a, b) => a === b),
  numericlessthan: number((a, b) => a < b),
  numericlessthanequals: number((a, b) => a <= b),
  numericgreaterthan: number((a, b) => a > b),
  numericgreaterthanequals: number((a, b) => a >= b),
  dateequals: date((a, b) => a === b),
  datelessthan: date((a, b) => a < b),
  datelessthanequals: date((a, b) => a <= b),
  dategreaterthan: date((a, b) => a > b),
  dategreaterthanequals: date((a, b) => a >= b),
  bool,
  ipaddress: address,
};

const NEGATED: Readonly<Record<string, string>> = {
  stringnotequals: 'stringequals',
  stringnotequalsignorecase: 'stringequalsignorecase',
  stringnotlike: 'stringlike',
  arnnotequals: 'arnequals',
  arnnotlike: 'arnlike',
  numericnotequals: 'numericequals',
  datenotequals: 'dateequals',
  notipaddress: 'ipaddress',
};

/** The operator of a name without its set prefix and `IfExists`; undefined: not one that is known here. */
export function findOperator(name: string): IamOperator | undefined {
  const lower = name.toLowerCase();
  const compare = POSITIVE[NEGATED[lower] ?? lower];
  return compare && { compare, isNegated: lower in NEGATED };
}

export const not = (one: Truth): Truth => (one === 'yes' ? 'no' : one === 'no' ? 'yes' : 'unknown');

/** `no` as soon as one is no, then `unknown`, then `yes`; of nothing: yes. */
export function allOf(all: readonly Truth[]): Truth {
  if (all.includes('no')) return 'no';
  return all.includes('unknown') ? 'unknown' : 'yes';
}

/** `yes` as soon as one is yes; of nothing: no. */
export const anyOf = (all: readonly Truth[]): Truth => not(allOf(all.map(not)));

/** Whether an ARN is among those that a pattern of a policy names. */
export const arnFits = (pattern: string, resource: string, variables: VariableValue | undefined): Compared =>
  fits(compileArnPattern(pattern, variables), resource);
