/**
 * Which modules a source text imports, without a parser: comments and the insides of strings are told apart from code by a small
 * scanner, then the few spellings of an import are looked for. Serves the architecture test and the published manifest.
 */

import { isBuiltin } from 'node:module';

export interface ImportedModule {
  readonly specifier: string;
  /** `import type` and `export type`: gone at run time. */
  readonly isTypeOnly: boolean;
  /** `import('x')`. */
  readonly isDynamic: boolean;
  readonly line: number;
}

/** A `/` after one of these starts a regular expression, elsewhere it divides. */
const BEFORE_REGEX = /(?:^|[=(,:[!&|?{};+\-*%~^<>]|\breturn|\btypeof|\bcase|=>)\s*$/;
const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\//g;
const REGEX_BODY = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/;

const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ');

/**
 * The text with comments and regular expressions blanked, and with the contents of strings blanked too unless `keepStrings`.
 * Same length, same lines. A template's `${…}` counts as its string: code in there is not seen.
 */
export function codeOf(source: string, keepStrings = false): string {
  let code = '';
  let at = 0;
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(source); token !== null; token = TOKEN.exec(source)) {
    code += source.slice(at, token.index);
    at = token.index;
    const [text] = token;
    if (text === '/') {
      const regex = BEFORE_REGEX.test(code.slice(-40)) ? REGEX_BODY.exec(source.slice(at)) : null;
      code += regex === null ? '/' : blank(regex[0]);
      at += regex === null ? 1 : regex[0].length;
      TOKEN.lastIndex = at;
    } else {
      const isComment = text.startsWith('//') || text.startsWith('/*');
      code += isComment || !keepStrings ? keepQuotes(text, isComment) : text;
      at += text.length;
    }
  }
  return code + source.slice(at);
}

const keepQuotes = (text: string, isComment: boolean) =>
  isComment ? blank(text) : `${text[0]}${blank(text.slice(1, -1))}${text.at(-1)}`;

const STATIC_IMPORT =
  /(?<![.\w])(?:import|export)\s+(?<type>type\s+)?(?:[\w$*{][^'"`;]*?\s*from\s*)?(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g;
const DYNAMIC_IMPORT = /(?<![.\w])(?:import|require)\s*\(\s*(?<quote>['"`])(?<specifier>[^'"`\n$]+)\k<quote>\s*\)/g;

export function importsOf(source: string): ImportedModule[] {
  const code = codeOf(source, true);
  const withoutStrings = codeOf(source);
  const lineAt = (index: number) => code.slice(0, index).split('\n').length;
  const found = (pattern: RegExp, isDynamic: boolean) =>
    [...code.matchAll(pattern)]
      // The keyword itself must be code: a string may speak of imports.
      .filter((match) => withoutStrings[match.index] === match[0][0])
      .map((match) => ({
        specifier: match.groups!.specifier!,
        isTypeOnly: match.groups!.type !== undefined,
        isDynamic,
        line: lineAt(match.index),
      }));
  return [...found(STATIC_IMPORT, false), ...found(DYNAMIC_IMPORT, true)].sort((a, b) => a.line - b.line);
}

/** `@aws-sdk/client-ssm` of `@aws-sdk/client-ssm/dist-es/x.js`; undefined for relative paths and Node's own modules. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || isBuiltin(specifier)) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
