import { type Document, isMap, isScalar, type Node } from 'yaml';
import { splitCloudPrefix } from '../domain/cloud-prefix.ts';

/** The sections whose keys are the user's own names. */
const NAMED_SECTIONS = ['targets', 'groups', 'logs', 'teams'] as const;

/** A name that cannot be used, and where it stands in the text. */
export interface WrongName {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

/**
 * Names that a command line could not say, or that would show as something else: they are read from the document, since a plain object
 * has no key that is a list, and none that is `__proto__`.
 */
export function* wrongNames(document: Document): Generator<WrongName, void, undefined> {
  for (const section of NAMED_SECTIONS) {
    const names = document.get(section, true);
    if (!isMap(names)) continue;
    for (const { key } of names.items) {
      const name = isScalar(key) ? key.value : undefined;
      const offset = (key as Node | null)?.range?.[0] ?? 0;
      if (typeof name !== 'string' && typeof name !== 'number') {
        yield { offset, message: `a name in ${section} should be a text`, hint: 'put it in quotes' };
        continue;
      }
      const problem = problemOf(String(name));
      if (problem !== undefined) yield { offset, message: `${section}: the name ${JSON.stringify(name)} ${problem}` };
    }
  }
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'is empty';
  // Cc and Cf: what moves a cursor, and what turns the direction of a line or is not seen at all.
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name)) return 'has a character that does not show';
  if (name.trim() !== name) return 'begins or ends with a space';
  if (name.startsWith('-')) return 'begins with -, like a flag';
  if (name === '__proto__') return 'is a word of the language that cloudtun is written in';
  const { cloud } = splitCloudPrefix(name);
  return cloud === undefined ? undefined : `begins with ${cloud}:, which says the name that a machine has there`;
}
