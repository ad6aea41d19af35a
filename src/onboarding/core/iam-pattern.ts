/**
 * Patterns of IAM policies: `*` any run of characters, `?` exactly one, `${key}` a value of the request (IAM user guide,
 * "reference_policies_variables" and "reference_policies_elements_resource"). A pattern is compiled to tokens and matched by a table of
 * pattern length × text length, so a hostile pattern costs no more than that; a regular expression would backtrack.
 */

/** One sign of a pattern: a literal character, any run of characters, or one character. */
export type PatternToken =
  | { readonly kind: 'text'; readonly text: string }
  /** `*`. One that `staysInSegment` matches no colon. */
  | { readonly kind: 'any'; readonly staysInSegment: boolean }
  | { readonly kind: 'one'; readonly staysInSegment: boolean };

/** What a variable stands for; undefined: the request has no single value for it. */
export type VariableValue = (key: string) => string | undefined;

/** A pattern that can be matched. */
export interface CompiledPattern {
  readonly tokens: readonly PatternToken[];
  /** A variable had no value; the pattern then has "anything" in its place, so that what does not fit even so is known not to fit. */
  readonly isIncomplete: boolean;
}

interface CompileOptions {
  /** Undefined: the policy's version has no variables, `${…}` is text. */
  readonly variables: VariableValue | undefined;
  /** `*` and `?` are text for the operators that compare whole values, such as StringEquals. */
  readonly wildcards: boolean;
}

/** Compiles a value of a policy. What a variable brings in is text: a `*` in somebody's name opens nothing. */
export function compilePattern(pattern: string, { variables, wildcards }: CompileOptions): CompiledPattern {
  const tokens: PatternToken[] = [];
  let text = '';
  let isIncomplete = false;
  const flush = () => {
    if (text !== '') tokens.push({ kind: 'text', text });
    text = '';
  };
  let at = 0;
  while (at < pattern.length) {
    const sign = pattern[at]!;
    const end = sign === '$' && pattern[at + 1] === '{' && variables !== undefined ? pattern.indexOf('}', at) : -1;
    if (end !== -1) {
      const filled = fillVariable(pattern.slice(at + 2, end), variables!);
      if (filled === undefined) {
        flush();
        tokens.push({ kind: 'any', staysInSegment: false });
        isIncomplete = true;
      }
      text += filled ?? '';
      at = end + 1;
      continue;
    }
    if (wildcards && (sign === '*' || sign === '?')) {
      flush();
      tokens.push({ kind: sign === '*' ? 'any' : 'one', staysInSegment: false });
    } else {
      text += sign;
    }
    at += 1;
  }
  flush();
  return { tokens, isIncomplete };
}

/** `key`, `key, 'default'`, or one of the three signs that stand for themselves. */
function fillVariable(inside: string, value: VariableValue): string | undefined {
  if (inside === '*' || inside === '?' || inside === '$') return inside;
  const [, key = '', fallback] = /^([^,]*)(?:,\s*'(.*)')?$/s.exec(inside) ?? [];
  return value(key.trim()) ?? fallback;
}

/** Number of colons that separate the parts of an ARN before its resource. */
const ARN_SEPARATORS = 5;

/**
 * Compiles an ARN pattern of a Resource element. In the first five parts a wildcard stays inside its part, but for a `*` at the end of a
 * part, which may run on over colons; in the resource part it matches anything. Variables count in the resource part only.
 */
export function compileArnPattern(pattern: string, variables: VariableValue | undefined): CompiledPattern {
  const parts = pattern.split(':');
  const head = parts.slice(0, ARN_SEPARATORS);
  const tokens: PatternToken[] = [];
  for (const [index, part] of head.entries()) {
    const compiled = compilePattern(part, { variables: undefined, wildcards: true });
    for (const [place, token] of compiled.tokens.entries()) {
      const mayRunOn = token.kind === 'any' && place === compiled.tokens.length - 1;
      tokens.push(token.kind === 'text' || mayRunOn ? token : { ...token, staysInSegment: true });
    }
    if (index < parts.length - 1) tokens.push({ kind: 'text', text: ':' });
  }
  if (parts.length <= ARN_SEPARATORS) return { tokens, isIncomplete: false };
  const resource = compilePattern(parts.slice(ARN_SEPARATORS).join(':'), { variables, wildcards: true });
  return { tokens: [...tokens, ...resource.tokens], isIncomplete: resource.isIncomplete };
}

/** Whether the whole text fits. */
export function matchesTokens(tokens: readonly PatternToken[], text: string): boolean {
  // Most patterns are decided by how they begin or end, which needs no table.
  const first = tokens.findIndex(({ kind }) => kind !== 'text');
  const head = textOf(first === -1 ? tokens : tokens.slice(0, first));
  if (first === -1) return head === text;
  const last = tokens.at(-1)!;
  if (!text.startsWith(head) || (last.kind === 'text' && !text.endsWith(last.text))) return false;
  // reached[i]: the tokens so far match exactly the first i characters.
  let reached = new Uint8Array(text.length + 1);
  reached[head.length] = 1;
  for (const token of tokens.slice(first)) {
    const next = new Uint8Array(text.length + 1);
    if (token.kind === 'text') {
      for (let i = 0; i + token.text.length <= text.length; i += 1) {
        if (reached[i] === 1 && text.startsWith(token.text, i)) next[i + token.text.length] = 1;
      }
    } else if (token.kind === 'one') {
      for (let i = 0; i < text.length; i += 1) {
        if (reached[i] === 1 && !(token.staysInSegment && text[i] === ':')) next[i + 1] = 1;
      }
    } else {
      let isRunning = false;
      for (let i = 0; i <= text.length; i += 1) {
        if (i > 0 && token.staysInSegment && text[i - 1] === ':') isRunning = false;
        if (reached[i] === 1) isRunning = true;
        if (isRunning) next[i] = 1;
      }
    }
    reached = next;
  }
  return reached[text.length] === 1;
}

const textOf = (tokens: readonly PatternToken[]) =>
  tokens.map((token) => (token.kind === 'text' ? token.text : '')).join('');
