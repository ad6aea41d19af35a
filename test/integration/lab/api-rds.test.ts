import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import {
  DescribeDBClusterEndpointsCommand,
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  DescribeDBProxiesCommand,
  DescribeDBProxyEndpointsCommand,
  DescribeDBProxyTargetsCommand,
  DescribeDBSubnetGroupsCommand,
  ListTagsForResourceCommand,
  paginateDescribeDBInstances,
  RDSClient,
} from '@aws-sdk/client-rds';
import { changeDatabase, failOver } from '../../../src/lab/aws/inventory.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';

const named = (name: string) => (error: Error) => error.name === name;
const DOMAIN = 'c1abcdefghij.ap-northeast-1.rds.amazonaws.com';

async function open(t: Parameters<typeof testLab>[0], pageLimit?: number) {
  const lab = await testLab(t, pageLimit === undefined ? {} : { pageLimit });
  return { lab, rds: new RDSClient(clientOptions(lab)) };
}

describe('DescribeDBInstances', () => {
  test('tells engine, endpoint, network and state', async (t) => {
    const { rds } = await open(t);
    const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'PROD' }));
    const [prod] = DBInstances ?? [];
    assert.equal(prod?.Engine, 'mysql');
    assert.equal(prod?.DBInstanceStatus, 'available');
    assert.equal(prod?.Endpoint?.Address, `prod.${DOMAIN}`);
    assert.equal(prod?.Endpoint?.Port, 3306);
    assert.equal(prod?.DBSubnetGroup?.VpcId, 'vpc-0a1b2c3d4e5f60001');
    assert.equal(prod?.DBSubnetGroup?.Subnets?.length, 2);
    assert.deepEqual(prod?.VpcSecurityGroups, [{ VpcSecurityGroupId: 'sg-0a1b2c3d4e5f6b004', Status: 'active' }]);
    assert.deepEqual(prod?.TagList, [{ Key: 'service', Value: 'shop' }]);
    assert.deepEqual(prod?.ReadReplicaDBInstanceIdentifiers, ['prod-replica']);
    assert.equal(prod?.MultiAZ, true);
    assert.ok(prod?.InstanceCreateTime instanceof Date);
  });

  test('by ARN, by filter, in pages', async (t) => {
    const { lab, rds } = await open(t, 3);
    const arn = 'arn:aws:rds:ap-northeast-1:111122223333:db:orders';
    const byArn = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: arn }));
    assert.equal(byArn.DBInstances?.[0]?.DBInstanceIdentifier, 'orders');
    const Filters = [{ Name: 'db-cluster-id', Values: ['ledger'] }];
    const members = await rds.send(new DescribeDBInstancesCommand({ Filters }));
    assert.deepEqual(
      members.DBInstances?.map((one) => one.DBInstanceIdentifier),
      ['ledger-1', 'ledger-2'],
    );
    const seen: (string | undefined)[] = [];
    let pages = 0;
    for await (const page of paginateDescribeDBInstances({ client: rds }, {})) {
      pages += 1;
      seen.push(...(page.DBInstances ?? []).map((one) => one.DBInstanceIdentifier));
    }
    assert.equal(pages, 3);
    assert.deepEqual(
      seen,
      lab.inventory.databases.map((one) => one.id),
    );
  });

  test('what is unknown, malformed or without an endpoint', async (t) => {
    const { lab, rds } = await open(t);
    const ask = (DBInstanceIdentifier: string) => rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier }));
    await assert.rejects(ask('prdo'), (error: Error) => {
      assert.equal(error.name, 'DBInstanceNotFoundFault');
      return error.message === 'DBInstance prdo not found.';
    });
    await assert.rejects(rds.send(new DescribeDBInstancesCommand({ Marker: 'x' })), named('InvalidParameterValue'));
    await assert.rejects(rds.send(new DescribeDBInstancesCommand({ MaxRecords: 5 })), named('InvalidParameterValue'));
    const wrong = [{ Name: 'colour', Values: ['red'] }];
    await assert.rejects(rds.send(new DescribeDBInstancesCommand({ Filters: wrong })), named('InvalidParameterValue'));
    lab.change((inventory) => changeDatabase(inventory, 'prod', { status: 'creating' }));
    assert.equal((await ask('prod')).DBInstances?.[0]?.Endpoint, undefined);
  });
});

