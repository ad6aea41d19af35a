import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { until } from '../../support/until.ts';

const CATALOGUE = `
version: 1
targets:
  prod: { rds: prod, user: app_reader, dbName: shop }
  orders: { rds: orders, user: app_reader, dbName: shop }
  web: { aws: { instance: web-1 }, hostPort: 80 }
groups: { both: [prod, orders] }
`;

async function lab(t: Parameters<typeof cliLab>[0]) {
  const made = await cliLab(t);
  writeFileSync(join(made.home, 'cloudtun.yaml'), CATALOGUE);
  const files = join(made.home, '.local/state/cloudtun/exec');
  return { ...made, files, leftOver: () => (existsSync(files) ? readdirSync(files) : []) };
}

suite('exec', () => {
  test('a command finds its database, and nothing is left when it ends', async (t) => {
    const { run, openSessions, leftOver } = await lab(t);
    const script = 'echo "$CLOUDTUN_PROD_HOST $CLOUDTUN_PROD_USER $CLOUDTUN_PROD_DB"; cat "$CLOUDTUN_PROD_CNF"; exit 3';
    const { code, stdout, stderr } = await run(['exec', 'prod', '--', 'sh', '-c', script]);
    assert.equal(code, 3, stderr);
    assert.match(
      stdout,
      /^127\.0\.0\.1 app_reader shop\n\[client\]\nhost="127\.0\.0\.1"\nport=\d+\nprotocol=TCP\nuser="app_reader"\n\n\[mysql\]\ndatabase="shop"\n$/,
    );
    assert.match(
      stderr,
      /^cloudtun: prod ready in \S+ on 127\.0\.0\.1:\d+\ncloudtun: command ended with 3 after \S+; tunnel closed, session terminated\n$/,
    );
    assert.deepEqual(openSessions(), []);
    assert.deepEqual(leftOver(), []);
  });

  test('a group opens all its members; each kind of database has the variables of its clients', async (t) => {
    const { run, openSessions } = await lab(t);
    const { code, stdout, stderr } = await run(['exec', 'both', 'web', '--quiet', '--', 'env']);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    for (const line of [
      /^CLOUDTUN_PROD_URL=mysql:\/\/app_reader@127\.0\.0\.1:\d+\/shop$/m,
      /^CLOUDTUN_ORDERS_URL=postgresql:\/\/app_reader@127\.0\.0\.1:\d+\/shop$/m,
      /^CLOUDTUN_WEB_URL=http:\/\/127\.0\.0\.1:\d+$/m,
      /^PGHOST=127\.0\.0\.1$/m,
      /^PGDATABASE=shop$/m,
      /^PGSERVICEFILE=/m,
      /^MYSQL_HOST=127\.0\.0\.1$/m,
    ]) {
      assert.match(stdout, line);
    }
    assert.deepEqual(openSessions(), []);
  });

  const codes: readonly { readonly what: string; readonly command: readonly string[]; readonly code: number }[] = [
    { what: 'is killed by signal 9', command: ['sh', '-c', 'kill -9 $$'], code: 137 },
    { what: 'does not exist', command: ['no-such-command-here'], code: 127 },
    { what: 'cannot be executed', command: ['/etc/passwd'], code: 126 },
  ];
  for (const { what, command, code } of codes) {
    test(`a command that ${what}: ${code}`, async (t) => {
      const { run, openSessions, leftOver } = await lab(t);
      const result = await run(['exec', 'prod', '--', ...command]);
      assert.equal(result.code, code, result.stderr);
      assert.deepEqual([openSessions(), leftOver()], [[], []]);
    });
  }

  const failures: readonly {
    readonly what: string;
    readonly typed: readonly string[];
    readonly stderr: RegExp;
  }[] = [
    { what: 'no command', typed: ['prod'], stderr: /^error CT_USAGE: there is no command to run/ },
    { what: 'an unknown name', typed: ['prdo', '--', 'true'], stderr: /CT_TARGET_NOT_FOUND.*\n {2}did you mean: prod/ },
    { what: 'an unknown flag', typed: ['prod', '--retry', '3', '--', 'true'], stderr: /^error CT_USAGE: .*--retry/ },
    { what: 'the same name twice', typed: ['rds:a-b', 'rds:a.b', '--', 'true'], stderr: /have the same variables/ },
    {
      what: 'one database of two that is away',
      typed: ['prod', 'rds:archive', '--', 'true'],
      stderr: /CT_TARGET_STOPPED/,
    },
    {
      what: 'a time that is too short',
      typed: ['prod', '--connect-timeout', '1ms', '--', 'true'],
      stderr: /CT_TIMEOUT/,
    },
  ];
  for (const { what, typed, stderr } of failures) {
    test(`${what}: 125, and the command never runs`, async (t) => {
      const { run, openSessions, leftOver } = await lab(t);
      const result = await run(['exec', '--retries', '0', ...typed]);
      assert.match(result.stderr, stderr);
      assert.deepEqual([result.code, result.stdout, openSessions(), leftOver()], [125, '', [], []]);
    });
  }

  test('what may pass is tried again', async (t) => {
    const { run, lab: cloud } = await lab(t);
    cloud.apiFaults.set([{ action: 'ssm:StartSession', kind: 'unavailable', times: 3 }]);
    const { code, stderr } = await run(['exec', 'prod', '--retries', '3', '--', 'true'], {
      env: { AWS_MAX_ATTEMPTS: '1' },
    });
    assert.equal(code, 0, stderr);
  });

  test('SIGTERM goes to the command, whose own end counts', async (t) => {
    const { start, openSessions, leftOver } = await lab(t);
    const script = 'trap "echo told; exit 5" TERM; echo up; while :; do sleep 0.05; done';
    const run = start(['exec', 'prod', '--', 'sh', '-c', script]);
    await run.saw(/^up$/m);
    run.process.kill('SIGTERM');
    const { code, stdout } = await run.ended;
    assert.deepEqual([code, stdout, openSessions(), leftOver()], [5, 'up\ntold\n', [], []]);
  });

  test('a command that ignores SIGTERM is killed when its time is over', async (t) => {
    const { start, openSessions } = await lab(t);
    const script = 'trap "" TERM; echo up; while :; do sleep 0.05; done';
    const run = start(['exec', 'prod', '--grace', '300ms', '--', 'sh', '-c', script]);
    await run.saw(/^up$/m);
    run.process.kill('SIGTERM');
    const { code, stderr } = await run.ended;
    assert.equal(code, 137);
    assert.match(stderr, /did not end within 0\.3 s/);
    assert.deepEqual(openSessions(), []);
  });

  test('what a command leaves in the background does not keep the tunnel open', async (t) => {
    const { run, openSessions } = await lab(t);
    const { code } = await run(['exec', 'prod', '--', 'sh', '-c', 'exec 0<&- 1>&- 2>&-; sleep 2 & exit 0']);
    assert.equal(code, 0);
    assert.deepEqual(openSessions(), []);
  });

  test('files are private, and those of a killed run go with the next one', async (t) => {
    const { start, run, files, leftOver } = await lab(t);
    const killed = start(['exec', 'prod', '--', 'sh', '-c', 'echo up; sleep 5']);
    await killed.saw(/^up$/m);
    const [directory = ''] = leftOver();
    assert.equal(statSync(join(files, directory)).mode & 0o777, 0o700);
    assert.equal(statSync(join(files, directory, 'prod.cnf')).mode & 0o777, 0o600);
    killed.process.kill('SIGKILL');
    await until(() => killed.process.signalCode !== null);
    mkdirSync(join(files, 'being-made'));
    const next = await run(['exec', 'prod', '--', 'true']);
    assert.equal(next.code, 0, next.stderr);
    assert.deepEqual(leftOver(), ['being-made']);
  });
});
