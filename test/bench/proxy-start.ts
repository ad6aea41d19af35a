/** (p) From the start of `cloudtun proxy` to the first byte of an SSH server's banner, beside what Node needs to start. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, median } from './figures.ts';
import { GCP_MACHINE, GCP_PROJECT, GCP_ZONE, type LabProcess } from './lab-process.ts';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
/** A machine of the lab that has an SSH server. */
const AWS_MACHINE = 'i-0a1b2c3d4e5f60003';
const LIMIT_MS = 30_000;

const WAYS = {
  node: ['-e', 'process.stdout.write("x")'],
  'proxy through Session Manager': [BIN, 'proxy', AWS_MACHINE, '22'],
  'proxy through Identity-Aware Proxy': [BIN, 'proxy', `${GCP_PROJECT}/${GCP_ZONE}/${GCP_MACHINE}`, '22'],
} as const;

/** Milliseconds to the first byte on stdout; then the program is told to end. @throws Error with what it said, without one */
async function firstByte(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdin.on('error', () => {});
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', () => resolve(performance.now() - began));
      void closed.then(() => reject(new Error(`it ended without a byte: ${said.slice(-600)}`)));
    });
  } finally {
    child.kill('SIGHUP');
    await closed;
    clearTimeout(limit);
  }
}

export async function proxyStart(lab: LabProcess, rounds: number): Promise<Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'cloudtun-bench-'));
  const env = { PATH: process.env.PATH, HOME: home, XDG_STATE_HOME: home, ...lab.greeting.env };
  const names = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const times = new Map(names.map((name) => [name, [] as number[]]));
  try {
    // One round that is thrown away fills disk and compile cache.
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        const ms = await firstByte(WAYS[name], env);
        if (round > 0) times.get(name)!.push(ms);
      }
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  const floor = { name: 'node -e', value: median(times.get('node')!) };
  return names
    .filter((name) => name !== 'node')
    .map((name) => ({ group: 'p', name, unit: 'ms', value: median(times.get(name)!), against: floor }));
}
