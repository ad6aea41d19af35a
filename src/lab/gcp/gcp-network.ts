import { BlockList, isIP, isIPv4 } from 'node:net';
import { matchesPattern } from '../core/wildcard.ts';
import type { LabBackend, LabService, LabServices, LoopbackAddress } from '../loopback-services.ts';
import type { GcpDestGroup, GcpInstance, GcpInventory } from './inventory.ts';
import { mayDo } from './permissions.ts';
import { IAP_RANGE } from './practice-project.ts';
import type { HostTarget, InstanceTarget, RelayTarget } from './relay/core/relay-request.ts';
import type { RelayDestination } from './relay/relay-desk.ts';

export interface GcpNetworkOptions {
  readonly inventory: () => GcpInventory;
  /** Where a database server of the lab listens; starts it on first use. */
  readonly database: (backend: LabBackend) => Promise<LoopbackAddress>;
  /** Where a service of a machine listens; starts it on first use. */
  readonly service: (machine: string, service: LabService) => Promise<LoopbackAddress>;
}

/**
 * What the tunnel service meets behind a target: identity, names, firewalls and machines decide, as at Google. What a firewall does
 * not let through is silent, what nobody listens to is refused, and a stopped machine is not found.
 */
export class GcpLabNetwork {
  readonly #options: GcpNetworkOptions;
  readonly #attached = new Map<string, LoopbackAddress>();

  constructor(options: GcpNetworkOptions) {
    this.#options = options;
  }

  /** Puts a server of the caller's own on a port of a machine (by its name) or host. Returns how to take it away. */
  attach(machineOrHost: string, port: number, address: LoopbackAddress): () => void {
    const key = `${machineOrHost}:${port}`;
    this.#attached.set(key, address);
    return () => void this.#attached.delete(key);
  }

  readonly resolve = async (target: RelayTarget, email: string): Promise<RelayDestination> => {
    const inventory = this.#options.inventory();
    // A project that does not exist looks like a missing permission.
    if (!inventory.projects.some(({ id }) => id === target.project)) return { kind: 'denied' };
    return target.kind === 'instance'
      ? await this.#instance(inventory, target, email)
      : await this.#host(inventory, target, email);
  };

  async #instance(inventory: GcpInventory, target: InstanceTarget, email: string): Promise<RelayDestination> {
    const { project, zone, instance: name, port } = target;
    const resource = `projects/${project}/iap_tunnel/zones/${zone}/instances/${name}`;
    if (!mayDo(inventory, email, 'iap.tunnelInstances.accessViaIAP', resource)) return { kind: 'denied' };
    const found = inventory.instances.find(
      (one) => one.project === project && one.zone === zone && (one.name === name || one.id === name),
    );
    if (found === undefined || found.status !== 'RUNNING') return { kind: 'unknown' };
    if (target.networkInterface !== 'nic0') return { kind: 'unknown' };
    if (!admitsTunnels(inventory, found, port)) return { kind: 'silent' };
    const backend = found.forwards[port];
    return await this.#open(found.name, port, found.services, backend);
  }

  async #host(inventory: GcpInventory, target: HostTarget, email: string): Promise<RelayDestination> {
    const group = groupOf(inventory, target);
    const resource = `projects/${target.project}/iap_tunnel/locations/${target.region}/destGroups/${group?.name ?? '-'}`;
    if (group === undefined || !mayDo(inventory, email, 'iap.tunnelDestGroups.accessViaIAP', resource)) {
      return { kind: 'denied' };
    }
    // A network may be given as a path.
    if (target.network.split('/').at(-1) !== group.network) return { kind: 'unknown' };
    const host = inventory.hosts.find(({ name }) => name === target.host);
    const ip = isIP(target.host) === 0 ? host?.ip : target.host;
    if (ip === undefined) return { kind: 'unknown' };
    const database = inventory.databases.find((one) => one.privateIp === ip && one.network === group.network);
    if (database !== undefined) {
      const isUp = database.state === 'RUNNABLE' && database.activationPolicy === 'ALWAYS';
      if (!isUp) return { kind: 'silent' };
      const isOwnPort = target.port === databasePort(database.version);
      return await this.#open(database.name, target.port, {}, isOwnPort ? database.backend : undefined);
    }
    const machine = inventory.instances.find((one) => one.ip === ip && one.status === 'RUNNING');
    const services = (host ?? inventory.hosts.find((one) => one.ip === ip))?.services ?? machine?.services;
    if (services === undefined) return { kind: 'silent' };
    return await this.#open(machine?.name ?? host?.name ?? ip, target.port, services, undefined);
  }

  async #open(
    name: string,
    port: number,
    services: LabServices,
    backend: LabBackend | undefined,
  ): Promise<RelayDestination> {
    const attached = this.#attached.get(`${name}:${port}`);
    if (attached !== undefined) return { kind: 'address', ...attached };
    if (backend !== undefined) return { kind: 'address', ...(await this.#options.database(backend)) };
    const service = services[port];
    if (service === undefined) return { kind: 'refused' };
    return { kind: 'address', ...(await this.#options.service(name, service)) };
  }
}

export const databasePort = (version: string): number =>
  version.startsWith('MYSQL') ? 3306 : version.startsWith('SQLSERVER') ? 1433 : 5432;

/** Whether connections of the tunnel service pass the firewall of the machine's network. */
export function admitsTunnels(inventory: GcpInventory, to: GcpInstance, port: number): boolean {
  const [first] = inventory.firewalls
    .filter((rule) => rule.project === to.project && rule.network === to.network && !rule.disabled)
    .filter((rule) => rule.targetTags === undefined || rule.targetTags.some((tag) => to.tags.includes(tag)))
    .filter((rule) => rule.sourceRanges.some((range) => covers(range, IAP_RANGE)))
    .filter(
      ({ tcpPorts }) =>
        tcpPorts === undefined ||
        tcpPorts.some((one) => (typeof one === 'number' ? one === port : port >= one[0] && port <= one[1])),
    )
    // A deny goes before an allow of the same priority.
    .sort((a, b) => a.priority - b.priority || (a.action === 'deny' ? -1 : 1));
  return first?.action === 'allow';
}

function covers(range: string, inner: string): boolean {
  const [base = '', bits = '32'] = range.split('/');
  const [start = '', innerBits = '32'] = inner.split('/');
  if (!isIPv4(base) || !isIPv4(start) || Number(bits) > Number(innerBits)) return false;
  return inRange(range, start);
}

function inRange(range: string, ip: string): boolean {
  const [base = '', bits = '32'] = range.split('/');
  if (!isIPv4(base) || !isIPv4(ip)) return false;
  const block = new BlockList();
  block.addSubnet(base, Number(bits), 'ipv4');
  return block.check(ip);
}

/** The destination group that holds the host: the named one, or any of the region. */
function groupOf(inventory: GcpInventory, target: HostTarget): GcpDestGroup | undefined {
  return inventory.destGroups.find(
    (group) =>
      group.project === target.project &&
      group.region === target.region &&
      (target.group === undefined || target.group === group.name) &&
      (group.cidrs.some((cidr) => inRange(cidr, target.host)) ||
        group.fqdns.some((pattern) => matchesPattern(pattern, target.host))),
  );
}
