import type { LabBackend, LabServices } from '../loopback-services.ts';
import type { MachineSystem } from '../ssh/ssh-machine.ts';

/**
 * Google Cloud as the lab plays it: pure data, read anew by every API call and every tunnel, so that a test may change it while the
 * lab runs. What people get is practice-project.ts. To vary it:
 *
 *     changeVm(inventory, 'web-1', { status: 'TERMINATED' })
 *     { ...inventory, instances: [...inventory.instances, makeVm({ name, zone, id, ip })] }
 */
export interface GcpInventory {
  readonly projects: readonly GcpProject[];
  /** Zones of all projects; a region is a zone without its last part. */
  readonly zones: readonly string[];
  readonly networks: readonly GcpNetwork[];
  readonly firewalls: readonly GcpFirewall[];
  readonly instances: readonly GcpInstance[];
  readonly databases: readonly GcpDatabase[];
  readonly destGroups: readonly GcpDestGroup[];
  /** Names that resolve inside the networks. */
  readonly hosts: readonly GcpHost[];
  readonly people: readonly GcpPerson[];
}

export type Labels = Readonly<Record<string, string>>;

export interface GcpProject {
  readonly id: string;
  readonly number: string;
  readonly name: string;
  /** `compute.googleapis.com` and the like: APIs that are switched off. */
  readonly disabledServices: readonly string[];
  /** Common instance metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface GcpNetwork {
  readonly project: string;
  readonly name: string;
  readonly subnets: readonly { readonly name: string; readonly region: string; readonly cidr: string }[];
}

/** An ingress rule of a VPC. */
export interface GcpFirewall {
  readonly project: string;
  readonly name: string;
  readonly network: string;
  readonly sourceRanges: readonly string[];
  /** Absent: every port. */
  readonly tcpPorts?: readonly (number | readonly [number, number])[];
  /** Absent: every machine of the network. */
  readonly targetTags?: readonly string[];
  readonly action: 'allow' | 'deny';
  /** 0 goes before 65535. */
  readonly priority: number;
  readonly disabled: boolean;
}

export type VmStatus = 'PROVISIONING' | 'STAGING' | 'RUNNING' | 'STOPPING' | 'SUSPENDED' | 'TERMINATED';

export interface GcpInstance {
  readonly project: string;
  readonly zone: string;
  readonly name: string;
  /** Numeric, as text. */
  readonly id: string;
  readonly status: VmStatus;
  readonly machineType: string;
  /** The address of nic0. */
  readonly ip: string;
  readonly externalIp?: string;
  readonly network: string;
  readonly subnet: string;
  /** Network tags, for firewalls. */
  readonly tags: readonly string[];
  readonly labels: Labels;
  /** Metadata items, `enable-oslogin` among them. */
  readonly metadata: Readonly<Record<string, string>>;
  /** E-mail address of its service account. */
  readonly serviceAccount?: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly services: LabServices;
  /** Ports on which it passes connections on to a database. */
  readonly forwards: Readonly<Record<number, LabBackend>>;
  /** Default: `debian`. */
  readonly system?: MachineSystem;
}

export interface GcpDatabase {
  readonly project: string;
  readonly region: string;
  readonly zone: string;
  readonly name: string;
  /** `POSTGRES_15`, `MYSQL_8_0` */
  readonly version: string;
  readonly state: 'RUNNABLE' | 'SUSPENDED' | 'PENDING_CREATE' | 'MAINTENANCE' | 'FAILED';
  /** `NEVER`: stopped by its owner. */
  readonly activationPolicy: 'ALWAYS' | 'NEVER';
  readonly network: string;
  /** Absent: it has no address in a network. */
  readonly privateIp?: string;
  readonly publicIp?: string;
  readonly tier: string;
  readonly createdAt: string;
  readonly labels: Labels;
  readonly backend: LabBackend;
}

export interface GcpDestGroup {
  readonly project: string;
  readonly region: string;
  readonly name: string;
  /** The network that tunnels to it must name. */
  readonly network: string;
  readonly cidrs: readonly string[];
  /** `*.` in front stands for anything. */
  readonly fqdns: readonly string[];
}

export interface GcpHost {
  readonly name: string;
  readonly ip: string;
  readonly network: string;
  readonly services: LabServices;
  /** CIDR blocks that its own firewall lets in; default: the whole network. */
  readonly onlyFrom?: readonly string[];
}

/** A user or a service account. What is not denied is allowed. */
export interface GcpPerson {
  readonly email: string;
  readonly kind: 'user' | 'service-account' | 'federated';
  /** IAM permissions with `*`; with a resource, such as `projects/acme-practice/zones/*`, only there. */
  readonly denied: readonly { readonly permission: string; readonly resource?: string }[];
  /** Service accounts that it may act as. */
  readonly impersonates: readonly string[];
}

/** A running machine in the practice network that the tunnel service may reach, unless told otherwise. */
export function makeVm(fields: Pick<GcpInstance, 'name' | 'zone' | 'id' | 'ip'> & Partial<GcpInstance>): GcpInstance {
  return {
    project: 'acme-practice',
    status: 'RUNNING',
    machineType: 'e2-small',
    network: 'practice-vpc',
    subnet: 'practice-a',
    tags: ['iap'],
    labels: {},
    metadata: {},
    createdAt: '2026-10-01T09:00:00.000+09:00',
    services: { 7: 'echo', 9: 'discard' },
    forwards: {},
    ...fields,
  };
}

/** An inventory in which one machine, given by name or id, is different. Throws when there is none. */
export function changeVm(inventory: GcpInventory, nameOrId: string, change: Partial<GcpInstance>): GcpInventory {
  const isMeant = (one: GcpInstance) => one.name === nameOrId || one.id === nameOrId;
  if (!inventory.instances.some(isMeant)) throw new RangeError(`the inventory has no machine ${nameOrId}`);
  return {
    ...inventory,
    instances: inventory.instances.map((one) => (isMeant(one) ? { ...one, ...change } : one)),
  };
}

/** `asia-northeast1` of `asia-northeast1-a`. */
export const regionOf = (zone: string): string => zone.replace(/-[^-]*$/, '');
