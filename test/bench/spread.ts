/** (s): several sessions. Eight connections at once against an agent that keeps its pace, through one session, eight, and `auto`. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CloudtunProcess, freePort } from './cloudtun-process.ts';
import { type Figure, median } from './figures.ts';
import { BASTION_ID, type LabProcess, WORKLOAD_PORT } from './lab-process.ts';

const CONNECTIONS = 8;
/** Short enough that a worker of `auto` comes back soon, as the jobs of a parallel dump do. */
const JOB_BYTES = 150_000;
const MEASURE_MS = 4_000;
/** `auto` has so long to find out. */
const WARM_UP_MS = 16_000;

/** Takes everything that a connection gives, job after job, until it is told to stop. */
class Worker {
  readonly #port: number;
  readonly #jobBytes: number;
  #socket: Socket | undefined;
  #isStopped = false;
  byteCount = 0;

  constructor(port: number, jobBytes: number) {
    this.#port = port;
    this.#jobBytes = jobBytes;
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      const socket = connect(this.#port, '127.0.0.1');
      this.#socket = socket;
      socket.on('data', (bytes) => {
        this.byteCount += bytes.length;
      });
      socket.on('error', () => {});
      socket.write(`FLOOD ${this.#jobBytes}\n`);
      await once(socket, 'close');
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.destroy();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** MB/s of all connections together, after a warm-up. */
async function rate(lab: LabProcess, sessions: string, jobBytes: number, warmUp: number): Promise<number> {
  const port = await freePort();
  const rule = `${port}:${lab.greeting.host}:${WORKLOAD_PORT}`;
  await using _cloudtun = await CloudtunProcess.start(
    ['forward', BASTION_ID, '-L', rule, '--sessions', sessions, '--no-probe'],
    lab.greeting.env,
  );
  const workers = Array.from({ length: CONNECTIONS }, () => new Worker(port, jobBytes));
  const running = workers.map((worker) => worker.run());
  await pause(warmUp);
  const total = () => workers.reduce((sum, { byteCount }) => sum + byteCount, 0);
  const before = total();
  const began = performance.now();
  await pause(MEASURE_MS);
  const measured = (total() - before) / 1e3 / (performance.now() - began);
  for (const worker of workers) worker.stop();
  await Promise.all(running);
  return measured;
}

export async function spread(lab: LabProcess, rounds: number): Promise<Figure[]> {
  await lab.setFaults({ pacing: true });
  const ENDLESS = 1_000_000_000;
  const measured = { one: [] as number[], eight: [] as number[], auto: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    measured.one.push(await rate(lab, '1', ENDLESS, 2_000));
    measured.eight.push(await rate(lab, '8', ENDLESS, 3_000));
    measured.auto.push(await rate(lab, 'auto', JOB_BYTES, WARM_UP_MS));
  }
  const one = { name: 'one session', value: median(measured.one) };
  const figure = (name: string, values: number[]): Figure => ({
    group: 's',
    name,
    value: median(values),
    unit: 'MB/s',
    against: one,
    bound: { kind: 'at-least', limit: 6, of: 'ratio' },
  });
  return [
    figure('8 connections, --sessions 8, paced agent', measured.eight),
    figure('8 workers, --sessions auto, paced agent', measured.auto),
  ];
}
