import { BlockList, isIP, isIPv4 } from 'node:net';
import { matchesPattern } from '../core/wildcard.ts';
import type { Destination } from '../destination.ts';
import type { LabBackend, LabService, LabServices, LoopbackAddress } from '../loopback-services.ts';
import { BoundPorts } from '../ssh/bound-ports.ts';
import type { AuditLog, TunnelAuthorization } from './audit-log.ts';
import type { GcpIam } from './iam/gcp-iam.ts';
import type { GcpDatabase, GcpDestGroup, GcpInstance, GcpInventory } from './inventory.ts';
import { IAP_RANGE } from './practice-project.ts';
import type { HostTarget, InstanceTarget, RelayTarget } from './relay/core/relay-request.ts';
import type { RelayDestination } from './relay/relay-desk.ts';

export interface GcpNetworkOptions {
  readonly inventory: () => GcpInventory;
  readonly iam: GcpIam;
  readonly audit: AuditLog;
  /** Where a database server of the lab listens; starts it on first use. */
  readonly database: (backend: LabBackend) => Promise<LoopbackAddress>;
  /** Where a service of a machine listens; starts it on first use. */
  readonly service: (machine: string, service: LabService) => Promise<LoopbackAddress>;
  /** Where the sshd of a machine listens; undefined when nobody does. */
  readonly ssh: (machineId: string) => Promise<LoopbackAddress> | undefined;
}

/**
 * What the tunnel service meets behind a target: identity, names, firewalls and machines decide, as at Google. What a firewall does
 * not let through is silent, what nobody listens to is refused, and a stopped machine is not found.
 */
export class GcpLabNetwork {
  readonly #options: GcpNetworkOptions;
  readonly #attached = new Map<string, LoopbackAddress>();
  /** Remote forwards of the machines' sshd. */
  readonly ports = new BoundPorts();

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

  /** Whether somebody may open a websocket to a target, or another one after the first broke. */
  readonly mayReturn = (target: RelayTarget, email: string): boolean => this.#authorize(target, email);

  async #instance(inventory: GcpInventory, target: InstanceTarget, email: string): Promise<RelayDestination> {
    if (!this.#authorize(target, email)) return { kind: 'denied' };
    const found = machineOf(inventory, target);
    if (found === undefined || found.status !== 'RUNNING') return { kind: 'unknown' };
    if (target.networkInterface !== 'nic0') return { kind: 'unknown' };
    if (!admitsTunnels(inventory, found, target.port)) return { kind: 'silent' };
    return await this.#openMachine(found, target.port, true);
  }

  /** What a connection from one of the machines meets; without a host, a port of its own. */
  async fromMachine(machineId: string, host: string | undefined, port: number): Promise<Destination> {
    const inventory = this.#options.inventory();
    const from = inventory.instances.find(({ id }) => id === machineId);
    if (from === undefined) return { kind: 'silent' };
    const name = host?.toLowerCase().replace(/\.$/, '');
    if (name === undefined || isOwnName(name, from)) return await this.#openMachine(from, port, false);
    const attached = this.#attached.get(`${name}:${port}`);
    if (attached !== undefined) return { kind: 'address', ...attached };
    const ip = isIPv4(name) ? name : addressOf(inventory, from, name);
    if (ip === undefined) return { kind: 'unknown-name' };
    const database = inventory.databases.find((one) => one.privateIp === ip && one.network === from.network);
    if (database !== undefined) return await this.#database(database, port);
    const machine = inventory.instances.find((one) => one.ip === ip && one.network === from.network);
    if (machine !== undefined) {
      const isOpen = machine.status === 'RUNNING' && admits(inventory, machine, port, `${from.ip}/32`);
      return isOpen ? await this.#openMachine(machine, port, true) : { kind: 'silent' };
    }
    const other = inventory.hosts.find((one) => one.ip === ip && one.network === from.network);
    const isOpen = other?.onlyFrom === undefined || other.onlyFrom.some((range) => inRange(range, from.ip));
    if (other === undefined || !isOpen) return { kind: 'silent' };
    return await this.#open(other.name, port, other.services, undefined);
  }

