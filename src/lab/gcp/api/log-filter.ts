import type { LogEntry } from '../audit-log.ts';

/** `field OP value`, quoted or not. */
const COMPARISON = /^([\w.@/-]+)\s*(=|!=|:|>=|<=|>|<)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"()]+))$/;

/**
 * The part of the Logging query language that looking up audit entries needs: comparisons of fields joined with AND or line breaks.
 *
 * @returns a test, or a sentence saying what it cannot read
 */
export function parseLogFilter(filter: string): ((entry: LogEntry) => boolean) | string {
  const tests: ((entry: LogEntry) => boolean)[] = [];
  for (const part of filter.split(/\s+AND\s+|\n/)) {
    const text = part.trim();
    if (text === '') continue;
    const [, field, operator, quoted, bare] = COMPARISON.exec(text) ?? [];
    if (field === undefined || operator === undefined) return `Unparseable filter: ${text}`;
    const wanted = quoted ?? bare ?? '';
    tests.push((entry) => valuesOf(entry, field.split('.')).some((value) => fits(value, operator, wanted)));
  }
  return (entry) => tests.every((test) => test(entry));
}

/** The values at a path; every item of a list counts. */
function valuesOf(value: unknown, path: readonly string[]): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((one) => valuesOf(one, path));
  const [first, ...rest] = path;
  if (first === undefined) return typeof value === 'object' || value === undefined ? [] : [String(value)];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, first)) return [];
  return valuesOf((value as Readonly<Record<string, unknown>>)[first], rest);
}

function fits(value: string, operator: string, wanted: string): boolean {
  switch (operator) {
    case '=':
      return value.toLowerCase() === wanted.toLowerCase();
    case '!=':
      return value.toLowerCase() !== wanted.toLowerCase();
    case ':':
      return value.toLowerCase().includes(wanted.toLowerCase());
    case '>':
      return value > wanted;
    case '<':
      return value < wanted;
    case '>=':
      return value >= wanted;
    default:
      return value <= wanted;
  }
}
