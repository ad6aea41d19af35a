import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';
import type { Place, PlacedEntry } from './catalogue.ts';
import { type CatalogueFile, catalogueSchema, describeFormProblem, keysAllowedAt } from './schema.ts';

/** One catalogue file, checked as far as it says something by itself. */
export interface ParsedFile {
  readonly data: CatalogueFile;
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  /** Where a key or a list item stands: `['groups', 'dev', 0]`. */
  placeOf(path: readonly PropertyKey[]): Place;
}

/**
 * Parses the text of a catalogue file.
 *
 * @param file how errors name it
 * @throws CT_CONFIG with file, line, column and, for an unknown key, the nearest one
 */
export function parseCatalogue(text: string, file: string): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const fail = (offset: number, message: string, hint?: string): never => {
    const at = place(offset);
    throw new CloudtunError(
      'CT_CONFIG',
      `${file}:${at.line}:${at.column}: ${message}`,
      hint === undefined ? {} : { hint },
    );
  };

  const syntaxError = document.errors[0];
  if (syntaxError) fail(syntaxError.pos[0], firstLine(syntaxError.message));
  const checked = catalogueSchema.safeParse(document.toJS() ?? {});
  if (!checked.success) {
    const { issues } = checked.error;
    // A name that is misspelt is missing as well; its own words help more.
    const unknown = issues.find(({ code }) => code === 'unrecognized_keys');
    const problem = describeIssue(unknown ?? issues[0]!, document);
    fail(problem.offset, problem.message, problem.hint);
  }
  const { data } = checked as { data: CatalogueFile };
  const entries = new Map<string, PlacedEntry>();
  for (const [name, entry] of Object.entries(data.targets ?? {})) {
    const offset = keyOffset(document, ['targets', name]);
    const problem = describeFormProblem(entry);
    if (problem !== undefined) fail(offset, `target "${name}" ${problem}`);
    entries.set(name, { entry, place: place(offset) });
  }
  return {
    data,
    entries,
    placeOf: (path) =>
      place(typeof path.at(-1) === 'number' ? (valueOffset(document, path) ?? 0) : keyOffset(document, path)),
  };
}

interface Problem {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

function describeIssue(issue: z.core.$ZodIssue, document: Document): Problem {
  const where = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const allowed = keysAllowedAt(issue.path);
    const [nearest] = nearestNames(key, allowed, 1);
    return {
      offset: keyOffset(document, [...issue.path, key]),
      message: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}`,
      hint: nearest === undefined ? `known here: ${allowed.join(', ')}` : `did you mean: ${nearest}`,
    };
  }
  const offset = valueOffset(document, issue.path) ?? keyOffset(document, issue.path.slice(0, -1));
  const isMissing = issue.code === 'invalid_type' && document.getIn(issue.path) === undefined;
  if (where === '')
    return {
      offset,
      message: 'is not a mapping of keys to values',
      hint: 'the first line of a catalogue is: version: 1',
    };
  if (isMissing || (where === 'version' && document.get('version') === undefined)) {
    return { offset, message: `${where} is missing`, ...(where === 'version' && { hint: 'write: version: 1' }) };
  }
  return { offset, message: `${where} should be ${expectation(issue)}` };
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.message.startsWith('Invalid input') ? withArticle(issue.expected) : issue.message;
  if (issue.code === 'too_small')
    return issue.origin === 'string' ? 'a text that is not empty' : `at least ${issue.minimum}`;
  if (issue.code === 'too_big') return `at most ${issue.maximum}`;
  return issue.message;
}

function withArticle(type: string): string {
  const words: Readonly<Record<string, string>> = {
    int: 'a whole number',
    number: 'a number',
    string: 'a text',
    boolean: 'true or false',
    object: 'a mapping',
    record: 'a mapping of names',
    array: 'a list',
  };
  return words[type] ?? type;
}

function valueOffset(document: Document, path: readonly PropertyKey[]): number | undefined {
  const node = document.getIn(path, true) as Node | undefined;
  return node?.range?.[0];
}

/** Where the key at the end of the path stands; the start of the nearest parent when it does not. */
function keyOffset(document: Document, path: readonly PropertyKey[]): number {
  const parent = path.length <= 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(path.at(-1)));
    if (pair && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
  }
  return (parent as Node | null | undefined)?.range?.[0] ?? 0;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');
}
