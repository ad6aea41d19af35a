import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';
import { until } from '../support/until.ts';

const RUN_JS = join(import.meta.dirname, '../../bin/run.js');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

suite('under systemd', () => {
  test('it is told when all is ready, what goes on, that it lives, and the end', async (t) => {
    const { start, home } = await cliLab(t);
    // The receiver is a datagram socket, which Node does not have; what is sent is what systemd's own program is told to send.
    const bin = join(home, 'bin');
    const said = join(home, 'said');
    mkdirSync(bin);
    writeFileSync(join(bin, 'systemd-notify'), `#!/bin/sh\nprintf '%s\\n' "$NOTIFY_SOCKET $*" >>'${said}'\n`);
    chmodSync(join(bin, 'systemd-notify'), 0o755);
    const port = await freePort();
    writeFileSync(join(home, 'cloudtun.yaml'), `version: 1\ntargets: { a: { rds: prod, port: ${port} } }\n`);
    const run = start(['up', 'a', '--foreground'], {
      env: { PATH: `${bin}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '1000000' },
    });
    const lines = () => (existsSync(said) ? readFileSync(said, 'utf8').trim().split('\n') : []);
    const has = (text: string) => until(() => lines().includes(`/run/n ${text}`));
    await has('READY=1 STATUS=1 of 1 ready');
    await has('WATCHDOG=1');
    const fed = lines().length;
    await until(() => lines().slice(fed).includes('/run/n WATCHDOG=1'));
    run.process.kill('SIGHUP');
    await has('RELOADING=1 STATUS=reading cloudtun.yaml again');
    await has('READY=1');
    run.process.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
    const heard = lines();
    assert.ok(heard.includes('/run/n STOPPING=1 STATUS=draining'), heard.join('\n'));
    const order = ['READY=1 STATUS', 'RELOADING=1', 'STOPPING=1'].map((text) =>
      heard.findIndex((line) => line.includes(text)),
    );
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  test('a systemd that cannot be told is a warning, not an end', async (t) => {
    const { start } = await cliLab(t);
    const run = start(['rds', 'prod', '--port', 'auto'], { env: { PATH: '/nonexistent', NOTIFY_SOCKET: '/run/n' } });
    await run.saw(/^ready /m);
    await run.saw(/warning: systemd could not be told READY=1 .*ENOENT/);
    run.process.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
  });

  const activate = 'systemd-socket-activate';
  const skip = spawnSync(activate, ['--version']).status === 0 ? false : `no ${activate} on this machine`;
  test('a port that systemd bound is adopted, and its first client served', { skip }, async (t) => {
    const { lab, home, openSessions } = await cliLab(t);
    const port = await freePort();
    const command = [process.execPath, RUN_JS, 'rds', 'prod', '--port', String(port), '--bind', '127.0.0.1'];
    const passed = ['HOME', 'PATH', 'AWS_EC2_METADATA_DISABLED', ...Object.keys(lab.env())].flatMap((name) => [
      '-E',
      name,
    ]);
    const child = spawn(activate, ['-l', `127.0.0.1:${port}`, ...passed, ...command], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...lab.env() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
    }
    t.after(() => void child.kill('SIGKILL'));
    await until(() => /Listening on/.test(text));
    // Whoever connects before the program runs waits in the socket that systemd bound.
    const client = connect(port, '127.0.0.1');
    const [greeting] = await once(client, 'data');
    assert.match(String(greeting), /mysql_native_password/);
    await until(() => /^ready 127\.0\.0\.1/m.test(text));
    client.destroy();
    child.kill('SIGTERM');
    const [code] = await once(child, 'close');
    assert.equal(code, 143, text);
    assert.deepEqual(openSessions(), []);
  });
});
