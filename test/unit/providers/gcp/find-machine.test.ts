import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { MachineTarget } from '../../../../src/domain/target.ts';
import type { FindMachineOptions } from '../../../../src/providers/provider.ts';
import {
  aggregated,
  CALLS,
  type FakeGcp,
  type FakeGcpOptions,
  fakeGcp,
  instance,
  json,
  refusal,
} from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
type Context = Parameters<typeof temporaryDirectory>[0];
const cloud = async (context: Context, options: Omit<FakeGcpOptions, 'home'> = {}) =>
  fakeGcp({ home: await temporaryDirectory(context), ...options });
const find = (gcp: FakeGcp, text: string, options: FindMachineOptions = {}) =>
  gcp.provider.finder.findMachine(text, options, signal);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('without asking anything', () => {
  const unseen = {
    kind: 'machine',
    provider: 'gcp',
    id: 'acme/europe-west4-a/web-1',
    name: 'web-1',
    state: 'other',
    project: 'acme',
    zone: 'europe-west4-a',
    networkInterface: 'nic0',
  };
  for (const text of [
    'acme/europe-west4-a/web-1',
    'gcp:acme/europe-west4-a/web-1',
    'web-1.europe-west4-a.c.acme.internal',
  ]) {
    test(text, async (t) => {
      await using gcp = await cloud(t, { env: { CLOUDSDK_CORE_PROJECT: '' } });
      assert.deepEqual(await find(gcp, text), unseen);
      assert.deepEqual(gcp.asked, []);
    });
  }
  test('a name, where project and zone are set', async (t) => {
    await using byFlag = await cloud(t, { selection: { zone: 'europe-west4-a' } });
    assert.deepEqual(await find(byFlag, 'web-1'), unseen);
    assert.deepEqual(byFlag.asked, []);
  });
  test('a name, where gcloud has project and zone', async (t) => {
    await using gcp = await cloud(t, { env: { CLOUDSDK_COMPUTE_ZONE: 'europe-west4-a' } });
    assert.deepEqual(await find(gcp, 'web-1'), unseen);
    assert.deepEqual(gcp.asked, []);
  });
  test('a project of a domain', async (t) => {
    await using gcp = await cloud(t);
    const found = (await find(gcp, 'example.com:acme/europe-west4-a/web-1')) as MachineTarget;
    assert.equal(found.project, 'example.com:acme');
    const byDns = (await find(gcp, 'web-1.europe-west4-a.c.acme.example.com.internal')) as MachineTarget;
    assert.equal(byDns.project, 'example.com:acme');
  });
});

describe('a host of a destination group', () => {
  const cases: [text: string, id: string, host: string, group: string | undefined][] = [
    [
      '10.0.0.5:5432@europe-west4/default/databases',
      '10.0.0.5@europe-west4/default/databases',
      '10.0.0.5',
      'databases',
    ],
    ['db.corp@europe-west4/default', 'db.corp@europe-west4/default', 'db.corp', undefined],
    ['[fd00::5]:22@europe-west4/vpc/x', '[fd00::5]@europe-west4/vpc/x', 'fd00::5', 'x'],
    ['fd00::5@europe-west4/vpc/x', '[fd00::5]@europe-west4/vpc/x', 'fd00::5', 'x'],
  ];
  for (const [text, id, host, group] of cases) {
    test(text, async (t) => {
      await using gcp = await cloud(t);
      const found = await find(gcp, text);
      assert.ok(found.kind === 'host');
      assert.deepEqual([found.id, found.host, found.group, found.project], [id, host, group, 'acme']);
      assert.deepEqual(gcp.asked, []);
    });
  }
  for (const text of ['10.0.0.5@nowhere/default', '@europe-west4/default', '10.0.0.5@europe-west4']) {
    test(`no such form: ${text}`, async (t) => {
      await using gcp = await cloud(t);
      await failure(find(gcp, text), 'CT_USAGE');
    });
  }
});

