/** (c) and (d): small exchanges and many connections, through the command, against a bare TCP hop. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { echo } from '../support/transfers.ts';
import { type Figure, median, percentile } from './figures.ts';

export async function startHop(target: {
  readonly host: string;
  readonly port: number;
}): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL('./tcp-hop-child.ts', import.meta.url)), [target.host, String(target.port)]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Milliseconds of each of `count` one-byte round trips on one connection. */
export async function echoTimes(port: number, count: number): Promise<number[]> {
  const socket = await connected(port);
  socket.write('ECHO\n');
  const byte = Buffer.from('x');
  for (let warm = 0; warm < 50; warm++) await echo(socket, byte);
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const began = performance.now();
    await echo(socket, byte);
    times.push(performance.now() - began);
  }
  socket.destroy();
  return times;
}

/** Connections a second, one after another, each for one byte. */
export async function openEchoClose(port: number, count: number): Promise<number> {
  const began = performance.now();
  for (let index = 0; index < count; index++) {
    const socket = await connected(port);
    socket.write('ECHO\n');
    await echo(socket, Buffer.from('x'));
    socket.destroy();
  }
  return (count * 1000) / (performance.now() - began);
}

/** Seconds until `count` connections, all at once, each got its bytes back. */
export async function concurrent(port: number, count: number, byteCount: number): Promise<number> {
  const bytes = Buffer.alloc(byteCount, 'y');
  const began = performance.now();
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const socket = await connected(port);
      socket.write('ECHO\n');
      const echoed = await echo(socket, bytes);
      if (!echoed.equals(bytes)) throw new Error(`connection ${index} got other bytes back`);
      socket.destroy();
    }),
  );
  return (performance.now() - began) / 1000;
}

export async function smallExchanges(port: number, hopPort: number, rounds: number): Promise<Figure[]> {
  const ours = { p50: [] as number[], p99: [] as number[], rate: [] as number[] };
  const hop = { p50: [] as number[], p99: [] as number[], rate: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    for (const [sink, at] of [
      [ours, port],
      [hop, hopPort],
    ] as const) {
      const times = await echoTimes(at, 500);
      sink.p50.push(percentile(times, 0.5));
      sink.p99.push(percentile(times, 0.99));
      sink.rate.push(await openEchoClose(at, 100));
    }
  }
  const against = (values: number[]) => ({ name: 'bare TCP hop', value: median(values) });
  return [
    { group: 'c', name: '1-byte echo, p50', value: median(ours.p50), unit: 'ms', against: against(hop.p50) },
    { group: 'c', name: '1-byte echo, p99', value: median(ours.p99), unit: 'ms', against: against(hop.p99) },
    { group: 'c', name: 'open, echo, close', value: median(ours.rate), unit: '/s', against: against(hop.rate) },
  ];
}

export async function manyConnections(port: number, hopPort: number, rounds: number): Promise<Figure[]> {
  const ours: number[] = [];
  const hop: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await concurrent(port, 100, 10_000));
    hop.push(await concurrent(hopPort, 100, 10_000));
  }
  const thousand = await concurrent(port, 1_000, 64 * 1024);
  return [
    {
      group: 'd',
      name: '100 concurrent connections, 10 kB echoed by each',
      value: median(ours),
      unit: 's',
      against: { name: 'bare TCP hop', value: median(hop) },
    },
    {
      group: 'd',
      name: '1,000 streams, 64 KiB echoed by each',
      value: thousand,
      unit: 's',
      note: 'all complete, bytes equal',
    },
  ];
}
