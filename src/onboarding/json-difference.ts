import type { JsonValue } from '../providers/policy-author.ts';
import { canonical } from './policy-changes.ts';

/** One place where two values are not the same; what is absent on a side is undefined. */
export interface JsonDifference {
  /** `Statement.OnlyProd.Resource`: statements are named by what names them, and not by number. */
  readonly path: string;
  readonly before?: JsonValue;
  readonly after?: JsonValue;
}

type JsonObject = { readonly [key: string]: JsonValue };

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What names an element of a list, where it has such: the order of such lists means nothing. */
const NAMES = ['Sid', 'id', 'name', 'title', 'Key'] as const;

/** Where two JSON values differ, in the order of the places. Lists of plain values are compared as sets. */
export function jsonDifference(before: JsonValue, after: JsonValue, path = ''): readonly JsonDifference[] {
  if (canonical(before) === canonical(after)) return [];
  const one = asObject(before);
  const two = asObject(after);
  if (one !== undefined && two !== undefined) {
    const keys = [...new Set([...Object.keys(one), ...Object.keys(two)])];
    return keys.flatMap((key) => {
      const place = path === '' ? key : `${path}.${key}`;
      const [was, is] = [one[key], two[key]];
      if (was === undefined) return is === undefined ? [] : [{ path: place, after: is }];
      return is === undefined ? [{ path: place, before: was }] : jsonDifference(was, is, place);
    });
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const texts = (list: readonly JsonValue[]) => new Set(list.map(canonical));
    const [had, has] = [texts(before), texts(after)];
    const gone = before.filter((each) => !has.has(canonical(each)));
    const come = after.filter((each) => !had.has(canonical(each)));
    if (gone.length + come.length > 0)
      return [...gone.map((each) => ({ path, before: each })), ...come.map((each) => ({ path, after: each }))];
  }
  return [{ path, before, after }];
}

/** Objects as they are, and lists whose elements all have a name of their own by that name. */
function asObject(value: JsonValue): JsonObject | undefined {
  if (isObject(value)) return value;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const list: readonly JsonValue[] = value;
  const named = list.map((each) => {
    if (!isObject(each)) return undefined;
    const name = NAMES.map((key) => each[key]).find((text) => typeof text === 'string');
    return typeof name === 'string' ? ([name, each] as const) : undefined;
  });
  const known = named.filter((each) => each !== undefined);
  const isNamed = known.length === list.length && new Set(known.map(([name]) => name)).size === list.length;
  return isNamed ? Object.fromEntries(known) : undefined;
}
