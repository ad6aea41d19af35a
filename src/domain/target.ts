import type { RemoteEndpoint } from './endpoint.ts';

/** Every cloud cloudtun knows. A new one starts here; the compiler then names the places that owe an answer. */
export const PROVIDER_IDS = ['aws'] as const;
export type ProviderId = (typeof PROVIDER_IDS)[number];

export const ENGINES = ['mysql', 'mariadb', 'postgres', 'sqlserver', 'oracle', 'other'] as const;
/** The family of client protocol a database speaks; decides probe and default client. */
export type Engine = (typeof ENGINES)[number];

/** A machine that the cloud's tunnel service can reach for us. */
export interface MachineTarget {
  readonly kind: 'machine';
  readonly provider: ProviderId;
  /** The cloud's id: `i-…`, `mi-…`. */
  readonly id: string;
  /** Its name as people know it (Name tag), if it has one. */
  readonly name?: string;
  readonly state: 'running' | 'stopped' | 'other';
  /** Whether its agent is connected to the tunnel service now; undefined when nobody asked. */
  readonly online?: boolean;
  readonly agentVersion?: string;
  readonly privateIp?: string;
  readonly privateDns?: string;
  /** The availability zone, in the cloud's words. */
  readonly zone?: string;
  readonly networkId?: string;
  readonly subnetId?: string;
  readonly securityGroupIds?: readonly string[];
}

export interface DatabaseTarget {
  readonly kind: 'database';
  readonly provider: ProviderId;
  /** The cloud's identifier, such as the DB instance identifier. */
  readonly id: string;
  readonly flavour: 'instance' | 'cluster' | 'proxy';
  /** Which endpoint of a cluster was chosen. */
  readonly role?: 'writer' | 'reader';
  readonly engine: Engine;
  /** For people: `MySQL 8.0`. */
  readonly engineLabel: string;
  readonly endpoint: Required<RemoteEndpoint>;
  readonly available: boolean;
  /** The cloud's word for its state (`available`, `stopped`, `backing-up`). */
  readonly status: string;
  /** The availability zone it runs in now, in the cloud's words; a cluster or proxy may have none of its own. */
  readonly zone?: string;
  readonly networkId?: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

export type Target = MachineTarget | DatabaseTarget;

/** `bastion-a`, `i-0abc`, `orders-prod`: what a person would call it. */
export function targetLabel(target: Target): string {
  return target.kind === 'machine' ? (target.name ?? target.id) : target.id;
}

/** A way to a target: through which machine, to which endpoint as that machine sees it, and why this way. */
export interface Route {
  readonly provider: ProviderId;
  readonly target: Target;
  /** The machine whose agent dials: the target itself, or a bastion. */
  readonly node: MachineTarget;
  /** Without `host`: a port of the node itself. */
  readonly to: RemoteEndpoint;
  /** One sentence for each thing that spoke for this way. */
  readonly reasons: readonly string[];
  /** Machines that were looked at and not taken, each with the reason. */
  readonly rejected: readonly { readonly node: MachineTarget; readonly reason: string }[];
}
