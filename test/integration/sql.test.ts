import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { askPostgres } from '../../src/lab/practice-postgres.ts';
import { PRACTICE_USER } from '../../src/lab/practice-query.ts';
import { cliLab } from '../support/cli-lab.ts';
import { runCommand, unlessInstalled } from '../support/commands.ts';
import { journalRecords } from '../support/journal-records.ts';
import { eventIn } from '../support/json-events.ts';
import { until } from '../support/until.ts';

const READY =
  /^ready 127\.0\.0\.1:(\d+) -> reports \(PostgreSQL 15, gcp acme-practice, via private-sql, expires \d\d:\d\d\)$/m;
const QUERY = 'SELECT count(*) AS n FROM orders';

const recordsOf = (path: string): Record<string, unknown>[] => journalRecords(path);

suite('sql reports', () => {
  test('a client works; Ctrl-C ends with 130, nothing is open, and the journal says who and why', async (t) => {
    const { lab, start, journalPath } = await cliLab(t);
    const run = start(['sql', 'reports', '--port', 'auto', '--reason', 'INC-2']);
    const [, port] = await run.saw(READY);
    const local = { host: '127.0.0.1', port: Number(port) };
    for (const _ of ['the stream of the probe', 'one of its own']) {
      assert.deepEqual((await askPostgres(local, PRACTICE_USER, QUERY)).rows, [['50']]);
    }
    run.process.kill('SIGINT');
    assert.equal((await run.ended).code, 130);
    await until(() => lab.gcp.relay.openSessions().length === 0);
    assert.deepEqual(lab.gcp.relay.violations(), []);
    const records = recordsOf(journalPath);
    assert.deepEqual([...new Set(records.map(({ event }) => event))].sort(), ['client', 'end', 'open']);
    const [open] = records;
    assert.deepEqual(
      [open?.person, open?.reason, open?.to, open?.document],
      ['alice@example.com', 'INC-2', '10.40.32.5:5432', undefined],
    );
  });

  test('the real psql works', { skip: unlessInstalled('psql') }, async (t) => {
    const { start } = await cliLab(t);
    const run = start(['sql', 'reports', '--port', 'auto']);
    const [, port = ''] = await run.saw(READY);
    const { user, password } = PRACTICE_USER;
    const query = ['-h', '127.0.0.1', '-p', port, '-U', user, '-At', '-c', QUERY, 'orders'];
    assert.deepEqual(await runCommand('psql', query, { PGPASSWORD: password }), {
      stdout: '50\n',
      stderr: '',
      exitCode: 0,
    });
  });

  test('by the catalogue, by a machine that forwards, and with the same port every day', async (t) => {
    const { run, home } = await cliLab(t);
    const catalogue =
      'version: 1\ntargets:\n  nightly: { sql: reports, project: acme-practice, via: "bastion-g:5432" }\n';
    writeFileSync(join(home, 'cloudtun.yaml'), catalogue);
    const explained = await run(['sql', 'nightly', '--explain']);
    assert.match(explained.stdout, /^route +via bastion-g/m);
    const named = await run(['sql', 'nightly', '--ttl', '200ms']);
    assert.match(
      named.stdout,
      /^ready 127\.0\.0\.1:(\d+) -> reports \(PostgreSQL 15, gcp acme-practice, via bastion-g,/,
    );
    const port = /127\.0\.0\.1:(\d+)/;
    const direct = await run(['sql', 'reports', '--explain']);
    assert.equal(port.exec(direct.stdout)?.[1], port.exec(explained.stdout)?.[1]);
  });

  test('--json gives events that fit the published schema', async (t) => {
    const { run } = await cliLab(t);
    const { code, stdout, stderr } = await run(['sql', 'shop', '--port', 'auto', '--ttl', '200ms', '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => eventIn(line));
    const ready = events.find(({ event }) => event === 'ready');
    assert.ok(ready?.event === 'ready');
    assert.deepEqual(
      [ready.readiness, ready.greeting?.slice(0, 5), ready.project, ready.region, ready.target.engine],
      ['ready', 'MySQL', 'acme-practice', undefined, 'mysql'],
    );
  });
});

suite('forward on Google Cloud', () => {
  test('a page of a machine: ready at once, since the far connection stands', async (t) => {
    const { start } = await cliLab(t);
    const run = start(['forward', 'gcp:web-1', ':80']);
    const [, port] = await run.saw(/^ready 127\.0\.0\.1:(\d+) -> web-1:80 \(gcp acme-practice, expires /m);
    assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /web-1/);
  });

  test('a host of a destination group needs no rule', async (t) => {
    const { run } = await cliLab(t);
    const target = 'reports.practice.internal:5432@asia-northeast1/practice-vpc/private-sql';
    const { code, stdout } = await run(['forward', target, '--ttl', '200ms', '--port', 'auto']);
    assert.equal(code, 0);
    assert.match(stdout, /^ready 127\.0\.0\.1:\d+ -> reports\.practice\.internal:5432 \(gcp acme-practice, expires /);
  });

  const refused: readonly { typed: readonly string[]; code: number; says: RegExp }[] = [
    { typed: ['web-1', ':80'], code: 5, says: /^error CT_TARGET_AMBIGUOUS: .*\n {2}aws:web-1 .*\n {2}gcp:web-1 / },
    {
      typed: ['gcp:quiet-1', ':80'],
      code: 6,
      says: /^error CT_REMOTE_REFUSED: nobody answers on port 80 of quiet-1\n/,
    },
    { typed: ['gcp:batch-g', ':80'], code: 6, says: /^error CT_TARGET_STOPPED: batch-g is stopped/ },
    { typed: ['web-9', ':80'], code: 5, says: /^error CT_TARGET_NOT_FOUND: .* in aws .*, and .* in acme-practice\n/ },
    {
      typed: ['gcp:web-1', ':80', '--document', 'mine'],
      code: 2,
      says: /^error CT_USAGE: .*knows no Session documents/,
    },
  ];
  for (const { typed, code, says } of refused) {
    test(`refused: ${typed.join(' ')}`, async (t) => {
      const { run } = await cliLab(t);
      const ended = await run(['forward', ...typed]);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, says);
      assert.equal(ended.stdout, '');
    });
  }

  test('a person whom IAM does not let in is denied, and the journal has it', async (t) => {
    const { lab, run, journalPath } = await cliLab(t);
    const env = { GOOGLE_APPLICATION_CREDENTIALS: lab.gcp.profiles.bob! };
    const ended = await run(['forward', 'gcp:web-1', ':80'], { env });
    assert.equal(ended.code, 4, ended.stderr);
    assert.match(ended.stderr, /^error CT_DENIED: /);
    assert.ok(recordsOf(journalPath).some(({ event, person }) => event === 'denial' && person === 'bob@example.com'));
  });
});

test('login for Google Cloud says who one is there, and what to do to be somebody else', async (t) => {
  const { lab, run } = await cliLab(t);
  const { code, stdout } = await run(['login', '--cloud', 'gcp']);
  assert.equal(code, 0);
  assert.match(stdout, /^gcp knows you as alice@example\.com \(.+\)\nto be somebody else:\n {2}\S/);
  assert.match(stdout, /gcloud auth application-default login/);
  const env = { GOOGLE_APPLICATION_CREDENTIALS: lab.gcp.profiles.expired! };
  const expired = await run(['login', '--cloud', 'gcp', '--json'], { env });
  assert.equal(expired.code, 3);
  const { cloud, identity, advice } = JSON.parse(expired.stdout);
  assert.deepEqual([cloud, identity, advice.length > 1], ['gcp', undefined, true]);
});
