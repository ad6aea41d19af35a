/** cloudtun, gcloud and a bare websocket pump on the same relay, by turns: throughput, processor time, time to the first byte, memory. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { rssOf } from '../bench/cloudtun-process.ts';
import { type Figure, median } from '../bench/figures.ts';
import { GCP_MACHINE, IAP_WORKLOAD_PORT } from '../bench/lab-process.ts';
import { echo } from '../support/transfers.ts';
import type { Check, Context } from './check.ts';
import {
  endIap,
  type IapClient,
  type IapSession,
  iapClients,
  openIap,
  treeCpuSeconds,
  treePids,
} from './iap-clients.ts';
import { connected, firstByteByTrying } from './local-client.ts';
import { canMeasure } from './process-usage.ts';
import { within } from './within.ts';

const TO = { instance: GCP_MACHINE, port: IAP_WORKLOAD_PORT };
const QUESTION = Buffer.from('ECHO\nx');
const LIMIT_MS = 200_000;
const DOWN_BYTES = 200_000_000;
/** gcloud needs 12 processor seconds for each 100 MB up. */
const UP_BYTES = 40_000_000;
const OPENINGS = 11;
const OPEN_CONNECTIONS = 100;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

interface Rates {
  /** MB a second. */
  readonly rate: number;
  /** Processor seconds for each GB. */
  readonly cpu: number;
}

async function measured(
  session: IapSession,
  byteCount: number,
  move: (socket: Socket) => Promise<unknown>,
): Promise<Rates> {
  const socket = await connected(session.port);
  try {
    const before = treeCpuSeconds(session.program.pid);
    const began = performance.now();
    await within(LIMIT_MS, 'a transfer did not end', move(socket));
    const ms = performance.now() - began;
    return {
      rate: byteCount / 1000 / ms,
      cpu: ((treeCpuSeconds(session.program.pid) - before) / byteCount) * 1e9,
    };
  } finally {
    socket.destroy();
  }
}

const down = (session: IapSession) =>
  measured(session, DOWN_BYTES, async (socket) => {
    socket.write(`FLOOD ${DOWN_BYTES}\n`);
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    if (received !== DOWN_BYTES) throw new Error(`${received} of ${DOWN_BYTES} bytes came`);
  });

const up = (session: IapSession) =>
  measured(session, UP_BYTES, async (socket) => {
    socket.write(`DRAIN ${UP_BYTES}\n`);
    const done = once(socket, 'data');
    for (let left = UP_BYTES; left > 0; left -= CHUNK.length) {
      if (!socket.write(CHUNK.subarray(0, Math.min(left, CHUNK.length))))
        await Promise.race([once(socket, 'drain'), done]);
    }
    await done;
  });

/** From connect to the first byte that comes back, on a running listener. */
async function opening(session: IapSession): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < OPENINGS; turn++) {
    const began = performance.now();
    const socket = await connected(session.port);
    const data = once(socket, 'data');
    socket.write(QUESTION);
    await within(LIMIT_MS, 'no first byte', data);
    times.push(performance.now() - began);
    socket.destroy();
  }
  return median(times);
}

const residentOf = (session: IapSession) => treePids(session.program.pid).reduce((sum, pid) => sum + rssOf(pid), 0);

async function residentWithConnections(session: IapSession): Promise<number> {
  const sockets: Socket[] = [];
  try {
    for (let opened = 0; opened < OPEN_CONNECTIONS; opened++) {
      const socket = await connected(session.port);
      sockets.push(socket);
      socket.write('ECHO\n');
      await within(LIMIT_MS, 'no echo', echo(socket, Buffer.from('x')));
    }
    return residentOf(session);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** gcloud waits many seconds for connections that were open at Ctrl-C, which is nothing that is measured here. */
async function finish(client: IapClient, { program }: Pick<IapSession, 'program'>): Promise<void> {
  if (client.name === 'cloudtun') return await endIap(client, { program });
  program.signal('SIGKILL');
  await program.end();
}

/** Enter → the first byte of a client that tries from the first moment. */
async function start(client: IapClient): Promise<number> {
  const { program, port } = await client.start(TO);
  await firstByteByTrying(port, QUESTION, LIMIT_MS);
  const ms = program.elapsedMs;
  await finish(client, { program });
  return ms;
}

class Samples {
  readonly start: number[] = [];
  readonly up: Rates[] = [];
  readonly down: Rates[] = [];
  readonly opening: number[] = [];
  readonly resident: number[] = [];

  async measure(client: IapClient): Promise<void> {
    if (client.exitCode !== null) this.start.push(await start(client));
    const session = await openIap(client, TO);
    this.opening.push(await opening(session));
    this.down.push(await down(session));
    this.up.push(await up(session));
    this.resident.push(await residentWithConnections(session));
    await finish(client, session);
  }
}

const rates = (samples: readonly Rates[]) => median(samples.map(({ rate }) => rate));
const cpus = (samples: readonly Rates[]) => median(samples.map(({ cpu }) => cpu));

export const iapComparison: Check = {
  name: 'compare-iap',
  needs: ['gcloud'],
  async run({ iap, peers, rounds, say }: Context) {
    if (!canMeasure) throw new Error('the processor time of another process is read from /proc, which only Linux has');
    const clients = iapClients(iap, peers.gcloud!);
    const [ours, gcloud, pump] = [new Samples(), new Samples(), new Samples()];
    for (let round = 0; round < rounds; round++) {
      say(`IAP, round ${round + 1} of ${rounds}`);
      await ours.measure(clients.cloudtun);
      await gcloud.measure(clients.gcloud);
      await pump.measure(clients.pump);
    }
    const figure = (name: string, unit: string, value: number, against: Figure['against'], bound?: Figure['bound']) =>
      ({ group: 'iap', name, unit, value, ...(against && { against }), ...(bound && { bound }) }) satisfies Figure;
    const atLeast = (limit: number) => ({ kind: 'at-least', limit, of: 'ratio' }) as const;
    const atMost = (limit: number) => ({ kind: 'at-most', limit, of: 'ratio' }) as const;
    const them = (value: number) => ({ name: 'gcloud', value });
    const bare = (value: number) => ({ name: 'bare ws', value });
    return {
      findings: [],
      figures: [
        figure('upload', 'MB/s', rates(ours.up), them(rates(gcloud.up)), atLeast(10)),
        figure('upload', 'MB/s', rates(ours.up), bare(rates(pump.up)), atLeast(0.8)),
        figure('download', 'MB/s', rates(ours.down), them(rates(gcloud.down)), atLeast(1)),
        figure('download', 'MB/s', rates(ours.down), bare(rates(pump.down)), atLeast(0.8)),
        figure('processor time up', 's/GB', cpus(ours.up), them(cpus(gcloud.up)), atMost(0.1)),
        figure('processor time down', 's/GB', cpus(ours.down), them(cpus(gcloud.down)), atMost(1.25)),
        figure('Enter to first byte', 'ms', median(ours.start), them(median(gcloud.start)), atMost(0.7)),
        figure('new connection to first byte', 'ms', median(ours.opening), them(median(gcloud.opening)), atMost(0.25)),
        figure('new connection to first byte', 'ms', median(ours.opening), bare(median(pump.opening))),
        figure(
          `resident with ${OPEN_CONNECTIONS} open connections`,
          'MB',
          median(ours.resident) / 1e6,
          them(median(gcloud.resident) / 1e6),
        ),
      ],
    };
  },
};
