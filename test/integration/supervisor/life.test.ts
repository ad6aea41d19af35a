import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { suite, test } from 'node:test';
import { heldLab, isListening, pageAt } from '../../support/held-lab.ts';
import { onTerminal, unlessTerminal } from '../../support/on-terminal.ts';
import { until } from '../../support/until.ts';

suite('tunnels in the background', () => {
  test('outlive the terminal; a killed supervisor is noticed, and up brings the same ports back', {
    skip: unlessTerminal(),
  }, async (t) => {
    const lab = await heldLab(t);
    const terminal = onTerminal(t, lab, 'up dev');
    await terminal.saw(new RegExp(`^.*ready 127\\.0\\.0\\.1:${lab.ports.prod} -> prod `, 'm'));
    await terminal.saw(new RegExp(`^.*(ready|open) 127\\.0\\.0\\.1:${lab.ports.admin} -> admin\\.internal:80 `, 'm'));
    assert.equal((await terminal.ended()).code, 0);
    await terminal.close();

    const before = await lab.ps();
    assert.deepEqual(before.tunnels.map(({ name, state }) => `${name} ${state}`).sort(), ['admin ready', 'prod ready']);
    assert.match(await pageAt(lab.ports.admin), /admin\.internal/);
    const sessions = lab.openSessions();
    assert.equal(sessions.length, 2);

    const { pid } = before.supervisor!;
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid));
    const gone = await lab.run(['ps']);
    assert.equal(gone.code, 0);
    assert.match(gone.stderr, new RegExp(`the supervisor \\(pid ${pid}\\) is gone; it held (prod, admin|admin, prod)`));
    const nothing = await lab.run(['down']);
    assert.equal(nothing.code, 0);
    assert.match(nothing.stderr, /nothing is held[\s\S]*the supervisor \(pid \d+\) is gone/);
    assert.equal(await isListening(lab.ports.prod), false);

    const again = await lab.run(['up', 'dev']);
    assert.equal(again.code, 0);
    assert.match(again.stdout, new RegExp(`^ready 127\\.0\\.0\\.1:${lab.ports.prod} -> prod `, 'm'));
    assert.match(again.stderr, /ended session \S+ to \S+, left by a cloudtun that was killed/);
    assert.match(await pageAt(lab.ports.admin), /admin\.internal/);
    assert.deepEqual(
      lab.openSessions().filter((id) => sessions.includes(id)),
      [],
      'the sessions of the killed one are ended',
    );
    assert.notEqual((await lab.ps()).supervisor?.pid, pid);

    const down = await lab.run(['down']);
    assert.equal(down.code, 0);
    assert.match(down.stdout, new RegExp(`^prod closed after .*; 127\\.0\\.0\\.1:${lab.ports.prod} is free$`, 'm'));
    assert.match(down.stdout, new RegExp(`^admin closed after .*; 127\\.0\\.0\\.1:${lab.ports.admin} is free$`, 'm'));
    assert.deepEqual(lab.openSessions(), []);
    assert.equal(await isListening(lab.ports.prod), false);
  });

  test('two that start a supervisor at once get the same one', async (t) => {
    const lab = await heldLab(t);
    const runs = await Promise.all([lab.run(['up', 'prod']), lab.run(['up', 'admin']), lab.run(['up', 'prod'])]);
    for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
    const { tunnels } = await lab.ps();
    assert.deepEqual(tunnels.map(({ name }) => name).sort(), ['admin', 'prod']);
    assert.equal(lab.openSessions().length, 2);
  });

  test('on demand: the ports at once, the session with the first connection', async (t) => {
    const lab = await heldLab(t);
    const up = await lab.run(['up', 'dev', '--on-demand']);
    assert.equal(up.code, 0, up.stderr);
    assert.deepEqual(lab.openSessions(), []);
    assert.match((await lab.run(['ps'])).stdout, /^admin .* on demand$/m);
    assert.match(await pageAt(lab.ports.admin), /admin\.internal/);
    assert.equal(lab.openSessions().length, 1);
    assert.equal((await lab.run(['down', 'dev'])).code, 0);
    assert.deepEqual(lab.openSessions(), []);
  });

  test('wait: 0 when it is there, 10 when it does not come', async (t) => {
    const lab = await heldLab(t);
    const waiting = lab.start(['wait', 'prod', '--timeout', '20s']);
    await waiting.saw(/^/);
    assert.equal((await lab.run(['up', 'prod', '--no-wait'])).code, 0);
    const { code, stdout } = await waiting.ended;
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^ready 127\\.0\\.0\\.1:${lab.ports.prod} `));
    const late = await lab.run(['wait', 'admin', '--timeout', '300ms']);
    assert.equal(late.code, 10);
    assert.match(late.stderr, /^error CT_TIMEOUT: admin not ready within 300ms/m);
  });

  test('a port that a stranger has is named, and the other tunnels come up', async (t) => {
    const lab = await heldLab(t);
    const stranger = createServer().listen(lab.ports.prod, '127.0.0.1');
    t.after(() => void stranger.close());
    await once(stranger, 'listening');
    const up = await lab.run(['up', 'dev']);
    assert.equal(up.code, 7);
    assert.match(up.stderr, new RegExp(`^error CT_PORT_\\w+: .*${lab.ports.prod}`, 'm'));
    assert.match(up.stdout, /admin\.internal:80/);
    assert.deepEqual(
      (await lab.ps()).tunnels.map(({ name }) => name),
      ['admin'],
    );
  });

  test('Ctrl-C while they open calls off what is not ready', async (t) => {
    const lab = await heldLab(t);
    lab.lab.apiFaults.add({ action: 'ssm:StartSession', kind: 'latency', delay: 3_000 });
    const up = lab.start(['up', 'prod']);
    for (let state = ''; state !== 'opening'; ) state = (await lab.ps()).tunnels[0]?.state ?? '';
    up.process.kill('SIGINT');
    assert.equal((await up.ended).code, 130);
    assert.deepEqual((await lab.ps()).tunnels, []);
    assert.equal(await isListening(lab.ports.prod), false);
    assert.deepEqual(lab.openSessions(), []);
  });

  test('down lets a connection end, and --cut does not', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod', '--grace', '20s'])).code, 0);
    const socket = connect(lab.ports.prod, '127.0.0.1');
    await once(socket, 'data');
    const reset = once(socket, 'error');
    const down = await lab.run(['down', '--cut']);
    assert.equal(down.code, 0);
    assert.match(down.stdout, /^prod closed after .*, 1 connection,/m);
    assert.deepEqual(lab.openSessions(), []);
    await reset;
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
