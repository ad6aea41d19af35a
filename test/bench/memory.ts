/** (e): resident memory of the command under load, over the figure at ready. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { CloudtunProcess } from './cloudtun-process.ts';
import type { Figure } from './figures.ts';
import { concurrent } from './latency.ts';

const MB = 1e6;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

async function transfer(port: number, verb: 'DRAIN' | 'FLOOD', byteCount: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.write(`${verb} ${byteCount}\n`);
  if (verb === 'FLOOD') {
    socket.resume();
    await once(socket, 'end');
  } else {
    const done = once(socket, 'data');
    for (let sent = 0; sent < byteCount; sent += CHUNK.length) {
      if (!socket.write(CHUNK)) await Promise.race([once(socket, 'drain'), done]);
    }
    await done;
  }
  socket.destroy();
}

/** A client that asks for much and never reads. */
async function neverReads(port: number): Promise<() => void> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.pause();
  socket.write(`FLOOD ${100 * MB}\n`);
  return () => socket.destroy();
}

export async function growthUnderLoad(cloudtun: CloudtunProcess, port: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  const growth = (name: string): void => {
    figures.push({
      group: 'e',
      name: `growth over ready: ${name}`,
      value: (cloudtun.rssPeak - cloudtun.rssAtReady) / MB,
      unit: 'MB',
      bound: { kind: 'at-most', limit: 48, of: 'value' },
    });
    cloudtun.restartPeak();
  };
  growth('small exchanges and many connections so far');
  await transfer(port, 'DRAIN', 200 * MB);
  growth('200 MB up');
  await transfer(port, 'FLOOD', 200 * MB);
  growth('200 MB down');
  await concurrent(port, 1_000, 64 * 1024);
  growth('1,000 streams of 64 KiB');
  const stop = await neverReads(port);
  await concurrent(port, 100, 10_000);
  await transfer(port, 'FLOOD', 50 * MB);
  stop();
  growth('beside a client that never reads');
  return figures;
}

/** Mixed traffic for some minutes: growth between minute 2 and the end. */
export async function soak(cloudtun: CloudtunProcess, port: number, minutes: number): Promise<Figure> {
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 60_000;
  const levels: { at: number; rss: number }[] = [];
  while (elapsed() < minutes) {
    await concurrent(port, 20, 20_000);
    await transfer(port, 'FLOOD', 20 * MB);
    await transfer(port, 'DRAIN', 20 * MB);
    levels.push({ at: elapsed(), rss: cloudtun.rss });
  }
  // The lowest level around each end: what garbage collection leaves, not what it has not got round to.
  const around = (minute: number) =>
    Math.min(...levels.filter(({ at }) => Math.abs(at - minute) < 0.5).map(({ rss }) => rss));
  return {
    group: 'e',
    name: `growth between minute 2 and minute ${minutes}`,
    value: (around(minutes) - around(2)) / MB,
    unit: 'MB',
    bound: { kind: 'at-most', limit: 5, of: 'value' },
  };
}
