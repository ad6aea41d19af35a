import type { ShellTerminal } from '../ssh/open-shell.ts';

/** Where the system does not tell: the size that terminals always had. */
const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;

/** Whether a person types here. */
export function hasKeyboard(): boolean {
  return process.stdin.isTTY === true;
}

/** The standard streams of this process, for a session on the far side. Raw mode also ends when the process is made to exit in the middle. */
export function sshTerminal(): ShellTerminal {
  const { stdin, stdout, stderr, env } = process;
  const restore = () => {
    stdin.setRawMode?.(false);
  };
  return {
    type: env.TERM ?? 'xterm',
    input: stdin,
    output: stdout,
    errors: stderr,
    size: () => ({ columns: stdout.columns || USUAL_COLUMNS, rows: stdout.rows || USUAL_ROWS }),
    onResize: (changed) => {
      stdout.on('resize', changed);
      return () => stdout.off('resize', changed);
    },
    setRaw: (isRaw) => {
      stdin.setRawMode?.(isRaw);
      if (isRaw) process.on('exit', restore);
      else process.off('exit', restore);
    },
  };
}
