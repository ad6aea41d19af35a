import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { heldLab, isListening, pageAt } from '../../support/held-lab.ts';
import { until } from '../../support/until.ts';

suite('up --foreground', () => {
  test('SIGHUP follows the catalogue, an invalid file changes nothing, SIGTERM drains', async (t) => {
    const lab = await heldLab(t);
    const run = lab.start(['up', 'dev', '--foreground']);
    await run.saw(new RegExp(`^ready 127\\.0\\.0\\.1:${lab.ports.prod} `, 'm'));
    await run.saw(new RegExp(`^(ready|open) 127\\.0\\.0\\.1:${lab.ports.admin} `, 'm'));
    assert.equal((await lab.ps()).supervisor, null, 'no supervisor is started');

    let valid = '';
    lab.editCatalogue((text) => {
      valid = text;
      return `${text}targets: twice\n`;
    });
    run.process.kill('SIGHUP');
    await run.saw(/what is open stays as it was/);
    assert.match(await pageAt(lab.ports.admin), /admin\.internal/);
    assert.equal(await isListening(lab.ports.prod), true);

    const kept = lab.openSessions();
    lab.editCatalogue(() => valid.replace('dev: [prod, admin]', 'dev: [admin]'));
    run.process.kill('SIGHUP');
    await run.saw(/reloaded: closing prod/);
    await until(() => lab.openSessions().length === 1);
    assert.equal(await isListening(lab.ports.prod), false);
    assert.ok(kept.includes(lab.openSessions()[0]!), 'the one that did not change was not touched');

    lab.editCatalogue(() => valid);
    run.process.kill('SIGHUP');
    await run.saw(/reloaded: opening prod/);
    await until(() => lab.openSessions().length === 2);

    run.process.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
    assert.deepEqual(lab.openSessions(), []);
    assert.equal(await isListening(lab.ports.admin), false);
  });

  test('ends with the first failure when one of them does not come up, and leaves nothing', async (t) => {
    const lab = await heldLab(t);
    lab.lab.apiFaults.add({ action: 'ssm:StartSession', kind: 'deny' });
    const { code, stderr } = await lab.run(['up', 'dev', '--foreground']);
    assert.equal(code, 4);
    assert.match(stderr, /^error CT_DENIED: /m);
    assert.deepEqual(lab.openSessions(), []);
    assert.equal(await isListening(lab.ports.prod), false);
  });
});