describe('by search', () => {
  test('a name, in all zones', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1', zone: 'us-central1-f' }]));
    assert.deepEqual(await find(gcp, 'web-1'), {
      kind: 'machine',
      provider: 'gcp',
      id: 'acme/us-central1-f/web-1',
      name: 'web-1',
      state: 'running',
      project: 'acme',
      zone: 'us-central1-f',
      networkInterface: 'nic0',
      privateIp: '10.0.0.5',
      networkId: 'projects/acme/global/networks/default',
      subnetId: 'projects/acme/regions/us-central1/subnetworks/default',
    });
    assert.deepEqual(gcp.calls(), [CALLS.instances]);
  });

  test('with a zone that must be true, by name and by number', async (t) => {
    await using gcp = await cloud(t, { selection: { zone: 'europe-west4-a' } });
    gcp.on(CALLS.instance('web-1'), json(instance({ name: 'web-1' })));
    gcp.on(CALLS.instance('4711'), json(instance({ name: 'web-1' })));
    assert.equal((await find(gcp, 'web-1', { mustExist: true })).id, 'acme/europe-west4-a/web-1');
    assert.equal((await find(gcp, '4711', { mustExist: true })).id, 'acme/europe-west4-a/web-1');
  });

  test('a number', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1', id: '8899' }]));
    assert.equal((await find(gcp, '8899')).name, 'web-1');
    assert.equal(gcp.asked.at(-1)!.query.filter, 'id = 8899');
  });

  test('an address, at the interface that holds it', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([{ name: 'other' }, { name: 'web-1', ip: '10.0.0.6', secondIp: '10.9.0.6' }]));
    const found = (await find(gcp, '10.9.0.6')) as MachineTarget;
    assert.deepEqual(
      [found.name, found.networkInterface, found.privateIp, found.networkId],
      ['web-1', 'nic1', '10.9.0.6', 'projects/acme/global/networks/backend'],
    );
  });

  test('a label: the newest that runs', async (t) => {
    await using gcp = await cloud(t);
    const labels = { role: 'bastion' };
    gcp.on(
      CALLS.instances,
      aggregated([
        { name: 'old', labels, started: '2026-01-01T00:00:00Z' },
        { name: 'new', labels, started: '2026-03-01T00:00:00Z' },
        { name: 'newest', labels, started: '2026-04-01T00:00:00Z', status: 'TERMINATED' },
      ]),
    );
    assert.equal((await find(gcp, 'label:role=bastion')).name, 'new');
    assert.equal(gcp.asked.at(-1)!.query.filter, 'labels.role = "bastion"');
  });

  test('several projects; one that denies is told and passed over', async (t) => {
    await using gcp = await cloud(t, { selection: { project: 'acme,secret' } });
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1' }]));
    gcp.on('GET compute/v1/projects/secret/aggregated/instances', refusal(403, 'forbidden'));
    assert.equal((await find(gcp, 'web-1')).id, 'acme/europe-west4-a/web-1');
    const warning = gcp.manual.logs.find(({ level }) => level === 'warn');
    assert.match(warning?.message ?? '', /not all projects were searched: .* of secret/);
  });

  test('namesakes', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1' }, { name: 'web-1', zone: 'us-central1-f' }]));
    const error = await failure(find(gcp, 'web-1'), 'CT_TARGET_AMBIGUOUS');
    assert.deepEqual(error.details.map(([id]) => id).sort(), ['acme/europe-west4-a/web-1', 'acme/us-central1-f/web-1']);
  });

  test('of namesakes the one that runs', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(
      CALLS.instances,
      aggregated([
        { name: 'web-1', status: 'TERMINATED' },
        { name: 'web-1', zone: 'us-central1-f' },
      ]),
    );
    assert.equal((await find(gcp, 'web-1')).id, 'acme/us-central1-f/web-1');
  });

  test('nothing: the nearest names', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1' }, { name: 'database' }]));
    const error = await failure(find(gcp, 'wbe-1'), 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'no instance named "wbe-1" in acme');
    assert.equal(error.hints[0], 'did you mean: web-1');
  });

  test('the wrong zone names the right one', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instance('web-1', 'us-east1-b'), refusal(404, 'notFound'));
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1' }]));
    const error = await failure(find(gcp, 'acme/us-east1-b/web-1', { mustExist: true }), 'CT_TARGET_NOT_FOUND');
    assert.equal(error.hints[0], 'it is in another zone: acme/europe-west4-a/web-1');
  });

  const states: [status: string, state: string, code: string | undefined][] = [
    ['RUNNING', 'running', undefined],
    ['TERMINATED', 'stopped', 'CT_TARGET_STOPPED'],
    ['SUSPENDED', 'stopped', 'CT_TARGET_STOPPED'],
    ['STOPPING', 'stopped', 'CT_TARGET_STOPPED'],
    ['STAGING', 'other', 'CT_TARGET_STOPPED'],
  ];
  for (const [status, state, code] of states) {
    test(`${status} is ${state}`, async (t) => {
      await using gcp = await cloud(t);
      gcp.on(CALLS.instances, aggregated([{ name: 'web-1', status }]));
      assert.equal(((await find(gcp, 'web-1', { mustBeOnline: false })) as MachineTarget).state, state);
      if (code === undefined) return;
      const error = await failure(find(gcp, 'web-1'), code);
      assert.match(error.message, new RegExp(status));
    });
  }

  for (const text of [
    '',
    'i-0a1b2c3d4e5f60001/x',
    'sql:acme:europe-west4:db',
    'tag:role=x',
    'label:role',
    'a/B_c/d/e',
    'acme/europe-west4-a/WEB',
  ]) {
    test(`no machine: "${text}"`, async (t) => {
      await using gcp = await cloud(t);
      await failure(find(gcp, text), 'CT_USAGE');
      assert.deepEqual(gcp.asked, []);
    });
  }
});
