/**
 * An IAM policy document as data (IAM user guide, "reference_policies_grammar"). Left out on purpose: Principal and NotPrincipal, which
 * belong to policies of resources; a document with them is refused, because ignoring them would make it say something else.
 */

export interface IamStatement {
  /** Counted from 0 in its policy. */
  readonly index: number;
  readonly sid: string | undefined;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: IamSelection;
  readonly resources: IamSelection;
  readonly conditions: readonly IamCondition[];
}

/** Action or NotAction, Resource or NotResource. */
export interface IamSelection {
  /** True for the `Not…` form: everything but these. */
  readonly isInverted: boolean;
  readonly patterns: readonly string[];
}

export interface IamCondition {
  /** As written, `ForAnyValue:StringLikeIfExists`. */
  readonly operator: string;
  /** As written; context keys do not depend on case. */
  readonly key: string;
  readonly values: readonly string[];
}

export interface IamPolicy {
  /** How a reader finds it: the name of a managed policy, `inline NAME`, a file. */
  readonly name: string;
  /** Version 2012-10-17; in older documents `${…}` is text. */
  readonly hasVariables: boolean;
  readonly statements: readonly IamStatement[];
}

export type ReadPolicy =
  | { readonly ok: true; readonly policy: IamPolicy }
  /** A sentence without a full stop that says where and what. */
  | { readonly ok: false; readonly problem: string };

const VERSIONS: readonly unknown[] = ['2012-10-17', '2008-10-17', undefined];
const STATEMENT_MEMBERS = ['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'];

/** Thrown and caught in this file only: the first thing that is wrong with a document. */
class Malformed extends Error {}

/**
 * Reads a policy document.
 *
 * @param document JSON text, or what it parses to
 */
export function readIamPolicy(name: string, document: unknown): ReadPolicy {
  try {
    const value = typeof document === 'string' ? parseJson(document) : document;
    const { Version, Id, Statement, ...rest } = asObject(value, 'the document');
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Malformed(`the document has an unknown member ${unknown}`);
    if (!VERSIONS.includes(Version)) throw new Malformed(`there is no policy version ${JSON.stringify(Version)}`);
    if (Id !== undefined && typeof Id !== 'string') throw new Malformed('Id must be text');
    if (Statement === undefined) throw new Malformed('the document has no Statement');
    const statements = (Array.isArray(Statement) ? Statement : [Statement]).map(readStatement);
    if (statements.length === 0) throw new Malformed('the document has no Statement');
    const sids = statements.flatMap(({ sid }) => (sid === undefined ? [] : [sid]));
    const twice = sids.find((sid, index) => sids.indexOf(sid) !== index);
    if (twice !== undefined) throw new Malformed(`two statements have the Sid ${twice}`);
    return { ok: true, policy: { name, hasVariables: Version === '2012-10-17', statements } };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, problem: error.message };
    throw error;
  }
}

function readStatement(value: unknown, index: number): IamStatement {
  const members = asObject(value, `statement ${index + 1}`);
  const { Sid, Effect, Condition } = members;
  const where = typeof Sid === 'string' && Sid !== '' ? `statement ${Sid}` : `statement ${index + 1}`;
  if (Sid !== undefined && typeof Sid !== 'string') throw new Malformed(`Sid of ${where} must be text`);
  if (typeof Sid === 'string' && !/^[A-Za-z0-9]*$/.test(Sid)) {
    throw new Malformed(`the Sid of ${where} has other signs than letters and digits`);
  }
  const unknown = Object.keys(members).find((name) => !STATEMENT_MEMBERS.includes(name));
  if (unknown !== undefined) throw new Malformed(`${where} has a member ${unknown}, which no policy of a person has`);
  if (Effect !== 'Allow' && Effect !== 'Deny') throw new Malformed(`Effect of ${where} must be Allow or Deny`);
  return {
    index,
    sid: Sid === '' ? undefined : (Sid as string | undefined),
    effect: Effect,
    actions: readSelection(members, 'Action', where, /^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$/),
    resources: readSelection(members, 'Resource', where, /^(\*|arn:.+)$/s),
    conditions: readConditions(Condition, where),
  };
}

function readSelection(
  members: Readonly<Record<string, unknown>>,
  name: 'Action' | 'Resource',
  where: string,
  form: RegExp,
): IamSelection {
  const plain = members[name];
  const inverted = members[`Not${name}`];
  if ((plain === undefined) === (inverted === undefined)) {
    throw new Malformed(`${where} needs one of ${name} and Not${name}`);
  }
  const patterns = textList(plain ?? inverted, `${name} of ${where}`);
  const wrong = patterns.find((pattern) => !form.test(pattern));
  if (wrong !== undefined) throw new Malformed(`${name} of ${where} has ${JSON.stringify(wrong)}, which cannot be one`);
  if (patterns.length === 0) throw new Malformed(`${name} of ${where} is empty`);
  return { isInverted: plain === undefined, patterns };
}

function readConditions(value: unknown, where: string): readonly IamCondition[] {
  if (value === undefined) return [];
  return Object.entries(asObject(value, `Condition of ${where}`)).flatMap(([operator, keys]) =>
    Object.entries(asObject(keys, `${operator} of ${where}`)).map(([key, values]) => ({
      operator,
      key,
      values: textList(values, `${operator} ${key} of ${where}`),
    })),
  );
}

/** One value or a list of them; numbers and booleans count as their text. */
function textList(value: unknown, what: string): readonly string[] {
  return (Array.isArray(value) ? (value as readonly unknown[]) : [value]).map((one) => {
    if (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') return String(one);
    throw new Malformed(`${what} must be text or a list of texts`);
  });
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Malformed(`${what} must be an object`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed('the document is not JSON');
  }
}
