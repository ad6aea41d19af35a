import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { DatabaseTarget, MachineTarget, Route } from '../../../../src/domain/target.ts';
import { databaseEngine } from '../../../../src/providers/gcp/databases.ts';
import { entryFor } from '../../../../src/providers/gcp/destination-groups.ts';
import { unseenMachine } from '../../../../src/providers/gcp/machines.ts';
import {
  CALLS,
  type FakeGcp,
  type FakeGcpOptions,
  fakeGcp,
  groups,
  json,
  refusal,
  type SqlShape,
  sqlInstance,
} from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
type Context = Parameters<typeof temporaryDirectory>[0];
const cloud = async (context: Context, options: Omit<FakeGcpOptions, 'home'> = {}) =>
  fakeGcp({ home: await temporaryDirectory(context), ...options });
const find = (gcp: FakeGcp, text: string, reader = false) =>
  gcp.provider.finder.findDatabase(text, reader ? { reader } : {}, signal);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('engines', () => {
  for (const [version, engine, label, port] of [
    ['POSTGRES_15', 'postgres', 'PostgreSQL 15', 5432],
    ['POSTGRES_9_6', 'postgres', 'PostgreSQL 9.6', 5432],
    ['MYSQL_8_0', 'mysql', 'MySQL 8.0', 3306],
    ['MYSQL_8_0_36', 'mysql', 'MySQL 8.0', 3306],
    ['MYSQL_8_4', 'mysql', 'MySQL 8.4', 3306],
    ['SQLSERVER_2019_STANDARD', 'sqlserver', 'SQL Server 2019', 1433],
    ['SQL_DATABASE_VERSION_UNSPECIFIED', 'other', 'SQL_DATABASE_VERSION_UNSPECIFIED', 5432],
  ] as const) {
    test(version, () => assert.deepEqual(databaseEngine(version), { engine, label, port }));
  }
});

describe('finding', () => {
  for (const text of ['reports', 'sql:acme:europe-west4:reports', 'acme:europe-west4:reports', 'gcp:reports']) {
    test(text, async (t) => {
      await using gcp = await cloud(t);
      gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports', publicIp: '34.1.2.3' })));
      assert.deepEqual(await find(gcp, text), {
        kind: 'database',
        provider: 'gcp',
        id: 'acme:europe-west4:reports',
        name: 'reports',
        flavour: 'instance',
        engine: 'postgres',
        engineLabel: 'PostgreSQL 15',
        endpoint: { host: '10.20.0.3', port: 5432 },
        available: true,
        status: 'runnable',
        project: 'acme',
        zone: 'europe-west4-b',
        networkId: 'projects/acme/global/networks/default',
        subnetIds: [],
        securityGroupIds: [],
      } satisfies DatabaseTarget);
      assert.deepEqual(gcp.calls(), [CALLS.database('reports')]);
    });
  }

  test('not there: the nearest names, or the right region', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.database('report'), refusal(404, 'instanceDoesNotExist'));
    gcp.on(CALLS.databases, json({ items: [sqlInstance({ name: 'reports' })] }));
    assert.equal((await failure(find(gcp, 'report'), 'CT_TARGET_NOT_FOUND')).hints[0], 'did you mean: reports');
    gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports' })));
    const elsewhere = await failure(find(gcp, 'acme:us-central1:reports'), 'CT_TARGET_NOT_FOUND');
    assert.equal(elsewhere.hints[0], 'it is in another region: acme:europe-west4:reports');
  });

  test('in two projects', async (t) => {
    await using gcp = await cloud(t, { selection: { project: 'acme,beta' } });
    gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports' })));
    gcp.on('GET sql/v1/projects/beta/instances/reports', json(sqlInstance({ name: 'reports' })));
    await failure(find(gcp, 'reports'), 'CT_TARGET_AMBIGUOUS');
    gcp.on('GET sql/v1/projects/beta/instances/reports', refusal(403, 'forbidden'));
    assert.equal((await find(gcp, 'reports')).project, 'acme');
  });

  test('stopped, and not ready', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports', policy: 'NEVER' })));
    const error = await failure(find(gcp, 'reports'), 'CT_TARGET_STOPPED');
    assert.match(error.hints[0]!, /gcloud sql instances patch reports --activation-policy=ALWAYS --project=acme/);
    gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports', state: 'MAINTENANCE' })));
    assert.match((await failure(find(gcp, 'reports'), 'CT_TARGET_STOPPED')).message, /"maintenance"/);
  });

  test('the reading side is the one replica', async (t) => {
    await using gcp = await cloud(t);
    const primary = (replicas: string[]) => json(sqlInstance({ name: 'reports', replicas }));
    gcp.on(CALLS.database('reports'), primary(['reports-r1']));
    gcp.on(CALLS.database('reports-r1'), json(sqlInstance({ name: 'reports-r1', privateIp: '10.20.0.9' })));
    const reader = await find(gcp, 'reports', true);
    assert.deepEqual([reader.role, reader.endpoint.host], ['reader', '10.20.0.9']);
    gcp.on(CALLS.database('reports'), primary(['a', 'b']));
    await failure(find(gcp, 'reports', true), 'CT_TARGET_AMBIGUOUS');
    gcp.on(CALLS.database('reports'), primary([]));
    await failure(find(gcp, 'reports', true), 'CT_TARGET_NOT_FOUND');
  });

  for (const text of ['', 'rds:prod', 'a:b', 'Prod!', 'sql:']) {
    test(`no database: "${text}"`, async (t) => {
      await using gcp = await cloud(t);
      await failure(find(gcp, text), 'CT_USAGE');
    });
  }
});

