import type { LabCluster, LabDatabase, LabProxy } from './inventory.ts';
import { GROUP, REGION, SUBNET } from './practice-network.ts';

/** The practice account's databases (practice-account.ts says what each is there for). */
export const RDS_DOMAIN = `c1abcdefghij.${REGION}.rds.amazonaws.com`;

function database(
  fields: Pick<LabDatabase, 'id' | 'resourceId' | 'engine' | 'engineVersion' | 'privateIp' | 'backend'> &
    Partial<LabDatabase>,
): LabDatabase {
  return {
    status: 'available',
    host: `${fields.id}.${RDS_DOMAIN}`,
    port: fields.backend === 'prod' ? 3306 : 5432,
    zone: `${REGION}a`,
    instanceClass: 'db.t4g.medium',
    multiAz: false,
    iamAuth: false,
    subnetIds: [SUBNET.dataA, SUBNET.dataC],
    securityGroupIds: [GROUP.database],
    createdAt: '2026-04-01T01:00:00.000Z',
    tags: {},
    ...fields,
  };
}

export const PRACTICE_DATABASES: readonly LabDatabase[] = [
  database({
    id: 'prod',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0001',
    engine: 'mysql',
    engineVersion: '8.0.36',
    privateIp: '10.20.20.37',
    backend: 'prod',
    multiAz: true,
    tags: { service: 'shop' },
  }),
  database({
    id: 'prod-replica',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0002',
    engine: 'mysql',
    engineVersion: '8.0.36',
    privateIp: '10.20.21.38',
    backend: 'prod',
    zone: `${REGION}c`,
    replicaOf: 'prod',
  }),
  database({
    id: 'orders',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0003',
    engine: 'postgres',
    engineVersion: '15.8',
    privateIp: '10.20.20.39',
    backend: 'orders',
    iamAuth: true,
  }),
  database({
    id: 'ledger-1',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0004',
    engine: 'aurora-postgresql',
    engineVersion: '15.8',
    privateIp: '10.20.20.40',
    backend: 'orders',
    clusterId: 'ledger',
  }),
  database({
    id: 'ledger-2',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0005',
    engine: 'aurora-postgresql',
    engineVersion: '15.8',
    privateIp: '10.20.21.41',
    backend: 'orders',
    zone: `${REGION}c`,
    clusterId: 'ledger',
  }),
  database({
    id: 'archive',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0006',
    engine: 'mysql',
    engineVersion: '8.0.36',
    privateIp: '10.20.20.42',
    backend: 'prod',
    status: 'stopped',
  }),
  database({
    id: 'legacy',
    resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0007',
    engine: 'mysql',
    engineVersion: '8.0.36',
    privateIp: '10.30.10.37',
    backend: 'prod',
    subnetIds: [SUBNET.legacyA, SUBNET.legacyC],
    securityGroupIds: [GROUP.legacyDatabase],
  }),
];

export const PRACTICE_CLUSTERS: readonly LabCluster[] = [
  {
    id: 'ledger',
    resourceId: 'cluster-ABCDEFGHIJKLMNOPQRSTUV01',
    engine: 'aurora-postgresql',
    engineVersion: '15.8',
    status: 'available',
    host: `ledger.cluster-${RDS_DOMAIN}`,
    readerHost: `ledger.cluster-ro-${RDS_DOMAIN}`,
    port: 5432,
    writerId: 'ledger-1',
    iamAuth: false,
    createdAt: '2026-05-01T01:00:00.000Z',
    tags: { service: 'ledger' },
  },
];

export const PRACTICE_PROXIES: readonly LabProxy[] = [
  {
    name: 'prod-proxy',
    engineFamily: 'MYSQL',
    status: 'available',
    host: `prod-proxy.proxy-${RDS_DOMAIN}`,
    privateIp: '10.20.20.50',
    subnetIds: [SUBNET.dataA, SUBNET.dataC],
    securityGroupIds: [GROUP.database],
    databaseId: 'prod',
    endpoints: [
      {
        name: 'prod-proxy-reader',
        role: 'READ_ONLY',
        host: `prod-proxy-reader.endpoint.proxy-${RDS_DOMAIN}`,
        status: 'available',
      },
    ],
    createdAt: '2026-07-01T01:00:00.000Z',
  },
];
