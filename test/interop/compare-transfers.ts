/**
 * Processor time for each MB, and MB a second: the process that carries the bytes, the same agent, the same transfers. At the agent's
 * pace each kilobyte wakes the client by itself; without the pace the bytes alone count.
 */
import { type Figure, median } from '../bench/figures.ts';
import { type LabProcess, WORKLOAD_PORT } from '../bench/lab-process.ts';
import type { Check, Context } from './check.ts';
import type { Client, Session } from './clients.ts';
import { downloadExactly, firstByte, uploadExactly } from './local-client.ts';
import { canMeasure, cpuSeconds } from './process-usage.ts';

const BYTES = 20_000_000;
const LIMIT_MS = 200_000;

interface Transfer {
  /** Processor seconds for each MB. */
  readonly cpu: number;
  /** MB a second. */
  readonly rate: number;
}

interface Round {
  readonly down: Transfer;
  readonly up: Transfer;
  /** From an agent that does not pause. */
  readonly unpaced: Transfer;
  /** Processor seconds from Enter to ready, of all processes that took part. */
  readonly startCpu: number;
}

async function transfer(session: Session, move: typeof uploadExactly): Promise<Transfer> {
  const before = cpuSeconds(session.carrier);
  const ms = await move(session.port, BYTES, LIMIT_MS);
  return { cpu: (cpuSeconds(session.carrier) - before) / (BYTES / 1e6), rate: BYTES / 1000 / ms };
}

/** In a process of its own each time: what a run-time compiles on the way is paid for, too. */
async function round(client: Client, lab: LabProcess): Promise<Round> {
  const session = await client.open({ host: lab.greeting.host, port: WORKLOAD_PORT });
  const { program, carrier } = session;
  const startCpu = cpuSeconds(program.pid) + (carrier === program.pid ? 0 : cpuSeconds(carrier));
  await firstByte(session.port, Buffer.from('ECHO\nx'), LIMIT_MS);
  const down = await transfer(session, downloadExactly);
  const up = await transfer(session, uploadExactly);
  await lab.setFaults({ pacing: false });
  const unpaced = await transfer(session, downloadExactly);
  await lab.setFaults({});
  await client.end(program);
  return { down, up, unpaced, startCpu };
}

export const transfersComparison: Check = {
  name: 'compare-transfers',
  needs: ['aws', 'plugin'],
  async run(context: Context) {
    if (!canMeasure) throw new Error('the processor time of another process is read from /proc, which only Linux has');
    const { cloudtun, official, rounds, lab, say } = context;
    const ours: Round[] = [];
    const theirs: Round[] = [];
    for (let done = 0; done < rounds; done++) {
      say(`transfers, round ${done + 1} of ${rounds}`);
      ours.push(await round(cloudtun, lab));
      theirs.push(await round(official, lab));
    }
    const figure = (name: string, unit: string, factor: number, of: (round: Round) => number) => ({
      group: 'transfers',
      name,
      unit,
      value: median(ours.map(of)) * factor,
      against: { name: 'official plugin', value: median(theirs.map(of)) * factor },
    });
    const atMost = (limit: number) => ({ kind: 'at-most', limit, of: 'ratio' }) as const;
    const atLeast = (limit: number) => ({ kind: 'at-least', limit, of: 'ratio' }) as const;
    const figures: Figure[] = [
      { ...figure('processor time down, 20 MB paced', 'ms/MB', 1000, ({ down }) => down.cpu), bound: atMost(0.5) },
      {
        ...figure('processor time down, 20 MB unpaced', 'ms/MB', 1000, ({ unpaced }) => unpaced.cpu),
        bound: atMost(0.5),
      },
      { ...figure('processor time up, 20 MB', 'ms/MB', 1000, ({ up }) => up.cpu), bound: atMost(0.5) },
      {
        ...figure('processor time, paced down and up', 'ms/MB', 1000, ({ down, up }) => (down.cpu + up.cpu) / 2),
        bound: atMost(0.5),
      },
      // The agent's pace decides: not slower means the same but for its jitter.
      { ...figure('throughput down, paced', 'MB/s', 1, ({ down }) => down.rate), bound: atLeast(0.95) },
      { ...figure('throughput down, unpaced', 'MB/s', 1, ({ unpaced }) => unpaced.rate), bound: atLeast(1) },
      { ...figure('throughput up', 'MB/s', 1, ({ up }) => up.rate), bound: atLeast(1) },
      {
        ...figure('processor time from Enter to ready', 'ms', 1000, ({ startCpu }) => startCpu),
        note: 'official: with the AWS CLI',
      },
    ];
    return { findings: [], figures };
  },
};