test('what a group holds', () => {
  const group = { cidrs: ['10.20.0.0/24', 'fd00::/8', 'nonsense'], fqdns: ['*.db.corp', 'one.corp'] };
  const cases: [host: string, entry: string | undefined][] = [
    ['10.20.0.3', '10.20.0.0/24'],
    ['10.21.0.3', undefined],
    ['fd00::5', 'fd00::/8'],
    ['reports.DB.corp.', '*.db.corp'],
    ['db.corp', undefined],
    ['one.corp', 'one.corp'],
    ['xone.corp', undefined],
  ];
  for (const [host, entry] of cases) assert.equal(entryFor(group, host), entry, host);
});

describe('the way to a database', () => {
  async function database(gcp: FakeGcp, shape: Partial<SqlShape> = {}): Promise<DatabaseTarget> {
    gcp.on(CALLS.database('reports'), json(sqlInstance({ name: 'reports', ...shape })));
    return await find(gcp, 'reports');
  }
  const way = async (gcp: FakeGcp, via?: string, shape: Partial<SqlShape> = {}): Promise<Route> =>
    gcp.provider.finder.routeTo(await database(gcp, shape), 5432, via === undefined ? {} : { via }, signal);

  test('the narrowest group that holds its address, with reasons', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(
      CALLS.groups,
      groups([
        { name: 'wide', cidrs: ['10.0.0.0/8'] },
        { name: 'databases', cidrs: ['10.20.0.0/24'] },
        { name: 'names', fqdns: ['*.corp'] },
      ]),
    );
    const route = await way(gcp);
    assert.deepEqual(route.node, {
      kind: 'host',
      provider: 'gcp',
      id: '10.20.0.3@europe-west4/default/databases',
      name: '10.20.0.3',
      host: '10.20.0.3',
      project: 'acme',
      region: 'europe-west4',
      networkId: 'default',
      group: 'databases',
    });
    assert.deepEqual(route.to, { port: 5432 });
    assert.match(route.reasons[0]!, /databases in europe-west4 holds 10\.20\.0\.3 \(10\.20\.0\.0\/24\)/);
    assert.deepEqual(
      route.rejected.map(({ reason }) => reason),
      ['would do as well (10.0.0.0/8); databases ranks first', 'holds *.corp, not 10.20.0.3'],
    );
  });

  test('no group holds it', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.groups, groups([{ name: 'other', cidrs: ['192.168.0.0/16'] }]));
    const error = await failure(way(gcp), 'CT_NO_BASTION');
    assert.deepEqual(error.details, [['other', 'holds 192.168.0.0/16']]);
    assert.match(
      error.hints.join('\n'),
      /dest-groups create databases --region=europe-west4 --ip-range-list=10\.20\.0\.3\/32/,
    );
    assert.match(error.hints.join('\n'), /cloudtun sql acme:europe-west4:reports --via MACHINE:5432/);
  });

  test('groups that may not be seen are told', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.groups, refusal(403, 'forbidden'));
    const error = await failure(way(gcp), 'CT_NO_BASTION');
    assert.match(String(error.details[0]), /^not seen,alice@example\.com may not list the destination groups/);
  });

  test('no private address', async (t) => {
    await using gcp = await cloud(t);
    const error = await failure(way(gcp, undefined, { privateIp: null, publicIp: '34.1.2.3' }), 'CT_NO_BASTION');
    assert.match(error.message, /no address in a VPC network/);
  });

  test('via a group, by place or by name', async (t) => {
    await using gcp = await cloud(t);
    const byPlace = await way(gcp, '@europe-west4/default/hidden');
    assert.equal(byPlace.node.id, '10.20.0.3@europe-west4/default/hidden');
    gcp.on(CALLS.groups, groups([{ name: 'other', cidrs: ['192.168.0.0/16'] }]));
    const byName = await way(gcp, 'other');
    assert.equal(byName.node.id, '10.20.0.3@europe-west4/default/other');
    assert.match(byName.reasons.join(), /warning: it holds 192\.168\.0\.0\/16, not 10\.20\.0\.3/);
  });

  test('via a machine with a port: something forwards there', async (t) => {
    await using gcp = await cloud(t, { selection: { zone: 'europe-west4-a' } });
    const route = await way(gcp, 'bastion:6432');
    assert.deepEqual([route.node.id, route.to], ['acme/europe-west4-a/bastion', { port: 6432 }]);
    assert.match(route.reasons.join(), /must forward port 6432 to acme:europe-west4:reports/);
    const labelled = failure(way(gcp, 'label:role=bastion:70000'), 'CT_USAGE');
    await labelled;
  });

  test('via a machine without a port: it cannot forward', async (t) => {
    await using gcp = await cloud(t, { selection: { zone: 'europe-west4-a' } });
    gcp.on(CALLS.groups, groups([]));
    const error = await failure(way(gcp, 'bastion'), 'CT_NO_BASTION');
    assert.match(error.message, /bastion cannot forward to acme:europe-west4:reports/);
    assert.match(error.hints[0]!, /--via bastion:5432/);
  });
});

