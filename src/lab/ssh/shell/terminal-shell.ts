import { type Duplex, Readable, Writable } from 'node:stream';
import { LineEditor } from '../core/line-editor.ts';
import { runScript } from './run-script.ts';
import { ShellExit } from './shell-commands.ts';
import { BrokenPipe, put, type ShellContext } from './shell-io.ts';

/**
 * A shell on a terminal: what is typed is echoed and edited line by line, goes to the command that runs or becomes one, and output gets
 * carriage returns.
 *
 * @param script runs instead of a prompt, as with `ssh -t`
 * @returns the status it ended with; never rejects
 */
export async function runTerminalShell(
  channel: Duplex,
  shell: ShellContext,
  signal: AbortSignal,
  script?: string,
): Promise<number> {
  const terminal = new TerminalShell(channel, shell, signal);
  try {
    return script === undefined ? await terminal.prompt() : await terminal.run(script);
  } catch (error) {
    if (error instanceof ShellExit) return error.status;
    if (error instanceof BrokenPipe) return 129;
    throw error;
  } finally {
    terminal[Symbol.dispose]();
  }
}

class TerminalShell implements Disposable {
  readonly #channel: Duplex;
  readonly #shell: ShellContext;
  readonly #signal: AbortSignal;
  readonly #editor = new LineEditor();
  readonly #output: Writable;
  /** Of the command that runs. */
  #interrupt: AbortController | undefined;
  /** Typed and not read yet, by a command or the prompt; undefined is the end of input. */
  readonly #lines: (string | undefined)[] = [];
  #wake: (() => void) | undefined;
  readonly #onData = (data: Buffer) => this.#receive(data);
  readonly #onEnd = () => this.#line(undefined);

  constructor(channel: Duplex, shell: ShellContext, signal: AbortSignal) {
    this.#channel = channel;
    this.#shell = shell;
    this.#signal = signal;
    this.#output = new Writable({
      write: (data: Buffer, _encoding, done) => {
        const text = Buffer.from(data.toString('latin1').replace(/\n/g, '\r\n'), 'latin1');
        put(channel, text).then(() => done(), done);
      },
    });
    this.#output.on('error', () => {});
    channel.on('data', this.#onData);
    channel.once('end', this.#onEnd);
    signal.addEventListener('abort', this.#onEnd, { once: true });
  }

  async prompt(): Promise<number> {
    const { machine, userName, env } = this.#shell;
    while (true) {
      const place = this.#shell.cwd === env.get('HOME') ? '~' : this.#shell.cwd;
      await put(this.#channel, `[${userName}@${machine.name} ${place}]$ `);
      const line = await this.#nextLine();
      if (line === undefined) {
        if (this.#signal.aborted) return 129;
        await put(this.#channel, 'logout\r\n');
        return this.#shell.status;
      }
      await this.run(line);
    }
  }

  async run(script: string): Promise<number> {
    const stdin = new Readable({
      read: () => {
        // Only when somebody reads: what is typed ahead is the prompt's otherwise.
        void this.#nextLine().then((line) => stdin.push(line === undefined ? null : `${line}\n`));
      },
    });
    const interrupt = new AbortController();
    this.#interrupt = interrupt;
    try {
      const signal = AbortSignal.any([this.#signal, interrupt.signal]);
      return await runScript(script, { stdin, stdout: this.#output, stderr: this.#output, signal }, this.#shell);
    } finally {
      this.#interrupt = undefined;
      // A command that stopped in the middle of a read takes nothing any more.
      this.#wake = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#channel.off('data', this.#onData);
    this.#channel.off('end', this.#onEnd);
    this.#signal.removeEventListener('abort', this.#onEnd);
    this.#channel.resume();
  }

  #receive(data: Buffer): void {
    for (const step of this.#editor.receive(data)) {
      switch (step.do) {
        case 'echo':
          this.#channel.write(step.text);
          break;
        case 'line':
          this.#line(step.text);
          break;
        case 'interrupt':
          if (this.#interrupt === undefined) this.#line('');
          else this.#interrupt.abort();
          break;
        case 'end':
          this.#line(undefined);
          break;
      }
    }
  }

  #line(line: string | undefined): void {
    this.#lines.push(line);
    this.#wake?.();
  }

  async #nextLine(): Promise<string | undefined> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return this.#lines.shift();
  }
}
