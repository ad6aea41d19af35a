import { constants } from 'node:os';
import type { Connection, ServerChannel, Session } from 'ssh2';
import type { World } from '../../runtime/world.ts';
import type { MemoryFiles } from './core/memory-files.ts';
import { SftpServer } from './sftp-server.ts';
import { runScript } from './shell/run-script.ts';
import { ShellExit } from './shell/shell-commands.ts';
import { BrokenPipe, bytesOf, type ShellContext, type TerminalSize } from './shell/shell-io.ts';
import { runTerminalShell } from './shell/terminal-shell.ts';
import type { SshMachine } from './ssh-machine.ts';

export interface SshLogin {
  readonly world: World;
  readonly machine: SshMachine;
  readonly userName: string;
  readonly files: MemoryFiles;
  readonly connection: Connection;
}

/** What a client may set: as Debian's and Amazon's `AcceptEnv` say. */
const ACCEPTED_ENV = /^(LANG|LC_\w+)$/;

/** Serves one session channel: a command, a shell or SFTP (RFC 4254, 6). */
export function serveSession(session: Session, login: SshLogin): void {
  const home = login.userName === 'root' ? '/root' : `/home/${login.userName}`;
  login.files.makeFolders(home);
  const env = new Map([
    ['HOME', home],
    ['USER', login.userName],
    ['LOGNAME', login.userName],
    ['SHELL', '/bin/bash'],
    ['PATH', '/usr/local/bin:/usr/bin:/bin'],
  ]);
  let size: TerminalSize | undefined;
  const stop = new AbortController();
  let killedBy: string | undefined;
  const { world, machine, userName, files } = login;
  const shell: ShellContext = { world, machine, userName, files, env, cwd: home, status: 0, terminal: () => size };
  const onGone = () => stop.abort();
  login.connection.once('close', onGone);
  session.once('close', () => login.connection.off('close', onGone));

  const serve = async (channel: ServerChannel, command: string | undefined) => {
    channel.on('error', () => {});
    channel.once('close', () => stop.abort());
    const status = await run(channel, shell, stop.signal, size !== undefined, command).catch((error: unknown) => {
      world.log.warn(`lab: a shell broke down: ${String(error)}`);
      return 255;
    });
    if (!channel.writable) return;
    if (killedBy === undefined) channel.exit(status);
    else channel.exit(killedBy, false, '');
    channel.end();
  };
  session.on('pty', (accept, _reject, info) => {
    size = { columns: info.cols, rows: info.rows };
    // The types leave the name of the terminal out.
    env.set('TERM', (info as { readonly term?: string }).term || 'vt100');
    accept?.();
  });
  session.on('window-change', (accept, _reject, info) => {
    size = { columns: info.cols, rows: info.rows };
    accept?.();
  });
  session.on('env', (accept, reject, { key, val }) => {
    if (!ACCEPTED_ENV.test(key)) {
      reject?.();
      return;
    }
    env.set(key, val);
    accept?.();
  });
  session.on('signal', (accept, _reject, { name }) => {
    accept?.();
    if (!Object.hasOwn(constants.signals, `SIG${name}`)) return;
    killedBy = name;
    stop.abort();
  });
  // Taken and never used: what matters is that asking does no harm.
  session.on('auth-agent', (accept) => accept?.());
  session.on('exec', (accept, _reject, { command }) => void serve(accept(), command));
  session.on('shell', (accept) => void serve(accept(), undefined));
  session.on('sftp', (accept) => new SftpServer(accept(), files, home));
}

async function run(
  channel: ServerChannel,
  shell: ShellContext,
  signal: AbortSignal,
  hasTerminal: boolean,
  command: string | undefined,
): Promise<number> {
  if (hasTerminal) return await runTerminalShell(channel, shell, signal, command);
  const io = { stdin: channel, stdout: channel, stderr: channel.stderr, signal };
  try {
    if (command !== undefined) return await runScript(command, io, shell);
    // As `ssh host < script`: lines are commands, and theirs is the rest of the input of none.
    let rest = '';
    for await (const bytes of bytesOf(channel, signal)) {
      const lines = (rest + bytes.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) await runScript(line, io, shell);
    }
    return await runScript(rest, io, shell);
  } catch (error) {
    if (error instanceof ShellExit) return error.status;
    if (error instanceof BrokenPipe) return 141;
    throw error;
  }
}