describe('the way to a machine or host', () => {
  const machine: MachineTarget = { ...unseenMachine('acme', 'europe-west4-a', 'web-1'), privateIp: '10.0.0.5' };

  test('is itself', async (t) => {
    await using gcp = await cloud(t);
    const { finder } = gcp.provider;
    const route = await finder.routeTo(machine, 80, {}, signal);
    assert.deepEqual([route.node, route.to], [machine, { port: 80 }]);
    assert.deepEqual((await finder.routeTo(machine, 80, { host: '10.0.0.5' }, signal)).to, { port: 80 });
    const loopback = await finder.routeTo(machine, 80, { host: 'localhost' }, signal);
    assert.match(loopback.reasons.join(), /not at its loopback/);
    const host = await finder.findMachine('10.0.0.7@europe-west4/default/x', {}, signal);
    const toHost = await finder.routeTo(host, 443, {}, signal);
    assert.deepEqual([toHost.node, toHost.to], [host, { port: 443 }]);
    assert.deepEqual(gcp.asked, []);
  });

  test('nothing behind it can be reached', async (t) => {
    await using gcp = await cloud(t);
    const { finder } = gcp.provider;
    const behind = await failure(finder.routeTo(machine, 80, { host: 'internal' }, signal), 'CT_NO_BASTION');
    assert.match(behind.hints[0]!, /cloudtun forward internal@REGION\/NETWORK\/GROUP/);
    await failure(finder.routeTo(machine, 80, { via: 'bastion' }, signal), 'CT_NO_BASTION');
    const host = await finder.findMachine('10.0.0.7@europe-west4/default/x', {}, signal);
    const other = await failure(finder.routeTo(host, 80, { host: '10.0.0.8' }, signal), 'CT_NO_BASTION');
    assert.match(other.hints[0]!, /10\.0\.0\.8@europe-west4\/default\/x/);
  });
});
