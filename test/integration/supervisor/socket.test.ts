import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { type HeldLab, heldLab } from '../../support/held-lab.ts';

/** Something on the socket that is no cloudtun: what it says, and everything that it is answered until it is cut off. */
async function stranger({ socketPath }: HeldLab, says: string): Promise<string> {
  const socket = connect(socketPath);
  socket.on('error', () => {});
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(says);
  await closed;
  return heard;
}

const answer = (heard: string): { say?: string; error?: { $error: { code: string } } } =>
  JSON.parse(heard.split('\n')[1] || '{}');

suite('the socket of the supervisor', () => {
  test('is its owner alone, and nothing secret is beside it', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod', '--on-demand'])).code, 0);
    assert.equal(statSync(lab.socketPath).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(lab.socketPath)).mode & 0o077, 0);
  });

  test('ends a connection that speaks nonsense, and that one only', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod', '--on-demand'])).code, 0);
    const nonsense = [
      'GET / HTTP/1.1\n',
      '{"do":"destroy"}\n',
      '[]\n',
      'null\n',
      '\u0000\n',
      `${'['.repeat(100_000)}\n`,
      '{"do":"list","more":1}\n',
      '{"do":"down","names":"prod"}\n',
      '{"do":"down","names":[{"$error":{}}]}\n',
      '{"do":"up","wishes":[],"origin":{"cwd":"/","env":{"A":1}}}\n',
    ];
    for (const text of nonsense) {
      const heard = answer(await stranger(lab, text));
      assert.equal(heard.say, 'refused', text.slice(0, 60));
      assert.equal(heard.error?.$error.code, 'CT_SUPERVISOR', text.slice(0, 60));
    }
    const long = await stranger(lab, `"${'x'.repeat(10_000_000)}"\n`);
    assert.ok(long.length < 2_000, 'nothing of a long line is said back');
    assert.deepEqual(
      (await lab.ps()).tunnels.map(({ name }) => name),
      ['prod'],
    );
  });

  test('says why it refuses a request that needs another environment than its own', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod', '--on-demand'])).code, 0);
    const env = { AWS_ROLE_SESSION_NAME: 'other' };
    const { code, stderr } = await lab.run(['up', 'admin'], { env });
    assert.equal(code, 7);
    assert.match(stderr, /^error CT_SUPERVISOR: the supervisor was started with another AWS_ROLE_SESSION_NAME/m);
    assert.match(stderr, /cloudtun down/);
  });

  test('is open to others while some say nothing', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod', '--on-demand'])).code, 0);
    const silent: Socket[] = Array.from({ length: 50 }, () => connect(lab.socketPath));
    t.after(() => {
      for (const socket of silent) socket.destroy();
    });
    await Promise.all(silent.map((socket) => once(socket, 'data')));
    assert.equal((await lab.ps()).tunnels.length, 1);
    assert.equal((await lab.run(['down'])).code, 0);
  });

  test('that nobody listens on any more is taken over', async (t) => {
    const lab = await heldLab(t);
    mkdirSync(dirname(lab.socketPath), { recursive: true, mode: 0o700 });
    writeFileSync(lab.socketPath, '');
    assert.equal((await lab.run(['ps'])).code, 0);
    const up = await lab.run(['up', 'prod', '--on-demand']);
    assert.equal(up.code, 0, up.stderr);
    assert.equal((await lab.ps()).tunnels.length, 1);
  });

  test('of another version is told from one that does not answer', async (t) => {
    const lab = await heldLab(t);
    mkdirSync(dirname(lab.socketPath), { recursive: true, mode: 0o700 });
    let greeting = '{"cloudtun":999,"pid":1234}\n';
    const other = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(greeting);
    });
    t.after(() => void other.close());
    other.listen(lab.socketPath);
    await once(other, 'listening');
    for (const command of [['ps'], ['up', 'prod'], ['down']]) {
      const { code, stderr } = await lab.run(command);
      assert.equal(code, 7, command.join(' '));
      assert.match(stderr, /^error CT_SUPERVISOR: the supervisor that runs is of another version/m);
      assert.match(stderr, /kill 1234/);
    }
    greeting = '';
    const { code, stderr } = await lab.run(['ps']);
    assert.equal(code, 7);
    assert.match(stderr, /^error CT_SUPERVISOR: the supervisor/m);
    // What can do without it does.
    const own = lab.start(['rds', 'prod']);
    await own.saw(/^ready /m);
  });

  test('is elsewhere when XDG_RUNTIME_DIR is too long for one', async (t) => {
    const lab = await heldLab(t);
    const runtime = join(lab.home, 'r'.repeat(120));
    mkdirSync(runtime, { mode: 0o700 });
    const env = { XDG_RUNTIME_DIR: runtime };
    const up = await lab.run(['up', 'prod', '--on-demand'], { env });
    assert.equal(up.code, 0, up.stderr);
    assert.ok(existsSync(lab.socketPath), 'beside the state instead');
    assert.match((await lab.run(['ps'], { env })).stdout, /^prod /m);
  });

  test('is refused a directory that others can write to', async (t) => {
    const lab = await heldLab(t);
    const runtime = join(lab.home, 'run');
    mkdirSync(join(runtime, 'cloudtun'), { recursive: true });
    chmodSync(join(runtime, 'cloudtun'), 0o777);
    let heard = '';
    const impostor = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('{"cloudtun":1,"pid":1}\n');
      socket.on('data', (bytes) => {
        heard += String(bytes);
      });
    });
    t.after(() => void impostor.close());
    impostor.listen(join(runtime, 'cloudtun/supervisor.sock'));
    await once(impostor, 'listening');
    const { code, stderr } = await lab.run(['up', 'prod'], { env: { XDG_RUNTIME_DIR: runtime } });
    assert.equal(code, 7, stderr);
    assert.equal(heard, '', 'nobody there is told credentials');
    assert.match(stderr, /is not a directory of yours alone/);
    assert.match(stderr, /cloudtun up --foreground/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });
});
