import { type GcpInventory, makeVm } from './inventory.ts';

/**
 * The Google Cloud that people practise on. Every line is there for something to be seen or to go wrong:
 *
 * | name | why |
 * | --- | --- |
 * | web-1 | a machine with services of its own (80 web page, 7 echo, 9 discard, 19 chargen, 22 sshd with OS Login) |
 * | bastion-g | passes port 5432 on to the database `reports`; its sshd takes keys of the metadata |
 * | inner-g | in a subnet that bastion-g alone reaches: sshd and a web page; publishes no host keys |
 * | batch-g | stopped |
 * | closed-1 | no firewall rule lets the tunnel service in: silence |
 * | quiet-1 | let in, and nobody listens: refused |
 * | app, app | two machines of one name, in two zones |
 * | etl-1 | in another project, acme-analytics |
 * | acme-frozen | a project without the Compute API |
 * | reports, shop | PostgreSQL and MySQL with private addresses, in the destination group private-sql |
 * | wiki, vault `.practice.internal` | web pages for the machines of the network / for inner-g alone |
 * | archive-g / public-only | a stopped database / one without a private address |
 * | alice, bob, mallory | may do everything / may not use tunnels / may not even list |
 */
export function practiceProject(): GcpInventory {
  return PRACTICE_PROJECT;
}

export const PRACTICE_PROJECT_ID = 'acme-practice';
const REGION = 'asia-northeast1';
const NETWORK = 'practice-vpc';
/** Where connections of the tunnel service come from (docs/protocol/iap.md, "Firewall, roles"). */
export const IAP_RANGE = '35.235.240.0/20';

const firewall = {
  project: PRACTICE_PROJECT_ID,
  network: NETWORK,
  action: 'allow',
  priority: 1_000,
  disabled: false,
} as const;
const database = {
  project: PRACTICE_PROJECT_ID,
  region: REGION,
  zone: `${REGION}-a`,
  network: NETWORK,
  state: 'RUNNABLE',
  activationPolicy: 'ALWAYS',
  tier: 'db-custom-1-3840',
  createdAt: '2026-06-01T00:00:00.000Z',
  labels: {},
} as const;
export const OPENER = `tunnel-opener@${PRACTICE_PROJECT_ID}.iam.gserviceaccount.com`;
export const DEPLOYER = `deployer@${PRACTICE_PROJECT_ID}.iam.gserviceaccount.com`;
export const FEDERATED = `principal://iam.googleapis.com/projects/100000000001/locations/global/workloadIdentityPools/ci/subject/build`;
const NO_TUNNELS = ['iap.tunnelInstances.accessViaIAP', 'iap.tunnelDestGroups.accessViaIAP'];

