/**
 * Reads the native syntax of HCL as far as exported permissions use it ("github.com/hashicorp/hcl", hclsyntax/spec.md): blocks, attributes,
 * quoted texts, heredocs, lists, objects, references. Stricter than Terraform: whatever it does not know is an error, so that a text which
 * leaves its quotes is found. Terraform itself is not there where these tests run.
 */

export interface HclRead {
  readonly kind: string;
  readonly labels: readonly string[];
  readonly attributes: Readonly<Record<string, HclExpression>>;
  readonly blocks: readonly HclRead[];
}

export type HclExpression =
  | { readonly text: string }
  | { readonly number: number }
  | { readonly flag: boolean }
  | { readonly reference: string }
  | { readonly list: readonly HclExpression[] }
  | { readonly object: Readonly<Record<string, HclExpression>> };

/** @throws Error with the line at which it is not HCL */
export function readHcl(source: string): readonly HclRead[] {
  return new Reader(source).body(true).blocks;
}

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_-]*/y;
const REFERENCE = /[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)+/y;
const NUMBER = /-?\d+(?:\.\d+)?/y;
const HEREDOC = /<<-([A-Z]+)\n/y;

class Reader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  body(isWhole: boolean): Pick<HclRead, 'attributes' | 'blocks'> {
    const attributes: Record<string, HclExpression> = {};
    const blocks: HclRead[] = [];
    for (;;) {
      this.#skip(/(?:\s|#[^\n]*\n)*/y);
      if (this.#at === this.#source.length || this.#source[this.#at] === '}') {
        if ((this.#at === this.#source.length) === isWhole) return { attributes, blocks };
        throw this.#wrong('a brace is not closed, or closed twice');
      }
      const name = this.#need(IDENTIFIER, 'a name');
      this.#skip(/[ \t]*/y);
      if (this.#take('=')) {
        if (Object.hasOwn(attributes, name)) throw this.#wrong(`${name} is there twice`);
        attributes[name] = this.#expression();
        this.#need(/[ \t]*(?=\n|\})/y, 'the end of a line');
        continue;
      }
      const labels: string[] = [];
      while (this.#source[this.#at] === '"') {
        labels.push(this.#quoted());
        this.#skip(/[ \t]*/y);
      }
      if (!this.#take('{')) throw this.#wrong('"{" or "="');
      const inner = this.body(false);
      this.#take('}');
      blocks.push({ kind: name, labels, ...inner });
    }
  }

  #expression(): HclExpression {
    this.#skip(/\s*/y);
    const sign = this.#source[this.#at];
    if (sign === '"') return { text: this.#quoted() };
    if (sign === '<') return { text: this.#heredoc() };
    if (sign === '[') return { list: this.#list() };
    if (sign === '{') return { object: this.#object() };
    const number = this.#match(NUMBER);
    if (number !== undefined) return { number: Number(number) };
    // The one function that exports call: data sources give sets, which have no first element.
    const isCall = this.#take('tolist(');
    const reference = this.#match(REFERENCE);
    if (isCall) this.#need(/\)\[\d+\]/y, 'the end of tolist()');
    if (reference !== undefined) return { reference };
    const flag = this.#need(/true|false/y, 'a value');
    return { flag: flag === 'true' };
  }

  #list(): readonly HclExpression[] {
    const items: HclExpression[] = [];
    this.#take('[');
    for (;;) {
      this.#skip(/\s*/y);
      if (this.#take(']')) return items;
      items.push(this.#expression());
      this.#need(/\s*(?:,|(?=\]))/y, 'a comma');
    }
  }

  #object(): Readonly<Record<string, HclExpression>> {
    const members: Record<string, HclExpression> = {};
    this.#take('{');
    for (;;) {
      this.#skip(/\s*/y);
      if (this.#take('}')) return members;
      const key = this.#source[this.#at] === '"' ? this.#quoted() : this.#need(IDENTIFIER, 'a key');
      if (Object.hasOwn(members, key)) throw this.#wrong(`${key} is there twice`);
      this.#need(/[ \t]*=/y, '"="');
      members[key] = this.#expression();
      this.#need(/[ \t]*,?[ \t]*(?=\n|\})/y, 'the end of a line');
    }
  }

  /** Without templates: `${` and `%{` have to be doubled in what is meant as text. */
  #quoted(): string {
    this.#take('"');
    let text = '';
    for (;;) {
      const sign = this.#source[this.#at];
      if (sign === undefined || sign === '\n') throw this.#wrong('a quote is not closed');
      if (sign === '"') {
        this.#at += 1;
        return plain(text, (why) => this.#wrong(why));
      }
      if (sign === '\\') {
        const sequence = this.#need(/\\(?:[nrt"\\]|u[0-9a-fA-F]{4})/y, 'an escape that HCL has');
        text += JSON.parse(`"${sequence}"`) as string;
        continue;
      }
      text += sign;
      this.#at += 1;
    }
  }

  #heredoc(): string {
    HEREDOC.lastIndex = this.#at;
    const [head = '', word = ''] = HEREDOC.exec(this.#source) ?? [];
    if (head === '') throw this.#wrong('a heredoc');
    const end = new RegExp(`^[ \\t]*${word}$`, 'm');
    const rest = this.#source.slice(this.#at + head.length);
    const found = end.exec(rest);
    if (found === null) throw this.#wrong('the heredoc does not end');
    this.#at += head.length + found.index + found[0].length;
    const lines = rest.slice(0, found.index).split('\n').slice(0, -1);
    const indent = Math.min(...lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)![0].length));
    return plain(lines.map((line) => line.slice(indent)).join('\n'), (why) => this.#wrong(why));
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #need(pattern: RegExp, what: string): string {
    const found = this.#match(pattern);
    if (found === undefined) throw this.#wrong(`${what} was expected`);
    return found;
  }

  #skip(pattern: RegExp): void {
    this.#match(pattern);
  }

  #take(sign: string): boolean {
    const isThere = this.#source.startsWith(sign, this.#at);
    if (isThere) this.#at += sign.length;
    return isThere;
  }

  #wrong(why: string): Error {
    const line = this.#source.slice(0, this.#at).split('\n').length;
    return new Error(`line ${line}: ${why}: ${JSON.stringify(this.#source.slice(this.#at, this.#at + 40))}`);
  }
}

/** What a text stands for. A template in it would be an expression, and no export has one. */
function plain(text: string, wrong: (why: string) => Error): string {
  if (/[$%]\{/.test(text.replaceAll('$${', '').replaceAll('%%{', ''))) throw wrong('a template');
  return text.replaceAll('$${', '${').replaceAll('%%{', '%{');
}
