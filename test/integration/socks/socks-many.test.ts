import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { openTunnel } from '../../../src/broker/open-tunnel.ts';
import { composeApp } from '../../../src/compose.ts';
import type { LabOptions } from '../../../src/lab/lab.ts';
import { xdgPaths } from '../../../src/runtime/paths.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { openSocks } from '../../../src/socks/socks-server.ts';
import type { SocksEvent } from '../../../src/socks/socks-types.ts';
import { testLab } from '../../support/aws-lab.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const CONNECTIONS = 500;
const ANSWERING = Array.from({ length: 10 }, (_, number) => `host-${number}.internal`);
/** Addresses of the practice network that its security groups keep silent. */
const SILENT = ['10.20.10.61', '10.20.10.51'];

/** A SOCKS port through the real transport and provider to the lab. */
async function labSocks(t: TestContext, options: LabOptions = {}) {
  const lab = await testLab(t, options);
  const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  t.after(() => void echo.close());
  await once(echo, 'listening');
  const { port } = echo.address() as AddressInfo;
  const attach = (host: string) => lab.network.attach(host, 4242, { host: '127.0.0.1', port });
  for (const host of ANSWERING) attach(host);
  const env = { HOME: await temporaryDirectory(t), ...lab.env() };
  const log = { level: 0, info: () => {}, debug: () => {}, warn: () => {} };
  const world = systemWorld({ env, paths: xdgPaths(env), log });
  const app = await composeApp(world, { cloud: 'aws', said: {}, selection: {} }, {});
  t.after(async () => app[Symbol.asyncDispose]());
  const events: SocksEvent[] = [];
  const socks = await openSocks(app, {
    listen: { bind: ['127.0.0.1'], port: 0 },
    rules: { only: [], except: [] },
    open: (onEvent, signal) => {
      const request = { kind: 'machine', text: 'bastion-a', to: [], anywhere: true } as const;
      return openTunnel(app.contextFor(app.providers[0]!), request, { onEvent }, signal);
    },
    limits: { ttl: undefined, idle: undefined, grace: 1_000 },
    onEvent: (event) => events.push(event),
  });
  t.after(async () => socks[Symbol.asyncDispose]());
  await socks.ready;
  return { lab, world, socks, events, attach, client: () => connect(socks.local[0]!).on('error', () => {}) };
}

const wish = (host: string) =>
  Buffer.concat([
    Buffer.from([5, 1, 0, 5, 1, 0, 3, host.length]),
    Buffer.from(host),
    Buffer.from([4242 >> 8, 4242 & 255]),
  ]);

/** Sends a text through SOCKS5 and resolves when it is back, with the time that took from the first byte on; the reply code if refused. */
function roundTrip(
  socket: Socket,
  host: string,
  text: string,
): Promise<{ readonly ms: number } | { readonly reply: number }> {
  const started = performance.now();
  socket.write(wish(host));
  return new Promise((resolve, reject) => {
    let said = Buffer.alloc(0);
    let isAsked = false;
    socket.on('data', (bytes: Buffer) => {
      said = Buffer.concat([said, bytes]);
      if (said.length >= 12 && said[3] !== 0) resolve({ reply: said[3]! });
      else if (said.length >= 12 && !isAsked) {
        isAsked = true;
        socket.write(text);
      }
      if (said.subarray(12).toString() === text) resolve({ ms: performance.now() - started });
    });
    socket.once('close', () => reject(new Error(`closed after ${said.length} bytes of ${host}`)));
  });
}

test(`${CONNECTIONS} connections at once to 12 hosts of which two never answer: all others finish`, async (t) => {
  const { lab, world, socks, client } = await labSocks(t);
  const hosts = [...ANSWERING, ...SILENT];
  const silent: Socket[] = [];
  const trips = Array.from({ length: CONNECTIONS }, async (_, number) => {
    const socket = client();
    const host = hosts[number % hosts.length]!;
    if (SILENT.includes(host)) {
      silent.push(socket);
      socket.write(Buffer.concat([wish(host), Buffer.from('anybody?')]));
      return undefined;
    }
    const trip = await roundTrip(socket, host, `${number} to ${host}`);
    socket.destroy();
    assert.ok('ms' in trip, `refused with ${JSON.stringify(trip)}`);
    return trip.ms;
  });
  const times = (await Promise.all(trips)).filter((ms) => ms !== undefined).sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  assert.equal(times.length, CONNECTIONS - silent.length);
  assert.ok(silent.length > 80);
  assert.ok(
    silent.every((socket) => socket.bytesRead <= 12),
    'nobody answers there',
  );
  t.diagnostic(
    `${times.length} finished beside ${silent.length} silent: p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms, last ${at(1).toFixed(0)} ms`,
  );
  assert.equal(lab.status().sessions.length, hosts.length);
  for (const socket of silent) socket.destroy();
  socks.drain('ended');
  const report = await socks.closed;
  assert.equal(report.connections, CONNECTIONS);
  assert.equal(report.destinations.length, hosts.length);
  assert.equal(lab.status().sessions.length, 0);
  const journal = journalRecords(join(world.paths.state, 'journal'));
  const opens = journal.filter(({ event }) => event === 'open');
  assert.equal(opens.length, hosts.length, 'each destination is recorded once');
});

test('without an sshd the 17th destination in use is refused with a code, and room is made by one that is left', async (t) => {
  const { socks, events, attach, client } = await labSocks(t, { sshFaults: { answer: 'absent' } });
  const hosts = Array.from({ length: 17 }, (_, number) => `crowd-${number}.internal`);
  for (const host of hosts) attach(host);
  const sockets = await Promise.all(
    hosts.slice(0, 16).map(async (host) => {
      const socket = client();
      assert.ok('ms' in (await roundTrip(socket, host, 'hello')));
      return socket;
    }),
  );
  assert.deepEqual(await roundTrip(client(), hosts[16]!, 'hello'), { reply: 1 });
  const told = () => events.some((event) => event.type === 'client' && event.error?.code === 'CT_DESTINATION_LIMIT');
  await until(told);
  sockets[5]!.destroy();
  await until(() => events.filter((event) => event.type === 'client' && event.change === 'closed').length === 2);
  assert.ok('ms' in (await roundTrip(client(), hosts[16]!, 'hello')));
  socks.cut('ended');
  assert.equal((await socks.closed).destinations.length, 17);
});

test('a megabyte there and back, begun before the reply came, is byte-exact', async (t) => {
  const { client } = await labSocks(t);
  const sent = randomBytes(1_000_000);
  const socket = client();
  socket.write(wish(ANSWERING[0]!));
  socket.write(sent);
  const digest = createHash('sha256');
  let count = -12;
  const isOver = Promise.withResolvers<void>();
  socket.on('data', (bytes: Buffer) => {
    digest.update(count < 0 ? bytes.subarray(Math.min(bytes.length, -count)) : bytes);
    count += bytes.length;
    if (count >= sent.length) isOver.resolve();
  });
  socket.once('close', () => isOver.resolve());
  await isOver.promise;
  assert.equal(count, sent.length);
  assert.equal(digest.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  socket.destroy();
});
