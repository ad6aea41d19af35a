import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

/** A reason to skip a test that needs a program this machine does not have; false when it is there. */
export function unlessInstalled(command: string): string | false {
  try {
    execFileSync('sh', ['-c', 'command -v "$0"', command], { stdio: 'ignore' });
    return false;
  } catch {
    return `${command} is not installed`;
  }
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Runs a program to its end, whatever its exit code. `env` is added to the environment of the test. */
export async function runCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, {
      env: { ...process.env, ...env },
      timeout: 60_000,
    });
    return { stdout, stderr, exitCode: 0 };
  } catch (failure) {
    const { stdout, stderr, code } = failure as { stdout: string; stderr: string; code: number | string };
    if (typeof code !== 'number') throw failure;
    return { stdout, stderr, exitCode: code };
  }
}
