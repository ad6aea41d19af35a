import { BlockList, isIPv4 } from 'node:net';
import type { Destination, DestinationQuery } from '../destination.ts';
import type { LabBackend, LabService, LabServices, LoopbackAddress } from '../loopback-services.ts';
import { BoundPorts } from '../ssh/bound-ports.ts';
import type { Inventory, LabInstance, LabNetworkAcl, LabRule } from './inventory.ts';
import { privateDnsName } from './managed-nodes.ts';

export interface LabNetworkOptions {
  readonly inventory: () => Inventory;
  /** Where a database server of the lab listens; starts it on first use. */
  readonly database: (backend: LabBackend) => Promise<LoopbackAddress>;
  /** Where a service of a machine listens; starts it on first use. */
  readonly service: (machine: string, service: LabService) => Promise<LoopbackAddress>;
  /** Where the sshd of a machine listens; undefined when nobody does. */
  readonly ssh: (machineId: string) => Promise<LoopbackAddress> | undefined;
}

/** Something with an address inside the practice cloud. */
interface Machine {
  readonly ip: string;
  readonly securityGroupIds: readonly string[];
  readonly isUp: boolean;
  /** What listens there, if anything; `isRemote` when another machine asks. */
  readonly open: (port: number, isRemote: boolean) => Promise<LoopbackAddress> | undefined;
}

/** A database in one of these states has an address, and nobody answers there. */
const SILENT_DATABASE = /^(stopped|stopping|starting|creating|deleting|failed|storage-full|inaccessible.*)$/;

/**
 * The inside of the practice cloud: names, routes, security groups and network ACLs decide what a node can reach, as in a VPC. What is
 * not let through is silent, what nobody listens to is refused.
 */
export class LabNetwork {
  readonly #options: LabNetworkOptions;
  readonly #attached = new Map<string, LoopbackAddress>();
  /** Remote forwards of the machines' sshd. */
  readonly ports = new BoundPorts();

  constructor(options: LabNetworkOptions) {
    this.#options = options;
  }

  /**
   * Puts a server of the caller's own into the cloud: on a port of a node (by its id or name), or behind a host name that every node
   * then reaches. Returns how to take it away.
   */
  attach(nodeOrHost: string, port: number, address: LoopbackAddress): () => void {
    const key = attachedKey(nodeOrHost, port);
    this.#attached.set(key, address);
    return () => void this.#attached.delete(key);
  }

  /** What the node's agent meets when it dials; the gateway asks once per session. */
  readonly resolve = async (query: DestinationQuery): Promise<Destination> => {
    const inventory = this.#options.inventory();
    const { targetId, port } = query;
    const host = query.host?.toLowerCase().replace(/\.$/, '');
    if (host === undefined || isOwnName(host)) {
      const machine = this.#nodeItself(inventory, targetId);
      return machine === undefined ? { kind: 'silent' } : await answerOf(machine, port, false);
    }
    const attached = this.#attached.get(attachedKey(host, port));
    if (attached !== undefined) return { kind: 'address', ...attached };
    const ip = isIPv4(host) ? host : addressOf(inventory, host);
    if (ip === undefined) return { kind: 'unknown-name' };
    const machine = this.#machineAt(inventory, ip);
    const from = inventory.instances.find((one) => one.id === targetId);
    if (machine === undefined || from === undefined) return { kind: 'silent' };
    if (!machine.isUp || !mayReach(inventory, from, machine, port)) return { kind: 'silent' };
    return await answerOf(machine, port, true);
  };

  /** CIDR blocks of a node's network, whose reserved addresses its agent refuses to forward to. */
  vpcCidrs(targetId: string): readonly string[] {
    const inventory = this.#options.inventory();
    const subnetId = inventory.instances.find((one) => one.id === targetId)?.subnetId;
    const vpcId = inventory.subnets.find((one) => one.id === subnetId)?.vpcId;
    return inventory.vpcs.filter((one) => one.id === vpcId).map((one) => one.cidr);
  }

  #nodeItself(inventory: Inventory, targetId: string): Machine | undefined {
    const hybrid = inventory.hybridNodes.find((one) => one.id === targetId);
    if (hybrid) return this.#server(hybrid.id, hybrid.name, hybrid.ip, [], true, hybrid.services);
    const instance = inventory.instances.find((one) => one.id === targetId);
    return instance && this.#instance(instance);
  }

  #instance(one: LabInstance): Machine {
    return this.#server(one.id, one.name, one.privateIp, one.securityGroupIds, one.state === 'running', one.services);
  }

  #server(
    id: string,
    name: string,
    ip: string,
    securityGroupIds: readonly string[],
    isUp: boolean,
    services: LabServices,
  ): Machine {
    const open = (port: number, isRemote: boolean) => {
      const attached = this.#attached.get(attachedKey(id, port)) ?? this.#attached.get(attachedKey(name, port));
      if (attached !== undefined) return Promise.resolve(attached);
      const bound = this.ports.find(id, port, isRemote);
      if (bound !== undefined) return Promise.resolve(bound);
      const service = services[port];
      if (service === 'ssh') return this.#options.ssh(id);
      return service === undefined ? undefined : this.#options.service(name, service);
    };
    return { ip, securityGroupIds, isUp, open };
  }

  #machineAt(inventory: Inventory, ip: string): Machine | undefined {
    const instance = inventory.instances.find((one) => one.privateIp === ip && one.state !== 'terminated');
    if (instance) return this.#instance(instance);
    const host = inventory.hosts.find((one) => one.privateIp === ip);
    if (host) return this.#server(host.name, host.name, ip, host.securityGroupIds, true, host.services);
    const proxy = inventory.proxies.find((one) => one.privateIp === ip);
    const database = inventory.databases.find((one) => (proxy ? one.id === proxy.databaseId : one.privateIp === ip));
    if (database === undefined) return undefined;
    return {
      ip,
      securityGroupIds: (proxy ?? database).securityGroupIds,
      isUp: !SILENT_DATABASE.test(database.status) && (proxy === undefined || proxy.status === 'available'),
      open: (port) => (port === database.port ? this.#options.database(database.backend) : undefined),
    };
  }
}

