/** (g): `ssh -L` by the own client, against OpenSSH's over `cloudtun proxy`: the same tunnel, the same sshd, by turns. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ephemeralKey } from '../../src/ssh/ephemeral-key.ts';
import { opensshUser } from '../support/openssh-sshd.ts';
import { CloudtunProcess, freePort } from './cloudtun-process.ts';
import { type Figure, median } from './figures.ts';
import { BASTION_ID, GCP_MACHINE, LabProcess } from './lab-process.ts';

const BIN = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const CHUNK = Buffer.alloc(64 * 1024, 'x');
/** Of /proc: clock ticks are hundredths of a second on Linux. */
const TICKS_PER_SECOND = 100;

const TARGETS = [
  { cloud: 'aws', target: `aws:${BASTION_ID}` },
  { cloud: 'gcp', target: `gcp:${GCP_MACHINE}` },
] as const;

/** The command that is held against: ssh, and what it starts. */
class Openssh implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
  }

  static async start(
    target: string,
    local: number,
    remote: number,
    env: Readonly<Record<string, string>>,
  ): Promise<Openssh> {
    const directory = mkdtempSync(join(tmpdir(), 'cloudtun-bench-'));
    const key = join(directory, 'key');
    writeFileSync(key, ephemeralKey('bench').privateKey.reveal(), { mode: 0o600 });
    const options = [
      `ProxyCommand=${process.execPath} ${BIN} proxy ${target} 22`,
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'ExitOnForwardFailure=yes',
      'LogLevel=ERROR',
    ];
    const words = options.flatMap((option) => ['-o', option]);
    const rule = `${local}:127.0.0.1:${remote}`;
    const child = spawn('ssh', ['-F', 'none', '-N', '-L', rule, '-i', key, ...words, `${opensshUser}@${target}`], {
      env: { PATH: process.env.PATH, HOME: directory, XDG_STATE_HOME: directory, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const started = new Openssh(child, directory);
    while (!(await answers(local))) {
      if (child.exitCode !== null) throw new Error(`ssh ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return started;
  }

  get pids(): readonly number[] {
    const pid = this.#child.pid ?? 0;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    return [pid, ...children.split(' ').filter(Boolean).map(Number)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Whether somebody listens on a local port. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('connect', () => socket.destroy()).on('error', () => resolve(false));
  });
}

function cpuSecondsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

async function down(port: number, byteCount: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`FLOOD ${byteCount}\n`);
  let left = byteCount;
  socket.on('data', (bytes: Buffer) => {
    left -= bytes.length;
  });
  await once(socket, 'end');
  if (left !== 0) throw new Error(`${left} bytes are missing`);
  socket.destroy();
}

async function up(port: number, byteCount: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`DRAIN ${byteCount}\n`);
  const done = once(socket, 'data');
  for (let sent = 0; sent < byteCount; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await Promise.race([once(socket, 'drain'), done]);
  }
  await done;
  socket.destroy();
}

interface Measured {
  readonly rates: number[];
  readonly cpu: number[];
}

async function measure(into: Measured, pids: readonly number[], byteCount: number, run: () => Promise<void>) {
  const before = cpuSecondsOf(pids);
  const began = performance.now();
  await run();
  into.rates.push(byteCount / 1e3 / (performance.now() - began));
  into.cpu.push(((cpuSecondsOf(pids) - before) / byteCount) * 1e9);
}

/** @param byteCount of each transfer */
export async function sshForward(rounds: number, byteCount: number): Promise<Figure[]> {
  await using lab = await LabProcess.start('ssh');
  await lab.setFaults({ pacing: false, verifyInput: false });
  const { env, target: workload } = lab.greeting;
  const figures: Figure[] = [];
  for (const { cloud, target } of TARGETS) {
    const [ourPort, theirPort] = [await freePort(), await freePort()];
    const rule = `${ourPort}:127.0.0.1:${workload.port}`;
    await using ours = await CloudtunProcess.start(['ssh', '-N', '-L', rule, '-l', opensshUser, target], env);
    await using theirs = await Openssh.start(target, theirPort, workload.port, env);
    for (const [name, transfer] of [
      ['download', down],
      ['upload', up],
    ] as const) {
      const own: Measured = { rates: [], cpu: [] };
      const openssh: Measured = { rates: [], cpu: [] };
      for (let round = 0; round < rounds; round++) {
        await measure(own, [ours.pid], byteCount, () => transfer(ourPort, byteCount));
        await measure(openssh, theirs.pids, byteCount, () => transfer(theirPort, byteCount));
      }
      const slowest = Math.min(...own.rates).toFixed(0);
      figures.push({
        group: 'g',
        name: `ssh -L, ${name}, ${cloud}`,
        value: median(own.rates),
        unit: 'MB/s',
        against: { name: 'ssh over proxy', value: median(openssh.rates) },
        note: `slowest ${slowest}; CPU ${median(own.cpu).toFixed(1)} s/GB, ssh and proxy ${median(openssh.cpu).toFixed(1)}`,
      });
    }
  }
  return figures;
}
