import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { seededFractions } from '../../../src/lab/core/seeded.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { unlessInstalled } from '../../support/commands.ts';
import { REAL_LOGIN, startMariadb, startPostgres, unlessRealServers } from '../../support/real-servers.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

/*
 * What a crontab has: one line, run by /bin/sh with no environment, while things go wrong that go wrong at night. Each run says what
 * failed if its dump differs; CLOUDTUN_TEST_SEED repeats the faults of a run.
 */

const RUNS = 50;
/** At once, each with a lab of its own: they wait for most of their time. */
const LABS = 5;
const SEED = Number(process.env.CLOUDTUN_TEST_SEED ?? 20_261_122);
const RUN_JS = join(import.meta.dirname, '../../../bin/run.js');
const { user, password, database } = REAL_LOGIN;

const CLIENT = ['--no-defaults', '--host=127.0.0.1', `--user=${user}`, `--password=${password}`];

const DUMP =
  'mysqldump --defaults-extra-file="$CLOUDTUN_PROD_CNF" --single-transaction --skip-dump-date --no-tablespaces shop > dump.sql';

/** How the command ends after its dump, and what a shell says of that. */
const ENDINGS = [
  { last: 'exit 0', code: 0 },
  { last: 'exit 3', code: 3 },
  { last: 'kill -9 $$', code: 137 },
] as const;

const FAULTS: readonly { readonly name: string; strike(lab: Lab, chance: () => number): void }[] = [
  { name: 'none', strike: () => {} },
  {
    name: 'StartSession throttled once',
    strike: ({ apiFaults }) => apiFaults.set([{ action: 'ssm:StartSession', kind: 'throttle', times: 1 }]),
  },
  {
    name: 'StartSession away, with all the tries of the SDK',
    strike: ({ apiFaults }) => apiFaults.set([{ action: 'ssm:StartSession', kind: 'unavailable', times: 3 }]),
  },
  {
    name: 'a call that hangs up',
    strike: ({ apiFaults }) => apiFaults.set([{ action: 'rds:DescribeDBInstances', kind: 'hang-up', times: 1 }]),
  },
  {
    name: 'a websocket cut in the middle of what comes',
    strike: ({ faults }, chance) => faults.set({ cutOutput: { bytes: [5_000 + Math.floor(chance() * 250_000)] } }),
  },
  {
    name: 'a websocket cut in the middle of what goes',
    strike: ({ faults }, chance) => faults.set({ cutInput: { messages: [4 + Math.floor(chance() * 6)] } }),
  },
  {
    name: 'messages lost, doubled and out of order',
    strike: ({ faults }, chance) =>
      faults.set({
        seed: Math.floor(chance() * 1_000_000),
        output: { lossPercent: 1, duplicatePercent: 2, reorderPercent: 2 },
      }),
  },
];

/** 200 kB in which no two pieces are alike. */
const ROWS =
  'CREATE TABLE orders (id INT PRIMARY KEY, note TEXT); INSERT INTO orders SELECT seq, SHA2(seq, 512) FROM seq_1_to_1500';

/** As cron does it: nothing but what is set in the line. */
async function line(home: string, lab: Lab, text: string) {
  const settings = Object.entries({ ...lab.env(), HOME: home, PATH: process.env.PATH ?? '' });
  const words = ['-i', ...settings.map(([name, value]) => `${name}=${value}`), '/bin/sh', '-c', text];
  const started = performance.now();
  try {
    const { stdout, stderr } = await promisify(execFile)('env', words, { cwd: home, timeout: 60_000 });
    return { code: 0, stdout, stderr, took: performance.now() - started };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr, took: performance.now() - started };
  }
}

async function practice(t: Parameters<typeof cliLab>[0], databases: Parameters<typeof cliLab>[1]) {
  const made = await cliLab(t, databases);
  made.lab.secrets.set('batch', JSON.stringify({ username: user, password }));
  writeFileSync(
    join(made.home, 'cloudtun.yaml'),
    'version: 1\ntargets:\n' +
      '  prod: { rds: prod, dbName: shop, tls: off, secret: { secretsManager: batch } }\n' +
      '  orders: { rds: orders, dbName: shop, tls: off, secret: { secretsManager: batch } }\n',
  );
  const files = join(made.home, '.local/state/cloudtun/exec');
  return { ...made, leftOver: () => (existsSync(files) ? readdirSync(files) : []) };
}

