import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { until } from '../../support/until.ts';
import { WorkloadServer } from '../../support/workload-server.ts';

const READY = /^(?:ready|open) 127\.0\.0\.1:(\d+) /m;
const HOST = 'jobs.internal';

async function labWithJobs(t: Parameters<typeof cliLab>[0]) {
  const lab = await cliLab(t);
  const workload = await WorkloadServer.start();
  t.after(async () => workload[Symbol.asyncDispose]());
  lab.lab.network.attach(HOST, 4242, workload.address);
  return lab;
}

/** A connection on which the far side sends as much as is taken. */
async function flooded(port: number, byteCount = 1_000_000_000): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write(`FLOOD ${byteCount}\n`);
  await once(socket, 'data');
  return socket.resume();
}

suite('--sessions', () => {
  test('connections go through as many sessions as were asked for; -v says why they are started; all of them end', async (t) => {
    const { start, openSessions, lab } = await labWithJobs(t);
    const run = start(['forward', 'bastion-a', '-L', `0:${HOST}:4242`, '--no-probe', '--sessions', '3', '-v']);
    const port = Number((await run.saw(READY))[1]);
    const sockets = await Promise.all([1, 2, 3, 4, 5, 6].map(() => flooded(port)));
    assert.equal(openSessions().length, 3);
    assert.equal(lab.calls.count('ssm:StartSession'), 3);
    for (const socket of sockets) socket.destroy();
    run.process.kill('SIGINT');
    const { stderr } = await run.ended;
    assert.match(stderr, /session \S+ started, 2 now: another connection came/);
    assert.match(stderr, /session \S+ started, 3 now: another connection came/);
    assert.deepEqual(openSessions(), []);
  });

  test('auto finds out by itself: jobs one after another on four connections lead to three sessions at least', async (t) => {
    const { start, openSessions, home } = await labWithJobs(t);
    writeFileSync(
      join(home, 'cloudtun.yaml'),
      `version: 1\ntargets:\n  jobs: { host: ${HOST}, hostPort: 4242, via: bastion-a, sessions: auto }\ndefaults: { sessions: 2 }\n`,
    );
    const run = start(['forward', 'jobs', '--port', 'auto', '--no-probe', '-v'], { cwd: home });
    const port = Number((await run.saw(READY))[1]);
    let isOver = false;
    const work = async () => {
      while (!isOver) {
        const socket = await flooded(port, 100_000);
        if (!socket.closed) await once(socket, 'close');
      }
    };
    const workers = [work(), work(), work(), work()];
    await until(() => openSessions().length >= 3);
    isOver = true;
    await Promise.all(workers);
    run.process.kill('SIGINT');
    const { stderr } = await run.ended;
    assert.match(stderr, /session \S+ started, 2 now: the others are full/);
    assert.deepEqual(openSessions(), []);
  });

  test('where the account refuses a second session, the first one serves all; told once, and in the journal', async (t) => {
    const { start, openSessions, lab, journalPath } = await labWithJobs(t);
    const run = start(['forward', 'bastion-a', '-L', `0:${HOST}:4242`, '--no-probe', '--sessions', '8']);
    const port = Number((await run.saw(READY))[1]);
    const first = await flooded(port);
    lab.apiFaults.set([{ action: 'ssm:StartSession', kind: 'deny' }]);
    const others = await Promise.all([1, 2, 3, 4, 5].map(() => flooded(port)));
    assert.equal(openSessions().length, 1);
    for (const socket of [first, ...others]) socket.destroy();
    run.process.kill('SIGINT');
    const { stderr } = await run.ended;
    assert.equal(
      stderr.match(/no further session for now, connections share what there is: .* \(CT_DENIED\)/g)?.length,
      1,
    );
    const denials = JSON.stringify(journalRecords(journalPath)).match(/"event":"denial"/g)?.length ?? 0;
    assert.ok(denials >= 1, 'who looks at the journal sees it');
    assert.deepEqual(openSessions(), []);
  });

  test('a number that is none is told before anything is asked', async (t) => {
    const { run, calls } = await cliLab(t);
    for (const count of ['0', '9', 'many', '1.5']) {
      const { code, stderr } = await run(['rds', 'prod', '--sessions', count]);
      assert.equal(code, 2);
      assert.match(
        stderr,
        new RegExp(`--sessions "${count}" is no number of sessions\n  a number from 1 to 8, or auto`),
      );
    }
    assert.equal(calls('ssm:StartSession'), 0);
  });

  test('Identity-Aware Proxy needs none, and that is said', async (t) => {
    const { start } = await cliLab(t);
    const run = start(['forward', 'web-1', '-L', '0:80', '--sessions', '4', '--project', 'acme-practice']);
    await run.saw(READY);
    run.process.kill('SIGINT');
    const { stderr } = await run.ended;
    assert.match(stderr, /gives each connection a session of its own: --sessions changes nothing there/);
  });
});