const attachedKey = (owner: string, port: number): string => `${owner.toLowerCase()}:${port}`;

const isOwnName = (host: string): boolean =>
  host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

async function answerOf(machine: Machine, port: number, isRemote: boolean): Promise<Destination> {
  const address = await machine.open(port, isRemote);
  if (address === undefined) return { kind: 'refused' };
  return { kind: 'address', host: address.host, port: address.port, ...(isRemote ? { privateIp: machine.ip } : {}) };
}

/** The private address of a name, as the resolver of the VPC answers it now. */
function addressOf(inventory: Inventory, name: string): string | undefined {
  for (const one of inventory.databases) if (one.host.toLowerCase() === name) return one.privateIp;
  for (const cluster of inventory.clusters) {
    const members = inventory.databases.filter((one) => one.clusterId === cluster.id);
    const writer = members.find((one) => one.id === cluster.writerId);
    if (cluster.host.toLowerCase() === name) return writer?.privateIp;
    // Without a reader the reader endpoint leads to the writer.
    if (cluster.readerHost.toLowerCase() === name) return (members.find((one) => one !== writer) ?? writer)?.privateIp;
  }
  for (const proxy of inventory.proxies) {
    if ([proxy, ...proxy.endpoints].some((one) => one.host.toLowerCase() === name)) return proxy.privateIp;
  }
  for (const one of inventory.hosts) if (one.name.toLowerCase() === name) return one.privateIp;
  return inventory.instances.find((one) => privateDnsName(inventory, one.privateIp) === name)?.privateIp;
}

/** Whether packets of a TCP connection to the port pass in both directions. Written apart from the client's own reasoning. */
export function mayReach(
  inventory: Inventory,
  from: Pick<LabInstance, 'privateIp' | 'securityGroupIds'>,
  to: { readonly ip: string; readonly securityGroupIds: readonly string[] },
  port: number,
): boolean {
  const fromSubnet = inventory.subnets.find((one) => contains(one.cidr, from.privateIp));
  const toSubnet = inventory.subnets.find((one) => contains(one.cidr, to.ip));
  if (fromSubnet === undefined || toSubnet === undefined || fromSubnet.vpcId !== toSubnet.vpcId) return false;
  const groups = (ids: readonly string[]) => inventory.securityGroups.filter((group) => ids.includes(group.id));
  const leaves = groups(from.securityGroupIds).some((group) =>
    group.egress.some((rule) => admits(rule, port, to.ip, to.securityGroupIds)),
  );
  const enters = groups(to.securityGroupIds).some((group) =>
    group.ingress.some((rule) => admits(rule, port, from.privateIp, from.securityGroupIds)),
  );
  if (!leaves || !enters) return false;
  // Inside one subnet no network ACL is passed.
  if (fromSubnet.id === toSubnet.id) return true;
  const acl = (subnetId: string) => inventory.networkAcls.find((one) => one.subnetIds.includes(subnetId));
  return (
    passes(acl(fromSubnet.id), true, to.ip, port) &&
    passes(acl(toSubnet.id), false, from.privateIp, port) &&
    passes(acl(toSubnet.id), true, from.privateIp, EPHEMERAL_PORT) &&
    passes(acl(fromSubnet.id), false, to.ip, EPHEMERAL_PORT)
  );
}

/** Stands for the port that the answers go back to. */
const EPHEMERAL_PORT = 45_000;

function admits(rule: LabRule, port: number, ip: string, groupIds: readonly string[]): boolean {
  if (rule.protocol !== '-1' && rule.protocol !== 'tcp') return false;
  if (rule.protocol === 'tcp' && rule.ports !== undefined && (port < rule.ports[0] || port > rule.ports[1]))
    return false;
  return (
    (rule.cidrs ?? []).some((cidr) => contains(cidr, ip)) ||
    (rule.groups ?? []).some((group) => groupIds.includes(group))
  );
}

function passes(acl: LabNetworkAcl | undefined, egress: boolean, peerIp: string, port: number): boolean {
  const first = (acl?.entries ?? [])
    .filter((entry) => entry.egress === egress && entry.protocol !== '17' && contains(entry.cidr, peerIp))
    .filter((entry) => entry.ports === undefined || (port >= entry.ports[0] && port <= entry.ports[1]))
    .sort((a, b) => a.number - b.number)[0];
  return first?.allow ?? false;
}

function contains(cidr: string, ip: string): boolean {
  const [base = '', bits = ''] = cidr.split('/');
  if (!isIPv4(base) || !isIPv4(ip)) return false;
  const block = new BlockList();
  block.addSubnet(base, Number(bits), 'ipv4');
  return block.check(ip);
}
