/** Small exchanges and many connections through both clients, by turns, and what open streams cost in memory. */
import type { Socket } from 'node:net';
import { rssOf } from '../bench/cloudtun-process.ts';
import { type Figure, median, percentile } from '../bench/figures.ts';
import { WORKLOAD_PORT } from '../bench/lab-process.ts';
import { concurrent, echoTimes, openEchoClose } from '../bench/latency.ts';
import { echo } from '../support/transfers.ts';
import type { Check, Context } from './check.ts';
import type { Session } from './clients.ts';
import { connected } from './local-client.ts';
import { within } from './within.ts';

const LIMIT_MS = 120_000;
const ECHOES = 500;
const CONNECTIONS = 100;
const CONNECTION_BYTES = 10_000;

class Samples {
  readonly p50: number[] = [];
  readonly p99: number[] = [];
  readonly openings: number[] = [];
  readonly concurrent: number[] = [];
  readonly streamBytes: number[] = [];

  async measure({ port, carrier }: Session): Promise<void> {
    const times = await within(LIMIT_MS, 'echoes did not end', echoTimes(port, ECHOES));
    this.p50.push(percentile(times, 0.5));
    this.p99.push(percentile(times, 0.99));
    this.openings.push(await within(LIMIT_MS, 'openings did not end', openEchoClose(port, CONNECTIONS)));
    const together = concurrent(port, CONNECTIONS, CONNECTION_BYTES);
    this.concurrent.push(await within(LIMIT_MS, 'connections did not end', together));
    this.streamBytes.push(await within(LIMIT_MS, 'streams did not open', growth(port, carrier)));
  }
}

/** Resident bytes for each of many streams that are open at once and have carried a byte. */
async function growth(port: number, carrier: number): Promise<number> {
  const before = rssOf(carrier);
  const sockets: Socket[] = [];
  try {
    for (let opened = 0; opened < CONNECTIONS; opened++) {
      const socket = await connected(port);
      sockets.push(socket);
      socket.write('ECHO\n');
      await echo(socket, Buffer.from('x'));
    }
    return (rssOf(carrier) - before) / CONNECTIONS;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

export const exchangesComparison: Check = {
  name: 'compare-exchanges',
  needs: ['aws', 'plugin'],
  async run({ cloudtun, official, rounds, lab, say }: Context) {
    const to = { host: lab.greeting.host, port: WORKLOAD_PORT };
    const ourSession = await cloudtun.open(to);
    const theirSession = await official.open(to);
    const ours = new Samples();
    const theirs = new Samples();
    for (let done = 0; done < rounds; done++) {
      say(`exchanges, round ${done + 1} of ${rounds}`);
      await ours.measure(ourSession);
      await theirs.measure(theirSession);
    }
    await cloudtun.end(ourSession.program);
    await official.end(theirSession.program);
    const figure = (name: string, unit: string, factor: number, of: (samples: Samples) => number[]): Figure => ({
      group: 'exchanges',
      name,
      unit,
      value: median(of(ours)) * factor,
      against: { name: 'official plugin', value: median(of(theirs)) * factor },
    });
    return {
      findings: [],
      figures: [
        figure('1-byte echo, p50', 'ms', 1, ({ p50 }) => p50),
        figure('1-byte echo, p99', 'ms', 1, ({ p99 }) => p99),
        figure('open, echo, close', '/s', 1, (samples) => samples.openings),
        figure('100 concurrent connections, 10 kB echoed by each', 's', 1, (samples) => samples.concurrent),
        figure('memory growth, each of 100 open streams', 'kB', 1e-3, ({ streamBytes }) => streamBytes),
      ],
    };
  },
};
