import { spawn } from 'node:child_process';
import { closeSync, fchmodSync, openSync, readFileSync } from 'node:fs';
import type { Environment } from './world.ts';

/** A process that goes on when this one ends. */
export interface DetachedChild {
  readonly pid: number;
  /** Settles when it ends while we look on: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Lets this process end without waiting for the child. */
  release(): void;
}

export interface DetachedOptions {
  readonly env: Environment;
  readonly cwd: string;
  /** Takes its stdout and stderr; emptied first, readable by its owner alone. */
  readonly logFile: string;
}

/**
 * Starts a script with the Node.js that runs this process, in a session of its own, without a terminal.
 *
 * @throws what the system says when it cannot be started
 */
export async function spawnDetached(
  script: string,
  commandLine: readonly string[],
  options: DetachedOptions,
): Promise<DetachedChild> {
  const log = openSync(options.logFile, 'w', 0o600);
  try {
    fchmodSync(log, 0o600);
    const child = spawn(process.execPath, [script, ...commandLine], {
      cwd: options.cwd,
      env: { ...options.env },
      detached: true,
      stdio: ['ignore', log, log],
      windowsHide: true,
    });
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return { pid: child.pid!, ended, release: () => child.unref() };
  } finally {
    closeSync(log);
  }
}

/** The end of what a child said in its log, in one line. */
export function lastWords(logFile: string): string {
  try {
    const text = readFileSync(logFile, 'utf8').trim();
    return text === '' ? 'nothing' : text.slice(-500).replace(/\s*\n\s*/g, '; ');
  } catch {
    return 'nothing';
  }
}
