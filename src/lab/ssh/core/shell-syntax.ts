/**
 * The part of the shell's language (POSIX.1, 2.2–2.9) that practice machines understand: words with both quotes, `$NAME`, `$?`,
 * `NAME=value` in front, `;`, newline, `&&`, `||`, `|`, `<`, `>`, `>>`, `2>`, `>&2`, `2>&1`, comments. Left out on purpose: everything that
 * makes it a language (`if`, functions, `$(…)`, patterns), here-documents and background jobs, which are refused by name.
 */

/** A piece of a word; `expands` unless it stood in single quotes or behind a backslash. */
export interface WordPart {
  readonly text: string;
  readonly expands: boolean;
}
export type Word = readonly WordPart[];

export type Redirect =
  | { readonly from: 0; readonly file: Word }
  | { readonly from: 1 | 2; readonly file: Word; readonly appends: boolean }
  | { readonly from: 1 | 2; readonly to: 1 | 2 };

export interface SimpleCommand {
  readonly words: readonly Word[];
  readonly redirects: readonly Redirect[];
}

/** Commands joined by `|`, and when they run: always, or as the status before them says. */
export interface Pipeline {
  readonly when: 'always' | 'success' | 'failure';
  readonly commands: readonly SimpleCommand[];
}

type Token = { readonly kind: 'word'; readonly word: Word } | { readonly kind: 'operator'; readonly text: string };

const OPERATOR = /^(?:&&|\|\||[012]?>&[12]|&>|2>>|1>>|>>|2>|1>|<<|[;|&<>()\n])/;

/** A text instead of a list says what is wrong, as the shell would. */
export function parseScript(script: string): readonly Pipeline[] | string {
  const tokens = tokenize(script);
  if (typeof tokens === 'string') return tokens;
  const pipelines: Pipeline[] = [];
  let when: Pipeline['when'] = 'always';
  let commands: SimpleCommand[] = [];
  let words: Word[] = [];
  let redirects: Redirect[] = [];
  const isEmpty = () => words.length === 0 && redirects.length === 0;
  const endCommand = () => {
    commands.push({ words, redirects });
    words = [];
    redirects = [];
  };
  const endPipeline = () => {
    endCommand();
    pipelines.push({ when, commands });
    commands = [];
  };

  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]!;
    if (token.kind === 'word') {
      words.push(token.word);
      continue;
    }
    const { text } = token;
    const dup = /^([12]?)>&([12])$/.exec(text);
    if (dup !== null) {
      redirects.push({ from: dup[1] === '2' ? 2 : 1, to: dup[2] === '2' ? 2 : 1 });
    } else if (/^[12]?>>?$|^<$/.test(text)) {
      const next = tokens[at + 1];
      if (next?.kind !== 'word') return unexpected(next);
      at += 1;
      redirects.push(
        text === '<'
          ? { from: 0, file: next.word }
          : { from: text.startsWith('2') ? 2 : 1, file: next.word, appends: text.endsWith('>>') },
      );
    } else if (text === ';' || text === '\n') {
      if (!isEmpty()) {
        endPipeline();
        when = 'always';
      } else if (text === ';' && (commands.length > 0 || when !== 'always')) {
        return unexpected(token);
      }
    } else if (isEmpty()) {
      return unexpected(token);
    } else if (text === '|') {
      endCommand();
    } else if (text === '&&' || text === '||') {
      endPipeline();
      when = text === '&&' ? 'success' : 'failure';
    } else {
      return `${text}: not understood by this practice machine`;
    }
  }
  if (!isEmpty()) endPipeline();
  else if (commands.length > 0 || when !== 'always') return 'syntax error: unexpected end of file';
  return pipelines;
}

function unexpected(token: Token | undefined): string {
  const what = token === undefined || token.kind === 'word' || token.text === '\n' ? 'newline' : token.text;
  return `syntax error near unexpected token \`${what}'`;
}

function tokenize(script: string): readonly Token[] | string {
  const tokens: Token[] = [];
  let word: WordPart[] | undefined;
  const add = (text: string, expands: boolean) => {
    word ??= [];
    word.push({ text, expands });
  };
  const endWord = () => {
    if (word !== undefined) tokens.push({ kind: 'word', word });
    word = undefined;
  };
  let at = 0;
  while (at < script.length) {
    const rest = script.slice(at);
    const char = rest[0]!;
    const operator = word === undefined || !/^[012]/.test(rest) ? OPERATOR.exec(rest)?.[0] : undefined;
    if (operator !== undefined) {
      endWord();
      tokens.push({ kind: 'operator', text: operator });
      at += operator.length;
    } else if (/\s/.test(char)) {
      endWord();
      at += 1;
    } else if (char === '#' && word === undefined) {
      at += /^[^\n]*/.exec(rest)![0].length;
    } else if (char === "'") {
      const end = script.indexOf("'", at + 1);
      if (end < 0) return "unexpected EOF while looking for matching `''";
      add(script.slice(at + 1, end), false);
      at = end + 1;
    } else if (char === '"') {
      const quoted = /^"((?:[^"\\]|\\[\s\S])*)"/.exec(rest);
      if (quoted === null) return 'unexpected EOF while looking for matching `"\'';
      add('', false);
      for (const piece of quoted[1]!.match(/\\[\s\S]|[^\\]+/g) ?? []) {
        if (!piece.startsWith('\\')) add(piece, true);
        else add(/^\\["\\$`]$/.test(piece) ? piece.slice(1) : piece, false);
      }
      at += quoted[0].length;
    } else if (char === '\\') {
      if (rest[1] !== '\n') add(rest[1] ?? '\\', false);
      at += 2;
    } else {
      const plain = /^[012]?[^\s'"\\;|&<>()]*/.exec(rest)![0] || char;
      add(plain, true);
      at += plain.length;
    }
  }
  endWord();
  return tokens;
}
