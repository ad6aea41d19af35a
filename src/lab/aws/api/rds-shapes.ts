import type { Inventory, LabCluster, LabDatabase, LabProxy, LabProxyEndpoint, Tags } from '../inventory.ts';
import type { XmlObject } from './xml.ts';

/** The inventory in the words of the RDS API; long because its answers are. */

export const rdsArn = (inventory: Inventory, kind: 'db' | 'cluster' | 'db-proxy', id: string): string =>
  `arn:aws:rds:${inventory.region}:${inventory.account}:${kind}:${id}`;

export const describeTagList = (tags: Tags): XmlObject => ({
  Tag: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
});

/** A database that is being made has no endpoint yet. */
const hasEndpoint = (database: LabDatabase): boolean => database.status !== 'creating';

export function describeDatabase(database: LabDatabase, inventory: Inventory): XmlObject {
  const cluster = inventory.clusters.find((one) => one.id === database.clusterId);
  const replicas = inventory.databases.filter((one) => one.replicaOf === database.id).map((one) => one.id);
  return {
    DBInstanceIdentifier: database.id,
    DBInstanceClass: database.instanceClass,
    Engine: database.engine,
    EngineVersion: database.engineVersion,
    DBInstanceStatus: database.status,
    MasterUsername: 'admin',
    Endpoint: hasEndpoint(database)
      ? { Address: database.host, Port: database.port, HostedZoneId: 'Z24O6O9L7SGTNB' }
      : undefined,
    AllocatedStorage: 20,
    InstanceCreateTime: database.createdAt,
    DBSecurityGroups: {},
    VpcSecurityGroups: describeMemberships(database.securityGroupIds),
    DBSubnetGroup: describeSubnetGroup(database.subnetIds, inventory),
    AvailabilityZone: database.zone,
    MultiAZ: database.multiAz,
    AutoMinorVersionUpgrade: true,
    ReadReplicaSourceDBInstanceIdentifier: database.replicaOf,
    ReadReplicaDBInstanceIdentifiers: { ReadReplicaDBInstanceIdentifier: replicas },
    PubliclyAccessible: false,
    StorageType: 'gp3',
    DbInstancePort: 0,
    DBClusterIdentifier: cluster?.id,
    StorageEncrypted: true,
    DbiResourceId: database.resourceId,
    CACertificateIdentifier: 'rds-ca-rsa2048-g1',
    DBInstanceArn: rdsArn(inventory, 'db', database.id),
    IAMDatabaseAuthenticationEnabled: database.iamAuth,
    DeletionProtection: true,
    TagList: describeTagList(database.tags),
  };
}

const describeMemberships = (ids: readonly string[]): XmlObject => ({
  VpcSecurityGroupMembership: ids.map((id) => ({ VpcSecurityGroupId: id, Status: 'active' })),
});

/** Every set of subnets that a database is in makes one group, named after its network. */
export function subnetGroups(
  inventory: Inventory,
): readonly { readonly name: string; readonly subnetIds: readonly string[] }[] {
  const groups = new Map<string, readonly string[]>();
  for (const { subnetIds } of inventory.databases) groups.set(subnetGroupName(inventory, subnetIds), subnetIds);
  return [...groups].map(([name, subnetIds]) => ({ name, subnetIds }));
}

const vpcOf = (inventory: Inventory, subnetIds: readonly string[]): string | undefined =>
  inventory.subnets.find((subnet) => subnetIds.includes(subnet.id))?.vpcId;

const subnetGroupName = (inventory: Inventory, subnetIds: readonly string[]): string =>
  `databases-${vpcOf(inventory, subnetIds) ?? 'nowhere'}`;

export function describeSubnetGroup(subnetIds: readonly string[], inventory: Inventory): XmlObject {
  return {
    DBSubnetGroupName: subnetGroupName(inventory, subnetIds),
    DBSubnetGroupDescription: 'private subnets for databases',
    VpcId: vpcOf(inventory, subnetIds),
    SubnetGroupStatus: 'Complete',
    Subnets: {
      Subnet: subnetIds.map((id) => ({
        SubnetIdentifier: id,
        SubnetAvailabilityZone: { Name: inventory.subnets.find((subnet) => subnet.id === id)?.zone },
        SubnetStatus: 'Active',
      })),
    },
  };
}

