import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import { databaseEngine, proxyEngine } from '../../../../src/providers/aws/database-engine.ts';
import {
  dbInstancesAnswer,
  type FakeAws,
  fakeAws,
  hostOf,
  inTurn,
  rds,
  refusal,
  serveRds,
} from '../../../support/aws-answers.ts';

const signal = new AbortController().signal;
const find = (aws: FakeAws, text: string, reader = false) => aws.provider.finder.findDatabase(text, { reader }, signal);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

const CUSTOM = hostOf('reports', 'cluster-custom-');
const INVENTORY = {
  instances: [
    { id: 'prod', name: 'orders database', replicas: ['prod-replica'] },
    { id: 'prod-replica' },
    { id: 'pg', engine: 'postgres', version: '15.4', port: 5432 },
    { id: 'busy', replicas: ['r1', 'r2', 'arn:aws:rds:us-east-1:1:db:r3'] },
    { id: 'archive', status: 'stopped' },
    { id: 'ledger', engine: 'aurora-mysql', version: '8.0.mysql_aurora.3.08.1', cluster: 'ledger', zone: 'eu-west-1b' },
    { id: 'ledger-2', engine: 'aurora-mysql', version: '8.0.mysql_aurora.3.08.1', cluster: 'ledger' },
    { id: 'twin' },
  ],
  clusters: [
    { id: 'ledger', members: ['ledger', 'ledger-2'], customHosts: [CUSTOM], name: 'the ledger' },
    { id: 'empty', members: [] as string[] },
  ],
  proxies: [{ name: 'prod-proxy' }, { name: 'twin' }, { name: 'pg-proxy', family: 'POSTGRESQL' }],
};

const account = async () => serveRds(await fakeAws(), INVENTORY);

describe('a database by each form of name', () => {
  const forms: [text: string, flavour: string, host: string, role?: string][] = [
    ['prod', 'instance', hostOf('prod')],
    ['PROD', 'instance', hostOf('prod')],
    ['rds:prod', 'instance', hostOf('prod')],
    ['aws:rds:prod', 'instance', hostOf('prod')],
    [hostOf('prod'), 'instance', hostOf('prod')],
    [`${hostOf('prod').toUpperCase()}.`, 'instance', hostOf('prod')],
    ['orders database', 'instance', hostOf('prod')],
    ['ledger-2', 'instance', hostOf('ledger-2')],
    ['ledger', 'cluster', hostOf('ledger', 'cluster-'), 'writer'],
    ['the ledger', 'cluster', hostOf('ledger', 'cluster-'), 'writer'],
    [hostOf('ledger', 'cluster-'), 'cluster', hostOf('ledger', 'cluster-'), 'writer'],
    [hostOf('ledger', 'cluster-ro-'), 'cluster', hostOf('ledger', 'cluster-ro-'), 'reader'],
    [CUSTOM, 'cluster', CUSTOM],
    [hostOf('ledger'), 'instance', hostOf('ledger')],
    ['prod-proxy', 'proxy', hostOf('prod-proxy', 'proxy-')],
    [hostOf('twin', 'proxy-'), 'proxy', hostOf('twin', 'proxy-')],
    [hostOf('twin'), 'instance', hostOf('twin')],
  ];
  for (const [text, flavour, host, role] of forms) {
    test(text, async () => {
      await using aws = await account();
      aws.on('ListTagsForResource', rds('ListTagsForResource', { TagList: {} }));
      const target = await find(aws, text);
      assert.equal(target.flavour, flavour);
      assert.equal(target.endpoint.host, host);
      assert.equal(target.role, role);
    });
  }

  test('what is known of an instance', async () => {
    await using aws = await account();
    assert.deepEqual(await find(aws, 'pg'), {
      kind: 'database',
      provider: 'aws',
      id: 'pg',
      flavour: 'instance',
      engine: 'postgres',
      engineLabel: 'PostgreSQL 15',
      endpoint: { host: hostOf('pg'), port: 5432 },
      available: true,
      status: 'available',
      zone: 'eu-west-1a',
      networkId: 'vpc-0a1b2c3d',
      subnetIds: ['subnet-db-a', 'subnet-db-b'],
      securityGroupIds: ['sg-db'],
    });
    assert.deepEqual(aws.actions().sort(), ['DescribeDBClusters', 'DescribeDBInstances', 'DescribeDBProxies']);
  });

  test('a cluster lives where its writer lives', async () => {
    await using aws = await account();
    const target = await find(aws, 'ledger');
    assert.equal(target.zone, 'eu-west-1b');
    assert.equal(target.networkId, 'vpc-0a1b2c3d');
    assert.equal(target.engineLabel, 'Aurora MySQL 8.0');
  });

  test('a cluster without members lives where its subnet group is', async () => {
    await using aws = await account();
    aws.on(
      'DescribeDBSubnetGroups',
      rds('DescribeDBSubnetGroups', {
        DBSubnetGroups: {
          DBSubnetGroup: [{ VpcId: 'vpc-9', Subnets: { Subnet: [{ SubnetIdentifier: 'subnet-9' }] } }],
        },
      }),
    );
    const target = await find(aws, 'empty');
    assert.equal(target.networkId, 'vpc-9');
    assert.deepEqual(target.subnetIds, ['subnet-9']);
  });

  test('a proxy by its Name tag', async () => {
    await using aws = await account();
    aws.on('ListTagsForResource', ({ input }) =>
      rds('ListTagsForResource', {
        TagList: String(input.ResourceName).endsWith('pg-proxy') ? { Tag: [{ Key: 'Name', Value: 'pool' }] } : {},
      }),
    );
    const target = await find(aws, 'pool');
    assert.equal(target.id, 'pg-proxy');
    assert.equal(target.endpoint.port, 5432);
  });
});

