import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { CliLab } from './cli-lab.ts';

const RUN_LIMIT_MS = 60_000;

/** A reason to skip a test that needs a program; false when all are there. */
export function unlessPrograms(...names: readonly string[]): string | false {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const absent = names.find((name) => !folders.some((folder) => existsSync(join(folder, name))));
  return absent === undefined ? false : `${absent} is not installed`;
}

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program as the person who uses a lab would, to its end. */
export function runProgram(
  cli: CliLab,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = '',
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      {
        cwd: cli.home,
        env: {
          PATH: process.env.PATH,
          HOME: cli.home,
          TZ: 'UTC',
          LC_ALL: 'C.UTF-8',
          AWS_EC2_METADATA_DISABLED: 'true',
          ...cli.lab.env(),
          ...env,
        },
        timeout: RUN_LIMIT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: 16 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
        resolve({ code, stdout, stderr });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
