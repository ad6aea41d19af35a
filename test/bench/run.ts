/**
 * `npm run bench`: one table of ratios and figures, from one run. `--json` for programs, `--rounds n` (default 5), `--only a,c`,
 * `--soak minutes` for the memory figure over time (default: not run). Timings are the machine's of this minute: compare ratios.
 */
import { parseArgs } from 'node:util';
import { CloudtunProcess, freePort } from './cloudtun-process.ts';
import { completion } from './completion.ts';
import { type Figure, formatTable, isKept } from './figures.ts';
import { BASTION_ID, LabProcess, WORKLOAD_PORT } from './lab-process.ts';
import { manyConnections, smallExchanges, startHop } from './latency.ts';
import { manyTunnels } from './many-tunnels.ts';
import { growthUnderLoad, soak } from './memory.ts';
import { proxyStart } from './proxy-start.ts';
import { spread } from './spread.ts';
import { sshForward } from './ssh-forward.ts';
import { startUp } from './start-up.ts';
import { paced, unpaced } from './throughput.ts';
import { WsPump } from './ws-pump.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'a,b,c,d,e,f,g,k,n,p,s' },
    soak: { type: 'string', default: '0' },
  },
});
const rounds = Number(options.rounds);
const groups = new Set(options.only.split(','));
const say = (text: string) => process.stderr.write(`${text}\n`);

const figures: Figure[] = [];
await using lab = await LabProcess.start();
if (groups.has('a')) {
  say('a: throughput, unpaced agent');
  await using pump = await WsPump.start();
  figures.push(...(await unpaced(lab, pump, rounds, 100e6)));
}
if (groups.has('b')) {
  say('b: throughput, paced agent');
  figures.push(...(await paced(lab, rounds, 4e6)));
}
if (groups.has('f')) {
  say('f: Enter to ready');
  figures.push(...(await startUp(lab, rounds)));
}
if (groups.has('g')) {
  say('g: ssh -L');
  figures.push(...(await sshForward(rounds, 50e6)));
}
if (groups.has('n')) {
  say('n: two hundred tunnels');
  figures.push(...(await manyTunnels()));
}
if (groups.has('k')) {
  say('k: completion of names');
  figures.push(...completion(rounds));
}
if (groups.has('p')) {
  say('p: proxy, start to banner');
  figures.push(...(await proxyStart(lab, rounds)));
}
if (groups.has('s')) {
  say('s: several sessions');
  figures.push(...(await spread(lab, Math.min(rounds, 3))));
}
if (groups.has('c') || groups.has('d') || groups.has('e')) {
  await lab.setFaults({ pacing: false, verifyInput: false });
  const port = await freePort();
  const rule = `${port}:${lab.greeting.host}:${WORKLOAD_PORT}`;
  await using cloudtun = await CloudtunProcess.start(['forward', BASTION_ID, '-L', rule], lab.greeting.env);
  const hop = await startHop(lab.greeting.target);
  if (groups.has('c')) {
    say('c: small exchanges');
    figures.push(...(await smallExchanges(port, hop.port, rounds)));
  }
  if (groups.has('d')) {
    say('d: many connections');
    figures.push(...(await manyConnections(port, hop.port, rounds)));
  }
  if (groups.has('e')) {
    say('e: memory');
    figures.push(...(await growthUnderLoad(cloudtun, port)));
    if (Number(options.soak) > 0) figures.push(await soak(cloudtun, port, Number(options.soak)));
  }
  hop.child.disconnect();
}
process.stdout.write(options.json ? `${JSON.stringify(figures, undefined, 2)}\n` : `${formatTable(figures)}\n`);
const missed = figures.filter((figure) => isKept(figure) === false).length;
say(missed === 0 ? 'every bound is kept' : `${missed} bounds are missed`);
