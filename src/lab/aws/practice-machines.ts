import type { LabServices } from '../loopback-services.ts';
import { type LabHost, type LabHybridNode, type LabInstance, makeAgent, makeInstance } from './inventory.ts';
import { GROUP, SUBNET } from './practice-network.ts';

/** The practice account's machines (practice-account.ts says what each is there for). */
const USUAL_SERVICES: LabServices = { 7: 'echo', 9: 'discard' };

export const PRACTICE_INSTANCES: readonly LabInstance[] = [
  makeInstance({
    id: 'i-0a1b2c3d4e5f60001',
    name: 'bastion-a',
    privateIp: '10.20.10.11',
    subnetId: SUBNET.privateA,
    securityGroupIds: [GROUP.bastion],
    tags: { role: 'bastion' },
    launchedAt: '2026-11-02T00:30:00.000Z',
    services: { ...USUAL_SERVICES, 22: 'ssh' },
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
    services: { ...USUAL_SERVICES, 19: 'chargen', 22: 'ssh', 80: 'web' },
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
  makeInstance({
    id: 'i-0a1b2c3d4e5f6000a',
    name: 'inner-1',
    privateIp: '10.20.30.11',
    subnetId: SUBNET.innerA,
    securityGroupIds: [GROUP.inner],
    tags: { role: 'inner' },
    agent: undefined,
    system: 'ubuntu',
    users: ['deploy'],
    services: { 22: 'ssh', 80: 'web' },
  }),
];

export const PRACTICE_HYBRID_NODES: readonly LabHybridNode[] = [
  {
    id: 'mi-0a1b2c3d4e5f60001',
    name: 'onprem-1',
    ip: '192.0.2.15',
    tags: { site: 'osaka' },
    registeredAt: '2026-06-01T00:00:00.000Z',
    agent: makeAgent(),
    services: { ...USUAL_SERVICES, 80: 'web' },
  },
];

export const PRACTICE_HOSTS: readonly LabHost[] = [
  {
    name: 'admin.internal',
    privateIp: '10.20.10.80',
    subnetId: SUBNET.privateA,
    securityGroupIds: [GROUP.web],
    services: { 80: 'web' },
  },
  {
    name: 'wiki.internal',
    privateIp: '10.20.10.81',
    subnetId: SUBNET.privateA,
    securityGroupIds: [GROUP.wiki],
    services: { 80: 'web' },
  },
  {
    name: 'vault.internal',
    privateIp: '10.20.30.80',
    subnetId: SUBNET.innerA,
    securityGroupIds: [GROUP.vault],
    services: { 80: 'web' },
  },
];
