import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TunnelStream } from '../../src/domain/dialer.ts';
import { probe } from '../../src/forward/probe.ts';
import { systemWorld } from '../../src/runtime/world.ts';

/*
 * Run by test/integration/mysql-probe-harmless.test.ts as `unshare --net --mount node blocking-server.ts DIRECTORY`: a MariaDB with
 * max_connect_errors=3, probed from another address than loopback, in a network and with a hosts file of its own. (Errors are only
 * counted for addresses that have a name, and never for loopback.) Prints one JSON line with what came of it.
 */
const SERVER = '10.98.0.1';
const BASTION = '10.98.0.2';
const PROBES = 200;

const directory = process.argv[2]!;
const world = systemWorld();
const socketPath = join(directory, 'server.sock');
const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
const sql = (statement: string) =>
  run('mariadb', '--no-defaults', '--user=root', `--socket=${socketPath}`, '--skip-column-names', '-e', statement)
    .toString()
    .trim();

function makeNetwork(): void {
  run('ip', 'link', 'set', 'lo', 'up');
  for (const address of [SERVER, BASTION]) run('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
  const hosts = join(directory, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost\n${SERVER} orders-prod.internal\n${BASTION} bastion-a.internal\n`);
  run('mount', '--bind', hosts, '/etc/hosts');
}

async function startServer() {
  const data = join(directory, 'data');
  const installed = ['--no-defaults', '--user=root', `--datadir=${data}`, '--auth-root-authentication-method=normal'];
  run('mariadb-install-db', ...installed);
  const server = spawn(
    'mariadbd',
    [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      `--socket=${socketPath}`,
      `--bind-address=${SERVER}`,
      '--max-connect-errors=3',
      '--skip-name-resolve=OFF',
      '--performance-schema=ON',
      '--plugin-load-add=auth_ed25519',
    ],
    { stdio: 'ignore' },
  );
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      sql('SELECT 1');
      return server;
    } catch {
      await delay(100);
    }
  }
  server.kill();
  throw new Error('mariadbd did not start within 10 s');
}

async function connectAsBastion(): Promise<Socket> {
  const socket = connect({ host: SERVER, port: 3306, localAddress: BASTION });
  await once(socket, 'connect');
  return socket;
}

async function probeOnce(): Promise<string | undefined> {
  const open = async (): Promise<TunnelStream> =>
    Object.assign(await connectAsBastion(), { accepted: Promise.resolve('acknowledged' as const) });
  const probed = await probe(open, { engine: 'mysql' }, world, AbortSignal.timeout(20_000));
  await probed.release();
  return probed.readiness.greeting;
}

/** What a greeting-and-hang-up probe does. Resolves with what the server said. */
async function greetAndHangUp(): Promise<string> {
  const socket = await connectAsBastion();
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return bytes.toString('latin1', 4);
}

/** Errors the server counted for the bastion: those that block it, and those of a refused sign-in. */
function counted() {
  const row = sql(
    `SELECT SUM_CONNECT_ERRORS, COUNT_AUTHENTICATION_ERRORS + COUNT_AUTH_PLUGIN_ERRORS
     FROM performance_schema.host_cache WHERE IP = '${BASTION}'`,
  );
  const [blocking, refused] = row.split('\t').map(Number);
  return { blocking, refused };
}

async function main() {
  makeNetwork();
  const server = await startServer();
  try {
    sql(`CREATE USER app@'%' IDENTIFIED BY 'secret'`);
    const greeting = await probeOnce();
    for (let count = 1; count < PROBES; count += 1) await probeOnce();
    const afterProbes = counted();

    // MariaDB asks an unknown user for the plugin of one of its accounts, picked by the name: with more and more accounts of two
    // other kinds, every kind gets its turn.
    for (let count = 0; count < 8; count += 1) {
      sql(`CREATE USER one${count}@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x')`);
      sql(
        `CREATE USER two${count}@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x') OR mysql_native_password USING PASSWORD('y')`,
      );
      for (let again = 0; again < 4; again += 1) await probeOnce();
    }
    const afterOtherPlugins = counted();

    sql('FLUSH HOSTS');
    const said: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      said.push((await greetAndHangUp()).replaceAll(/[^\x20-\x7e]+/g, ' '));
      // The server counts when it notices the hang-up, not when we hang up.
      for (let wait = 0; wait < 100 && (counted().blocking ?? 0) < Math.min(count + 1, 3); wait += 1) await delay(20);
    }
    const probeWhenBlocked = await probeOnce().catch((error: Error & { code?: string }) => error.code);
    process.stdout.write(`${JSON.stringify({ greeting, afterProbes, afterOtherPlugins, said, probeWhenBlocked })}\n`);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
}

await main();
