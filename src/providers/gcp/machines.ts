import type { MachineTarget } from '../../domain/target.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';
import { type GcpApi, path } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';

/** An instance as the Compute API writes it, as far as we read it. */
interface Instance {
  readonly id?: string;
  readonly name?: string;
  readonly zone?: string;
  readonly status?: string;
  readonly creationTimestamp?: string;
  readonly lastStartTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tags?: { readonly items?: readonly string[] };
  readonly serviceAccounts?: readonly { readonly email?: string }[];
  readonly networkInterfaces?: readonly {
    readonly name?: string;
    readonly network?: string;
    readonly subnetwork?: string;
    readonly networkIP?: string;
    readonly ipv6Address?: string;
  }[];
}

export interface Interface {
  /** `nic0` */
  readonly name: string;
  /** `projects/acme/global/networks/default` */
  readonly network: string | undefined;
  readonly subnet: string | undefined;
  readonly addresses: readonly string[];
}

export interface Machine {
  readonly target: MachineTarget;
  /** The number that Compute Engine gave it. */
  readonly number: string | undefined;
  /** The API's own word: RUNNING, STAGING, TERMINATED … */
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Network tags: what firewall rules aim at. */
  readonly tags: readonly string[];
  readonly serviceAccounts: readonly string[];
  readonly interfaces: readonly Interface[];
  /** Wall clock of its last start, or of its creation. */
  readonly startedAt: number;
}

const STOPPED = ['TERMINATED', 'STOPPED', 'STOPPING', 'SUSPENDING', 'SUSPENDED', 'DEPROVISIONING', 'PENDING_STOP'];

/** `https://…/compute/v1/projects/acme/global/networks/default` → from `projects/` on */
export const resourcePath = (url: string | undefined): string | undefined =>
  /(projects\/.+)$/.exec(url ?? '')?.[1] ?? (url || undefined);

export const lastPart = (url: string | undefined): string | undefined => url?.split('/').at(-1) || undefined;

export function machineOf(instance: Instance, project: string): Machine {
  const zone = lastPart(instance.zone) ?? '';
  const name = instance.name ?? instance.id ?? '';
  const status = instance.status ?? 'UNKNOWN';
  const interfaces: Interface[] = (instance.networkInterfaces ?? []).map((each, index) => ({
    name: each.name ?? `nic${index}`,
    network: resourcePath(each.network),
    addresses: [each.networkIP, each.ipv6Address].flatMap((address) => address || []),
    subnet: resourcePath(each.subnetwork),
  }));
  const machine = {
    number: instance.id,
    status,
    labels: instance.labels ?? {},
    tags: instance.tags?.items ?? [],
    serviceAccounts: (instance.serviceAccounts ?? []).flatMap(({ email }) => email ?? []),
    interfaces,
    startedAt: parseIsoTime(instance.lastStartTimestamp ?? instance.creationTimestamp ?? '') ?? 0,
  };
  const target: MachineTarget = {
    kind: 'machine',
    provider: 'gcp',
    id: `${project}/${zone}/${name}`,
    name,
    state: status === 'RUNNING' ? 'running' : STOPPED.includes(status) ? 'stopped' : 'other',
    project,
    zone,
    ...interfaceFields(interfaces[0]),
  };
  return { ...machine, target };
}

function interfaceFields(chosen: Interface | undefined) {
  return {
    networkInterface: chosen?.name ?? 'nic0',
    ...(chosen?.addresses[0] === undefined ? {} : { privateIp: chosen.addresses[0] }),
    ...(chosen?.network === undefined ? {} : { networkId: chosen.network }),
    ...(chosen?.subnet === undefined ? {} : { subnetId: chosen.subnet }),
  };
}

/** The same machine, reached by the interface that holds an address. */
export function atAddress(machine: Machine, address: string): Machine {
  const chosen = machine.interfaces.find(({ addresses }) => addresses.includes(address));
  if (chosen === undefined) return machine;
  return { ...machine, target: { ...machine.target, ...interfaceFields(chosen), privateIp: address } };
}

/** What is known of an instance that nobody was asked about. */
export function unseenMachine(project: string, zone: string, instance: string): MachineTarget {
  return {
    kind: 'machine',
    provider: 'gcp',
    id: `${project}/${zone}/${instance}`,
    name: instance,
    state: 'other',
    project,
    zone,
    networkInterface: 'nic0',
  };
}

const VIEWER = 'roles/compute.viewer';

/** One instance by name or number. @throws CT_TARGET_NOT_FOUND (also for an unknown zone or project), CT_DENIED … */
export async function getMachine(
  api: GcpApi,
  project: string,
  zone: string,
  instance: string,
  signal: AbortSignal,
): Promise<Machine> {
  const call: ApiCall = {
    permission: 'compute.instances.get',
    resource: `instance ${project}/${zone}/${instance}`,
    doing: `look up ${instance} in ${zone} of ${project}`,
    role: VIEWER,
  };
  const answer = await api.call<Instance>(
    { service: 'compute', path: path`/v1/projects/${project}/zones/${zone}/instances/${instance}` },
    call,
    signal,
  );
  return machineOf(answer, project);
}

interface AggregatedPage {
  readonly nextPageToken?: string;
  readonly items?: Readonly<Record<string, { readonly instances?: readonly Instance[] }>>;
}

/**
 * The instances of a project, in all zones.
 *
 * @param filter in the words of the API: `name = "web-1"`
 * @throws CT_DENIED, CT_API_DISABLED, CT_TARGET_NOT_FOUND (no such project) …
 */
export async function listMachines(
  api: GcpApi,
  project: string,
  filter: string | undefined,
  signal: AbortSignal,
): Promise<Machine[]> {
  const call: ApiCall = {
    permission: 'compute.instances.list',
    resource: `project ${project}`,
    doing: `list the instances of ${project}`,
    role: VIEWER,
  };
  const request = {
    service: 'compute' as const,
    path: path`/v1/projects/${project}/aggregated/instances`,
    // A zone that is down must not hide the others.
    query: { maxResults: '500', returnPartialSuccess: 'true', ...(filter === undefined ? {} : { filter }) },
  };
  const pages = await api.pages<AggregatedPage>(request, call, signal);
  return pages
    .flatMap((page) => Object.values(page.items ?? {}))
    .flatMap(({ instances }) => instances ?? [])
    .map((instance) => machineOf(instance, project));
}

/** A value inside a filter's quotes. */
export const quoted = (value: string): string => `"${value.replace(/[\\"]/g, '\\$&')}"`;
