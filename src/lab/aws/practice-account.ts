import { AWS_DOCUMENTS } from './documents.ts';
import {
  type Inventory,
  type LabAclEntry,
  type LabDatabase,
  type LabNetworkAcl,
  type LabRule,
  type LabServices,
  makeAgent,
  makeInstance,
} from './inventory.ts';

/**
 * The account people practise on. Long because it is a table; every line is there for something to be seen or to go wrong:
 *
 * | name | why |
 * | --- | --- |
 * | bastion-a | online, the databases admit it |
 * | bastion-b | online, the databases do not admit it |
 * | web-1 | a machine with services of its own (80 web page, 7 echo, 9 discard, 19 chargen; 22 refuses) |
 * | old-agent | admitted by the databases, but its agent knows neither mux nor remote hosts |
 * | batch-1 / offline-1 / appliance-1 | stopped / agent not connected / never had an agent |
 * | app, app | two machines of one name, in the Auto Scaling group app-asg |
 * | onprem-1 | a hybrid node (`mi-…`) |
 * | prod, prod-replica, orders, ledger (cluster), prod-proxy | databases that answer |
 * | archive / legacy | stopped / in a network without any managed node |
 */
export function practiceAccount(): Inventory {
  return PRACTICE_ACCOUNT;
}

const VPC = 'vpc-0a1b2c3d4e5f60001';
const LEGACY_VPC = 'vpc-0a1b2c3d4e5f60002';
const SUBNET = {
  privateA: 'subnet-0a1b2c3d4e5f6a001',
  privateC: 'subnet-0a1b2c3d4e5f6a002',
  dataA: 'subnet-0a1b2c3d4e5f6a003',
  dataC: 'subnet-0a1b2c3d4e5f6a004',
  legacyA: 'subnet-0a1b2c3d4e5f6a005',
  legacyC: 'subnet-0a1b2c3d4e5f6a006',
} as const;
const GROUP = {
  bastion: 'sg-0a1b2c3d4e5f6b001',
  lonely: 'sg-0a1b2c3d4e5f6b002',
  web: 'sg-0a1b2c3d4e5f6b003',
  database: 'sg-0a1b2c3d4e5f6b004',
  legacyDatabase: 'sg-0a1b2c3d4e5f6b005',
} as const;
const REGION = 'ap-northeast-1';
const RDS_DOMAIN = `c1abcdefghij.${REGION}.rds.amazonaws.com`;

const ANYWHERE: LabRule = { protocol: '-1', cidrs: ['0.0.0.0/0'] };
const tcp = (port: number, from: { cidrs?: string[]; groups?: string[] }): LabRule => ({
  protocol: 'tcp',
  ports: [port, port],
  ...from,
});

const USUAL_SERVICES: LabServices = { 7: 'echo', 9: 'discard' };

function openAcl(id: string, vpcId: string, subnetIds: readonly string[]): LabNetworkAcl {
  const all = { protocol: '-1', cidr: '0.0.0.0/0' } as const;
  const entries = [true, false].flatMap((egress): LabAclEntry[] => [
    { ...all, number: 100, egress, allow: true },
    { ...all, number: 32_767, egress, allow: false },
  ]);
  return { id, vpcId, isDefault: true, subnetIds, entries };
}

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

