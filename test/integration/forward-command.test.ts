import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';

async function page(port: string | undefined): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  return response.text();
}

suite('forward', () => {
  test('several rules, in both spellings, through one process', async (t) => {
    const { start, openSessions } = await cliLab(t);
    const run = start(['forward', 'bastion-a', ':7', '-L', '0:admin.internal:80', '--bind', '127.0.0.1']);
    const [, echo] = await run.saw(/^open 127\.0\.0\.1:(\d+) -> bastion-a:7 \(aws ap-northeast-1, expires/m);
    const [, web] = await run.saw(/^open 127\.0\.0\.1:(\d+) -> admin\.internal:80 \(.*, via bastion-a, expires/m);
    const socket = connect(Number(echo), '127.0.0.1');
    socket.write('there and back');
    const [answer] = await once(socket, 'data');
    assert.equal(String(answer), 'there and back');
    socket.destroy();
    assert.match(await page(web), /admin\.internal/);
    run.process.kill('SIGINT');
    const { code, stdout } = await run.ended;
    assert.equal(code, 130);
    assert.match(stdout, /^closed after .*, 2 connections,/m);
    assert.deepEqual(openSessions(), []);
  });

  test('a host of the catalogue needs no rule, and has its stable port', async (t) => {
    const { start, home } = await cliLab(t);
    writeFileSync(
      join(home, 'cloudtun.yaml'),
      'version: 1\ntargets:\n  admin: { host: admin.internal, hostPort: 80, via: bastion-a }\n',
    );
    const run = start(['forward', 'admin']);
    const [, port] = await run.saw(/^\w+ 127\.0\.0\.1:(2\d{4}) -> admin\.internal:80 \(/m);
    assert.match(await page(port), /admin\.internal/);
    run.process.kill('SIGINT');
    assert.equal((await run.ended).code, 130);
  });

  test('--no-probe starts no session before the first client', async (t) => {
    const { start, openSessions } = await cliLab(t);
    const run = start(['forward', 'aws:web-1', ':80', '--no-probe']);
    const [, port] = await run.saw(/^open 127\.0\.0\.1:(\d+) -> web-1:80 /m);
    await run.saw(/not probed: nothing is opened before the first connection/);
    assert.deepEqual(openSessions(), []);
    assert.match(await page(port), /web-1/);
    assert.equal(openSessions().length, 1);
    run.process.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
    assert.deepEqual(openSessions(), []);
  });

  test('a reader of the events that goes away ends it quietly', async (t) => {
    const { start, openSessions } = await cliLab(t);
    const run = start(['forward', 'aws:web-1', ':80', '--json']);
    const [line] = await run.saw(/^\{"event":"ready".*$/m);
    run.process.stdout?.destroy();
    await page(JSON.parse(line).local[0].port).catch(() => '');
    const { code, stderr } = await run.ended;
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(openSessions(), []);
  });

  const failures: readonly { typed: readonly string[]; code: number; says: RegExp }[] = [
    {
      typed: ['web-1'],
      code: 2,
      says: /^error CT_USAGE: which port of web-1\?.*\n {2}.*cloudtun forward web-1 -L 8080:80\n/,
    },
    { typed: ['web-1', '8080:x'], code: 2, says: /^error CT_USAGE: "8080:x" is not a forwarding rule/ },
    { typed: ['aws:app', ':80'], code: 5, says: /^error CT_TARGET_AMBIGUOUS: 2 machines are called "app"/ },
    { typed: ['batch-1', ':80'], code: 6, says: /^error CT_TARGET_STOPPED: / },
    { typed: ['offline-1', ':80'], code: 6, says: /^error CT_TARGET_OFFLINE: / },
    { typed: ['aws:web-1', ':81'], code: 6, says: /^error CT_REMOTE_REFUSED: / },
    { typed: ['bastion-a', '-L', '0:169.254.169.254:80'], code: 6, says: /^error CT_REMOTE_FORBIDDEN: / },
  ];
  test('failures have their exit code and leave nothing open', async (t) => {
    const { run, openSessions } = await cliLab(t);
    for (const { typed, code, says } of failures) {
      const result = await run(['forward', ...typed]);
      assert.deepEqual([typed, result.code, result.stdout], [typed, code, '']);
      assert.match(result.stderr, says);
    }
    assert.deepEqual(openSessions(), []);
  });
});
