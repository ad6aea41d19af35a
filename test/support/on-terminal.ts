import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { CliLab } from './cli-lab.ts';
import { descendants } from './openssh-sshd.ts';

/* A terminal for cloudtun; `script` of util-linux lends one. */

const SCRIPT = '/usr/bin/script';
const RUN_JS = join(import.meta.dirname, '../../bin/run.js');

/** What does not show within this time does not come. */
const LIMIT_MS = 20_000;

/** A reason to skip a test that needs a terminal; false when there is one. */
export function unlessTerminal(): string | false {
  return process.platform === 'linux' && existsSync(SCRIPT) ? false : 'no script(1) of util-linux here';
}

export interface TerminalSession {
  /** Everything on the screen so far, without colours and cursor movements. */
  text(): string;
  /** Resolves when the text shows. */
  saw(pattern: RegExp): Promise<RegExpExecArray>;
  type(keys: string): void;
  /** To the process of cloudtun itself. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when cloudtun has ended: with its exit code, and the settings of the terminal before and after. */
  ended(): Promise<{ readonly code: number; readonly before: string; readonly after: string }>;
  /** Takes the terminal away, as somebody does who closes its window. */
  close(): Promise<void>;
  /** Path of the terminal: `/dev/pts/3`. */
  device(): Promise<string>;
}

/** Runs cloudtun on a terminal of 120 columns and 30 rows, between two looks at its settings. */
export function onTerminal(
  test: { after(call: () => void): void },
  { lab, home }: CliLab,
  commandLine: string,
): TerminalSession {
  const env = { ...lab.env(), PATH: process.env.PATH, HOME: home, TERM: 'xterm', TZ: 'UTC' };
  const command = [
    'stty cols 120 rows 30',
    'echo "device=$(tty)"',
    'echo "before=$(stty -g)"',
    // What ends cloudtun must not end the shell that says how it ended.
    'trap : HUP TERM INT',
    `'${process.execPath}' '${RUN_JS}' ${commandLine}`,
    'code=$?',
    'echo; echo "after=$(stty -g)"',
    'echo "code=$code."',
  ].join('; ');
  const child = spawn(SCRIPT, ['-qefc', command, '/dev/null'], { cwd: home, env, stdio: ['pipe', 'pipe', 'inherit'] });
  test.after(() => {
    for (const pid of descendants(child.pid!)) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
  });
  child.stdin.on('error', () => {});
  const watchers = new Set<() => void>();
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    screen += chunk;
    for (const look of watchers) look();
  });
  child.on('close', () => {
    for (const look of watchers) look();
  });
  const text = () => stripVTControlCharacters(screen).replaceAll('\r', '');
  const saw = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const settle = (done: () => void) => {
        clearTimeout(limit);
        watchers.delete(look);
        done();
      };
      const look = () => {
        const match = pattern.exec(text());
        if (match) settle(() => resolve(match));
        else if (child.exitCode !== null) settle(() => reject(new Error(`ended without ${pattern}: ${text()}`)));
      };
      const limit = setTimeout(() => settle(() => reject(new Error(`no ${pattern}: ${text()}`))), LIMIT_MS);
      watchers.add(look);
      look();
    });
  return {
    text,
    saw,
    type: (keys) => void child.stdin.write(keys),
    signal: (name) => process.kill(cloudtunOf(child), name),
    ended: async () => {
      const code = Number((await saw(/^code=(\d+)\.$/m))[1]);
      return { code, before: (await saw(/^before=(.*)$/m))[1]!, after: (await saw(/^after=(.*)$/m))[1]! };
    },
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
    device: async () => (await saw(/^device=(.*)$/m))[1]!,
  };
}

/** The only child of the shell that `script` runs. */
function cloudtunOf({ pid }: ChildProcess): number {
  const cloudtun = descendants(pid!).at(-1);
  if (cloudtun === undefined) throw new Error('cloudtun does not run');
  return cloudtun;
}
