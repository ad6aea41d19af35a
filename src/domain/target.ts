import type { RemoteEndpoint } from './endpoint.ts';

/** Every cloud cloudtun knows. A new one starts here; the compiler then names the places that owe an answer. */
export const PROVIDER_IDS = ['aws', 'gcp'] as const;
export type ProviderId = (typeof PROVIDER_IDS)[number];

/** What may be said about the place to look in, under the same name in flags, variables and the catalogue. */
export type PlaceKey = 'profile' | 'region' | 'project' | 'zone';

/** Those that each cloud has; the first is what names are looked up in (`Provider.scope`). */
export const PLACE_KEYS = {
  aws: ['region', 'profile'],
  gcp: ['project', 'zone'],
} as const satisfies Record<ProviderId, readonly [PlaceKey, ...PlaceKey[]]>;

export const ENGINES = ['mysql', 'mariadb', 'postgres', 'sqlserver', 'oracle', 'other'] as const;
/** The family of client protocol a database speaks; decides probe and default client. */
export type Engine = (typeof ENGINES)[number];

/** A machine that the cloud's tunnel service can reach for us. */
export interface MachineTarget {
  readonly kind: 'machine';
  readonly provider: ProviderId;
  /** What names it for good: `i-…`, `mi-…`; on Google Cloud `project/zone/name`, which is also how a user may write it. */
  readonly id: string;
  /** Its name as people know it (Name tag, instance name), if it has one. */
  readonly name?: string;
  readonly state: 'running' | 'stopped' | 'other';
  /** Whether its agent is connected to the tunnel service now; undefined when nobody asked. */
  readonly online?: boolean;
  readonly agentVersion?: string;
  readonly privateIp?: string;
  readonly privateDns?: string;
  /** Where the cloud keeps it, where that is more than the account of the provider: the project. */
  readonly project?: string;
  /** The availability zone, in the cloud's words. */
  readonly zone?: string;
  /** The network interface that the tunnel reaches, in the cloud's words (`nic0`); absent where tunnels end in an agent. */
  readonly networkInterface?: string;
  readonly networkId?: string;
  readonly subnetId?: string;
  readonly securityGroupIds?: readonly string[];
}

/**
 * A host that the tunnel service reaches for us with no machine of ours in between: a member of a destination group of
 * Identity-Aware Proxy (docs/protocol/iap.md, "Targets").
 */
export interface HostTarget {
  readonly kind: 'host';
  readonly provider: ProviderId;
  /** `host@region/network/group` as a user may write it, without the port. */
  readonly id: string;
  readonly name?: string;
  /** IPv4, IPv6 without brackets, or a domain name, as the far network sees it. */
  readonly host: string;
  readonly project: string;
  readonly region: string;
  /** The network the host is reached from, in the cloud's words. */
  readonly networkId: string;
  readonly group?: string;
}

/** What the cloud's tunnel service can reach for us by itself: where a route's tunnel ends. */
export type NodeTarget = MachineTarget | HostTarget;

/** What only an SSH hop reaches and no cloud knows: a name or address as the last machine on the way sees it. */
export interface FarHostTarget {
  readonly kind: 'far-host';
  readonly provider: ProviderId;
  /** What host keys are remembered by: the host, and what it is reached through. */
  readonly id: string;
  readonly name: string;
  /** IPv4, IPv6 without brackets, or a name. */
  readonly host: string;
}

export interface DatabaseTarget {
  readonly kind: 'database';
  readonly provider: ProviderId;
  /** The cloud's identifier: the DB instance identifier, `project:region:name` of Cloud SQL. */
  readonly id: string;
  /** What people call it, where that is shorter. */
  readonly name?: string;
  readonly flavour: 'instance' | 'cluster' | 'proxy';
  /** Which endpoint of a cluster was chosen. */
  readonly role?: 'writer' | 'reader';
  /** The member of a cluster that is its writer now. */
  readonly member?: string;
  readonly engine: Engine;
  /** For people: `MySQL 8.0`. */
  readonly engineLabel: string;
  readonly endpoint: Required<RemoteEndpoint>;
  readonly available: boolean;
  /** As in MachineTarget. */
  readonly project?: string;
  /** The cloud's word for its state (`available`, `stopped`, `backing-up`). */
  readonly status: string;
  /** The availability zone it runs in now, in the cloud's words; a cluster or proxy may have none of its own. */
  readonly zone?: string;
  readonly networkId?: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

/** Those that a cloud can list. */
export const TARGET_KINDS = ['machine', 'host', 'database'] as const;
/** What a cloud knows by itself. */
export type CloudTarget = NodeTarget | DatabaseTarget;
export type Target = CloudTarget | FarHostTarget;

/** `bastion-a`, `i-0abc`, `orders-prod`: what a person would call it. */
export function targetLabel(target: Target): string {
  return target.name ?? target.id;
}

/** A way to a target: to which node the tunnel goes, to which endpoint as that node sees it, and why this way. */
export interface Route {
  readonly provider: ProviderId;
  readonly target: Target;
  /** Where the tunnel ends: the target itself, or a bastion. */
  readonly node: NodeTarget;
  /** Without `host`: a port of the node itself. Behind `hops`: as the last of them sees it. */
  readonly to: RemoteEndpoint;
  /** Machines behind the node that are logged in to on the way, in order, as people call them; the node itself where it is one. */
  readonly hops?: readonly string[];
  /** One sentence for each thing that spoke for this way. */
  readonly reasons: readonly string[];
  /** Nodes that were looked at and not taken, each with the reason. */
  readonly rejected: readonly { readonly node: NodeTarget; readonly reason: string }[];
}

/** Where a route ends, for people and records: of a host that the tunnel reaches by itself its own address, and not `localhost`. */
export function farEndpoint({ node, to }: Route): RemoteEndpoint {
  return to.host === undefined && node.kind === 'host' ? { host: node.host, port: to.port } : to;
}

/** What a route goes through, where that is something else than its target: the machines' names, or the group of the host. */
export function viaLabel({ target, node, hops = [] }: Route): string {
  const first = target.kind === 'database' && node.kind === 'host' ? (node.group ?? node.networkId) : targetLabel(node);
  return [first, ...hops.filter((hop) => hop !== first)].join(', then ');
}
