import type { DatabaseTarget } from '../../domain/target.ts';
import { databaseEngine, proxyEngine } from './database-engine.ts';
import type { Inventory } from './rds-listing.ts';
import type { DBCluster, DBInstance, DBProxy, Tag } from './sdk/rds.ts';

/** A database with what we know of it beyond the domain's type. */
export interface Database {
  readonly target: DatabaseTarget;
  readonly nameTag: string | undefined;
  /** Every host name it answers to, its own first. */
  readonly hosts: readonly string[];
  /** The cluster that an instance is a member of. */
  readonly clusterId: string | undefined;
  /** Read replicas of an instance outside a cluster. */
  readonly replicaIds: readonly string[];
  /** A host name for reading only, where there is one. */
  readonly readerHost: string | undefined;
  /** Where a cluster lives, for one without members. */
  readonly subnetGroupName: string | undefined;
  readonly arn: string | undefined;
  /** What permissions to log in with a token name: `db-…`, `cluster-…`, `prx-…`. */
  readonly resourceId: string | undefined;
}

/** States in which nothing answers (documented: viewing DB instance status). Any other, also one that is new, is worth a try. */
const SILENT = /^(creat|delet|fail|inaccessible|incompatible|insufficient|restore-error|stop|start|suspend|unknown)/;

export const nameTag = (tags: readonly Tag[] | undefined) => tags?.find((tag) => tag.Key === 'Name')?.Value;
const groupIds = (groups: readonly { VpcSecurityGroupId?: string | undefined }[] | undefined) =>
  (groups ?? []).flatMap((group) => group.VpcSecurityGroupId ?? []);

/** An instance as a target. While it is being created it has no endpoint, and so is not available. */
export function fromInstance(instance: DBInstance): Database | undefined {
  const { DBInstanceIdentifier: id, Endpoint: endpoint, DBSubnetGroup: subnets } = instance;
  const status = instance.DBInstanceStatus ?? 'unknown';
  if (id === undefined) return undefined;
  const { engine, label } = databaseEngine(instance.Engine, instance.EngineVersion);
  return {
    target: {
      kind: 'database',
      provider: 'aws',
      id,
      flavour: 'instance',
      engine,
      engineLabel: label,
      endpoint: { host: endpoint?.Address ?? '', port: endpoint?.Port ?? 0 },
      available: !SILENT.test(status) && endpoint?.Address !== undefined,
      status,
      ...(instance.AvailabilityZone === undefined ? {} : { zone: instance.AvailabilityZone }),
      ...(subnets?.VpcId === undefined ? {} : { networkId: subnets.VpcId }),
      subnetIds: (subnets?.Subnets ?? []).flatMap((subnet) => subnet.SubnetIdentifier ?? []),
      securityGroupIds: groupIds(instance.VpcSecurityGroups),
    },
    nameTag: nameTag(instance.TagList),
    hosts: endpoint?.Address === undefined ? [] : [endpoint.Address],
    clusterId: instance.DBClusterIdentifier || undefined,
    // A replica in another region is given by its ARN; no tunnel of this region reaches it.
    replicaIds: (instance.ReadReplicaDBInstanceIdentifiers ?? []).filter((replica) => !replica.startsWith('arn:')),
    readerHost: undefined,
    subnetGroupName: undefined,
    arn: instance.DBInstanceArn,
    resourceId: instance.DbiResourceId,
  };
}

/** A cluster as a target, its writer endpoint. It does not say where it lives: `members`, or its subnet group, do. */
export function fromCluster(cluster: DBCluster, members: readonly DBInstance[]): Database | undefined {
  const id = cluster.DBClusterIdentifier;
  if (id === undefined) return undefined;
  const status = cluster.Status ?? 'unknown';
  const { engine, label } = databaseEngine(cluster.Engine, cluster.EngineVersion);
  const writerId = cluster.DBClusterMembers?.find((member) => member.IsClusterWriter)?.DBInstanceIdentifier;
  const writer = members.find((member) => member.DBInstanceIdentifier === writerId) ?? members[0];
  const subnets = writer?.DBSubnetGroup;
  return {
    target: {
      kind: 'database',
      provider: 'aws',
      id,
      flavour: 'cluster',
      role: 'writer',
      ...(writerId === undefined ? {} : { member: writerId }),
      engine,
      engineLabel: label,
      endpoint: { host: cluster.Endpoint ?? '', port: cluster.Port ?? 0 },
      available: !SILENT.test(status) && cluster.Endpoint !== undefined,
      status,
      ...(writer?.AvailabilityZone === undefined ? {} : { zone: writer.AvailabilityZone }),
      ...(subnets?.VpcId === undefined ? {} : { networkId: subnets.VpcId }),
      subnetIds: (subnets?.Subnets ?? []).flatMap((subnet) => subnet.SubnetIdentifier ?? []),
      securityGroupIds: groupIds(cluster.VpcSecurityGroups),
    },
    nameTag: nameTag(cluster.TagList),
    hosts: [cluster.Endpoint, cluster.ReaderEndpoint, ...(cluster.CustomEndpoints ?? [])].filter(
      (host) => host !== undefined,
    ),
    clusterId: undefined,
    replicaIds: [],
    readerHost: cluster.ReaderEndpoint,
    subnetGroupName: cluster.DBSubnetGroup,
    arn: cluster.DBClusterArn,
    resourceId: cluster.DbClusterResourceId,
  };
}

export function fromProxy(proxy: DBProxy): Database | undefined {
  const id = proxy.DBProxyName;
  if (id === undefined) return undefined;
  const { engine, label, port } = proxyEngine(proxy.EngineFamily);
  const status = proxy.Status ?? 'unknown';
  return {
    target: {
      kind: 'database',
      provider: 'aws',
      id,
      flavour: 'proxy',
      engine,
      engineLabel: label,
      endpoint: { host: proxy.Endpoint ?? '', port },
      available: !SILENT.test(status) && proxy.Endpoint !== undefined,
      status,
      ...(proxy.VpcId === undefined ? {} : { networkId: proxy.VpcId }),
      subnetIds: proxy.VpcSubnetIds ?? [],
      securityGroupIds: proxy.VpcSecurityGroupIds ?? [],
    },
    nameTag: undefined,
    hosts: proxy.Endpoint === undefined ? [] : [proxy.Endpoint],
    clusterId: undefined,
    replicaIds: [],
    readerHost: undefined,
    subnetGroupName: undefined,
    arn: proxy.DBProxyArn,
    // arn:aws:rds:REGION:ACCOUNT:db-proxy:prx-0abc
    resourceId: proxy.DBProxyArn?.split(':').at(-1),
  };
}

/** Everything of an inventory as databases, clusters with their members. */
export function databasesOf(inventory: Inventory, members: readonly DBInstance[] = inventory.instances): Database[] {
  return [
    ...inventory.clusters.map((cluster) =>
      fromCluster(
        cluster,
        members.filter((member) => member.DBClusterIdentifier === cluster.DBClusterIdentifier),
      ),
    ),
    ...inventory.instances.map(fromInstance),
    ...inventory.proxies.map(fromProxy),
  ].filter((database) => database !== undefined);
}
