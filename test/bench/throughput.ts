/** (a) and (b): how fast, against a bare `ws` pump and against the same agent into a raw sink. */
import { once } from 'node:events';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { type Figure, median } from './figures.ts';
import type { LabProcess } from './lab-process.ts';
import { rawSinkRate } from './raw-sink.ts';
import { FRAME_BYTES, type WsPump } from './ws-pump.ts';

const signal = new AbortController().signal;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

async function uploadRate(tunnel: Tunnel, byteCount: number): Promise<number> {
  const stream = await tunnel.open(signal);
  const began = performance.now();
  stream.write(`DRAIN ${byteCount}\n`);
  const done = once(stream, 'data');
  for (let sent = 0; sent < byteCount; sent += CHUNK.length) {
    if (!stream.write(CHUNK)) await Promise.race([once(stream, 'drain'), done]);
  }
  await done;
  const rate = byteCount / 1e3 / (performance.now() - began);
  stream.destroy();
  return rate;
}

async function downloadRate(tunnel: Tunnel, byteCount: number): Promise<number> {
  const stream = await tunnel.open(signal);
  const began = performance.now();
  stream.write(`FLOOD ${byteCount}\n`);
  stream.resume();
  await once(stream, 'end');
  const rate = byteCount / 1e3 / (performance.now() - began);
  stream.destroy();
  return rate;
}

const cpuSeconds = () => {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) / 1e6;
};

/** Interleaved, so that a noisy minute hits both sides of a ratio. */
export async function unpaced(lab: LabProcess, pump: WsPump, rounds: number, byteCount: number): Promise<Figure[]> {
  await lab.setFaults({ pacing: false, verifyInput: false });
  const frameCount = Math.round(byteCount / 1024);
  const measured = { up: [] as number[], down: [] as number[], pumpUp: [] as number[], pumpDown: [] as number[] };
  const cpu = { up: [] as number[], down: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const tunnel = await lab.openTunnel();
    let before = cpuSeconds();
    measured.up.push(await uploadRate(tunnel, byteCount));
    cpu.up.push(((cpuSeconds() - before) / byteCount) * 1e9);
    measured.pumpUp.push(await pump.run('up', frameCount));
    before = cpuSeconds();
    measured.down.push(await downloadRate(tunnel, byteCount));
    cpu.down.push(((cpuSeconds() - before) / byteCount) * 1e9);
    measured.pumpDown.push(await pump.run('down', frameCount));
    await tunnel[Symbol.asyncDispose]();
  }
  const figure = (name: 'up' | 'down', against: number[]): Figure => ({
    group: 'a',
    name: `${name === 'up' ? 'upload' : 'download'}, unpaced agent, 1 KiB messages`,
    value: median(measured[name]),
    unit: 'MB/s',
    against: { name: `bare ws, ${FRAME_BYTES} B`, value: median(against) },
    bound: { kind: 'at-least', limit: 0.5, of: 'ratio' },
    note: `client CPU ${median(cpu[name]).toFixed(1)} s/GB`,
  });
  return [figure('up', measured.pumpUp), figure('down', measured.pumpDown)];
}

export async function paced(lab: LabProcess, rounds: number, byteCount: number): Promise<Figure[]> {
  await lab.setFaults({ pacing: true });
  const ours: number[] = [];
  const sink: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const tunnel = await lab.openTunnel();
    ours.push(await downloadRate(tunnel, byteCount));
    await tunnel[Symbol.asyncDispose]();
    sink.push(await rawSinkRate(lab, byteCount));
  }
  return [
    {
      group: 'b',
      name: 'download, paced agent',
      value: median(ours),
      unit: 'MB/s',
      against: { name: 'raw sink', value: median(sink) },
      bound: { kind: 'at-least', limit: 0.95, of: 'ratio' },
    },
  ];
}
