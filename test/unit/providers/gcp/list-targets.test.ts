import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TargetQuery } from '../../../../src/providers/provider.ts';
import {
  aggregated,
  CALLS,
  type FakeGcp,
  fakeGcp,
  firewall,
  groups,
  json,
  refusal,
  sqlInstance,
} from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
type Context = Parameters<typeof temporaryDirectory>[0];

async function cloud(context: Context, project = 'acme'): Promise<FakeGcp> {
  const gcp = await fakeGcp({ home: await temporaryDirectory(context), selection: { project } });
  return gcp
    .on(
      CALLS.instances,
      aggregated([
        { name: 'web-1', labels: { role: 'web' } },
        { name: 'db-1', ip: '10.0.0.9', network: 'closed' },
        { name: 'old', status: 'TERMINATED' },
        { name: 'young', status: 'PROVISIONING' },
      ]),
    )
    .on(CALLS.firewalls, firewall([{ name: 'allow-iap', allow: ['tcp:22'] }]))
    .on(
      CALLS.databases,
      json({
        items: [
          sqlInstance({ name: 'reports' }),
          sqlInstance({ name: 'far', privateIp: '10.99.0.3' }),
          sqlInstance({ name: 'idle', policy: 'NEVER' }),
          sqlInstance({ name: 'open', privateIp: null, publicIp: '34.1.2.3' }),
        ],
      }),
    )
    .on(CALLS.groups, groups([{ name: 'databases', cidrs: ['10.20.0.0/24'] }]));
}

const list = async (gcp: FakeGcp, query: TargetQuery = {}) =>
  (await gcp.provider.finder.list(query, signal)).map(({ target, reachable, remark }) => [
    target.kind === 'database' ? target.id.split(':').at(-1) : target.name,
    reachable,
    remark,
  ]);
const warnings = (gcp: FakeGcp) =>
  gcp.manual.logs.filter(({ level }) => level === 'warn').map(({ message }) => message);

describe('listing', () => {
  test('machines first, each with the answer to "can I reach it?"', async (t) => {
    await using gcp = await cloud(t);
    assert.deepEqual(await list(gcp), [
      ['db-1', false, 'no firewall rule lets Identity-Aware Proxy in'],
      ['old', false, 'stopped (TERMINATED)'],
      ['web-1', true, 'let in by allow-iap'],
      ['young', false, 'not running (PROVISIONING)'],
      ['far', false, 'no destination group in europe-west4 holds 10.99.0.3'],
      ['idle', false, 'stopped'],
      ['open', false, 'no private address'],
      ['reports', true, 'via databases'],
    ]);
    assert.deepEqual(warnings(gcp), []);
  });

  test('one kind, or those with a word in name, address or label', async (t) => {
    await using gcp = await cloud(t);
    assert.deepEqual(
      (await list(gcp, { kind: 'machine', text: 'role=web' })).map(([name]) => name),
      ['web-1'],
    );
    assert.deepEqual(gcp.calls().sort(), [CALLS.instances, CALLS.firewalls].sort());
    assert.deepEqual(
      (await list(gcp, { kind: 'database', text: '10.20.' })).map(([name]) => name),
      ['idle', 'reports'],
    );
  });

  test('what is denied is told, and the rest is listed', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.databases, refusal(403, 'accessNotConfigured')).on(CALLS.firewalls, refusal(403, 'forbidden'));
    assert.deepEqual((await list(gcp))[2], ['web-1', true, 'running; its firewall rules may not be seen']);
    assert.match(warnings(gcp).join(), /not complete: sqladmin\.googleapis\.com is not enabled/);
  });

  test('groups that may not be listed are a remark', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.groups, refusal(403, 'forbidden'));
    const [row] = await list(gcp, { kind: 'database', text: 'reports' });
    assert.deepEqual(row, ['reports', false, 'destination groups may not be seen']);
  });

  test('everything denied is an error', async (t) => {
    await using gcp = await cloud(t);
    for (const call of [CALLS.instances, CALLS.databases]) gcp.on(call, refusal(403, 'forbidden'));
    await assert.rejects(list(gcp), { code: 'CT_DENIED' });
  });

  test('over several projects', async (t) => {
    await using gcp = await cloud(t, 'acme,beta');
    gcp
      .on('GET compute/v1/projects/beta/aggregated/instances', aggregated([{ name: 'other', project: 'beta' }]))
      .on('GET compute/v1/projects/beta/global/firewalls', firewall([]))
      .on('GET sql/v1/projects/beta/instances', json({}));
    assert.deepEqual((await list(gcp, { text: 'other' }))[0], [
      'other',
      false,
      'no firewall rule lets Identity-Aware Proxy in',
    ]);
  });
});
