import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { wrongEvent } from './json-events.ts';

const RUN_JS = join(import.meta.dirname, '../../bin/run.js');

/** A run that takes longer than this hangs. */
const RUN_LIMIT_MS = 30_000;

export interface CliOptions {
  /** A directory of the test's own: home, state and configuration of the run lie in it. */
  readonly home: string;
  readonly cwd?: string;
  /** Over the few variables that a run has; nothing of this process's own environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  /** A file descriptor to read from, or a pipe; default: no input at all. */
  readonly stdin?: number | 'pipe';
  /** A file descriptor to write to, instead of keeping what is said. */
  readonly stdout?: number;
  /** How long it may take, where that is longer than usual; milliseconds. */
  readonly limit?: number;
}

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A started cloudtun. */
export interface CliRun {
  readonly process: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves with the first match in stdout or stderr, rejects with everything said when the run ends without one. */
  saw(pattern: RegExp): Promise<RegExpExecArray>;
  /** Everything that was said on stdout so far. */
  stdout(): string;
  stderr(): string;
}

/** Starts bin/run.js in a world of its own: no terminal, no stdin, no credentials, no configuration of whoever runs the tests. */
export function startCli(commandLine: readonly string[], options: CliOptions): CliRun {
  mkdirSync(options.home, { recursive: true });
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), RUN_JS, ...commandLine], {
    cwd: options.cwd ?? options.home,
    env: { PATH: process.env.PATH, HOME: options.home, TZ: 'UTC', AWS_EC2_METADATA_DISABLED: 'true', ...options.env },
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
      for (const listener of listeners) listener();
    });
  }
  const limit = setTimeout(() => child.kill('SIGKILL'), options.limit ?? RUN_LIMIT_MS);
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      // Whatever a test looks for in them: events are those of the published schema, in every run of every test.
      const wrong = wrongEvent(said.stdout);
      if (wrong === undefined) resolve({ code, signal, ...said });
      else reject(new Error(`no event of the published schema: ${wrong}`));
      for (const listener of listeners) listener();
    });
  });
  const saw = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const check = () => {
        const match = pattern.exec(said.stdout) ?? pattern.exec(said.stderr);
        const isOver = child.exitCode !== null || child.signalCode !== null;
        if (!match && !isOver) return;
        listeners.delete(check);
        if (match) resolve(match);
        else reject(new Error(`ended without ${pattern}\nstdout: ${said.stdout}\nstderr: ${said.stderr}`));
      };
      listeners.add(check);
      check();
    });
  return { process: child, ended, saw, stdout: () => said.stdout, stderr: () => said.stderr };
}

/** Runs bin/run.js to its end. */
export function runCli(commandLine: readonly string[], options: CliOptions): Promise<CliResult> {
  return startCli(commandLine, options).ended;
}
