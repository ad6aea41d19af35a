import type { Millis } from '../../domain/millis.ts';
import type { LabBackend, LabServices } from '../loopback-services.ts';
import type { MachineSystem } from '../ssh/ssh-machine.ts';
import type { LabDocument } from './documents.ts';
import type { Denial } from './principals.ts';

/**
 * An AWS account as the lab plays it: pure data, read anew by every API call, so that a test may change it while the lab runs.
 *
 * The account that people get is practice-account.ts. To vary it:
 *
 *     const inventory = practiceAccount();
 *     changeInstance(inventory, 'bastion-a', { state: 'stopped' })
 *     changeDatabase(inventory, 'prod', { status: 'backing-up' })
 *     { ...inventory, instances: [...inventory.instances, makeInstance({ id, name, privateIp, subnetId })] }
 */
export interface Inventory {
  readonly account: string;
  readonly region: string;
  readonly vpcs: readonly LabVpc[];
  readonly subnets: readonly LabSubnet[];
  readonly networkAcls: readonly LabNetworkAcl[];
  readonly securityGroups: readonly LabSecurityGroup[];
  readonly instances: readonly LabInstance[];
  /** Machines outside EC2 that registered with an activation: `mi-…`. */
  readonly hybridNodes: readonly LabHybridNode[];
  /** Other machines that the nodes can reach, unknown to EC2 and SSM: appliances behind a name. */
  readonly hosts: readonly LabHost[];
  readonly databases: readonly LabDatabase[];
  readonly clusters: readonly LabCluster[];
  readonly proxies: readonly LabProxy[];
  readonly documents: readonly LabDocument[];
  readonly keys: readonly LabKmsKey[];
  readonly users: readonly LabIamUser[];
  readonly roles: readonly LabRole[];
  readonly sso: LabSso;
}

export type Tags = Readonly<Record<string, string>>;

export interface LabVpc {
  readonly id: string;
  readonly cidr: string;
  readonly isDefault: boolean;
  readonly tags: Tags;
}

export interface LabSubnet {
  readonly id: string;
  readonly vpcId: string;
  readonly cidr: string;
  readonly zone: string;
  readonly tags: Tags;
}

/** One line of a security group: from or to any of the CIDR blocks and groups. */
export interface LabRule {
  readonly protocol: 'tcp' | 'udp' | 'icmp' | '-1';
  /** First and last; absent for every port. */
  readonly ports?: readonly [number, number];
  readonly cidrs?: readonly string[];
  readonly groups?: readonly string[];
}

export interface LabSecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly vpcId: string;
  readonly ingress: readonly LabRule[];
  readonly egress: readonly LabRule[];
  readonly tags: Tags;
}

export interface LabAclEntry {
  readonly number: number;
  readonly egress: boolean;
  readonly allow: boolean;
  /** IANA number; `-1` for all. */
  readonly protocol: '-1' | '6' | '17';
  readonly cidr: string;
  readonly ports?: readonly [number, number];
}

export interface LabNetworkAcl {
  readonly id: string;
  readonly vpcId: string;
  readonly isDefault: boolean;
  readonly subnetIds: readonly string[];
  readonly entries: readonly LabAclEntry[];
}

/** The SSM agent of a machine. */
export interface LabAgent {
  /** Four numeric parts; decides mux or basic port mode. */
  readonly version: string;
  /** Connected to Session Manager. A machine that is not running never is. */
  readonly online: boolean;
  /** How long ago it was last heard of. */
  readonly lastPing: Millis;
}

export interface LabInstance {
  readonly id: string;
  readonly name: string;
  readonly state: 'pending' | 'running' | 'stopping' | 'stopped' | 'terminated';
  readonly type: string;
  readonly privateIp: string;
  readonly subnetId: string;
  readonly securityGroupIds: readonly string[];
  /** Without the Name tag, which comes from `name`. */
  readonly tags: Tags;
  /** ISO 8601 UTC. */
  readonly launchedAt: string;
  /** Undefined: the machine never registered with Systems Manager. */
  readonly agent: LabAgent | undefined;
  readonly services: LabServices;
  /** Default: `amazon-linux`. */
  readonly system?: MachineSystem;
  /** Who may log in besides the image's own user and root. */
  readonly users?: readonly string[];
}

export interface LabHybridNode {
  readonly id: string;
  readonly name: string;
  readonly ip: string;
  readonly tags: Tags;
  readonly registeredAt: string;
  readonly agent: LabAgent;
  readonly services: LabServices;
}

export interface LabHost {
  readonly name: string;
  readonly privateIp: string;
  readonly subnetId: string;
  readonly securityGroupIds: readonly string[];
  readonly services: LabServices;
}

