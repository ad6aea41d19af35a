/**
 * A terminal's line discipline as far as people notice it (POSIX.1, 11.1.6, canonical mode): echo, erase, Ctrl-C, Ctrl-D, Ctrl-U. Left out:
 * raw mode, cursor keys and history; escape sequences are dropped.
 */
export type EditorStep =
  | { readonly do: 'echo'; readonly text: string }
  /** Without its line end. */
  | { readonly do: 'line'; readonly text: string }
  | { readonly do: 'interrupt' }
  /** Ctrl-D on an empty line. */
  | { readonly do: 'end' };

/** Of a line that nobody ends. */
const LINE_LIMIT = 65_536;

export class LineEditor {
  #line: string[] = [];
  #escape = '';
  #afterReturn = false;

  receive(data: Buffer): readonly EditorStep[] {
    const steps: EditorStep[] = [];
    for (const char of data.toString('utf8')) this.#take(char, steps);
    return steps;
  }

  #take(char: string, steps: EditorStep[]): void {
    const wasReturn = this.#afterReturn;
    this.#afterReturn = char === '\r';
    if (this.#escape !== '') {
      this.#escape += char;
      const isOver = this.#escape.length === 2 ? char !== '[' && char !== 'O' : /[@-~]/.test(char);
      if (isOver || this.#escape.length > 32) this.#escape = '';
      return;
    }
    switch (char) {
      case '\n':
      case '\r':
        // A pasted CR LF is one line end.
        if (char === '\n' && wasReturn) return;
        steps.push({ do: 'echo', text: '\r\n' }, { do: 'line', text: this.#line.join('') });
        this.#line = [];
        return;
      case '\x7f':
      case '\b':
        if (this.#line.pop() !== undefined) steps.push({ do: 'echo', text: '\b \b' });
        return;
      case '\x03':
        this.#line = [];
        steps.push({ do: 'echo', text: '^C\r\n' }, { do: 'interrupt' });
        return;
      case '\x04':
        if (this.#line.length === 0) steps.push({ do: 'end' });
        return;
      case '\x15':
        steps.push({ do: 'echo', text: '\b \b'.repeat(this.#line.length) });
        this.#line = [];
        return;
      case '\x1b':
        this.#escape = char;
        return;
      default:
        if (char < ' ' && char !== '\t') return;
        if (this.#line.length >= LINE_LIMIT) return;
        this.#line.push(char);
        steps.push({ do: 'echo', text: char });
    }
  }
}
