/**
 * Enter → ready, and → the first byte that came back, of two commands started by a person:
 *
 *     cloudtun forward i-… -L <port>:7                 aws ssm start-session --target i-… --document-name AWS-StartPortForwardingSession …
 *     cloudtun forward i-… -L <port>:<database>:3306   aws ssm start-session … AWS-StartPortForwardingSessionToRemoteHost …
 *
 * "Line" is when `ready` or `open` stands on stdout, for the official client `Waiting for connections...`; that one says only that a
 * port is bound. "First byte" is when a client that connects at that moment has its first byte. "Trying" is the first byte of a client
 * that tries to connect every 10 ms from Enter on. An echo says nothing by itself, so `open` comes 500 ms after the far side was
 * dialled (spec section 5.8); `--no-probe` leaves that out.
 */
import { type Figure, median } from '../bench/figures.ts';
import type { Check, Context } from './check.ts';
import type { Client, Destination } from './clients.ts';
import { firstByte, firstByteByTrying } from './local-client.ts';
import { ECHO_PORT } from './official-transfers.ts';

const LIMIT_MS = 60_000;
/** Not slower than this part of the official client. */
const LIMIT = 0.8;
const NOTHING = Buffer.alloc(0);

interface Start {
  readonly line: number;
  readonly first: number;
}

interface Kind {
  readonly name: string;
  readonly to: Destination;
  readonly question: Buffer;
}

async function startOnce(client: Client, { to, question }: Kind): Promise<Start> {
  const { program, port, readyMs } = await client.open(to);
  await firstByte(port, question, LIMIT_MS);
  const first = program.elapsedMs;
  await client.end(program);
  return { line: readyMs, first };
}

async function tryOnce(client: Client, { to, question }: Kind): Promise<number> {
  const { program, port } = await client.start(to);
  await firstByteByTrying(port, question, LIMIT_MS);
  const first = program.elapsedMs;
  await client.end(program);
  return first;
}

/** One round that is thrown away, so that neither pays for a cold disk or an empty compile cache, then the others by turns. */
async function byTurns<T>(rounds: number, ways: readonly (() => Promise<T>)[]): Promise<readonly T[][]> {
  const results: T[][] = ways.map(() => []);
  for (let done = 0; done <= rounds; done++) {
    for (const [index, way] of ways.entries()) {
      const result = await way();
      if (done > 0) results[index]!.push(result);
    }
  }
  return results;
}

function figure(name: string, ours: readonly number[], theirs: readonly number[], isBound: boolean, note = ''): Figure {
  return {
    group: 'starts',
    name,
    unit: 'ms',
    value: median(ours),
    against: { name: 'aws ssm start-session', value: median(theirs) },
    ...(isBound ? { bound: { kind: 'at-most', limit: LIMIT, of: 'ratio' } as const } : {}),
    ...(note === '' ? {} : { note }),
  };
}

export const startsComparison: Check = {
  name: 'compare-starts',
  needs: ['aws', 'plugin'],
  async run({ cloudtun, cloudtunWith, official, rounds, lab, say }: Context) {
    const unprobed = cloudtunWith(['--no-probe']);
    const echoing: Kind = { name: 'echo on the machine', to: { port: ECHO_PORT }, question: Buffer.from('x') };
    const greeting: Kind = {
      name: 'database behind it',
      to: { host: lab.greeting.hosts.prod!, port: 3306 },
      question: NOTHING,
    };
    say('starts: a machine that echoes');
    const [echo, quick, theirEcho] = await byTurns(rounds, [
      () => startOnce(cloudtun, echoing),
      () => startOnce(unprobed, echoing),
      () => startOnce(official, echoing),
    ]);
    say('starts: clients that try from the first moment');
    const [tried, theirTried] = await byTurns(rounds, [
      () => tryOnce(cloudtun, echoing),
      () => tryOnce(official, echoing),
    ]);
    say('starts: a database that greets');
    const [greeted, theirGreeted] = await byTurns(rounds, [
      () => startOnce(cloudtun, greeting),
      () => startOnce(official, greeting),
    ]);
    const line = (starts: readonly Start[] = []) => starts.map((start) => start.line);
    const first = (starts: readonly Start[] = []) => starts.map((start) => start.first);
    return {
      findings: [],
      figures: [
        figure(`${greeting.name}: line`, line(greeted), line(theirGreeted), true, 'ready: the server has greeted'),
        figure(`${greeting.name}: first byte`, first(greeted), first(theirGreeted), true),
        figure(`${echoing.name}, --no-probe: line`, line(quick), line(theirEcho), false, 'before the session starts'),
        figure(`${echoing.name}, --no-probe: first byte`, first(quick), first(theirEcho), true),
        figure(`${echoing.name}: first byte, trying`, tried ?? [], theirTried ?? [], false, 'with 500 ms of silence'),
        figure(`${echoing.name}: line`, line(echo), line(theirEcho), false, 'open: with 500 ms of silence'),
        figure(`${echoing.name}: first byte`, first(echo), first(theirEcho), false, 'of a client that waits for open'),
      ],
    };
  },
};