test(`${RUNS} nights of mysqldump: the right dump, the right exit code, nothing left behind`, {
  skip: unlessRealServers(),
  timeout: 240_000,
}, async (t) => {
  const prod = await startMariadb(t);
  const client = [...CLIENT, `--port=${prod.port}`];
  await promisify(execFile)('mariadb', [...client, '-e', ROWS, database]);
  const dumpWords = ['--single-transaction', '--skip-dump-date', '--no-tablespaces', database];
  const { stdout: expected } = await promisify(execFile)('mysqldump', [...client, ...dumpWords], {
    maxBuffer: 1 << 24,
  });
  assert.ok(expected.length > 200_000);

  const chance = seededFractions(SEED);
  const nights = Array.from({ length: RUNS }, (_, night) => ({
    night,
    fault: FAULTS[Math.floor(chance() * FAULTS.length)]!,
    ending: ENDINGS[Math.floor(chance() * ENDINGS.length)]!,
    chance: seededFractions(SEED + night),
  }));
  const took: number[] = [];
  await Promise.all(
    Array.from({ length: LABS }, async () => {
      const { home, lab, openSessions, leftOver } = await practice(t, { databases: { prod } });
      for (let next = nights.shift(); next; next = nights.shift()) {
        const { night, fault, ending } = next;
        lab.apiFaults.clear();
        lab.faults.set({});
        fault.strike(lab, next.chance);
        const text = `${process.execPath} ${RUN_JS} exec prod --quiet --retries 4 -- sh -c '${DUMP}; ${ending.last}'`;
        const result = await line(home, lab, text);
        took.push(result.took);
        const about = `night ${night} of seed ${SEED}, ${fault.name}, ${ending.last}: ${result.stderr}`;
        assert.equal(result.code, ending.code, about);
        // Not assert.equal, which would print both.
        assert.ok(readFileSync(join(home, 'dump.sql'), 'utf8') === expected, `the dump differs, ${about}`);
        assert.deepEqual([openSessions(), leftOver()], [[], []], about);
      }
    }),
  );
  took.sort((a, b) => a - b);
  t.diagnostic(`median ${Math.round(took[RUNS / 2]!)} ms, longest ${Math.round(took.at(-1)!)} ms`);
});

test('pg_dump and psql find PostgreSQL by their own variables, and by the URL', {
  skip: unlessRealServers(),
  timeout: 60_000,
}, async (t) => {
  const orders = await startPostgres(t);
  const { home, lab, openSessions } = await practice(t, { databases: { orders } });
  const exec = `${process.execPath} ${RUN_JS} exec orders --quiet --`;
  const steps = [
    `psql -qc "create table notes as select n, md5(n::text) from generate_series(1, 500) n"`,
    `pg_dump --no-owner > dump.sql`,
    `psql "$CLOUDTUN_ORDERS_URL" -Atc "select count(*) from notes"`,
    `psql service=orders -Atc "select sum(n) from notes"`,
  ];
  const { code, stdout, stderr } = await line(home, lab, `${exec} sh -c '${steps.join(' && ')}'`);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '500\n125250\n');
  assert.match(readFileSync(join(home, 'dump.sql'), 'utf8'), /^500\tcee631121c2ec9232f3a2f028ad5c89b$/m);
  assert.deepEqual(openSessions(), []);
});

test('three lines in the crontab of a real cron', { skip: unlessCron(), timeout: 60_000 }, async (t) => {
  const prod = await startMariadb(t);
  const client = [...CLIENT, `--port=${prod.port}`];
  await promisify(execFile)('mariadb', [...client, '-e', ROWS, database]);
  const { home, lab, openSessions, leftOver } = await practice(t, { databases: { prod } });
  const spool = await temporaryDirectory(t);
  const settings = Object.entries({ ...lab.env(), HOME: home, PATH: process.env.PATH ?? '', MAILTO: '""' });
  const lines = ENDINGS.map(({ last, code }) => {
    const command = `${DUMP.replace('dump.sql', `${code}.sql`)}; ${last}`;
    const run = `${process.execPath} ${RUN_JS} exec prod --retries 4 -- sh -c '${command}' 2>${code}.log`;
    // cron starts its jobs at home.
    return `@reboot ${run}; echo $? >${code}.new; mv ${code}.new ${code}.code`;
  });
  const table = [...settings.map(([name, value]) => `${name}=${value}`), ...lines].join('\n');
  writeFileSync(join(spool, 'root'), `${table}\n`, { mode: 0o600 });
  // In mounts of its own: its spool is ours, and it takes its start for the machine's.
  const mounts = `mount -t tmpfs none /run && mount --bind ${spool} /var/spool/cron/crontabs`;
  const cron = spawn('unshare', ['--mount', 'sh', '-c', `${mounts} && exec cron -f`], { stdio: 'ignore' });
  const over = once(cron, 'exit');
  t.after(async () => {
    cron.kill('SIGTERM');
    await over;
  });
  await until(() => cron.exitCode !== null || ENDINGS.every(({ code }) => existsSync(join(home, `${code}.code`))));
  for (const { code } of ENDINGS) {
    assert.equal(readFileSync(join(home, `${code}.code`), 'utf8').trim(), `${code}`);
    const log = readFileSync(join(home, `${code}.log`), 'utf8');
    assert.match(log, /cloudtun: prod ready in .*\n.*tunnel closed, session terminated\n$/);
    assert.match(readFileSync(join(home, `${code}.sql`), 'utf8'), /\(1500,'[0-9a-f]{128}'\);\n/);
  }
  assert.deepEqual([openSessions(), leftOver()], [[], []]);
});

/** A reason to skip; false where cron can be started beside the machine's own. */
function unlessCron(): string | false {
  const absent = unlessRealServers() || unlessInstalled('cron') || unlessInstalled('unshare');
  if (absent) return absent;
  const mayMount = spawnSync('unshare', ['--mount', 'true']).status === 0;
  return mayMount && process.getuid?.() === 0 ? false : 'a cron of its own needs root';
}
