import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { heldLab } from '../../support/held-lab.ts';

suite('a tunnel that is held already', () => {
  test('serves rds, which Ctrl-C leaves without closing it', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod'])).code, 0);
    const run = lab.start(['rds', 'prod']);
    await run.saw(new RegExp(`^ready 127\\.0\\.0\\.1:${lab.ports.prod} -> prod \\(`, 'm'));
    await run.saw(/prod is held in the background: Ctrl-C leaves it open/);
    assert.equal(lab.openSessions().length, 1, 'no session of its own');
    run.process.kill('SIGINT');
    const { code, stderr } = await run.ended;
    assert.equal(code, 130);
    assert.match(stderr, /left open; close it with: cloudtun down prod/);
    assert.deepEqual(
      (await lab.ps()).tunnels.map(({ name, state }) => [name, state]),
      [['prod', 'ready']],
    );
  });

  test('ends rds with 0 when it is closed by down', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod'])).code, 0);
    const run = lab.start(['rds', 'prod']);
    await run.saw(/is held in the background/);
    await run.saw(/^ready /m);
    assert.equal((await lab.run(['down', 'prod'])).code, 0);
    const { code, stdout } = await run.ended;
    assert.equal(code, 0);
    assert.match(stdout, /^closed after /m);
  });

  test('ends rds with 9 when its supervisor is killed', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod'])).code, 0);
    const run = lab.start(['rds', 'prod']);
    await run.saw(/^ready /m);
    process.kill((await lab.ps()).supervisor!.pid, 'SIGKILL');
    const { code, stderr } = await run.ended;
    assert.equal(code, 9);
    assert.match(stderr, /^error CT_TUNNEL_LOST: the supervisor went away/m);
  });

  test('is passed over with --fresh, and by another port', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod'])).code, 0);
    const other = lab.start(['rds', 'prod', '--port', 'auto', '--fresh']);
    const [, port] = await other.saw(/^ready 127\.0\.0\.1:(\d+) -> prod \(/m);
    assert.notEqual(Number(port), lab.ports.prod);
    assert.equal(lab.openSessions().length, 2, 'a session of its own');
    const same = await lab.run(['rds', 'prod', '--fresh']);
    assert.equal(same.code, 7, 'its port is that of the held one');
    other.process.kill('SIGINT');
    assert.equal((await other.ended).code, 130);
    assert.equal(lab.openSessions().length, 1);
  });

  test('is not used by another person', async (t) => {
    const lab = await heldLab(t);
    assert.equal((await lab.run(['up', 'prod'])).code, 0);
    const refused = await lab.run(['rds', 'prod', '--port', 'auto', '--profile', 'mallory']);
    assert.equal(refused.code, 4, refused.stderr);
  });
});