const PRACTICE_ACCOUNT: Inventory = {
  account: '111122223333',
  region: REGION,
  vpcs: [
    { id: VPC, cidr: '10.20.0.0/16', isDefault: false, tags: { Name: 'lab' } },
    { id: LEGACY_VPC, cidr: '10.30.0.0/16', isDefault: false, tags: { Name: 'legacy' } },
  ],
  subnets: [
    { id: SUBNET.privateA, vpcId: VPC, cidr: '10.20.10.0/24', zone: `${REGION}a`, tags: { Name: 'private-a' } },
    { id: SUBNET.privateC, vpcId: VPC, cidr: '10.20.11.0/24', zone: `${REGION}c`, tags: { Name: 'private-c' } },
    { id: SUBNET.dataA, vpcId: VPC, cidr: '10.20.20.0/24', zone: `${REGION}a`, tags: { Name: 'data-a' } },
    { id: SUBNET.dataC, vpcId: VPC, cidr: '10.20.21.0/24', zone: `${REGION}c`, tags: { Name: 'data-c' } },
    { id: SUBNET.legacyA, vpcId: LEGACY_VPC, cidr: '10.30.10.0/24', zone: `${REGION}a`, tags: { Name: 'legacy-a' } },
    { id: SUBNET.legacyC, vpcId: LEGACY_VPC, cidr: '10.30.11.0/24', zone: `${REGION}c`, tags: { Name: 'legacy-c' } },
  ],
  networkAcls: [
    openAcl('acl-0a1b2c3d4e5f6c001', VPC, [SUBNET.privateA, SUBNET.privateC, SUBNET.dataA, SUBNET.dataC]),
    openAcl('acl-0a1b2c3d4e5f6c002', LEGACY_VPC, [SUBNET.legacyA, SUBNET.legacyC]),
  ],
  securityGroups: [
    {
      id: GROUP.bastion,
      name: 'bastion',
      description: 'machines that may reach the databases',
      vpcId: VPC,
      ingress: [],
      egress: [ANYWHERE],
      tags: { Name: 'bastion' },
    },
    {
      id: GROUP.lonely,
      name: 'bastion-new',
      description: 'a bastion that nobody admitted yet',
      vpcId: VPC,
      ingress: [],
      egress: [ANYWHERE],
      tags: { Name: 'bastion-new' },
    },
    {
      id: GROUP.web,
      name: 'web',
      description: 'web servers',
      vpcId: VPC,
      ingress: [tcp(80, { groups: [GROUP.bastion] }), tcp(22, { cidrs: ['0.0.0.0/0'] })],
      egress: [ANYWHERE],
      tags: { Name: 'web' },
    },
    {
      id: GROUP.database,
      name: 'database',
      description: 'databases',
      vpcId: VPC,
      ingress: [tcp(3306, { groups: [GROUP.bastion] }), tcp(5432, { groups: [GROUP.bastion] })],
      egress: [],
      tags: { Name: 'database' },
    },
    {
      id: GROUP.legacyDatabase,
      name: 'legacy-database',
      description: 'databases of the old network',
      vpcId: LEGACY_VPC,
      ingress: [tcp(3306, { cidrs: ['10.30.0.0/16'] })],
      egress: [],
      tags: {},
    },
  ],
  instances: [
    makeInstance({
      id: 'i-0a1b2c3d4e5f60001',
      name: 'bastion-a',
      privateIp: '10.20.10.11',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.bastion],
      tags: { role: 'bastion' },
      launchedAt: '2026-11-02T00:30:00.000Z',
      services: USUAL_SERVICES,
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60002',
      name: 'bastion-b',
      privateIp: '10.20.11.12',
      subnetId: SUBNET.privateC,
      securityGroupIds: [GROUP.lonely],
      tags: { role: 'bastion' },
      launchedAt: '2026-11-01T00:30:00.000Z',
      services: USUAL_SERVICES,
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60003',
      name: 'web-1',
      privateIp: '10.20.10.21',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.web],
      tags: { role: 'web' },
      services: { ...USUAL_SERVICES, 19: 'chargen', 80: 'web' },
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60004',
      name: 'old-agent',
      privateIp: '10.20.10.31',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.bastion],
      launchedAt: '2021-03-01T00:00:00.000Z',
      agent: makeAgent({ version: '3.0.150.0' }),
      services: { ...USUAL_SERVICES, 80: 'web' },
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60005',
      name: 'batch-1',
      state: 'stopped',
      privateIp: '10.20.11.41',
      subnetId: SUBNET.privateC,
      securityGroupIds: [GROUP.bastion],
      agent: makeAgent({ online: false, lastPing: 5 * 86_400_000 }),
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60006',
      name: 'offline-1',
      privateIp: '10.20.11.42',
      subnetId: SUBNET.privateC,
      securityGroupIds: [GROUP.bastion],
      agent: makeAgent({ online: false, lastPing: 2 * 86_400_000 }),
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60007',
      name: 'app',
      privateIp: '10.20.10.51',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.web],
      tags: { role: 'app', 'aws:autoscaling:groupName': 'app-asg' },
      launchedAt: '2026-11-10T03:00:00.000Z',
      services: { ...USUAL_SERVICES, 80: 'web' },
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60008',
      name: 'app',
      privateIp: '10.20.11.52',
      subnetId: SUBNET.privateC,
      securityGroupIds: [GROUP.web],
      tags: { role: 'app', 'aws:autoscaling:groupName': 'app-asg' },
      launchedAt: '2026-11-12T03:00:00.000Z',
      services: { ...USUAL_SERVICES, 80: 'web' },
    }),
    makeInstance({
      id: 'i-0a1b2c3d4e5f60009',
      name: 'appliance-1',
      privateIp: '10.20.10.61',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.web],
      agent: undefined,
    }),
  ],
  hybridNodes: [
    {
      id: 'mi-0a1b2c3d4e5f60001',
      name: 'onprem-1',
      ip: '192.0.2.15',
      tags: { site: 'osaka' },
      registeredAt: '2026-06-01T00:00:00.000Z',
      agent: makeAgent(),
      services: { ...USUAL_SERVICES, 80: 'web' },
    },
  ],
  hosts: [
    {
      name: 'admin.internal',
      privateIp: '10.20.10.80',
      subnetId: SUBNET.privateA,
      securityGroupIds: [GROUP.web],
      services: { 80: 'web' },
    },
  ],
  databases: [
    database({
      id: 'prod',
      resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0001',
      engine: 'mysql',
      engineVersion: '8.0.39',
      privateIp: '10.20.20.37',
      backend: 'prod',
      multiAz: true,
      tags: { service: 'shop' },
    }),
    database({
      id: 'prod-replica',
      resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0002',
      engine: 'mysql',
      engineVersion: '8.0.39',
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
      engineVersion: '8.0.39',
      privateIp: '10.20.20.42',
      backend: 'prod',
      status: 'stopped',
    }),
    database({
      id: 'legacy',
      resourceId: 'db-ABCDEFGHIJKLMNOPQRSTUV0007',
      engine: 'mysql',
      engineVersion: '8.0.39',
      privateIp: '10.30.10.37',
      backend: 'prod',
      subnetIds: [SUBNET.legacyA, SUBNET.legacyC],
      securityGroupIds: [GROUP.legacyDatabase],
    }),
  ],
  clusters: [
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
  ],
  proxies: [
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
  ],
  documents: [
    ...AWS_DOCUMENTS,
    {
      name: 'cloudtun-prod',
      description: 'Port forwarding to the database prod and nothing else',
      owner: 'self',
      sessionType: 'Port',
      parameters: {
        localPortNumber: {
          description: 'Port number on the local machine',
          default: '0',
          allowedPattern: '^[0-9]{1,5}$',
        },
      },
      properties: {
        portNumber: '3306',
        type: 'LocalPortForwarding',
        localPortNumber: '{{ localPortNumber }}',
        host: `prod.${RDS_DOMAIN}`,
      },
    },
  ],
  keys: [{ id: '0a1b2c3d-4e5f-4607-8899-aabbccddeeff', aliases: ['alias/ssm-sessions'], enabled: true }],
  users: [
    { name: 'alice', denied: [], mfa: true },
    { name: 'mallory', denied: [{ action: 'ssm:StartSession' }, { action: 'sts:AssumeRole' }], mfa: false },
  ],
  roles: [
    { name: 'operators', trustedUsers: ['alice'], requireMfa: true, webIdentity: false, denied: [] },
    { name: 'readers', trustedUsers: ['alice'], requireMfa: false, webIdentity: false, denied: [] },
    { name: 'ci', trustedUsers: [], requireMfa: false, webIdentity: true, denied: [] },
  ],
  sso: { userName: 'alice@example.com', permissionSet: 'readers', denied: [] },
};