interface DatabasePlace {
  readonly privateIp: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

export interface LabDatabase extends DatabasePlace {
  readonly id: string;
  readonly resourceId: string;
  readonly engine: string;
  readonly engineVersion: string;
  /** `available`, `stopped`, `backing-up` … Only some of them listen; see network.ts. */
  readonly status: string;
  readonly host: string;
  readonly port: number;
  readonly zone: string;
  readonly instanceClass: string;
  readonly multiAz: boolean;
  readonly iamAuth: boolean;
  readonly replicaOf?: string;
  readonly clusterId?: string;
  readonly backend: LabBackend;
  readonly createdAt: string;
  readonly tags: Tags;
}

/** Its members are databases with this `clusterId`; its endpoint names follow the writer. */
export interface LabCluster {
  readonly id: string;
  readonly resourceId: string;
  readonly engine: string;
  readonly engineVersion: string;
  readonly status: string;
  readonly host: string;
  readonly readerHost: string;
  readonly port: number;
  readonly writerId: string;
  readonly iamAuth: boolean;
  readonly createdAt: string;
  readonly tags: Tags;
}

export interface LabProxy extends DatabasePlace {
  readonly name: string;
  readonly engineFamily: 'MYSQL' | 'POSTGRESQL';
  readonly status: string;
  readonly host: string;
  /** The database that it stands for. */
  readonly databaseId: string;
  readonly endpoints: readonly LabProxyEndpoint[];
  readonly createdAt: string;
}

/** A further endpoint of a proxy, at the same address. */
export interface LabProxyEndpoint {
  readonly name: string;
  readonly role: 'READ_WRITE' | 'READ_ONLY';
  readonly host: string;
  readonly status: string;
}

export interface LabKmsKey {
  readonly id: string;
  /** `alias/…` */
  readonly aliases: readonly string[];
  readonly enabled: boolean;
  /** `encrypt` unless said: symmetric. `sign`: ECC_NIST_P256. */
  readonly use?: 'encrypt' | 'sign';
}

/** An IAM user with an access key. */
export interface LabIamUser {
  readonly name: string;
  readonly denied: readonly Denial[];
  /** Has a virtual MFA device of the same name. */
  readonly mfa: boolean;
}

export interface LabRole {
  readonly name: string;
  /** Names of the users that may assume it. */
  readonly trustedUsers: readonly string[];
  readonly requireMfa: boolean;
  /** May be assumed with the lab's web identity token. */
  readonly webIdentity: boolean;
  readonly denied: readonly Denial[];
}

/** IAM Identity Center: one person with one permission set. */
export interface LabSso {
  readonly userName: string;
  readonly permissionSet: string;
  readonly denied: readonly Denial[];
}

/** An online machine of a small type with the usual local services, unless told otherwise. */
export function makeInstance(
  fields: Pick<LabInstance, 'id' | 'name' | 'privateIp' | 'subnetId'> & Partial<LabInstance>,
): LabInstance {
  return {
    state: 'running',
    type: 't4g.small',
    securityGroupIds: [],
    tags: {},
    launchedAt: '2026-10-01T00:00:00.000Z',
    agent: makeAgent(),
    services: { 7: 'echo', 9: 'discard' },
    ...fields,
  };
}

export function makeAgent(fields: Partial<LabAgent> = {}): LabAgent {
  return { version: '3.3.4121.0', online: true, lastPing: 30_000, ...fields };
}

/** An inventory in which one machine, given by name or id, is different. Throws when there is none. */
export function changeInstance(inventory: Inventory, nameOrId: string, change: Partial<LabInstance>): Inventory {
  return {
    ...inventory,
    instances: changed(inventory.instances, (one) => one.name === nameOrId || one.id === nameOrId, change),
  };
}

/** An inventory in which one database is different. Throws when there is none. */
export function changeDatabase(inventory: Inventory, id: string, change: Partial<LabDatabase>): Inventory {
  return { ...inventory, databases: changed(inventory.databases, (one) => one.id === id, change) };
}

/** An inventory in which another member of a cluster is the writer. Throws when there is no such cluster. */
export function failOver(inventory: Inventory, clusterId: string, writerId: string): Inventory {
  return { ...inventory, clusters: changed(inventory.clusters, (one) => one.id === clusterId, { writerId }) };
}

function changed<Item extends object>(
  items: readonly Item[],
  isMeant: (item: Item) => boolean,
  change: Partial<Item>,
): readonly Item[] {
  if (!items.some(isMeant)) throw new RangeError('nothing in the inventory has this name');
  return items.map((item) => (isMeant(item) ? { ...item, ...change } : item));
}
