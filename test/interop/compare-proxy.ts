/**
 * From the start of the program to the first byte of an SSH server's banner on its output:
 *
 *     cloudtun proxy i-… 22        aws ssm start-session --target i-… --document-name AWS-StartPortForwardingSession …, and a client that
 *                                  tries its port every 10 ms from the first moment, since that client has no standard streams to offer
 *     cloudtun proxy p/z/web-1 22  gcloud compute start-iap-tunnel web-1 22 --listen-on-stdin
 *
 * Both clients of a cloud have the same credentials from the same place.
 */
import { type Figure, median } from '../bench/figures.ts';
import { GCP_MACHINE, GCP_PROJECT, GCP_ZONE } from '../bench/lab-process.ts';
import type { Check, Context } from './check.ts';
import { endIap, gcloudOnStdio } from './iap-clients.ts';
import { firstByteByTrying } from './local-client.ts';
import type { Program } from './programs.ts';

const SSH_PORT = 22;
/** A machine of the lab that has an SSH server. */
const AWS_MACHINE = 'i-0a1b2c3d4e5f60003';
const LIMIT_MS = 60_000;
const AWS_LIMIT = 1 / 3;
const GCLOUD_LIMIT = 1 / 2;
const BANNER = /^SSH-2\.0-/;

async function bannerOf(program: Program): Promise<number> {
  return (await program.saw(BANNER, LIMIT_MS)).atMs;
}

async function ours({ cloudtun }: Context, target: string): Promise<number> {
  const program = cloudtun.run(['proxy', target, String(SSH_PORT)]);
  const ms = await bannerOf(program);
  await cloudtun.end(program);
  return ms;
}

async function officialClient({ official }: Context): Promise<number> {
  const { program, port } = await official.startOn(AWS_MACHINE, { port: SSH_PORT });
  await firstByteByTrying(port, Buffer.alloc(0), LIMIT_MS);
  const ms = program.elapsedMs;
  await official.end(program);
  return ms;
}

async function gcloud({ iap, peers }: Context): Promise<number> {
  const client = gcloudOnStdio(iap, peers.gcloud!);
  const program = client.start({ instance: GCP_MACHINE, port: SSH_PORT });
  const ms = await bannerOf(program);
  await endIap(client, { program });
  return ms;
}

/** One round that is thrown away, then the others by turns. */
async function byTurns(rounds: number, ways: readonly (() => Promise<number>)[]): Promise<readonly number[][]> {
  const results: number[][] = ways.map(() => []);
  for (let done = 0; done <= rounds; done += 1) {
    for (const [index, way] of ways.entries()) {
      const ms = await way();
      if (done > 0) results[index]!.push(ms);
    }
  }
  return results;
}

function figure(name: string, own: readonly number[], against: Figure['against'], limit: number): Figure {
  const note = own.map((ms) => ms.toFixed(0)).join(' ');
  return {
    ...{ group: 'proxy', name, unit: 'ms', value: median(own), note },
    ...(against && { against, bound: { kind: 'at-most', limit: Number(limit.toFixed(3)), of: 'ratio' } }),
  };
}

export const proxyComparison: Check = {
  name: 'compare-proxy',
  needs: ['aws', 'plugin', 'gcloud'],
  async run(context: Context) {
    const { rounds, say } = context;
    say('proxy: Session Manager');
    const [aws = [], official = []] = await byTurns(rounds, [
      () => ours(context, AWS_MACHINE),
      () => officialClient(context),
    ]);
    say('proxy: Identity-Aware Proxy');
    const [gcp = [], theirs = []] = await byTurns(rounds, [
      () => ours(context, `${GCP_PROJECT}/${GCP_ZONE}/${GCP_MACHINE}`),
      () => gcloud(context),
    ]);
    return {
      findings: [],
      figures: [
        figure(
          'proxy through Session Manager: banner',
          aws,
          { name: 'aws and plugin', value: median(official) },
          AWS_LIMIT,
        ),
        figure(
          'proxy through Identity-Aware Proxy: banner',
          gcp,
          { name: 'gcloud', value: median(theirs) },
          GCLOUD_LIMIT,
        ),
      ],
    };
  },
};
