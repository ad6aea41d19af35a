/** Connections to the relay that stand before they are needed, over TLS as with the real service. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '../../src/domain/secret.ts';
import type { IapRelayTicket, TicketSource } from '../../src/domain/ticket.ts';
import { networkSettings } from '../../src/runtime/network.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { RelayTunnel } from '../../src/transport/iap/relay-tunnel.ts';
import { type After, echo, tcpTarget } from '../support/gateway-lab.ts';
import { relayLab } from '../support/relay-lab.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const { signal: never } = new AbortController();

/** @param spares what becomes of a spare connection; `none`: there are no such */
async function bench(test: After, spares: 'none' | ((socket: Socket) => Promise<Socket>) = async (socket) => socket) {
  const lab = await relayLab(test, { backend: await tcpTarget(test, echo) });
  const caFile = join(await temporaryDirectory(test), 'ca.pem');
  await writeFile(caFile, lab.authorityPem);
  const world = systemWorld({ env: { CLOUDTUN_GCP_CA_FILE: caFile } });
  const network = await networkSettings(world);
  test.after(() => network[Symbol.asyncDispose]() as Promise<void>);
  const target = { kind: 'instance', project: 'p', zone: 'z', instance: 'i', networkInterface: 'nic0' } as const;
  const token = new Secret('good');
  const ticket: IapRelayTicket = {
    kind: 'iap-relay',
    root: lab.root,
    target,
    token,
    to: { port: 80 },
  };
  const source: TicketSource<IapRelayTicket> = {
    kind: 'iap-relay',
    issue: async () => ticket,
    renew: async () => ticket,
    release: async () => {},
  };
  let ready = 0;
  const route = {
    agentFor: network.agentFor,
    ca: network.ca,
    secureContext: network.secureContext,
    ...(spares !== 'none' && {
      connect: async (...args: Parameters<typeof network.connect>) => {
        const socket = await spares(await network.connect(...args));
        ready += 1;
        return socket;
      },
    }),
  };
  const tunnel = await RelayTunnel.open(world, source, ticket.to, { route, onEvent: () => {} }, never);
  test.after(() => tunnel[Symbol.asyncDispose]() as Promise<void>);
  return { lab, tunnel, ready: () => ready };
}

async function firstByte(tunnel: RelayTunnel): Promise<number> {
  const began = performance.now();
  const stream = await tunnel.open(never);
  stream.write('x');
  await new Promise((resolve) => stream.once('data', resolve));
  const took = performance.now() - began;
  stream.destroy();
  return took;
}

test('the next stream goes over a connection that stands, and no session is opened ahead of need', async (t) => {
  const { lab, tunnel, ready } = await bench(t);
  const bare = await bench(t, 'none');
  const without: number[] = [];
  const withSpare: number[] = [];
  await firstByte(tunnel);
  await firstByte(bare.tunnel);
  for (let count = 2; count < 12; count += 1) {
    await until(() => ready() >= count - 1);
    assert.equal(lab.desk.sessions().length, count - 1, 'a spare connection is no session');
    withSpare.push(await firstByte(tunnel));
    without.push(await firstByte(bare.tunnel));
  }
  assert.equal(bare.ready(), 0);
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!.toFixed(1);
  t.diagnostic(`to the first byte: median ${median(without)} ms, with a spare ${median(withSpare)} ms`);
  assert.deepEqual(lab.desk.violations(), []);
});

test('a spare that is dead costs nothing but itself', async (t) => {
  const pit = await tcpTarget(t, (socket) => void socket.once('data', () => socket.resetAndDestroy()));
  const { lab, tunnel, ready } = await bench(t, async (socket) => {
    socket.destroy();
    const dead = connect(pit, '127.0.0.1');
    dead.on('error', () => {});
    await new Promise((resolve) => dead.once('connect', resolve).once('close', resolve));
    return dead;
  });
  await firstByte(tunnel);
  await until(() => ready() === 1);
  await firstByte(tunnel);
  assert.equal(lab.desk.sessions().length, 2);
});

test('spares go with the tunnel', async (t) => {
  const closed: Socket[] = [];
  const { tunnel, ready } = await bench(t, async (socket) => {
    socket.once('close', () => closed.push(socket));
    return socket;
  });
  await firstByte(tunnel);
  await until(() => ready() === 1);
  await tunnel[Symbol.asyncDispose]();
  await until(() => closed.length === 1);
});
