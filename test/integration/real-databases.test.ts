import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../bench/cloudtun-process.ts';
import { cliLab } from '../support/cli-lab.ts';
import { REAL_LOGIN, startMariadb, startPostgres, unlessRealServers } from '../support/real-servers.ts';

const ROWS = 75_000;

/** A number and its SHA-256 in every line, as both clients print it: 5 MB in which no two pieces are alike. */
function bigAnswer(): string {
  const lines: string[] = [];
  for (let n = 1; n <= ROWS; n += 1) lines.push(`${n}\t${createHash('sha256').update(`${n}`).digest('hex')}\n`);
  return lines.join('');
}

/** Not synchronous: the lab that carries the answer lives in this process. */
async function ask(client: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { env: { PATH: process.env.PATH, ...env }, timeout: 15_000, maxBuffer: 16 << 20 };
  return (await promisify(execFile)(client, args, options)).stdout;
}

const { user, password, database } = REAL_LOGIN;

const mariadb = (port: number, sql: string) =>
  ask('mariadb', [
    ...['--no-defaults', '--host=127.0.0.1', `--port=${port}`, `--user=${user}`, `--password=${password}`],
    ...['--batch', '--skip-column-names', '-e', sql, database],
  ]);

const psql = (port: number, sql: string) =>
  ask(
    'psql',
    [
      ...['--no-psqlrc', '--tuples-only', '--no-align', '--field-separator=\t', '--host=127.0.0.1', `--port=${port}`],
      ...['-c', sql, database],
    ],
    { PGUSER: user, PGPASSWORD: password },
  );

test("Debian's MariaDB and PostgreSQL 15 behind prod and orders, asked by their own clients", {
  skip: unlessRealServers(),
  timeout: 60_000,
}, async (t) => {
  const [prod, orders] = await Promise.all([startMariadb(t), startPostgres(t)]);
  const { start, openSessions } = await cliLab(t, { databases: { prod, orders } });
  const servers = [
    {
      name: 'prod',
      client: mariadb,
      version: /^\d+\.\d+\.\d+-MariaDB/,
      big: `SELECT seq, SHA2(seq, 256) FROM seq_1_to_${ROWS}`,
    },
    {
      name: 'orders',
      client: psql,
      version: /^PostgreSQL 15\./,
      big: `SELECT n, encode(sha256(n::text::bytea), 'hex') FROM generate_series(1, ${ROWS}) n`,
    },
  ];
  const expected = bigAnswer();
  assert.ok(expected.length > 5_000_000);
  for (const { name, client, version, big } of servers) {
    const port = await freePort();
    const run = start(['rds', name, '--port', `${port}`]);
    await run.saw(new RegExp(`^ready 127\\.0\\.0\\.1:${port} -> ${name} `, 'm'));
    assert.match(await client(port, 'SELECT version()'), version);
    assert.equal(await client(port, 'SELECT 6 * 7'), '42\n');
    // Not assert.equal, which would print both.
    assert.ok((await client(port, big)) === expected, `${name}: 5 MB arrive as they were sent`);
    assert.equal(openSessions().length, 1);
    run.process.kill('SIGINT');
    const { code, stdout } = await run.ended;
    assert.deepEqual([name, code], [name, 130]);
    assert.match(stdout, /^closed after .*, 3 connections, /m);
    assert.deepEqual(openSessions(), []);
  }
});
