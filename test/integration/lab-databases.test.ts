import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2';
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { TunnelStream } from '../../src/domain/dialer.ts';
import { probe } from '../../src/forward/probe.ts';
import { type MysqlDatabase, startMysqlDatabase } from '../../src/lab/databases/mysql-front.ts';
import { type PostgresDatabase, startPostgresDatabase } from '../../src/lab/databases/postgres-front.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { runCommand, unlessInstalled } from '../support/commands.ts';
import { manualWorld, settle } from '../support/manual-world.ts';

const READER = { user: 'app_reader', password: 'lab-reader' };
const ADMIN = { user: 'admin', password: 'lab-admin' };
const world = systemWorld();

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Waits for what another process or the server does with a socket; fails after 5 s. */
async function eventually(isTrue: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 500 && !isTrue(); attempt += 1) await delay(10);
  assert.ok(isTrue());
}

describe("the lab's MySQL", () => {
  let database: MysqlDatabase;
  before(async () => {
    database = await startMysqlDatabase(world);
  });
  after(() => database[Symbol.asyncDispose]());
  const opened: mysql.Connection[] = [];
  afterEach(() => {
    for (const client of opened.splice(0)) client.destroy();
  });
  const connection = async (more: object = {}) => {
    const client = await mysql.createConnection({ ...database.address, ...READER, database: 'orders', ...more });
    opened.push(client);
    return client;
  };

  test('mysql2 reads rows with their types', async () => {
    const client = await connection({ timezone: 'Z' });
    const [rows, fields] = await client.query('SELECT * FROM orders WHERE id = 2');
    assert.deepEqual(rows, [
      { id: 2, customer_id: 12, status: 'returned', placed_at: new Date('2026-01-07T10:14:00Z'), total: '237.15' },
    ]);
    assert.deepEqual(
      fields.map(({ name, table }) => `${table}.${name}`),
      ['orders.id', 'orders.customer_id', 'orders.status', 'orders.placed_at', 'orders.total'],
    );
    await client.ping();
    await client.changeUser({ user: 'admin' }).catch((error: { errno: number }) => assert.equal(error.errno, 1047));
    await client.end();
  });

  test('mysql2 prepares statements', async () => {
    const client = await connection({ timezone: 'Z' });
    const sql = 'SELECT id, total, placed_at, NULL AS missing FROM orders WHERE status = ? AND placed_at > ? LIMIT ?';
    for (let again = 0; again < 2; again += 1) {
      const [rows] = await client.execute(sql, ['paid', new Date('2026-01-06T00:00:00Z'), 1]);
      assert.deepEqual(rows, [{ id: 7, total: '117.80', placed_at: new Date('2026-01-17T10:09:00Z'), missing: null }]);
    }
    const [none] = await client.execute('SELECT * FROM customers WHERE id = ?', [null]);
    assert.deepEqual(none, []);
    await client.end();
  });

  test('errors have the numbers of MySQL', async () => {
    const client = await connection();
    for (const [sql, number] of [
      ['SELECT nope FROM orders', 1054],
      ['SELECT * FROM nope', 1146],
      ['SELEC 1', 1064],
      ["SELECT 'unclosed", 1064],
      ['INSERT INTO orders VALUES (1)', 1290],
      ['WITH x AS (SELECT 1) DELETE FROM orders', 1290],
      ['USE nope', 1049],
      ['SELECT @@nope', 1193],
      ['SELECT nope()', 1305],
      ['FLUSH HOSTS', 1227],
    ] as const) {
      await assert.rejects(client.query(sql), { errno: number }, sql);
    }
    // The connection goes on after each of them.
    const [rows] = await client.query('SELECT COUNT(*) AS n FROM orders');
    assert.deepEqual(rows, [{ n: 50 }]);
    await client.end();
  });

  test('a wrong password and an unknown database are refused, and say what would do', async () => {
    await assert.rejects(connection({ password: 'guess' }), (error: { errno: number; message: string }) => {
      assert.equal(error.errno, 1045);
      assert.match(
        error.message,
        /^Access denied for user 'app_reader'@'127\.0\.0\.1' \(using password: YES\); .*lab-reader/,
      );
      return true;
    });
    await assert.rejects(connection({ user: 'root', password: '' }), { errno: 1045 });
    await assert.rejects(connection({ database: 'prod' }), { errno: 1049 });
  });

  test('a result far larger than its buffers arrives whole, also beside another client', async () => {
    const client = await connection();
    const other = await connection();
    const large = client.query({
      sql: 'SELECT a.id, b.product FROM order_items a, order_items b, customers c WHERE c.id <= 5',
      rowsAsArray: true,
    });
    const [small] = await other.query('SELECT name FROM customers WHERE id = 1');
    assert.deepEqual(small, [{ name: 'Hanako Sato' }]);
    const [rows] = await large;
    assert.equal((rows as unknown[]).length, 125 * 125 * 5);
    await Promise.all([client.end(), other.end()]);
  });

  test('a client that leaves in the middle of a result leaves nothing behind', async () => {
    const client = createConnection({ ...database.address, ...READER, database: 'orders' });
    client.on('error', () => {});
    const streaming = client.query('SELECT a.id FROM order_items a, order_items b, order_items c');
    streaming.on('error', () => {});
    await once(streaming, 'result');
    client.destroy();
    await eventually(() => database.counters().openConnections === 0);
    const again = await connection();
    await again.query('SELECT 1');
    await again.end();
  });

  describe('the mariadb client', { skip: unlessInstalled('mariadb') }, () => {
    const mariadb = (sql: string, ...options: string[]) => {
      const { host, port } = database.address;
      const signIn = [`--host=${host}`, `--port=${port}`, `--user=${READER.user}`, `--password=${READER.password}`];
      return runCommand('mariadb', ['--no-defaults', ...signIn, ...options, '-e', sql, 'orders']);
    };

    test('shows the tables and their rows', async () => {
      const { stdout, stderr } = await mariadb(
        'SHOW TABLES; SELECT status, COUNT(*) FROM orders GROUP BY status; DESC customers',
      );
      assert.equal(stderr, '');
      assert.equal(
        stdout,
        `Tables_in_orders
customers
order_items
orders
status	COUNT(*)
paid	9
pending	8
returned	9
shipped	24
Field	Type	Null	Key	Default	Extra
id	int	NO	PRI	NULL\t
name	varchar(80)	NO		NULL\t
email	varchar(120)	NO	UNI	NULL\t
country	char(2)	NO		NULL\t
created_at	datetime	NO		NULL\t
`,
      );
    });

    test('signs in with either plugin, completes names, and shows the status', async () => {
      const native = await mariadb(
        'SELECT USER(), DATABASE(), VERSION(), @@version_comment',
        '--default-auth=mysql_native_password',
      );
      assert.match(native.stdout, /^app_reader@127\.0\.0\.1\torders\t8\.0\.36\tcloudtun lab$/m);
      const sha2 = await mariadb('SELECT USER()', '--default-auth=caching_sha2_password');
      // Where the client has no such plugin it says so by itself; with it, it must get in.
      if (!sha2.stderr.includes('cannot be loaded')) assert.match(sha2.stdout, /app_reader/);
      const status = await mariadb('\\s', '--auto-rehash');
      assert.match(status.stdout, /Server version:\s+8\.0\.36 cloudtun lab/);
    });

    test('shows an error as its own, and exits with 1', async () => {
      const { stderr, exitCode } = await mariadb('SELECT * FROM nope');
      assert.match(stderr, /ERROR 1146 \(42S02\) at line 1: Table 'orders\.nope' doesn't exist/);
      assert.equal(exitCode, 1);
    });

    test('its dump has every row', { skip: unlessInstalled('mariadb-dump') }, async () => {
      const { host, port } = database.address;
      const signIn = [`--host=${host}`, `--port=${port}`, `--user=${READER.user}`, `--password=${READER.password}`];
      const { stdout, stderr, exitCode } = await runCommand('mariadb-dump', [
        '--no-defaults',
        ...signIn,
        '--single-transaction',
        '--skip-extended-insert',
        'orders',
      ]);
      assert.equal(exitCode, 0, stderr);
      assert.equal(stdout.match(/^INSERT INTO/gm)?.length, 20 + 50 + 125);
      assert.match(stdout, /CREATE TABLE `order_items`/);
    });
  });
});

describe('an address that breaks off handshakes', () => {
  const greetAndHangUp = async (database: MysqlDatabase) => {
    const socket = await open(database.address.port);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    const before = database.counters();
    socket.destroy();
    if (bytes[4] === 10) await eventually(() => database.counters().brokenHandshakes > before.brokenHandshakes);
    return bytes.toString('latin1', 4);
  };

  test('is blocked after as many as the server allows, until they are flushed', async () => {
    await using database = await startMysqlDatabase(world, { maxConnectErrors: 3 });
    for (let count = 0; count < 3; count += 1) assert.match(await greetAndHangUp(database), /8\.0\.36/);
    assert.match(await greetAndHangUp(database), /Host '127\.0\.0\.1' is blocked because of many connection errors/);
    const client = { ...database.address, ...ADMIN };
    await assert.rejects(mysql.createConnection(client), { errno: 1129 });
    assert.equal(database.counters().blockedConnections, 2);
    database.flushHosts();
    const admin = await mysql.createConnection(client);
    await admin.query('FLUSH HOSTS');
    await admin.end();
  });

  test('starts from zero when somebody signs in from it', async () => {
    await using database = await startMysqlDatabase(world, { maxConnectErrors: 3 });
    for (let count = 0; count < 2; count += 1) await greetAndHangUp(database);
    assert.deepEqual([...database.hostErrors()], [['127.0.0.1', 2]]);
    await (await mysql.createConnection({ ...database.address, ...READER })).end();
    assert.deepEqual([...database.hostErrors()], []);
  });

  test('is told apart by what the lab says it is', async () => {
    let address = '10.0.1.5';
    await using database = await startMysqlDatabase(world, { maxConnectErrors: 1, addressOf: () => address });
    await greetAndHangUp(database);
    assert.match(await greetAndHangUp(database), /Host '10\.0\.1\.5' is blocked/);
    address = '10.0.2.5';
    assert.match(await greetAndHangUp(database), /8\.0\.36/);
  });

  test('does so also by nonsense, by half an answer, and by none for 10 s; not by a wrong password', async () => {
    const { world: slow, clock } = manualWorld();
    await using database = await startMysqlDatabase(slow);
    for (const bytes of ['00000001', '0100000102', 'ffffff01', '4000000185a60300']) {
      const socket = await open(database.address.port);
      await once(socket, 'data');
      const before = database.counters().brokenHandshakes;
      socket.end(Buffer.from(bytes, 'hex'));
      await eventually(() => database.counters().brokenHandshakes === before + 1);
    }
    for (let count = 0; count < 5; count += 1) {
      await assert.rejects(mysql.createConnection({ ...database.address, ...READER, password: 'wrong' }), {
        errno: 1045,
      });
    }
    assert.equal(database.counters().refusedSignIns, 5);
    assert.equal(database.counters().brokenHandshakes, 4);
    const silent = await open(database.address.port);
    await once(silent, 'data');
    const closed = once(silent, 'close');
    await clock.advance(10_000);
    await closed;
    await eventually(() => database.counters().brokenHandshakes === 5);
    await settle();
    assert.equal(clock.pending, 0);
  });

  test('our own probe never does', async () => {
    await using database = await startMysqlDatabase(world, { maxConnectErrors: 1 });
    const tunnelStream = async (): Promise<TunnelStream> =>
      Object.assign(await open(database.address.port), { accepted: Promise.resolve('acknowledged' as const) });
    for (const engine of ['mysql', undefined] as const) {
      for (let count = 0; count < 25; count += 1) {
        const probed = await probe(tunnelStream, engine ? { engine } : {}, world, AbortSignal.timeout(10_000));
        assert.deepEqual(probed.readiness, { kind: 'ready', greeting: 'MySQL 8.0.36' });
        await probed.release();
      }
    }
    const { brokenHandshakes, refusedSignIns, blockedConnections } = database.counters();
    assert.deepEqual(
      { brokenHandshakes, refusedSignIns, blockedConnections },
      { brokenHandshakes: 0, refusedSignIns: 50, blockedConnections: 0 },
    );
  });
});

describe("the lab's PostgreSQL", () => {
  let database: PostgresDatabase;
  before(async () => {
    database = await startPostgresDatabase(world);
  });
  after(() => database[Symbol.asyncDispose]());
  const connection = async (who = READER, more: object = {}) => {
    const client = new pg.Client({ ...database.address, ...who, database: 'orders', ...more });
    client.on('error', () => {});
    await client.connect();
    return client;
  };

  test('a probe and a refused client load nothing; our probe finds it', async () => {
    const tunnelStream = async (): Promise<TunnelStream> =>
      Object.assign(await open(database.address.port), { accepted: Promise.resolve('acknowledged' as const) });
    const probed = await probe(tunnelStream, { engine: 'postgres' }, world, AbortSignal.timeout(10_000));
    assert.deepEqual(probed.readiness, { kind: 'ready', greeting: 'PostgreSQL' });
    await probed.release();
    await assert.rejects(connection({ ...READER, password: 'guess' }), { code: '28P01' });
    await assert.rejects(connection({ user: 'root', password: '' }), { code: '28P01', hint: /lab-reader/ });
    await assert.rejects(connection(READER, { database: 'prod' }), { code: '3D000' });
    await assert.rejects(connection(READER, { ssl: true }), /does not support SSL/);
    assert.equal(database.isLoaded, false);
  });

  test('several clients read at once, each as who it is', async () => {
    const clients = await Promise.all([connection(), connection(ADMIN), connection()]);
    const answers = await Promise.all(
      clients.map((client) => client.query('SELECT current_user AS who, count(*)::int AS n FROM order_items')),
    );
    assert.deepEqual(
      answers.map(({ rows }) => rows),
      ['app_reader', 'admin', 'app_reader'].map((who) => [{ who, n: 125 }]),
    );
    await Promise.all(clients.map((client) => client.end()));
  });

  test('types, parameters and errors are those of PostgreSQL', async () => {
    const client = await connection();
    const { rows } = await client.query('SELECT * FROM orders WHERE id = $1 AND status = $2', [2, 'returned']);
    assert.equal(rows[0]?.total, '237.15');
    assert.ok(rows[0]?.placed_at instanceof Date);
    await assert.rejects(client.query('SELECT nope'), { code: '42703' });
    await assert.rejects(client.query('DELETE FROM orders'), { code: '42501' });
    await assert.rejects(client.query('COPY orders FROM STDIN'), { code: '0A000' });
    assert.equal((await client.query({ name: 'again', text: 'SELECT 1 AS one' })).rows[0]?.one, 1);
    await client.end();
  });

  test('a transaction keeps others waiting, and ends with its client', async () => {
    const writer = await connection(ADMIN);
    const reader = await connection();
    await writer.query('BEGIN');
    await writer.query("UPDATE orders SET status = 'lost' WHERE id = 1");
    let isAnswered = false;
    const answer = reader.query('SELECT status FROM orders WHERE id = 1').then((result) => {
      isAnswered = true;
      return result;
    });
    await writer.query('SELECT 1');
    assert.equal(isAnswered, false);
    writer.connection.stream.destroy();
    assert.deepEqual((await answer).rows, [{ status: 'paid' }]);
    await reader.end();
  });

  test('nothing of a session is left for the next client', async () => {
    const first = await connection();
    await first.query("SET application_name = 'first'");
    await first.query({ name: 'kept', text: 'SELECT 1' });
    await first.end();
    await eventually(() => database.counters().openConnections === 0);
    const second = await connection();
    const { rows } = await second.query(
      "SELECT current_setting('application_name') AS name, (SELECT count(*)::int FROM pg_prepared_statements) AS kept",
    );
    assert.deepEqual(rows, [{ name: '', kept: 0 }]);
    await second.end();
  });

  test('psql shows tables and rows', { skip: unlessInstalled('psql') }, async () => {
    const { host, port } = database.address;
    const { stdout, stderr, exitCode } = await runCommand(
      'psql',
      ['--no-psqlrc', '--csv', '-c', '\\dt', '-c', 'SELECT status, count(*) FROM orders GROUP BY 1 ORDER BY 1'],
      { PGHOST: host, PGPORT: String(port), PGUSER: READER.user, PGPASSWORD: READER.password, PGDATABASE: 'orders' },
    );
    assert.equal(exitCode, 0, stderr);
    assert.equal(
      stdout,
      `Schema,Name,Type,Owner
public,customers,table,postgres
public,order_items,table,postgres
public,orders,table,postgres
status,count
paid,9
pending,8
returned,9
shipped,24
`,
    );
  });
});

test('both work, and say nothing, where no process, add-on or worker may be started', async () => {
  const script = `
    const [{ startMysqlDatabase }, { startPostgresDatabase }, { systemWorld }, { default: mysql }, { default: pg }] =
      await Promise.all(${JSON.stringify([
        import.meta.resolve('../../src/lab/databases/mysql-front.ts'),
        import.meta.resolve('../../src/lab/databases/postgres-front.ts'),
        import.meta.resolve('../../src/runtime/world.ts'),
        import.meta.resolve('mysql2/promise'),
        import.meta.resolve('pg'),
      ])}.map((module) => import(module)));
    const world = systemWorld();
    await using first = await startMysqlDatabase(world);
    await using second = await startPostgresDatabase(world);
    const a = await mysql.createConnection({ ...first.address, ...${JSON.stringify(READER)}, database: 'orders' });
    const b = new pg.Client({ ...second.address, ...${JSON.stringify(READER)}, database: 'orders' });
    await b.connect();
    const sql = 'SELECT name FROM customers WHERE id = 3';
    console.log((await a.query(sql))[0][0].name, (await b.query(sql)).rows[0].name);
    await Promise.all([a.end(), b.end()]);`;
  const { stdout, stderr } = await runCommand(process.execPath, [
    '--permission',
    '--allow-fs-read=*',
    '--allow-fs-write=*',
    '--input-type=module-typescript',
    '-e',
    script,
  ]);
  assert.deepEqual({ stdout, stderr }, { stdout: 'Amara Okafor Amara Okafor\n', stderr: '' });
});

test('a port that is taken is an error of the lab', async () => {
  await using taken = await startMysqlDatabase(world);
  await assert.rejects(startPostgresDatabase(world, { port: taken.address.port }), { code: 'CT_LAB_FAILED' });
});
