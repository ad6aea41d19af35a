import type { LabServices } from '../loopback-services.ts';
import type { MachineSystem } from '../ssh/ssh-machine.ts';
import type { Inventory, LabAgent, Tags } from './inventory.ts';

/** A machine as Systems Manager sees it: EC2 or hybrid. */
export interface RegisteredNode {
  readonly id: string;
  readonly name: string;
  readonly ip: string;
  readonly computerName: string;
  readonly kind: 'EC2Instance' | 'ManagedInstance';
  readonly registeredAt: string;
  readonly tags: Tags;
  readonly agent: LabAgent;
  /** The agent is connected and the machine runs. */
  readonly isOnline: boolean;
  readonly services: LabServices;
  readonly system: MachineSystem;
}

/** Every machine that is registered with Systems Manager; terminated ones are forgotten. */
export function registeredNodes(inventory: Inventory): readonly RegisteredNode[] {
  const nodes: RegisteredNode[] = [];
  for (const { id, name, agent, state, privateIp, tags, launchedAt, services, system } of inventory.instances) {
    if (agent === undefined || state === 'terminated') continue;
    nodes.push({
      id,
      name,
      agent,
      services,
      tags: { Name: name, ...tags },
      ip: privateIp,
      computerName: privateDnsName(inventory, privateIp),
      kind: 'EC2Instance',
      registeredAt: launchedAt,
      isOnline: agent.online && state === 'running',
      system: system ?? 'amazon-linux',
    });
  }
  for (const { id, name, agent, ip, tags, registeredAt, services } of inventory.hybridNodes) {
    const computerName = `${name}.example.internal`;
    const isOnline = agent.online;
    const system = 'amazon-linux';
    const kind = 'ManagedInstance';
    nodes.push({ id, name, agent, services, tags, ip, computerName, kind, registeredAt, isOnline, system });
  }
  return nodes;
}

/** `ip-10-20-10-11.ap-northeast-1.compute.internal` */
export function privateDnsName(inventory: Pick<Inventory, 'region'>, ip: string): string {
  return `ip-${ip.replaceAll('.', '-')}.${inventory.region}.compute.internal`;
}