describe('clusters and proxies', () => {
  test('a cluster names its endpoints and its writer, also after a failover', async (t) => {
    const { lab, rds } = await open(t);
    const ask = async () =>
      (await rds.send(new DescribeDBClustersCommand({ DBClusterIdentifier: 'ledger' }))).DBClusters?.[0];
    const cluster = await ask();
    assert.equal(cluster?.Endpoint, `ledger.cluster-${DOMAIN}`);
    assert.equal(cluster?.ReaderEndpoint, `ledger.cluster-ro-${DOMAIN}`);
    assert.equal(cluster?.Port, 5432);
    assert.deepEqual(
      cluster?.DBClusterMembers?.map((one) => one.IsClusterWriter),
      [true, false],
    );
    lab.change((inventory) => failOver(inventory, 'ledger', 'ledger-2'));
    assert.deepEqual(
      (await ask())?.DBClusterMembers?.map((one) => one.IsClusterWriter),
      [false, true],
    );
    const { DBClusterEndpoints } = await rds.send(
      new DescribeDBClusterEndpointsCommand({ DBClusterIdentifier: 'ledger' }),
    );
    assert.deepEqual(
      DBClusterEndpoints?.map((one) => one.EndpointType),
      ['WRITER', 'READER'],
    );
    // A cluster names its subnet group only; the network is one call further.
    const DBSubnetGroupName = cluster?.DBSubnetGroup;
    const groups = await rds.send(new DescribeDBSubnetGroupsCommand({ DBSubnetGroupName }));
    assert.equal(groups.DBSubnetGroups?.[0]?.VpcId, 'vpc-0a1b2c3d4e5f60001');
    await assert.rejects(
      rds.send(new DescribeDBClustersCommand({ DBClusterIdentifier: 'ledgr' })),
      named('DBClusterNotFoundFault'),
    );
  });

  test('a proxy, its endpoints and its target', async (t) => {
    const { rds } = await open(t);
    const { DBProxies } = await rds.send(new DescribeDBProxiesCommand({ DBProxyName: 'prod-proxy' }));
    assert.equal(DBProxies?.[0]?.Endpoint, `prod-proxy.proxy-${DOMAIN}`);
    assert.equal(DBProxies?.[0]?.EngineFamily, 'MYSQL');
    assert.equal(DBProxies?.[0]?.VpcId, 'vpc-0a1b2c3d4e5f60001');
    assert.deepEqual(DBProxies?.[0]?.VpcSecurityGroupIds, ['sg-0a1b2c3d4e5f6b004']);
    const { DBProxyEndpoints } = await rds.send(new DescribeDBProxyEndpointsCommand({}));
    assert.deepEqual(
      DBProxyEndpoints?.map((one) => [one.DBProxyEndpointName, one.TargetRole]),
      [['prod-proxy-reader', 'READ_ONLY']],
    );
    const { Targets } = await rds.send(new DescribeDBProxyTargetsCommand({ DBProxyName: 'prod-proxy' }));
    assert.deepEqual([Targets?.[0]?.RdsResourceId, Targets?.[0]?.Port], ['prod', 3306]);
    await assert.rejects(rds.send(new DescribeDBProxiesCommand({ DBProxyName: 'x' })), named('DBProxyNotFoundFault'));
  });

  test('tags of a resource', async (t) => {
    const { rds } = await open(t);
    const ResourceName = 'arn:aws:rds:ap-northeast-1:111122223333:cluster:ledger';
    const { TagList } = await rds.send(new ListTagsForResourceCommand({ ResourceName }));
    assert.deepEqual(TagList, [{ Key: 'service', Value: 'ledger' }]);
    await assert.rejects(
      rds.send(new ListTagsForResourceCommand({ ResourceName: 'arn:x' })),
      named('InvalidParameterValue'),
    );
  });
});
