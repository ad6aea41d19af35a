/**
 * The escape of an interactive session, as in ssh(1), "ESCAPE CHARACTERS": `~` at the start of a line, then a character. Models `~.`
 * (close), `~?` (help) and `~~` (one `~`); any other character is sent with its `~`. Left out on purpose: `~^Z`, `~&`, `~C`, `~#`.
 */

const TILDE = 0x7e;
const DOT = 0x2e;
const QUESTION = 0x3f;
const LINE_ENDS = new Set([0x0a, 0x0d]);

export interface EscapeStep {
  /** What goes to the far side. */
  readonly pass: Uint8Array;
  /** What the user asked of us, in order. After `close` nothing is passed any more. */
  readonly asked: readonly ('close' | 'help')[];
}

/** Bytes typed by a person in, bytes for the far side out. Holds at most the one `~`. */
export class EscapeFilter {
  readonly #escape: number | 'none';
  #isLineStart = true;
  #holdsTilde = false;

  /** @param escapeWith code of the character */
  constructor(escapeWith: number | 'none' = TILDE) {
    this.#escape = escapeWith;
  }

  take(bytes: Uint8Array): EscapeStep {
    const pass: number[] = [];
    const asked: ('close' | 'help')[] = [];
    for (const byte of bytes) {
      if (this.#holdsTilde) {
        this.#holdsTilde = false;
        if (byte === DOT) return { pass: Uint8Array.from(pass), asked: [...asked, 'close'] };
        if (byte === QUESTION) {
          asked.push('help');
          continue;
        }
        pass.push(this.#escape as number);
        if (byte === this.#escape) {
          this.#isLineStart = false;
          continue;
        }
      } else if (byte === this.#escape && this.#isLineStart) {
        this.#holdsTilde = true;
        continue;
      }
      pass.push(byte);
      this.#isLineStart = LINE_ENDS.has(byte);
    }
    return { pass: Uint8Array.from(pass), asked };
  }
}
