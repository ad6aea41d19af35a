import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { unlessInstalled } from '../../support/commands.ts';
import type { PsAnswer } from '../../support/held-lab.ts';

const CATALOGUE = `
version: 1
targets:
  prod: { rds: prod, port: 13306, dbName: orders, secret: { secretsManager: shop/app_reader } }
  orders: { rds: orders, user: app_iam, dbName: orders, iamAuth: true, tls: off }
`;

async function lab(t: Parameters<typeof cliLab>[0]) {
  const made = await cliLab(t);
  writeFileSync(join(made.home, 'cloudtun.yaml'), CATALOGUE);
  return made;
}

suite('rds --client', () => {
  test('starts mysql, logged in', { skip: unlessInstalled('mariadb') }, async (t) => {
    const { run, openSessions } = await lab(t);
    const words = ['--port', 'auto', '--client', '--', '-Ne', 'select 6 * 7'];
    const { code, stdout, stderr } = await run(['rds', 'prod', ...words]);
    assert.deepEqual([code, stdout], [0, '42\n'], stderr);
    assert.deepEqual(openSessions(), []);
  });

  test('starts psql with a token', { skip: unlessInstalled('psql') }, async (t) => {
    const { run } = await lab(t);
    const { code, stdout, stderr } = await run([
      'rds',
      'orders',
      '--client',
      '-q',
      '--',
      '-Atc',
      'select current_user',
    ]);
    assert.deepEqual([code, stdout, stderr], [0, 'app_iam\n', '']);
  });

  test('words without --client are an error that says what to do', async (t) => {
    const { run } = await lab(t);
    const { code, stderr } = await run(['rds', 'prod', '--', '-e', 'select 1']);
    assert.equal(code, 2);
    assert.match(stderr, /cloudtun exec prod -- COMMAND/);
  });
});

suite('rds --print', () => {
  const forms: readonly { readonly words: readonly string[]; readonly says: RegExp }[] = [
    { words: ['url'], says: /^mysql:\/\/app_reader@127\.0\.0\.1:\d+\/orders$/m },
    { words: ['url', '--reveal'], says: /^mysql:\/\/app_reader:lab-reader@127\.0\.0\.1:\d+\/orders$/m },
    { words: ['env'], says: /^CLOUDTUN_PROD_CNF=\/.+\/prod\.cnf$/m },
    { words: ['json'], says: /^\{"name":"prod","host":"127\.0\.0\.1","port":\d+,/m },
  ];
  for (const { words, says } of forms) {
    test(`${words.join(' ')}: on stdout, while the tunnel is held`, async (t) => {
      const { start, openSessions } = await lab(t);
      const run = start(['rds', 'prod', '--port', 'auto', '--print', ...words]);
      await run.saw(says);
      assert.equal(run.stdout().includes('lab-reader'), words.includes('--reveal'));
      assert.equal(openSessions().length, 1);
      run.process.kill('SIGTERM');
      const { code, stderr } = await run.ended;
      assert.equal(code, 143);
      assert.match(stderr, /^cloudtun: closed after /m);
      assert.deepEqual(openSessions(), []);
    });
  }
});

test('a tunnel that the supervisor holds is used by exec, and stays', async (t) => {
  const { run, openSessions } = await lab(t);
  const up = await run(['up', 'prod']);
  try {
    assert.equal(up.code, 0, up.stderr);
    assert.equal(openSessions().length, 1);
    const { code, stdout, stderr } = await run(['exec', 'prod', '--', 'sh', '-c', 'echo $CLOUDTUN_PROD_PORT']);
    assert.deepEqual([code, stdout], [0, '13306\n'], stderr);
    assert.match(
      stderr,
      /^cloudtun: prod is held in the background on 127\.0\.0\.1:13306, and stays\ncloudtun: command ended with 0 after \S+\n$/,
    );
    assert.equal(openSessions().length, 1);
    // Its files are gone when it ends, so none is named.
    const printed = await run(['rds', 'prod', '--print', 'env']);
    assert.deepEqual(
      [printed.code, printed.stdout.match(/^\w+(?==)/gm)],
      [0, ['HOST', 'PORT', 'URL', 'USER', 'DB'].map((name) => `CLOUDTUN_PROD_${name}`)],
    );
    const fresh = await run(['exec', 'prod', '--fresh', '--port', 'auto', '--', 'true']);
    assert.equal(fresh.code, 0, fresh.stderr);
    assert.match(fresh.stderr, /tunnel closed, session terminated/);
  } finally {
    await run(['down']);
  }
  assert.deepEqual(openSessions(), []);
});

test('one that is held on demand is used while it waits, and once it is awake', {
  skip: unlessInstalled('psql'),
}, async (t) => {
  const { run, openSessions } = await lab(t);
  const up = await run(['up', 'orders', '--on-demand']);
  try {
    assert.equal(up.code, 0, up.stderr);
    assert.deepEqual(openSessions(), []);
    const ask = ['exec', 'orders', '--', 'psql', '-Atc', 'select current_user'];
    for (const state of ['waiting', 'ready']) {
      const held = await run(['ps', '--json']);
      assert.match(held.stdout, new RegExp(`"state": ?"${state}"`));
      const { code, stdout, stderr } = await run(ask);
      assert.deepEqual([code, stdout], [0, 'app_iam\n'], stderr);
      assert.match(stderr, /^cloudtun: orders is held in the background on 127\.0\.0\.1:\d+, and stays\n/);
      assert.equal(openSessions().length, 1);
    }
  } finally {
    await run(['down']);
  }
  assert.deepEqual(openSessions(), []);
});

test('one that is reconnecting is used: the command waits for it', { skip: unlessInstalled('psql') }, async (t) => {
  const { run, start, lab: cloud, openSessions } = await lab(t);
  // The service closes the websocket, and for a while nobody can resume the session.
  cloud.faults.set({ byeAfterMs: 300 });
  cloud.apiFaults.set([{ action: 'ssm:ResumeSession', kind: 'unavailable' }]);
  const up = await run(['up', 'orders']);
  try {
    assert.equal(up.code, 0, up.stderr);
    const state = async () => (JSON.parse((await run(['ps', '--json'])).stdout) as PsAnswer).tunnels[0]?.state;
    for (let asked = 0; (await state()) !== 'reconnecting'; asked += 1) assert.ok(asked < 20);
    const command = start(['exec', 'orders', '--', 'psql', '-Atc', 'select 6 * 7']);
    await command.saw(/orders is held in the background/);
    cloud.faults.set({ byeAfterMs: 0 });
    cloud.apiFaults.clear();
    const { code, stdout, stderr } = await command.ended;
    assert.deepEqual([code, stdout], [0, '42\n'], stderr);
  } finally {
    await run(['down']);
  }
  assert.deepEqual(openSessions(), []);
});