  async #host(inventory: GcpInventory, target: HostTarget, email: string): Promise<RelayDestination> {
    const isAllowed = this.#authorize(target, email);
    const group = groupOf(inventory, target);
    if (group === undefined || !isAllowed) return { kind: 'denied' };
    // A network may be given as a path.
    if (target.network.split('/').at(-1) !== group.network) return { kind: 'unknown' };
    const host = inventory.hosts.find(({ name }) => name === target.host);
    const ip = isIP(target.host) === 0 ? host?.ip : target.host;
    if (ip === undefined) return { kind: 'unknown' };
    const database = inventory.databases.find((one) => one.privateIp === ip && one.network === group.network);
    if (database !== undefined) return await this.#database(database, target.port);
    const machine = inventory.instances.find((one) => one.ip === ip && one.status === 'RUNNING');
    const known = host ?? inventory.hosts.find((one) => one.ip === ip);
    const services = known?.services ?? machine?.services;
    if (services === undefined) return { kind: 'silent' };
    return await this.#open(machine?.name ?? host?.name ?? ip, target.port, services, undefined, machine?.id);
  }

  /** Judges one websocket, and writes the entry that the audit log has of it. */
  #authorize(target: RelayTarget, email: string): boolean {
    const { iam, audit, inventory } = this.#options;
    const { project: projectId, port } = target;
    const asked = askedOf(inventory(), target);
    const { resource, permission, resourceType, ip } = asked;
    const granted = iam.may(email, permission, resource, {
      destinationPort: port,
      ...(ip === undefined ? {} : { destinationIp: ip }),
      resourceType,
      resourceService: 'iap.googleapis.com',
    });
    const number = inventory().projects.find(({ id }) => id === projectId)?.number ?? projectId;
    const inNumbers = resource
      .replace(/^projects\/[^/]+/, `projects/${number}`)
      .replace(/\/instances\/.*$/, `/instances/${asked.instance?.id ?? ''}`);
    audit.authorizeUser({
      ...asked,
      resource: inNumbers,
      projectId,
      email,
      granted,
      port,
      accessLevels: iam.accessLevelsOf(email),
    });
    return granted;
  }

  async #database(database: GcpDatabase, port: number): Promise<RelayDestination & Destination> {
    const isUp = database.state === 'RUNNABLE' && database.activationPolicy === 'ALWAYS';
    if (!isUp) return { kind: 'silent' };
    const isOwnPort = port === databasePort(database.version);
    return await this.#open(database.name, port, {}, isOwnPort ? database.backend : undefined);
  }

  async #openMachine(one: GcpInstance, port: number, isRemote: boolean): Promise<RelayDestination & Destination> {
    const bound = this.ports.find(one.id, port, isRemote);
    if (bound !== undefined) return { kind: 'address', ...bound };
    return await this.#open(one.name, port, one.services, one.forwards[port], one.id);
  }

  async #open(
    name: string,
    port: number,
    services: LabServices,
    backend: LabBackend | undefined,
    machineId?: string,
  ): Promise<RelayDestination & Destination> {
    const attached = this.#attached.get(`${name}:${port}`);
    if (attached !== undefined) return { kind: 'address', ...attached };
    if (backend !== undefined) return { kind: 'address', ...(await this.#options.database(backend)) };
    const service = services[port];
    const sshd = service === 'ssh' && machineId !== undefined ? this.#options.ssh(machineId) : undefined;
    if (sshd !== undefined) return { kind: 'address', ...(await sshd) };
    if (service === undefined || service === 'ssh') return { kind: 'refused' };
    return { kind: 'address', ...(await this.#options.service(name, service)) };
  }
}

export const databasePort = (version: string): number =>
  version.startsWith('MYSQL') ? 3306 : version.startsWith('SQLSERVER') ? 1433 : 5432;

/** Whether connections of the tunnel service pass the firewall of the machine's network. */
export const admitsTunnels = (inventory: GcpInventory, to: GcpInstance, port: number): boolean =>
  admits(inventory, to, port, IAP_RANGE);

/** @param source CIDR block that connections come from */
function admits(inventory: GcpInventory, to: GcpInstance, port: number, source: string): boolean {
  const [first] = inventory.firewalls
    .filter((rule) => rule.project === to.project && rule.network === to.network && !rule.disabled)
    .filter((rule) => rule.targetTags === undefined || rule.targetTags.some((tag) => to.tags.includes(tag)))
    .filter((rule) => rule.sourceRanges.some((range) => covers(range, source)))
    .filter(
      ({ tcpPorts }) =>
        tcpPorts === undefined ||
        tcpPorts.some((one) => (typeof one === 'number' ? one === port : port >= one[0] && port <= one[1])),
    )
    // A deny goes before an allow of the same priority.
    .sort((a, b) => a.priority - b.priority || (a.action === 'deny' ? -1 : 1));
  return first?.action === 'allow';
}

const isOwnName = (host: string, one: GcpInstance): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host) || host === one.name || host === one.ip;

/** The address of a name, as the resolver of the machine's network answers it. */
function addressOf(inventory: GcpInventory, from: GcpInstance, name: string): string | undefined {
  const host = inventory.hosts.find((one) => one.name === name && one.network === from.network);
  if (host !== undefined) return host.ip;
  const place = (one: GcpInstance) => `${one.zone}.c.${one.project}.internal`;
  return inventory.instances.find(
    (one) =>
      one.network === from.network &&
      (name === `${one.name}.${place(one)}` || (name === one.name && place(one) === place(from))),
  )?.ip;
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

function machineOf(inventory: GcpInventory, { project, zone, instance }: InstanceTarget): GcpInstance | undefined {
  return inventory.instances.find(
    (one) => one.project === project && one.zone === zone && (one.name === instance || one.id === instance),
  );
}

/** What permission a websocket takes, on what. */
function askedOf(
  inventory: GcpInventory,
  target: RelayTarget,
): Pick<TunnelAuthorization, 'permission' | 'resource' | 'resourceType' | 'ip' | 'instance'> {
  if (target.kind === 'instance') {
    const { project, zone } = target;
    const found = machineOf(inventory, target);
    return {
      permission: 'iap.tunnelInstances.accessViaIAP',
      resource: `projects/${project}/iap_tunnel/zones/${zone}/instances/${target.instance}`,
      resourceType: 'iap.googleapis.com/TunnelInstance',
      ip: found?.ip,
      ...(found === undefined ? {} : { instance: { id: found.id, zone } }),
    };
  }
  const { project, region } = target;
  const group = groupOf(inventory, target)?.name ?? '-';
  return {
    permission: 'iap.tunnelDestGroups.accessViaIAP',
    resource: `projects/${project}/iap_tunnel/locations/${region}/destGroups/${group}`,
    resourceType: 'iap.googleapis.com/TunnelDestGroup',
    ip: isIP(target.host) === 0 ? inventory.hosts.find(({ name }) => name === target.host)?.ip : target.host,
  };
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
