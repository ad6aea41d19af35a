import { type Readable, Transform, type Writable } from 'node:stream';
import { CloudtunError } from '../domain/errors.ts';
import { EscapeFilter } from './core/escape-filter.ts';
import { carry, openChannel, type SessionReport } from './run-command.ts';
import type { SshConnection } from './ssh-connection.ts';

/** A person's terminal, as far as a session needs it. */
export interface ShellTerminal {
  /** `xterm-256color` */
  readonly type: string;
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
  size(): { readonly columns: number; readonly rows: number };
  /** Calls back after each change of the size; returns how to stop that. */
  onResize(changed: () => void): () => void;
  /** Whether keys come as they are typed, unechoed, Ctrl-C included. Does nothing where the input is no terminal. */
  setRaw(isRaw: boolean): void;
}

export interface ShellOptions {
  /** Run in the terminal instead of a login shell. */
  readonly command?: string;
  /** For the session, as far as the sshd takes them (`AcceptEnv`). */
  readonly variables?: Readonly<Record<string, string>>;
  /** Code of the escape character, `~` when absent. */
  readonly escapeWith?: number | 'none';
}

const HELP = [
  'Supported escape sequences:',
  ' ~.  close the connection',
  ' ~?  this message',
  ' ~~  send the escape character',
  '(they are recognised right after a newline)',
];

/**
 * A session with a terminal on the far side: size and its changes, raw keys, the escape `~.`. The terminal is as it was when this
 * settles, on every path.
 *
 * @throws as `runCommand`; CT_INTERRUPTED after `~.`
 */
export async function openShell(
  connection: SshConnection,
  terminal: ShellTerminal,
  { command, variables = {}, escapeWith }: ShellOptions,
  signal: AbortSignal,
): Promise<SessionReport> {
  const { columns, rows } = terminal.size();
  const pty = { term: terminal.type, cols: columns, rows };
  const channel = await openChannel(connection, signal, (take) => {
    if (command === undefined) connection.client.shell(pty, { env: { ...variables } }, take);
    else connection.client.exec(command, { pty, env: { ...variables } }, take);
  });
  let isClosed = false;
  const keys = escaped(terminal, escapeWith, () => {
    isClosed = true;
    channel.close();
  });
  const forget = terminal.onResize(() => {
    const size = terminal.size();
    channel.setWindow(size.rows, size.columns, 0, 0);
  });
  terminal.setRaw(true);
  try {
    terminal.input.pipe(keys);
    const streams = { input: keys, output: terminal.output, errors: terminal.errors };
    const report = await carry(connection, channel, streams, signal);
    // OpenSSH tells how the far side ended even then: hung up, of course.
    if (isClosed) throw closedByEscape(connection.server.label);
    return report;
  } catch (error) {
    if (!isClosed || connection.failure) throw error;
    throw closedByEscape(connection.server.label, error);
  } finally {
    terminal.input.unpipe(keys);
    terminal.input.pause();
    forget();
    terminal.setRaw(false);
  }
}

function closedByEscape(label: string, cause?: unknown): CloudtunError {
  return new CloudtunError('CT_INTERRUPTED', `the connection to ${label} was closed with ~.`, { cause });
}

/** What was typed, without what was meant for us. */
function escaped(terminal: ShellTerminal, escapeWith: ShellOptions['escapeWith'], close: () => void): Transform {
  const filter = new EscapeFilter(escapeWith);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const { pass, asked } = filter.take(chunk);
      for (const each of asked) {
        if (each === 'help') terminal.errors.write(`${HELP.join('\r\n')}\r\n`);
        else close();
      }
      done(null, pass.length === 0 ? undefined : pass);
    },
  });
}