describe('the reading side', () => {
  test('of a cluster, and of a member of one', async () => {
    await using aws = await account();
    for (const name of ['ledger', 'ledger-2']) {
      const target = await find(aws, name, true);
      assert.equal(target.endpoint.host, hostOf('ledger', 'cluster-ro-'));
      assert.equal(target.role, 'reader');
    }
  });

  test('of an instance with one replica', async () => {
    await using aws = await account();
    const target = await find(aws, 'prod', true);
    assert.equal(target.id, 'prod-replica');
    assert.equal(target.role, 'reader');
  });

  test('of a proxy with an endpoint for it', async () => {
    await using aws = await account();
    const endpoint = {
      DBProxyEndpointName: 'ro',
      TargetRole: 'READ_ONLY',
      Status: 'available',
      Endpoint: hostOf('ro', 'endpoint.proxy-'),
    };
    aws.on('DescribeDBProxyEndpoints', rds('DescribeDBProxyEndpoints', { DBProxyEndpoints: { member: [endpoint] } }));
    assert.equal((await find(aws, 'prod-proxy', true)).endpoint.host, hostOf('ro', 'endpoint.proxy-'));
  });

  test('of several replicas a person must choose one', async () => {
    await using aws = await account();
    const error = await failure(find(aws, 'busy', true), 'CT_TARGET_AMBIGUOUS');
    assert.deepEqual(error.details, [
      ['replica', 'r1'],
      ['replica', 'r2'],
    ]);
  });

  test('of an instance that has none', async () => {
    await using aws = await account();
    const error = await failure(find(aws, 'pg', true), 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'pg has no endpoint for reading');
  });
});

describe('a database that cannot be used', () => {
  test('unknown: the nearest names', async () => {
    await using aws = await account();
    aws.on('ListTagsForResource', rds('ListTagsForResource', { TagList: {} }));
    const error = await failure(find(aws, 'prdo'), 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'no database named "prdo" in aws eu-west-1');
    assert.deepEqual(error.hints, ['did you mean: prod', 'see all: cloudtun targets --kind database']);
  });

  test('stopped', async () => {
    await using aws = await account();
    const error = await failure(find(aws, 'archive'), 'CT_TARGET_STOPPED');
    assert.equal(error.message, 'archive is not available: its status is "stopped"');
  });

  test('an instance and a proxy of one name', async () => {
    await using aws = await account();
    const error = await failure(find(aws, 'twin'), 'CT_TARGET_AMBIGUOUS');
    assert.deepEqual(
      error.details.map(([flavour]) => flavour),
      ['instance', 'proxy'],
    );
    assert.deepEqual(error.hints, ['use the endpoint instead of the name']);
  });

  for (const text of ['', 'rds:', 'gcp:x', 'sql:p:r:n', 'elasticache:x']) {
    test(`${JSON.stringify(text)} can be none`, async () => {
      await using aws = await account();
      await failure(find(aws, text), 'CT_USAGE');
    });
  }
});

