/** (f) and the figures at ready of (e): from Enter to ready, phase by phase, and what is resident then. */
import { CloudtunProcess, freePort } from './cloudtun-process.ts';
import { type Figure, median } from './figures.ts';
import { BASTION_ID, type LabProcess } from './lab-process.ts';

const READY_LIMIT_MS = 80;

interface Start {
  readonly readyMs: number;
  readonly sessionMs: number;
  readonly rss: number;
  readonly phases: ReadonlyMap<string, number>;
}

async function startOnce(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Start> {
  await using cloudtun = await CloudtunProcess.start(args, env);
  return {
    readyMs: cloudtun.readyMs,
    sessionMs: cloudtun.sessionMs,
    rss: cloudtun.rssAtReady,
    phases: new Map(cloudtun.phases.map(({ name, ms }) => [name, ms])),
  };
}

function figuresOf(command: string, starts: readonly Start[], rssLimit: number | undefined): Figure[] {
  const names = [...new Set(starts.flatMap((start) => [...start.phases.keys()]))];
  const phase = (name: string) => median(starts.map((start) => start.phases.get(name) ?? 0));
  return [
    {
      group: 'f',
      name: `${command}: Enter to ready`,
      value: median(starts.map((start) => start.readyMs)),
      unit: 'ms',
      note: names.map((name) => `${name} ${phase(name).toFixed(0)}`).join(', '),
    },
    {
      group: 'f',
      name: `${command}: StartSession to ready`,
      value: median(starts.map((start) => start.sessionMs)),
      unit: 'ms',
      ...(rssLimit === undefined ? {} : { bound: { kind: 'at-most', limit: READY_LIMIT_MS, of: 'value' } as const }),
    },
    {
      group: 'e',
      name: `${command}: resident at ready`,
      value: median(starts.map((start) => start.rss)) / 1e6,
      unit: 'MB',
      ...(rssLimit === undefined ? {} : { bound: { kind: 'at-most', limit: rssLimit, of: 'value' } as const }),
    },
  ];
}

export async function startUp(lab: LabProcess, rounds: number): Promise<Figure[]> {
  await lab.setFaults({ pacing: true });
  const starts = { rds: [] as Start[], forward: [] as Start[] };
  for (let round = 0; round < rounds; round++) {
    starts.rds.push(await startOnce(['rds', 'prod', '--port', String(await freePort())], lab.greeting.env));
    starts.forward.push(
      await startOnce(['forward', BASTION_ID, '-L', `${await freePort()}:localhost:7`], lab.greeting.env),
    );
  }
  return [...figuresOf('rds', starts.rds, 130), ...figuresOf('forward i-…', starts.forward, undefined)];
}
