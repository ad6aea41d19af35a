import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { readOwnStat } from './own-stat.ts';
import type { Environment } from './world.ts';

/** How a command ended, as a shell says it: its exit code, or 128 and the number of the signal that ended it. */
export interface ChildEnd {
  readonly exitCode: number;
  readonly signal?: NodeJS.Signals;
}

/** A command that has our standard streams. */
export interface RunningChild {
  /** Settles when the command itself ends; what it left in the background may go on. */
  readonly ended: Promise<ChildEnd>;
  /** Does nothing when it is over. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a command with our stdin, stdout and stderr, in our process group: so it may read from the terminal, and Ctrl-C reaches it
 * without us.
 *
 * @throws CT_COMMAND_NOT_FOUND, CT_COMMAND_NOT_EXECUTABLE
 */
export async function startChild(
  command: string,
  commandLine: readonly string[],
  options: { readonly env: Environment; readonly cwd: string },
): Promise<RunningChild> {
  try {
    const child = spawn(command, commandLine, { ...options, env: { ...options.env }, stdio: 'inherit' });
    const ended = new Promise<ChildEnd>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? { exitCode: code ?? 1 } : { exitCode: 128 + constants.signals[signal], signal }),
      );
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return {
      ended,
      kill: (signal) => {
        child.kill(signal);
      },
    };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      throw new CloudtunError('CT_COMMAND_NOT_FOUND', `there is no command "${command}"`, {
        hint: 'check its spelling, and PATH',
        cause: error,
      });
    }
    throw new CloudtunError(
      'CT_COMMAND_NOT_EXECUTABLE',
      `"${command}" cannot be executed (${systemCode(error) ?? 'unknown reason'})`,
      { cause: error },
    );
  }
}

/** Whether what is typed at a terminal (Ctrl-C, Ctrl-\) reaches our whole process group, a command that we started included. */
export function hasKeyboardSignals(): boolean {
  const stat = readOwnStat();
  // Only Linux tells; elsewhere a terminal on stdin is the best sign of it.
  return stat === undefined ? process.stdin.isTTY === true : stat.terminal !== 0 && stat.group === stat.foregroundGroup;
}
