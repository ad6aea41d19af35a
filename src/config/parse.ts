import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';
import type { Place, PlacedEntry } from './catalogue.ts';
import { type CatalogueFile, catalogueSchema, describeFormProblem, keysAllowedAt } from './schema.ts';
import { wrongNames } from './wrong-names.ts';

/** One catalogue file, checked as far as it says something by itself. */
export interface ParsedFile {
  readonly data: CatalogueFile;
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  /** Where a key or a list item stands: `['groups', 'dev', 0]`. */
  placeOf(path: readonly PropertyKey[]): Place;
}

/** Something that is wrong with a file, and where. */
export interface CatalogueProblem {
  readonly place: Place;
  readonly message: string;
  readonly hint?: string;
}

/**
 * Parses the text of a catalogue file.
 *
 * @param file how errors name it
 * @throws CT_CONFIG with file, line, column and, for an unknown key, the nearest one
 */
export function parseCatalogue(text: string, file: string): ParsedFile {
  const { parsed, problems } = checkCatalogue(text, file);
  const [first] = problems;
  if (first) throw problemError(first);
  return parsed!;
}

/** A problem as the error of a command. */
export function problemError({ place, message, hint }: CatalogueProblem): CloudtunError {
  const at = `${place.file}:${place.line}:${place.column}`;
  return new CloudtunError('CT_CONFIG', `${at}: ${message}`, hint === undefined ? {} : { hint });
}

/**
 * Everything that is wrong with a file by itself, what to mend first in front; `parsed` where nothing is.
 *
 * @param file how problems name it
 */
export function checkCatalogue(
  text: string,
  file: string,
): { readonly parsed?: ParsedFile; readonly problems: readonly CatalogueProblem[] } {
  const lines = new LineCounter();
  const document = parsedDocument(text, lines);
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  if (document === undefined) return { problems: [{ place: place(0), message: TOO_DEEP }] };
  const syntax = syntaxProblems(document, place);
  if (syntax.length > 0) return { problems: syntax.slice(0, PROBLEM_LIMIT) };
  const read = plainValue(document);
  if ('message' in read) return { problems: [{ place: place(0), message: read.message }] };
  const misnamed = [...wrongNames(document)];
  const checked = catalogueSchema.safeParse(read.value ?? {});
  const issues = checked.success ? [] : checked.error.issues.filter(({ code }) => code !== 'invalid_key');
  // A name that is misspelt is missing as well; its own words help more.
  const unknownFirst = [...issues].sort((one, two) => Number(isUnknownKey(two)) - Number(isUnknownKey(one)));
  const told = unknownFirst.slice(0, PROBLEM_LIMIT);
  const described = [...misnamed.slice(0, PROBLEM_LIMIT), ...told.flatMap((issue) => describeIssue(issue, document))];
  if (described.length > 0)
    return { problems: described.map(({ offset, ...problem }) => ({ place: place(offset), ...problem })) };
  const { data } = checked as { data: CatalogueFile };
  const entries = new Map<string, PlacedEntry>();
  const problems: CatalogueProblem[] = [];
  const offsets = keyOffsets(document, 'targets');
  for (const [name, entry] of Object.entries(data.targets ?? {})) {
    const at = place(offsets.get(name) ?? keyOffset(document, ['targets', name]));
    const problem = describeFormProblem(entry);
    if (problem !== undefined) problems.push({ place: at, message: `target "${name}" ${problem}` });
    entries.set(name, { entry, place: at });
  }
  if (problems.length > 0) return { problems };
  const placeOf = (path: readonly PropertyKey[]) =>
    place(typeof path.at(-1) === 'number' ? (valueOffset(document, path) ?? 0) : keyOffset(document, path));
  return { parsed: { data, entries, placeOf }, problems };
}

/** Where the keys of a section stand. Looking one up in the document reads all before it, which takes minutes with thousands. */
function keyOffsets(document: Document, section: string): ReadonlyMap<string, number> {
  const map = document.get(section, true);
  if (!isMap(map)) return new Map();
  return new Map(
    map.items.flatMap(({ key }) => (isScalar(key) && key.range ? [[String(key.value), key.range[0]] as const] : [])),
  );
}

/** Keys that stand in their mapping already. The parser's own check compares each with all before it. */
function keysThereTwice(document: Document): readonly number[] {
  const offsets: number[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) offsets.push(key.range?.[0] ?? 0);
        seen.add(name);
      }
    },
  });
  return offsets;
}

/** Undefined where the parser, which calls itself for every level, has no stack left. */
function parsedDocument(text: string, lineCounter: LineCounter): Document | undefined {
  try {
    // Anchors with `<<` are how people write what several targets have in common.
    return parseDocument(text, { lineCounter, merge: true, uniqueKeys: false });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function syntaxProblems(document: Document, place: (offset: number) => Place): readonly CatalogueProblem[] {
  const found = document.errors.map(({ pos, code, message }) => syntaxProblem(place(pos[0]), code, message));
  const tooDeep = found.find(({ message }) => message === TOO_DEEP);
  if (tooDeep) return [tooDeep];
  const twice = keysThereTwice(document).map((offset) => ({
    place: place(offset),
    message: 'this key is there twice',
  }));
  return found.length > 0 ? found : twice;
}

function syntaxProblem(place: Place, code: string, message: string): CatalogueProblem {
  if (code === 'MULTIPLE_DOCS') return { place, message: 'a second document begins here; a catalogue is one' };
  if (message.startsWith('Maximum call stack')) return { place, message: TOO_DEEP };
  if (code === 'TAB_AS_INDENT') return { place, message: 'a tab at the start of a line', hint: 'indent with spaces' };
  return { place, message: firstLine(message) };
}

/** The parser refuses what grows without bounds: aliases of aliases. */
function plainValue(document: Document): { readonly value: unknown } | { readonly message: string } {
  try {
    return { value: document.toJS() };
  } catch (error) {
    return { message: error instanceof Error ? firstLine(error.message) : String(error) };
  }
}

/** More are not read by anybody, and each costs a look at the whole file. */
const PROBLEM_LIMIT = 100;

const TOO_DEEP = 'is nested deeper than it can be read';

const isUnknownKey = ({ code }: z.core.$ZodIssue) => code === 'unrecognized_keys';

interface Problem {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

function describeIssue(issue: z.core.$ZodIssue, document: Document): readonly Problem[] {
  const where = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const allowed = keysAllowedAt(issue.path);
    return issue.keys.map((key) => {
      const [nearest] = nearestNames(key, allowed, 1);
      return {
        offset: keyOffset(document, [...issue.path, key]),
        message: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}`,
        hint: nearest === undefined ? `known here: ${allowed.join(', ')}` : `did you mean: ${nearest}`,
      };
    });
  }
  const offset = valueOffset(document, issue.path) ?? keyOffset(document, issue.path.slice(0, -1));
  const isMissing = issue.code === 'invalid_type' && document.getIn(issue.path) === undefined;
  if (where === '') {
    const hint = 'the first line of a catalogue is: version: 1';
    return [{ offset, message: 'is not a mapping of keys to values', hint }];
  }
  if (isMissing || (where === 'version' && document.get('version') === undefined)) {
    return [{ offset, message: `${where} is missing`, ...(where === 'version' && { hint: 'write: version: 1' }) }];
  }
  return [{ offset, message: `${where} should be ${expectation(issue)}` }];
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.message.startsWith('Invalid input') ? withArticle(issue.expected) : issue.message;
  if (issue.code === 'too_small' && issue.origin === 'array') return 'a list that is not empty';
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
