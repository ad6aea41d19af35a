import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { completeTargets, NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { expandGroups, planNamed } from '../../../src/plan/named-plan.ts';

const { entries } = parseCatalogue(
  `version: 1
targets:
  bastion: { aws: { instance: i-0abc0abc, region: ap-northeast-1 } }
  web:     { gcp: { instance: web-1, project: acme }, hostPort: 80, port: 8080 }
  prod:    { rds: orders-prod, via: bastion, port: 13306 }
  admin:   { host: admin.internal, hostPort: 80, via: bastion }
`,
  'cloudtun.yaml',
);
const CATALOGUE = {
  ...NO_CATALOGUE,
  files: ['cloudtun.yaml'],
  targets: completeTargets(entries),
  groups: new Map([['dev', ['prod', 'admin']]]),
};

const plan = (name: string) => planNamed(name, {}, CATALOGUE, async () => undefined);
const asked = async (name: string) => {
  const { request, cloud } = await plan(name);
  return [request.kind, request.text, request.kind === 'machine' ? request.to : undefined, cloud];
};

suite('a name that no command explains', () => {
  test('is what the catalogue says', async () => {
    assert.deepEqual(await asked('prod'), ['database', 'orders-prod', undefined, 'aws']);
    assert.deepEqual(await asked('admin'), ['machine', 'i-0abc0abc', [{ host: 'admin.internal', port: 80 }], 'aws']);
    assert.deepEqual(await asked('web'), ['machine', 'web-1', [{ port: 80 }], 'gcp']);
    assert.equal((await plan('web')).rules[0]?.port, 8080);
  });

  test('is a database by its kind, a machine by its port', async () => {
    assert.deepEqual(await asked('rds:other'), ['database', 'other', undefined, 'aws']);
    assert.deepEqual(await asked('sql:acme:eu:reports'), ['database', 'acme:eu:reports', undefined, 'gcp']);
    assert.deepEqual(await asked('gcp:web-2:8443'), ['machine', 'web-2', [{ port: 8443 }], 'gcp']);
  });

  test('is refused where it is neither, with the nearest names', async () => {
    await assert.rejects(plan('prdo'), (error: { code: string; hints: readonly string[] }) => {
      assert.equal(error.code, 'CT_TARGET_NOT_FOUND');
      assert.equal(error.hints[0], 'did you mean: prod');
      return true;
    });
    await assert.rejects(plan('bastion'), { code: 'CT_USAGE' });
  });

  test('a group stands for its members, each once', () => {
    assert.deepEqual(expandGroups(['admin', 'dev', 'web'], CATALOGUE), ['admin', 'prod', 'web']);
  });
});
