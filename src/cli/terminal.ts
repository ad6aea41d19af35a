import { styleText } from 'node:util';
import type { Environment } from '../runtime/world.ts';

/** The part of a stdio stream that is used. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

export interface TerminalOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: { readonly isTTY?: boolean };
  readonly env: Environment;
  readonly isQuiet: boolean;
  /** `--no-input`: never ask. */
  readonly mayAsk: boolean;
  /** `--log-format json`: what goes to stderr is an object a line, with this time. */
  readonly logTime?: () => string;
}

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

const CLEAR_LINE = '\r\u001b[2K';

/**
 * The two output streams: results on stdout, everything for a human's eye on stderr. On a terminal, one line of progress may stand
 * at the bottom of stderr; whatever is written next takes its place.
 */
export class Terminal {
  readonly #options: TerminalOptions;
  /** Whether questions may be asked: a terminal on both sides, no `--no-input`, no CI. */
  readonly canAsk: boolean;
  /** Whether a person is looking at stderr. */
  readonly isWatched: boolean;
  #hasProgress = false;
  #isMidLine = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    const { stdin, stderr, env } = options;
    this.isWatched = stderr.isTTY === true;
    const isCI = env.CI !== undefined && !['', '0', 'false'].includes(env.CI);
    this.canAsk = options.mayAsk && !isCI && this.isWatched && stdin.isTTY === true;
  }

  /** One that writes its results to stderr, with the notes: where stdout is somebody else's. */
  aside(): Terminal {
    const { stderr, isQuiet } = this.#options;
    return new Terminal({ ...this.#options, stdout: isQuiet ? { write: () => true } : stderr });
  }

  /** A line of the result. */
  result(line: string): void {
    // On a shared terminal the result replaces the progress line and ends what `partialNote` began.
    if (this.#options.stdout.isTTY) this.#settle(!this.#isMidLine);
    this.#isMidLine = false;
    this.#options.stdout.write(`${line}\n`);
  }

  /** A line for people who wait; nothing with `--quiet`. */
  note(line: string): void {
    if (!this.#options.isQuiet) this.log('info', line);
  }

  /** Whether stderr is for a program that reads a JSON object a line. */
  get isStructured(): boolean {
    return this.#options.logTime !== undefined;
  }

  /** A line of the log: as it is for people, `{time, level, message, …}` for programs. */
  log(level: LogLevel, line: string, fields: object = {}): void {
    const { logTime, stderr } = this.#options;
    if (logTime === undefined) return this.#complain(line);
    stderr.write(`${JSON.stringify({ time: logTime(), level, message: line.trim(), ...fields })}\n`);
  }

  /** The start of a line that the next result ends, where both go to one terminal; elsewhere a whole line, or none if empty. */
  partialNote(text: string): void {
    if (this.#options.isQuiet) return;
    if (this.isStructured) {
      if (text !== '') this.log('info', text);
      return;
    }
    this.#settle(true);
    const isShared = this.isWatched && this.#options.stdout.isTTY === true;
    if (isShared || text !== '') this.#options.stderr.write(isShared ? `${text} ` : `${text}\n`);
    this.#isMidLine = isShared;
  }

  /** A line that also `--quiet` shows: errors and warnings. */
  complain(line: string): void {
    this.log('warning', line);
  }

  #complain(line: string): void {
    this.#settle(true);
    this.#options.stderr.write(`${line}\n`);
  }

  /** Shows what is being waited for, on a terminal only. */
  progress(text: string): void {
    const { stderr, isQuiet } = this.#options;
    if (!this.isWatched || isQuiet || this.#isMidLine || this.isStructured) return;
    stderr.write(`${CLEAR_LINE}${this.paint('dim', text.slice(0, (stderr.columns || 80) - 1))}`);
    this.#hasProgress = true;
  }

  /** Erases the progress line. */
  settle(): void {
    this.#settle(false);
  }

  paint(colour: Colour, text: string, stream: 'stdout' | 'stderr' = 'stderr'): string {
    return this.#hasColour(stream) ? styleText(colour, text, { validateStream: false }) : text;
  }

  #hasColour(stream: 'stdout' | 'stderr'): boolean {
    const { env } = this.#options;
    const isRefused = (env.NO_COLOR !== undefined && env.NO_COLOR !== '') || env.TERM === 'dumb';
    return this.#options[stream].isTTY === true && !isRefused;
  }

  #settle(endsLine: boolean): void {
    if (this.#hasProgress) this.#options.stderr.write(CLEAR_LINE);
    if (this.#isMidLine && endsLine) this.#options.stderr.write('\n');
    this.#hasProgress = false;
    if (endsLine) this.#isMidLine = false;
  }
}
