import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';
import { eventsIn } from '../support/json-events.ts';

const LISTENING = /serving \/healthz, \/readyz and \/metrics on 127\.0\.0\.1:(\d+)/;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

suite('a tunnel that programs look at', () => {
  test('the file and the probes agree, from the first moment to the last', async (t) => {
    const { start, home, openSessions } = await cliLab(t);
    const file = join(home, 'ready.json');
    const options = ['--serve', '0', '--ready-file', file, '--port', 'auto', '-v'];
    const run = start(['rds', 'prod', ...options]);
    const [, port] = await run.saw(LISTENING);
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: answer.status, body: await answer.text() };
    };
    const [, local] = await run.saw(/^ready 127\.0\.0\.1:(\d+) /m);
    assert.equal((await ask('/healthz')).status, 200);
    assert.deepEqual(await ask('/readyz'), { status: 200, body: '{"ready":true,"reasons":[]}\n' });
    const { tunnels } = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual([tunnels.length, tunnels[0].name, tunnels[0].local[0]], [1, 'prod', `127.0.0.1:${local}`]);
    const client = connect(Number(local), '127.0.0.1');
    await once(client, 'data');
    const { body } = await ask('/metrics');
    assert.match(body, /^cloudtun_tunnel_clients\{tunnel="prod"\} 1$/m);
    assert.match(
      body,
      /^cloudtun_tunnel_info\{tunnel="prod",target="prod via bastion-a",local="127\.0\.0\.1:\d+"\} 1$/m,
    );
    // Where Prometheus is, it has the last word about the format.
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8', timeout: 10_000 });
    if (promtool.error === undefined) assert.deepEqual([promtool.status, promtool.stderr], [0, '']);
    else t.diagnostic('no promtool on this machine: the scrape was not checked by it');
    // A client that says nothing is waited for: the probe must not send new ones meanwhile.
    run.process.kill('SIGTERM');
    await run.saw(/draining 1 connection/);
    assert.equal(existsSync(file), false);
    assert.match((await ask('/readyz')).body, /"ready":false.*"state":"draining"/);
    client.destroy();
    assert.equal((await run.ended).code, 143);
    assert.deepEqual(openSessions(), []);
  });

  test('several in one process are ready together', async (t) => {
    const { start, home } = await cliLab(t);
    const file = join(home, 'ready.json');
    const [a, b] = await Promise.all([freePort(), freePort()]);
    const targets = `  a: { rds: prod, port: ${a} }\n  b: { rds: orders, port: ${b} }`;
    writeFileSync(join(home, 'cloudtun.yaml'), `version: 1\ntargets:\n${targets}\ngroups: { all: [a, b] }\n`);
    const run = start([
      'up',
      'all',
      '--foreground',
      '--on-demand',
      '--ready-file',
      file,
      '--json',
      '--serve',
      '0',
      '-v',
    ]);
    await run.saw(/"event":"waiting"[\s\S]*"event":"waiting"/);
    const [, port] = await run.saw(LISTENING);
    const readyz = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
    while ((await readyz()) !== 200 || !existsSync(file)) assert.equal(run.process.exitCode, null);
    assert.deepEqual(
      JSON.parse(readFileSync(file, 'utf8')).tunnels.map((tunnel: { name: string }) => tunnel.name),
      ['a', 'b'],
    );
    run.process.kill('SIGTERM');
    const { code, stdout } = await run.ended;
    assert.deepEqual([code, existsSync(file)], [143, false]);
    assert.deepEqual(
      eventsIn(stdout)
        .map(({ event }) => event)
        .filter((event) => event === 'waiting').length,
      2,
    );
  });

  test('what cannot be served is an error before anything is opened', async (t) => {
    const { run, home, calls } = await cliLab(t);
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => void server.close());
    await once(server, 'listening');
    const address = server.address();
    const taken = typeof address === 'object' ? address?.port : 0;
    writeFileSync(join(home, 'notes'), 'mine');
    for (const [flags, code, text] of [
      [['--serve', String(taken)], 7, /CT_PORT_BUSY/],
      [['--serve', 'example.com:1'], 2, /CT_USAGE: --serve "example\.com:1"/],
      [['--ready-file', 'notes'], 7, /CT_READY_FILE/],
    ] as const) {
      const result = await run(['rds', 'prod', '--port', 'auto', ...flags]);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, text);
    }
    assert.equal(calls('ssm:StartSession'), 0);
    writeFileSync(
      join(home, 'cloudtun.yaml'),
      'version: 1\ntargets: { a: { rds: prod } }\npolicy: { loopbackOnly: true }\n',
    );
    for (const command of [
      ['rds', 'a'],
      ['up', 'a', '--foreground'],
    ]) {
      const refused = await run([...command, '--serve', '0.0.0.0:0']);
      assert.deepEqual(
        [refused.code, /CT_POLICY.*--serve is 0\.0\.0\.0/.test(refused.stderr)],
        [11, true],
        refused.stderr,
      );
    }
  });

  test('the log is one object a line when it is wanted so', async (t) => {
    const { start, run } = await cliLab(t);
    const held = start(['rds', 'prod', '--port', 'auto', '--log-format', 'json', '-v']);
    await held.saw(/^ready /m);
    held.process.kill('SIGTERM');
    const failed = await run(['rds', 'prdo', '--log-format=json']);
    const wrong = await run(['rds', 'prod', '--log-format', 'json', '--nonsense']);
    assert.deepEqual([failed.code, wrong.code], [5, 2]);
    for (const text of [(await held.ended).stderr, failed.stderr, wrong.stderr]) {
      const lines = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      for (const line of lines) {
        assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
        assert.match(line.level, /^(debug|info|warning|error)$/);
        assert.equal(typeof line.message, 'string');
      }
    }
    const error = JSON.parse(failed.stderr.trim().split('\n').at(-1)!);
    assert.deepEqual([error.level, error.code, error.error.exitCode], ['error', 'CT_TARGET_NOT_FOUND', 5]);
  });
});
