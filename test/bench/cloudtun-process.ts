/** The built command as its user starts it, with its events read and its memory watched. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const SAMPLE_INTERVAL_MS = 100;
const READY_LIMIT_MS = 60_000;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

export interface Phase {
  readonly name: string;
  readonly ms: number;
}

export class CloudtunProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #began: number;
  readonly #sampler: NodeJS.Timeout;
  readonly phases: Phase[] = [];
  /** From the spawn to the ready or open event. */
  readyMs = 0;
  /** From the call of StartSession to the ready event. */
  sessionMs = 0;
  #sessionAskedAt = 0;
  rssAtReady = 0;
  rssPeak = 0;

  private constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#directory = mkdtempSync(join(tmpdir(), 'cloudtun-bench-'));
    this.#began = performance.now();
    this.#child = spawn(process.execPath, [BIN, ...args, '--json', '-v'], {
      env: { PATH: process.env.PATH, HOME: this.#directory, XDG_STATE_HOME: this.#directory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS);
  }

  /** Starts a foreground tunnel and waits for its ready event. */
  static async start(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CloudtunProcess> {
    const started = new CloudtunProcess(args, env);
    await started.#ready();
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get rss(): number {
    return rssOf(this.pid);
  }

  #sample(): void {
    this.rssPeak = Math.max(this.rssPeak, this.rss);
  }

  async #ready(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const errors: string[] = [];
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      errors.push(line);
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const event = JSON.parse(line) as { event: string; at: string; phase?: string; durationMs?: number };
      if (event.event === 'phase') this.phases.push({ name: event.phase ?? '', ms: event.durationMs ?? 0 });
      if (event.event === 'phase' && event.phase === 'StartSession') {
        this.#sessionAskedAt = Date.parse(event.at) - (event.durationMs ?? 0);
      }
      if (event.event !== 'ready') return;
      this.sessionMs = Date.parse(event.at) - this.#sessionAskedAt;
      resolve();
    });
    this.#child.once('exit', (code) =>
      reject(new Error(`cloudtun ended with ${code}: ${errors.slice(-5).join(' | ')}`)),
    );
    const timer = setTimeout(() => reject(new Error('cloudtun was not ready in time')), READY_LIMIT_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    this.readyMs = performance.now() - this.#began;
    this.rssAtReady = this.rss;
    this.rssPeak = this.rssAtReady;
  }

  /** Forgets the peak so far. */
  restartPeak(): void {
    this.rssPeak = this.rss;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sampler);
    if (this.#child.exitCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      const impatience = setTimeout(() => this.#child.kill('SIGINT'), 500);
      await exited;
      clearTimeout(impatience);
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Resident bytes of a process, 0 when it is gone. */
export function rssOf(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return pages * 4096;
  } catch {
    return 0;
  }
}