export function describeCluster(cluster: LabCluster, inventory: Inventory): XmlObject {
  const members = inventory.databases.filter((one) => one.clusterId === cluster.id);
  const [first] = members;
  return {
    DBClusterIdentifier: cluster.id,
    DBClusterArn: rdsArn(inventory, 'cluster', cluster.id),
    DbClusterResourceId: cluster.resourceId,
    Status: cluster.status,
    Engine: cluster.engine,
    EngineVersion: cluster.engineVersion,
    EngineMode: 'provisioned',
    Endpoint: cluster.host,
    ReaderEndpoint: cluster.readerHost,
    Port: cluster.port,
    MultiAZ: members.length > 1,
    MasterUsername: 'admin',
    // Unlike that of an instance, a cluster's subnet group is a name only.
    DBSubnetGroup: first === undefined ? undefined : subnetGroupName(inventory, first.subnetIds),
    AvailabilityZones: { AvailabilityZone: [...new Set(members.map((one) => one.zone))] },
    DBClusterMembers: {
      DBClusterMember: members.map((one, index) => ({
        DBInstanceIdentifier: one.id,
        IsClusterWriter: one.id === cluster.writerId,
        DBClusterParameterGroupStatus: 'in-sync',
        PromotionTier: index + 1,
      })),
    },
    VpcSecurityGroups: describeMemberships(first?.securityGroupIds ?? []),
    ClusterCreateTime: cluster.createdAt,
    StorageEncrypted: true,
    IAMDatabaseAuthenticationEnabled: cluster.iamAuth,
    TagList: describeTagList(cluster.tags),
  };
}

export function clusterEndpoints(cluster: LabCluster): readonly XmlObject[] {
  const shared = { DBClusterIdentifier: cluster.id, Status: 'available' };
  return [
    { ...shared, Endpoint: cluster.host, EndpointType: 'WRITER' },
    { ...shared, Endpoint: cluster.readerHost, EndpointType: 'READER' },
  ];
}

export function describeProxy(proxy: LabProxy, inventory: Inventory): XmlObject {
  return {
    DBProxyName: proxy.name,
    DBProxyArn: rdsArn(inventory, 'db-proxy', proxy.name),
    Status: proxy.status,
    EngineFamily: proxy.engineFamily,
    VpcId: vpcOf(inventory, proxy.subnetIds),
    VpcSecurityGroupIds: { member: proxy.securityGroupIds },
    VpcSubnetIds: { member: proxy.subnetIds },
    Auth: {},
    RoleArn: `arn:aws:iam::${inventory.account}:role/rds-proxy`,
    Endpoint: proxy.host,
    RequireTLS: false,
    IdleClientTimeout: 1_800,
    DebugLogging: false,
    CreatedDate: proxy.createdAt,
    UpdatedDate: proxy.createdAt,
  };
}

export function describeProxyEndpoint(proxy: LabProxy, endpoint: LabProxyEndpoint, inventory: Inventory): XmlObject {
  return {
    DBProxyEndpointName: endpoint.name,
    DBProxyEndpointArn: `arn:aws:rds:${inventory.region}:${inventory.account}:db-proxy-endpoint:${endpoint.name}`,
    DBProxyName: proxy.name,
    Status: endpoint.status,
    VpcId: vpcOf(inventory, proxy.subnetIds),
    VpcSecurityGroupIds: { member: proxy.securityGroupIds },
    VpcSubnetIds: { member: proxy.subnetIds },
    Endpoint: endpoint.host,
    CreatedDate: proxy.createdAt,
    TargetRole: endpoint.role,
    IsDefault: false,
  };
}

export function describeProxyTarget(proxy: LabProxy, inventory: Inventory): XmlObject {
  const database = inventory.databases.find((one) => one.id === proxy.databaseId);
  return {
    RdsResourceId: proxy.databaseId,
    Endpoint: database?.host,
    Port: database?.port,
    Type: 'RDS_INSTANCE',
    Role: 'READ_WRITE',
    TargetHealth: { State: database?.status === 'available' ? 'AVAILABLE' : 'UNAVAILABLE' },
  };
}
