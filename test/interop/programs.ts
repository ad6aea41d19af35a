/** Programs started for a run, each in a process group of its own, so that Ctrl-C reaches all of it as it does at a terminal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { within } from './within.ts';

/** For a program that was told to end. */
const END_LIMIT_MS = 15_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Sighting {
  readonly match: RegExpExecArray;
  /** Since the start of the program. */
  readonly atMs: number;
}

export class Program {
  readonly #child: ChildProcess;
  readonly #began = performance.now();
  readonly #listeners = new Set<() => void>();
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  /** When the whole group is done with its output. */
  readonly ended: Promise<Ending>;
  #ending: Ending | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const [stream, chunks] of [
      [child.stdout, this.#stdout],
      [child.stderr, this.#stderr],
    ] as const) {
      stream?.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        this.#tell();
      });
    }
    child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.#ending = { code, signal };
        resolve(this.#ending);
        this.#tell();
      });
    });
    this.ended.catch(() => this.#tell());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  get stdin() {
    return this.#child.stdin;
  }

  stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  /** Both outputs, for messages. */
  said(): string {
    return Buffer.concat([...this.#stdout, ...this.#stderr])
      .toString()
      .trim()
      .replaceAll(/\s*\n\s*/g, ' | ')
      .slice(-600);
  }

  /** The first match on stdout. @throws when the program ends or the time is over without one */
  async saw(pattern: RegExp, limitMs: number): Promise<Sighting> {
    const { promise, resolve, reject } = Promise.withResolvers<Sighting>();
    const check = () => {
      const match = pattern.exec(this.stdout().toString('latin1'));
      if (match) resolve({ match, atMs: this.elapsedMs });
      else if (this.#ending !== undefined || this.#child.pid === undefined)
        reject(new Error(`it ended without ${pattern}: ${this.said()}`));
    };
    this.#listeners.add(check);
    check();
    try {
      return await within(limitMs, () => `no ${pattern}: ${this.said()}`, promise);
    } finally {
      this.#listeners.delete(check);
    }
  }

  /** Ctrl-C, or another signal for the whole group. */
  signal(name: NodeJS.Signals): void {
    if (this.hasGroup()) process.kill(-this.pid, name);
  }

  /** Whether any process of the group is left. */
  hasGroup(): boolean {
    try {
      process.kill(-this.pid, 0);
      return this.pid > 0;
    } catch {
      return false;
    }
  }

  /** Ctrl-C, and what came of it. @throws when the program does not end */
  async interrupt(): Promise<Ending> {
    this.signal('SIGINT');
    return await this.end();
  }

  /** Waits for the end. @throws when it does not come */
  end(limitMs = END_LIMIT_MS): Promise<Ending> {
    return within(limitMs, () => `it did not end: ${this.said()}`, this.ended);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Ends with every group it started, also when this process is interrupted. */
export class Programs implements AsyncDisposable {
  readonly #started = new Set<Program>();
  readonly #killAll = () => {
    for (const program of this.#started) program.signal('SIGKILL');
  };

  constructor() {
    process.on('exit', this.#killAll);
  }

  start(command: string, args: readonly string[], options: { env: NodeJS.ProcessEnv; cwd: string }): Program {
    const child = spawn(command, args, { ...options, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    const program = new Program(child);
    this.#started.add(program);
    const forget = () => {
      if (!program.hasGroup()) this.#started.delete(program);
    };
    program.ended.then(forget, forget);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#killAll();
    await Promise.all([...this.#started].map((program) => program.end().catch(() => undefined)));
    process.off('exit', this.#killAll);
  }
}
