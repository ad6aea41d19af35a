import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { askPractice, PRACTICE_USER } from '../../src/lab/practice-query.ts';
import { cliLab } from '../support/cli-lab.ts';
import { journalRecords } from '../support/journal-records.ts';
import { eventIn } from '../support/json-events.ts';

const READY =
  /^ready 127\.0\.0\.1:(\d+) -> prod \(MySQL 8\.0, aws ap-northeast-1, via bastion-a, expires \d\d:\d\d\)$/m;
const CLOSED = /^closed after [\dhms.]+, (\d+) connections?, [\d.]+ \w+ down, [\d.]+ \w+ up$/m;
const QUERY = 'SELECT count(*) AS n FROM orders';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

suite('rds prod', () => {
  test('a client works on the asked port; Ctrl-C ends with 130 and leaves no session', async (t) => {
    const { lab, start, openSessions, journalPath } = await cliLab(t);
    const port = await freePort();
    const run = start(['rds', 'prod', '--port', String(port), '--reason', 'INC-1']);
    assert.equal((await run.saw(READY))[1], String(port));
    for (const host of ['127.0.0.1', ...(existsSync('/proc/net/if_inet6') ? ['::1'] : [])]) {
      assert.deepEqual((await askPractice({ host, port }, QUERY)).rows, [['50']]);
    }
    assert.equal(openSessions().length, 1);
    assert.equal(lab.sessions.list('Active')[0]?.reason, 'INC-1');
    run.process.kill('SIGINT');
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 130);
    assert.match(stdout, new RegExp(`${READY.source}\n${CLOSED.source}\n$`, 'm'));
    assert.equal(stdout.split('\n').length, 3);
    // The far side may still be closing the last connection.
    assert.match(stderr, /^(draining 1 connection \(again to cut\) \.\.\.\n)?$/);
    assert.deepEqual(openSessions(), []);
    const records = journalRecords(journalPath);
    assert.deepEqual(
      [records[0]?.event, records[0]?.reason, records[0]?.target, records.at(-1)?.event !== 'open'],
      ['open', 'INC-1', 'prod', true],
    );
  });

  const client = '/usr/bin/mariadb';
  const skip = existsSync(client) ? false : 'no mariadb client on this machine';
  test('the real mariadb client works', { skip }, async (t) => {
    const { start } = await cliLab(t);
    const run = start(['rds', 'prod', '--port', 'auto']);
    const [, port = ''] = await run.saw(READY);
    const { user, password } = PRACTICE_USER;
    // Not spawnSync: the lab that answers lives in this process.
    const query = ['-h', '127.0.0.1', '-P', port, '-u', user, `-p${password}`, '-N', '-e', `USE orders; ${QUERY}`];
    const child = spawn(client, query, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    child.stdout.on('data', (chunk) => said.push(String(chunk)));
    child.stderr.on('data', (chunk) => said.push(String(chunk)));
    const [code] = await once(child, 'close');
    assert.deepEqual([code, said.join('')], [0, '50\n']);
  });

  test('the first signal drains, the second cuts', async (t) => {
    const { start, openSessions } = await cliLab(t);
    const run = start(['rds', 'prod', '--port', 'auto', '--grace', '25s']);
    const [, port] = await run.saw(READY);
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'data');
    socket.on('error', () => {});
    run.process.kill('SIGTERM');
    await run.saw(/^draining 1 connection \(again to cut\) \.\.\.$/m);
    run.process.kill('SIGTERM');
    const { code, stdout } = await run.ended;
    assert.equal(code, 143);
    assert.match(stdout, /^closed after .*, 1 connection,/m);
    assert.deepEqual(openSessions(), []);
  });

  test('after kill -9 the next start names the orphan and ends it', async (t) => {
    const { start, openSessions } = await cliLab(t);
    const killed = start(['rds', 'prod', '--port', 'auto']);
    await killed.saw(READY);
    const [orphan = ''] = openSessions();
    killed.process.kill('SIGKILL');
    await killed.ended;
    const next = start(['rds', 'prod', '--port', 'auto']);
    await next.saw(READY);
    assert.equal(
      next.stderr(),
      `ended session ${orphan} to prod, left by a cloudtun that was killed (pid ${killed.process.pid})\n`,
    );
    assert.ok(!openSessions().includes(orphan));
    next.process.kill('SIGINT');
    await next.ended;
    const third = start(['rds', 'prod', '--port', 'auto']);
    await third.saw(READY);
    assert.equal(third.stderr(), '');
  });

  test('--ttl ends with 0 and says so', async (t) => {
    const { run, openSessions } = await cliLab(t);
    const { code, stdout } = await run(['rds', 'prod', '--port', 'auto', '--ttl', '300ms']);
    assert.equal(code, 0);
    assert.match(stdout, /^closed after .* up, time limit reached$/m);
    assert.deepEqual(openSessions(), []);
  });

  test('--json gives events that fit the published schema, one a line', async (t) => {
    const { start } = await cliLab(t);
    const run = start(['rds', 'prod', '--port', 'auto', '--json']);
    const [line] = await run.saw(/^\{"event":"ready".*$/m);
    await askPractice(JSON.parse(line).local[0], QUERY);
    await run.saw(/^\{"event":"client".*"change":"closed".*$/m);
    run.process.kill('SIGINT');
    const { code, stdout, stderr } = await run.ended;
    assert.deepEqual([code, stderr], [130, '']);
    const events = stdout
      .trim()
      .split('\n')
      .map((text) => eventIn(text));
    const names = events.map(({ event }) => event);
    assert.deepEqual(
      names.filter((name) => !['session', 'draining'].includes(name)),
      ['ready', 'client', 'client', 'closed'],
    );
    const closed = events.at(-1);
    assert.ok(closed?.event === 'closed' && closed.reason === 'interrupted' && closed.connections === 1);
  });

  test('a busy port is told before anything is asked of the cloud, with who holds it', async (t) => {
    const { run, calls } = await cliLab(t);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(async () => void server.close());
    const { port } = server.address() as { port: number };
    const { code, stdout, stderr } = await run(['rds', 'prod', '--port', String(port)]);
    assert.deepEqual([code, stdout], [7, '']);
    assert.match(stderr, new RegExp(`^error CT_PORT_BUSY: 127\\.0\\.0\\.1:${port} is held by .*pid ${process.pid}`));
    assert.deepEqual([calls('ssm:StartSession'), calls('rds:DescribeDBInstances')], [0, 0]);
  });

  test('--explain opens nothing, and shows the port of every day', async (t) => {
    const { run, calls } = await cliLab(t);
    const first = await run(['rds', 'prod', '--explain', '--json']);
    const second = await run(['rds', 'prod', '--explain', '--json']);
    assert.equal(first.code, 0);
    assert.equal(first.stdout, second.stdout);
    const [{ node, document, actions, rejected, local }] = JSON.parse(first.stdout);
    assert.equal(node.name, 'bastion-a');
    assert.equal(document, 'AWS-StartPortForwardingSessionToRemoteHost');
    assert.ok(actions.some(({ action }: { action: string }) => action === 'ssm:StartSession'));
    assert.ok(rejected.length > 0);
    assert.match(local[0], /^127\.0\.0\.1:2\d{4}$/);
    assert.equal(calls('ssm:StartSession'), 0);
    const text = await run(['rds', 'prod', '--explain']);
    assert.match(text.stdout, /^target {5}prod \(MySQL 8\.0\) at prod\./);
  });

  test('a catalogue name brings database, bastion, port and login', async (t) => {
    const { start, home } = await cliLab(t);
    const port = await freePort();
    writeFileSync(
      join(home, 'cloudtun.yaml'),
      `version: 1
targets:
  jump: { aws: { instance: "tag:role=bastion" } }
  shop: { rds: prod, via: jump, port: ${port}, user: app_reader }
  copy: { rds: prod-replica, port: ${port} }
`,
    );
    const run = start(['rds', 'shop']);
    assert.equal((await run.saw(READY))[1], String(port));
    run.process.kill('SIGINT');
    assert.equal((await run.ended).code, 130);
  });

  test('flags stand over the environment, that over the project, that over the user', async (t) => {
    const { run, home } = await cliLab(t);
    mkdirSync(join(home, '.config/cloudtun'), { recursive: true });
    const local = async (env: Record<string, string>, ...flags: string[]) => {
      const { stdout } = await run(['rds', 'prod', '--explain', '--json', '--port', '4000', ...flags], { env });
      return JSON.parse(stdout)[0].local;
    };
    const bound = (...hosts: string[]) => hosts.map((host) => `${host}:4000`);
    writeFileSync(join(home, '.config/cloudtun/config.yaml'), 'version: 1\ndefaults: { bind: 127.0.0.2 }\n');
    assert.deepEqual(await local({}), bound('127.0.0.2'));
    writeFileSync(join(home, 'cloudtun.yaml'), 'version: 1\ndefaults: { bind: [127.0.0.3] }\n');
    assert.deepEqual(await local({}), bound('127.0.0.3'));
    const env = { CLOUDTUN_BIND: '127.0.0.4,127.0.0.5' };
    assert.deepEqual(await local(env), bound('127.0.0.4', '127.0.0.5'));
    assert.deepEqual(await local(env, '--bind', '127.0.0.6'), bound('127.0.0.6'));
  });

  const failures: readonly { typed: readonly string[]; code: number; says: RegExp }[] = [
    {
      typed: ['prdo'],
      code: 5,
      says: /^error CT_TARGET_NOT_FOUND: no database named "prdo" .*\n {2}did you mean: prod\n/,
    },
    { typed: ['archive'], code: 6, says: /^error CT_TARGET_STOPPED: archive / },
    { typed: ['legacy'], code: 6, says: /^error CT_NO_BASTION: no way to legacy: / },
    {
      typed: ['prod', '--profile', 'mallory'],
      code: 4,
      says: /^error CT_DENIED: mallory may not .*\n {2}identity {3}arn:/,
    },
    { typed: ['prod', '--profile', 'expired'], code: 3, says: /^error CT_CREDENTIALS_EXPIRED: / },
    { typed: ['prod', '--profile', 'nobody'], code: 2, says: /^error CT_NO_PROFILE: / },
    { typed: ['prod', '--document', 'nope'], code: 5, says: /^error CT_DOCUMENT_INVALID: / },
    { typed: ['prod', '--ttl', '5'], code: 2, says: /^error CT_USAGE: --ttl "5" is not a duration\n/ },
    { typed: ['prod', '--bind', '203.0.113.7'], code: 7, says: /^error CT_BIND: / },
  ];
  test('failures have their exit code and leave nothing open', async (t) => {
    const { run, openSessions } = await cliLab(t);
    for (const { typed, code, says } of failures) {
      const result = await run(['rds', ...typed]);
      assert.deepEqual([typed, result.code, result.stdout], [typed, code, '']);
      assert.match(result.stderr, says);
    }
    assert.deepEqual(openSessions(), []);
  });

  test('without a journal nothing is opened', async (t) => {
    const { run, calls } = await cliLab(t);
    const { code, stdout, stderr } = await run(['rds', 'prod'], { env: { CLOUDTUN_JOURNAL: '/dev/full' } });
    assert.deepEqual([code, stdout, calls('ssm:StartSession')], [7, '', 0]);
    assert.match(stderr, /^error CT_JOURNAL: the journal \/dev\/full cannot be written: no space is left\n/);
  });

  test('a failure with --json is an event', async (t) => {
    const { run } = await cliLab(t);
    const { code, stdout } = await run(['rds', 'prdo', '--json']);
    assert.equal(code, 5);
    const event = eventIn(stdout);
    assert.ok(event.event === 'error' && event.error.code === 'CT_TARGET_NOT_FOUND');
  });

  test('it needs no child process, add-on or worker', async (t) => {
    const { start } = await cliLab(t);
    const nodeArguments = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*'];
    const run = start(['rds', 'prod', '--port', 'auto'], { nodeArguments });
    await run.saw(READY);
    run.process.kill('SIGINT');
    assert.equal((await run.ended).code, 130);
  });
});
