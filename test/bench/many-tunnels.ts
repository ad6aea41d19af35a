/** (n) Two hundred tunnels in one supervisor: time to up, memory, and what it costs while nothing happens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rssOf } from './cloudtun-process.ts';
import type { Figure } from './figures.ts';
import { LabProcess } from './lab-process.ts';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const COUNT = 200;
/** Below the ports that the system gives to connections, so that nobody takes one meanwhile. */
const FIRST_PORT = 11_000;
const LIMIT_MS = 120_000;
/** Rest begins when the streams of the probes are given back, 8 s after the last tunnel was ready. */
const SETTLE_MS = 12_000;
/** Long enough for the looks at where tunnels lead, every 30 s at first. */
const REST_MS = 30_000;
/** Ticks of proc(5) a second; Linux shows 100 to everybody. */
const TICKS = 100;
const MB = 1e6;

export async function manyTunnels(): Promise<Figure[]> {
  await using lab = await LabProcess.start('practice');
  const home = mkdtempSync(join(tmpdir(), 'cloudtun-bench-'));
  const env = { PATH: process.env.PATH, HOME: home, ...lab.greeting.env };
  const cloudtun = (...args: readonly string[]) => timed(home, env, args);
  try {
    writeCatalogue(home);
    // Fills disk and compile cache.
    await cloudtun('ps');
    const figures: Figure[] = [];
    figures.push(seconds('on demand: Enter to all ports listening', await cloudtun('up', 'all', '--on-demand'), 2));
    figures.push(...(await atRest(home, 'on demand')));
    figures.push(seconds('ps', await cloudtun('ps')));
    figures.push(seconds('down', await cloudtun('down')));
    figures.push(seconds('live: Enter to all ready', await cloudtun('up', 'all'), 15));
    figures.push({
      group: 'n',
      name: `${COUNT} live: sessions open in the lab`,
      value: (await lab.report()).sessions.length,
      unit: '',
      bound: { kind: 'at-least', limit: COUNT, of: 'value' },
    });
    figures.push(...(await atRest(home, 'live')));
    figures.push(seconds('live: down', await cloudtun('down')));
    figures.push({
      group: 'n',
      name: `${COUNT} live: sessions left after down`,
      value: (await lab.report()).sessions.length,
      unit: '',
      bound: { kind: 'at-most', limit: 0, of: 'value' },
    });
    return figures;
  } finally {
    const pid = supervisorPid(home);
    if (pid !== undefined) killIfThere(pid);
    rmSync(home, { recursive: true, force: true });
  }
}

function writeCatalogue(home: string): void {
  const ports = Array.from({ length: COUNT }, (_, index) => FIRST_PORT + index);
  const names = ports.map((_, index) => `t${index}`);
  const targets = ports.map((port, index) => `  t${index}: { rds: orders, via: bastion-a, port: ${port} }`);
  const lines = ['version: 1', 'targets:', ...targets, `groups: { all: [${names.join(', ')}] }`, ''];
  writeFileSync(join(home, 'cloudtun.yaml'), lines.join('\n'));
}

/** Milliseconds of a run. @throws Error with what it said when it fails */
async function timed(cwd: string, env: NodeJS.ProcessEnv, args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child: ChildProcess = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code, signal] = await once(child, 'exit');
  clearTimeout(limit);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code ?? signal}: ${said.slice(-600)}`);
  return performance.now() - began;
}

function seconds(name: string, ms: number, limit?: number): Figure {
  return {
    group: 'n',
    name: `${COUNT} ${name}`,
    value: ms / 1_000,
    unit: 's',
    ...(limit !== undefined && { bound: { kind: 'at-most', limit, of: 'value' } }),
  };
}

/** Resident memory of the supervisor, and the share of one processor that it takes while nobody asks anything. */
async function atRest(home: string, what: string): Promise<Figure[]> {
  const pid = supervisorPid(home);
  if (pid === undefined) throw new Error('no supervisor runs');
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const before = ticksOf(pid);
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const share = ((ticksOf(pid) - before) / TICKS / (REST_MS / 1_000)) * 100;
  return [
    { group: 'n', name: `${COUNT} ${what}: resident`, value: rssOf(pid) / MB, unit: 'MB' },
    {
      group: 'n',
      name: `${COUNT} ${what}: processor at rest`,
      value: share,
      unit: '%',
      bound: { kind: 'at-most', limit: 1, of: 'value' },
    },
  ];
}

/** Processor time of a process so far, in ticks (proc(5), stat, fields 14 and 15). */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[14 - 3]) + Number(fields[15 - 3]);
}

function supervisorPid(home: string): number | undefined {
  try {
    const record = readFileSync(join(home, '.local/state/cloudtun/supervisor.json'), 'utf8');
    return (JSON.parse(record) as { process: { pid: number } }).process.pid;
  } catch {
    return undefined;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
