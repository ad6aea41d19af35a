import type { LabAclEntry, LabNetworkAcl, LabRule, LabSecurityGroup, LabSubnet, LabVpc } from './inventory.ts';

/** The practice account's two networks (practice-account.ts says what they are there for). */
const VPC = 'vpc-0a1b2c3d4e5f60001';
const LEGACY_VPC = 'vpc-0a1b2c3d4e5f60002';
export const SUBNET = {
  privateA: 'subnet-0a1b2c3d4e5f6a001',
  privateC: 'subnet-0a1b2c3d4e5f6a002',
  dataA: 'subnet-0a1b2c3d4e5f6a003',
  dataC: 'subnet-0a1b2c3d4e5f6a004',
  legacyA: 'subnet-0a1b2c3d4e5f6a005',
  legacyC: 'subnet-0a1b2c3d4e5f6a006',
  innerA: 'subnet-0a1b2c3d4e5f6a007',
} as const;
export const GROUP = {
  bastion: 'sg-0a1b2c3d4e5f6b001',
  lonely: 'sg-0a1b2c3d4e5f6b002',
  web: 'sg-0a1b2c3d4e5f6b003',
  database: 'sg-0a1b2c3d4e5f6b004',
  legacyDatabase: 'sg-0a1b2c3d4e5f6b005',
  inner: 'sg-0a1b2c3d4e5f6b006',
  vault: 'sg-0a1b2c3d4e5f6b007',
  wiki: 'sg-0a1b2c3d4e5f6b008',
} as const;
export const REGION = 'ap-northeast-1';

const ANYWHERE: LabRule = { protocol: '-1', cidrs: ['0.0.0.0/0'] };
const tcp = (port: number, from: { cidrs?: string[]; groups?: string[] }): LabRule => ({
  protocol: 'tcp',
  ports: [port, port],
  ...from,
});

function openAcl(id: string, vpcId: string, subnetIds: readonly string[]): LabNetworkAcl {
  const all = { protocol: '-1', cidr: '0.0.0.0/0' } as const;
  const entries = [true, false].flatMap((egress): LabAclEntry[] => [
    { ...all, number: 100, egress, allow: true },
    { ...all, number: 32_767, egress, allow: false },
  ]);
  return { id, vpcId, isDefault: true, subnetIds, entries };
}

export const PRACTICE_VPCS: readonly LabVpc[] = [
  { id: VPC, cidr: '10.20.0.0/16', isDefault: false, tags: { Name: 'lab' } },
  { id: LEGACY_VPC, cidr: '10.30.0.0/16', isDefault: false, tags: { Name: 'legacy' } },
];

export const PRACTICE_SUBNETS: readonly LabSubnet[] = [
  { id: SUBNET.privateA, vpcId: VPC, cidr: '10.20.10.0/24', zone: `${REGION}a`, tags: { Name: 'private-a' } },
  { id: SUBNET.privateC, vpcId: VPC, cidr: '10.20.11.0/24', zone: `${REGION}c`, tags: { Name: 'private-c' } },
  { id: SUBNET.dataA, vpcId: VPC, cidr: '10.20.20.0/24', zone: `${REGION}a`, tags: { Name: 'data-a' } },
  { id: SUBNET.dataC, vpcId: VPC, cidr: '10.20.21.0/24', zone: `${REGION}c`, tags: { Name: 'data-c' } },
  { id: SUBNET.innerA, vpcId: VPC, cidr: '10.20.30.0/24', zone: `${REGION}a`, tags: { Name: 'inner-a' } },
  { id: SUBNET.legacyA, vpcId: LEGACY_VPC, cidr: '10.30.10.0/24', zone: `${REGION}a`, tags: { Name: 'legacy-a' } },
  { id: SUBNET.legacyC, vpcId: LEGACY_VPC, cidr: '10.30.11.0/24', zone: `${REGION}c`, tags: { Name: 'legacy-c' } },
];

export const PRACTICE_ACLS: readonly LabNetworkAcl[] = [
  openAcl('acl-0a1b2c3d4e5f6c001', VPC, [SUBNET.privateA, SUBNET.privateC, SUBNET.dataA, SUBNET.dataC, SUBNET.innerA]),
  openAcl('acl-0a1b2c3d4e5f6c002', LEGACY_VPC, [SUBNET.legacyA, SUBNET.legacyC]),
];

export const PRACTICE_SECURITY_GROUPS: readonly LabSecurityGroup[] = [
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
    id: GROUP.inner,
    name: 'inner',
    description: 'machines behind the bastion',
    vpcId: VPC,
    ingress: [tcp(22, { groups: [GROUP.bastion] }), tcp(80, { groups: [GROUP.bastion] })],
    egress: [ANYWHERE],
    tags: { Name: 'inner' },
  },
  {
    id: GROUP.vault,
    name: 'vault',
    description: 'what only machines behind the bastion reach',
    vpcId: VPC,
    ingress: [tcp(80, { groups: [GROUP.inner] })],
    egress: [],
    tags: { Name: 'vault' },
  },
  {
    id: GROUP.wiki,
    name: 'wiki',
    description: 'a private web application',
    vpcId: VPC,
    ingress: [tcp(80, { groups: [GROUP.bastion, GROUP.web] })],
    egress: [],
    tags: { Name: 'wiki' },
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
];
