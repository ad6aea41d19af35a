import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { CliLab } from './cli-lab.ts';

const RUN_JS = join(import.meta.dirname, '../../bin/run.js');
const RUN_LIMIT_MS = 30_000;

/** A `cloudtun proxy` with a pipe at each end. */
export interface ProxyRun {
  readonly child: ChildProcessWithoutNullStreams;
  /** Everything that was said so far. */
  stdout(): Buffer;
  stderr(): string;
  /** Resolves when so many bytes came; rejects when it ends before. */
  received(byteCount: number): Promise<Buffer>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Starts it as an SSH client would. Killed when the test is over, if it still runs. */
export function startProxy(
  test: { after(call: () => Promise<void>): void },
  cli: CliLab,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ProxyRun {
  const child = spawn(process.execPath, [RUN_JS, 'proxy', ...words], {
    cwd: cli.home,
    env: {
      PATH: process.env.PATH,
      HOME: cli.home,
      TZ: 'UTC',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...cli.lab.env(),
      ...env,
    },
  });
  const chunks: Buffer[] = [];
  let errors = '';
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  child.stdin.on('error', () => {});
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    tell();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  let isOver = false;
  const ended = new Promise<Awaited<ProxyRun['ended']>>((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      isOver = true;
      resolve({ code, signal });
      tell();
    });
  });
  test.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const stdout = () => Buffer.concat(chunks);
  return {
    child,
    ended,
    stdout,
    stderr: () => errors,
    received: (byteCount) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const all = stdout();
          if (all.length >= byteCount) resolve(all);
          else if (isOver) reject(new Error(`ended after ${all.length} of ${byteCount} bytes: ${errors}`));
          else return;
          listeners.delete(check);
        };
        listeners.add(check);
        check();
      }),
  };
}