const PRACTICE_PROJECT: GcpInventory = {
  projects: [
    { id: PRACTICE_PROJECT_ID, number: '100000000001', name: 'Acme practice', disabledServices: [] },
    { id: 'acme-analytics', number: '100000000002', name: 'Acme analytics', disabledServices: [] },
    { id: 'acme-frozen', number: '100000000003', name: 'Acme frozen', disabledServices: ['compute.googleapis.com'] },
  ],
  zones: ['asia-northeast1-a', 'asia-northeast1-b', 'asia-northeast1-c', 'europe-west4-a'],
  networks: [
    {
      project: PRACTICE_PROJECT_ID,
      name: NETWORK,
      subnets: [
        { name: 'practice-a', region: REGION, cidr: '10.40.0.0/19' },
        { name: 'practice-inner', region: REGION, cidr: '10.41.0.0/24' },
      ],
    },
    {
      project: 'acme-analytics',
      name: 'analytics-vpc',
      subnets: [{ name: 'analytics-a', region: REGION, cidr: '10.50.0.0/20' }],
    },
  ],
  firewalls: [
    { ...firewall, name: 'allow-iap', sourceRanges: [IAP_RANGE], targetTags: ['iap'] },
    { ...firewall, name: 'allow-internal', sourceRanges: ['10.40.0.0/16'], targetTags: ['iap'] },
    {
      ...firewall,
      name: 'allow-bastion',
      sourceRanges: ['10.40.10.11/32'],
      targetTags: ['inner'],
      tcpPorts: [22, 80],
    },
    {
      ...firewall,
      project: 'acme-analytics',
      network: 'analytics-vpc',
      name: 'allow-iap-22-and-80',
      sourceRanges: [IAP_RANGE],
      tcpPorts: [22, 80],
    },
  ],
  instances: [
    makeVm({
      name: 'web-1',
      zone: `${REGION}-a`,
      id: '4100000000000000001',
      ip: '10.40.10.21',
      labels: { role: 'web', env: 'practice' },
      services: { 7: 'echo', 9: 'discard', 11: 'silent', 19: 'chargen', 22: 'ssh', 80: 'web' },
      metadata: { 'enable-oslogin': 'TRUE', 'enable-guest-attributes': 'TRUE' },
    }),
    makeVm({
      name: 'bastion-g',
      zone: `${REGION}-a`,
      id: '4100000000000000002',
      ip: '10.40.10.11',
      labels: { role: 'bastion' },
      serviceAccount: `bastion@${PRACTICE_PROJECT_ID}.iam.gserviceaccount.com`,
      forwards: { 5432: 'orders' },
      services: { 7: 'echo', 9: 'discard', 22: 'ssh' },
      metadata: { 'enable-guest-attributes': 'TRUE' },
    }),
    makeVm({
      name: 'batch-g',
      zone: `${REGION}-b`,
      id: '4100000000000000003',
      ip: '10.40.11.41',
      status: 'TERMINATED',
      labels: { role: 'batch' },
    }),
    makeVm({
      name: 'closed-1',
      zone: `${REGION}-b`,
      id: '4100000000000000004',
      ip: '10.40.11.42',
      tags: [],
      services: { 80: 'web' },
    }),
    makeVm({ name: 'quiet-1', zone: `${REGION}-a`, id: '4100000000000000005', ip: '10.40.10.43', services: {} }),
    makeVm({
      name: 'app',
      zone: `${REGION}-a`,
      id: '4100000000000000006',
      ip: '10.40.10.51',
      labels: { role: 'app' },
      services: { 80: 'web' },
    }),
    makeVm({
      name: 'app',
      zone: `${REGION}-b`,
      id: '4100000000000000007',
      ip: '10.40.11.52',
      labels: { role: 'app' },
      services: { 80: 'web' },
    }),
    makeVm({
      name: 'inner-g',
      zone: `${REGION}-c`,
      id: '4100000000000000008',
      ip: '10.41.0.11',
      subnet: 'practice-inner',
      tags: ['inner'],
      labels: { role: 'inner' },
      services: { 22: 'ssh', 80: 'web' },
    }),
    makeVm({
      project: 'acme-analytics',
      name: 'etl-1',
      zone: `${REGION}-c`,
      id: '4200000000000000001',
      ip: '10.50.1.11',
      network: 'analytics-vpc',
      subnet: 'analytics-a',
      tags: [],
      labels: { role: 'etl' },
      services: { 80: 'web' },
    }),
  ],
  databases: [
    { ...database, name: 'reports', version: 'POSTGRES_15', privateIp: '10.40.32.5', backend: 'orders' },
    { ...database, name: 'shop', version: 'MYSQL_8_0', privateIp: '10.40.32.6', backend: 'prod' },
    {
      ...database,
      name: 'archive-g',
      version: 'POSTGRES_14',
      privateIp: '10.40.32.7',
      activationPolicy: 'NEVER',
      backend: 'orders',
    },
    { ...database, name: 'public-only', version: 'POSTGRES_15', publicIp: '203.0.113.9', backend: 'orders' },
  ],
  destGroups: [
    {
      project: PRACTICE_PROJECT_ID,
      region: REGION,
      name: 'private-sql',
      network: NETWORK,
      cidrs: ['10.40.32.0/24'],
      fqdns: ['reports.practice.internal', '*.sql.practice.internal'],
    },
  ],
  hosts: [
    { name: 'reports.practice.internal', ip: '10.40.32.5', network: NETWORK, services: {} },
    { name: 'shop.sql.practice.internal', ip: '10.40.32.6', network: NETWORK, services: {} },
    { name: 'admin.practice.internal', ip: '10.40.20.80', network: NETWORK, services: { 80: 'web' } },
    { name: 'wiki.practice.internal', ip: '10.40.20.81', network: NETWORK, services: { 80: 'web' } },
    {
      name: 'vault.practice.internal',
      ip: '10.41.0.80',
      network: NETWORK,
      services: { 80: 'web' },
      onlyFrom: ['10.41.0.11/32'],
    },
  ],
  people: [
    { email: 'alice@example.com', kind: 'user', denied: [], impersonates: [OPENER] },
    {
      email: 'bob@example.com',
      kind: 'user',
      denied: NO_TUNNELS.map((permission) => ({ permission })),
      impersonates: [],
    },
    { email: 'mallory@example.com', kind: 'user', denied: [{ permission: '*' }], impersonates: [] },
    { email: 'admin@example.com', kind: 'user', denied: [], impersonates: [] },
    { email: DEPLOYER, kind: 'service-account', denied: [], impersonates: [OPENER] },
    { email: OPENER, kind: 'service-account', denied: [], impersonates: [] },
    {
      email: `bastion@${PRACTICE_PROJECT_ID}.iam.gserviceaccount.com`,
      kind: 'service-account',
      denied: [],
      impersonates: [],
    },
    { email: FEDERATED, kind: 'federated', denied: [], impersonates: [OPENER] },
  ],
};
