import { MysqlError, syntaxError } from './mysql-result.ts';

/**
 * MySQL's way of writing SQL turned into SQLite's: comments away, versioned comments opened, string literals in single quotes without
 * backslashes, variables as parameters. Nothing is parsed; what else differs, SQLite reports as a syntax error.
 */
export interface CleanSql {
  readonly sql: string;
  /** How many `?` it has. */
  readonly parameterCount: number;
  /** By the name of the parameter that took its place: the variable as it was written, such as `@@version_comment`. */
  readonly variables: ReadonlyMap<string, string>;
}

/** 8.0.36; versioned comments of later servers are none of ours. */
const SERVER_VERSION = 80_036;

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', Z: '\u001a', '0': '\u0000' };

/**
 * @throws MysqlError 1064 for an unclosed quote or comment and for what SQLite would read as something else; 1295 for a second
 *   statement after the first
 */
export function cleanSql(text: string): CleanSql {
  const variables = new Map<string, string>();
  let parameterCount = 0;
  const sql: string[] = [];
  // One blank for any number of them: the patterns that statements are told apart by must not crawl over a megabyte of blanks.
  const blank = () => {
    if (sql.at(-1) !== ' ') sql.push(' ');
  };
  let isOver = false;
  // Inside a versioned comment that is read as SQL: its end is then a token of its own.
  let isOpen = false;
  for (let at = 0; at < text.length; ) {
    const token = tokenAt(text, at, isOpen);
    at = token.end;
    if (isOver && token.kind !== 'end' && token.kind !== 'blank') {
      throw new MysqlError(1295, 'HY000', 'the lab takes one statement at a time');
    }
    switch (token.kind) {
      case 'open':
      case 'close':
        isOpen = token.kind === 'open';
        blank();
        break;
      case 'blank':
        blank();
        break;
      case 'string':
        sql.push(`'${token.value.replaceAll("'", "''")}'`);
        break;
      case 'variable': {
        const name = `$v${variables.size}`;
        variables.set(name, token.value);
        sql.push(name);
        break;
      }
      case 'end':
        isOver = true;
        break;
      case 'parameter':
        parameterCount += 1;
        sql.push('?');
        break;
      case 'text':
        sql.push(token.value);
        break;
    }
  }
  return { sql: sql.join('').trim(), parameterCount, variables };
}

interface Token {
  readonly kind: 'string' | 'variable' | 'parameter' | 'end' | 'text' | 'blank' | 'open' | 'close';
  readonly value: string;
  readonly end: number;
}

const BLANK = /\s+/y;
const LINE_COMMENT = /(?:#|--(?=\s|$))[^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//y;
const OPENED_COMMENT = /\/\*!(\d{5,6})?/y;
const VARIABLE = /@@(?:(?:global|session|local)\.)?\w+|@[\w.$]+|@`[^`]+`/iy;
const QUOTED_NAME = /`(?:[^`]|``)*`/y;
const WORD = /[\w$\u0080-\uffff]+/y;
const NO_CACHE = /sql_(?:no_)?cache\b/iy;

function tokenAt(text: string, at: number, isOpen: boolean): Token {
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const whole = (kind: Token['kind'], value: string, length = value.length): Token => ({
    kind,
    value,
    end: at + length,
  });

  const opened = match(OPENED_COMMENT);
  if (opened && Number(opened[1] ?? 0) <= SERVER_VERSION) return whole('open', ' ', opened[0].length);
  const blank = match(BLANK) ?? match(LINE_COMMENT) ?? match(BLOCK_COMMENT);
  if (blank) return whole('blank', ' ', blank[0].length);
  if (isOpen && text.startsWith('*/', at)) return whole('close', ' ', 2);
  const character = text[at]!;
  if (character === "'" || character === '"') return stringAt(text, at);
  if (character === ';') return whole('end', ';');
  if (character === '?') return whole('parameter', '?');
  const noCache = match(NO_CACHE);
  if (noCache) return whole('blank', ' ', noCache[0].length);
  const variable = match(VARIABLE);
  if (variable) return whole('variable', variable[0]);
  const word = match(QUOTED_NAME) ?? match(WORD);
  if (word && !word[0].startsWith('$')) return whole('text', word[0]);
  if (text.startsWith('&&', at)) return whole('text', 'AND', 2);
  // SQLite reads parameters and quoted names where MySQL knows none.
  if (':@$[]{}`\u0000'.includes(character) || text.startsWith('/*', at)) throw syntaxError(text.slice(at));
  return whole('text', character);
}

function stringAt(text: string, start: number): Token {
  const quote = text[start]!;
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '\\' && at + 1 < text.length) {
      at += 1;
      value += ESCAPES[text[at]!] ?? text[at]!;
    } else if (character !== quote) {
      value += character;
    } else if (text[at + 1] === quote) {
      value += quote;
      at += 1;
    } else {
      return { kind: 'string', value, end: at + 1 };
    }
  }
  throw syntaxError(text.slice(start));
}
