/**
 * The `filter` of list calls (Compute Engine API, "filter expressions"), as far as it is used for finding things: `name = web-1`,
 * `labels.role:*`, `(status = "RUNNING") (labels.env = practice)`, `AND`, `OR`, `-` and `NOT`, and the older `name eq web-.*`. No
 * comparison by size.
 */
import { faults } from './google-fault.ts';

type Test = (item: unknown) => boolean;

const TOKEN = /\s*(?:(\(|\)|!=|=|:)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s()=:!"']+))/y;
const DEEPEST = 20;

interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
}

/** Whether an item of the answer fits; throws the API's 400 when the filter cannot be read. */
export function parseFilter(filter: string): Test {
  const tokens = tokenize(filter);
  let at = 0;
  const word = () => {
    const token = tokens[at];
    return token === undefined || token.isQuoted ? undefined : token.text;
  };
  const wrong = (): never => {
    throw faults.invalid(`Invalid value for field 'filter': '${filter}'. Invalid list filter expression.`);
  };

  const disjunction = (depth: number): Test => {
    if (depth > DEEPEST) wrong();
    const tests = [conjunction(depth)];
    for (; word() === 'OR'; ) {
      at += 1;
      tests.push(conjunction(depth));
    }
    return (item) => tests.some((test) => test(item));
  };
  const conjunction = (depth: number): Test => {
    const tests: Test[] = [];
    for (;;) {
      if (word() === 'AND') at += 1;
      tests.push(term(depth));
      const next = word();
      if (at >= tokens.length || next === ')' || next === 'OR') return (item) => tests.every((test) => test(item));
    }
  };
  const term = (depth: number): Test => {
    const first = word() ?? '';
    if (first === 'NOT' || first.startsWith('-')) {
      // The minus stands right before what it denies.
      if (first.length > 1 && first !== 'NOT') tokens[at] = { text: first.slice(1), isQuoted: false };
      else at += 1;
      const test = term(depth);
      return (item) => !test(item);
    }
    if (word() === '(') {
      at += 1;
      const test = disjunction(depth + 1);
      if (word() !== ')') wrong();
      at += 1;
      return test;
    }
    return comparison();
  };
  const comparison = (): Test => {
    const field = tokens[at]?.text ?? wrong();
    const operator = tokens[at + 1]?.text ?? wrong();
    const value = tokens[at + 2]?.text ?? wrong();
    at += 3;
    const values = (item: unknown) => valuesAt(item, field.split('.'));
    switch (operator) {
      case '=':
        return (item) => values(item).some((one) => one === value);
      case '!=':
        return (item) => !values(item).some((one) => one === value);
      case ':':
        return (item) => values(item).some((one) => value === '*' || one.toLowerCase().includes(value.toLowerCase()));
      case 'eq':
      case 'ne': {
        const expression = wholeExpression(value) ?? wrong();
        return (item) => values(item).some((one) => expression.test(one)) === (operator === 'eq');
      }
      default:
        return wrong();
    }
  };

  if (tokens.length === 0) return () => true;
  const test = disjunction(0);
  if (at < tokens.length) wrong();
  return test;
}

function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < filter.trimEnd().length; ) {
    const found = TOKEN.exec(filter);
    if (found === null) throw faults.invalid(`Invalid value for field 'filter': '${filter}'.`);
    const [, sign, double, single, bare] = found;
    const quoted = double ?? single;
    tokens.push({ text: quoted?.replace(/\\(.)/g, '$1') ?? sign ?? bare ?? '', isQuoted: quoted !== undefined });
  }
  return tokens;
}

function wholeExpression(pattern: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch {
    return undefined;
  }
}

/** Every scalar that a path leads to, lists taken item by item. */
function valuesAt(item: unknown, path: readonly string[]): readonly string[] {
  if (Array.isArray(item)) return item.flatMap((one) => valuesAt(one, path));
  const [key, ...rest] = path;
  if (key === undefined) return typeof item === 'object' || item === undefined ? [] : [String(item)];
  if (typeof item !== 'object' || item === null || !Object.hasOwn(item, key)) return [];
  return valuesAt((item as Readonly<Record<string, unknown>>)[key], rest);
}