describe('permissions', () => {
  test('who may list instances only finds instances', async () => {
    await using aws = await account();
    for (const action of ['DescribeDBClusters', 'DescribeDBProxies', 'GetCallerIdentity'])
      aws.on(action, refusal('AccessDenied', 403));
    assert.equal((await find(aws, 'prod')).id, 'prod');
    const error = await failure(find(aws, 'prodd'), 'CT_TARGET_NOT_FOUND');
    assert.deepEqual(
      error.details.map(([label]) => label),
      ['not seen', 'not seen'],
    );
  });

  test('who may list nothing is told what is missing', async () => {
    await using aws = await account();
    for (const action of ['DescribeDBInstances', 'DescribeDBClusters', 'DescribeDBProxies', 'GetCallerIdentity']) {
      aws.on(action, refusal('AccessDenied', 403));
    }
    const error = await failure(find(aws, 'prod'), 'CT_DENIED');
    assert.deepEqual(error.details, [['missing', 'rds:DescribeDBInstances']]);
  });

  test('an endpoint that knows no proxies is no trouble', async () => {
    await using aws = await account();
    aws.on('DescribeDBProxies', refusal('InvalidAction'));
    assert.equal((await find(aws, 'orders database')).id, 'prod');
  });
});

test('paging: a Name tag on the second page', async () => {
  await using aws = await account();
  aws.on(
    'DescribeDBInstances',
    inTurn(
      refusal('DBInstanceNotFound', 404),
      dbInstancesAnswer([{ id: 'a' }], 'p2'),
      dbInstancesAnswer([{ id: 'b', name: 'b2' }]),
    ),
  );
  assert.equal((await find(aws, 'b2')).id, 'b');
  const pages = aws.asked.filter((asked) => asked.action === 'DescribeDBInstances').map((asked) => asked.input.Marker);
  assert.deepEqual(pages, [undefined, undefined, 'p2']);
});

test('engines, as people call them', () => {
  const table: [string, string, string, string][] = [
    ['mysql', '8.0.36', 'mysql', 'MySQL 8.0'],
    ['mariadb', '10.11.6', 'mariadb', 'MariaDB 10.11'],
    ['postgres', '16.2', 'postgres', 'PostgreSQL 16'],
    ['postgres', '9.6.24', 'postgres', 'PostgreSQL 9.6'],
    ['aurora', '5.6.mysql_aurora.1.22.2', 'mysql', 'Aurora MySQL 5.6'],
    ['aurora-mysql', '8.0.mysql_aurora.3.08.1', 'mysql', 'Aurora MySQL 8.0'],
    ['aurora-postgresql', '15.4', 'postgres', 'Aurora PostgreSQL 15'],
    ['sqlserver-se', '15.00.4316.3.v1', 'sqlserver', 'SQL Server 15.00'],
    ['custom-sqlserver-ee', '', 'sqlserver', 'SQL Server'],
    ['oracle-ee-cdb', '19.0.0.0.ru-2023-10.rur-2023-10.r1', 'oracle', 'Oracle 19'],
    ['docdb', '5.0.0', 'other', 'DocumentDB 5.0'],
    ['db2-se', '11.5.9.0.sb00000000.r1', 'other', 'Db2 11.5'],
    ['future', '1', 'other', 'future 1'],
  ];
  for (const [name, version, engine, label] of table)
    assert.deepEqual(databaseEngine(name, version), { engine, label });
  assert.deepEqual(proxyEngine('SQLSERVER'), { engine: 'sqlserver', label: 'SQL Server proxy', port: 1433 });
});
