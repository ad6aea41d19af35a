import type { DatabaseTarget, Engine } from '../../domain/target.ts';
import { type GcpApi, path } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';
import { resourcePath } from './machines.ts';

/** A Cloud SQL instance as its Admin API writes it, as far as we read it. */
interface SqlInstance {
  readonly name?: string;
  readonly project?: string;
  readonly region?: string;
  readonly gceZone?: string;
  readonly connectionName?: string;
  readonly databaseVersion?: string;
  readonly state?: string;
  readonly dnsName?: string;
  readonly replicaNames?: readonly string[];
  readonly ipAddresses?: readonly { readonly type?: string; readonly ipAddress?: string }[];
  readonly settings?: {
    readonly activationPolicy?: string;
    readonly userLabels?: Readonly<Record<string, string>>;
    readonly ipConfiguration?: { readonly privateNetwork?: string };
  };
}

export interface Database {
  readonly target: DatabaseTarget;
  /** Its short name; the target's id is the connection name. */
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Short names of its read replicas. */
  readonly replicas: readonly string[];
  /** False: no address inside a VPC network, so no tunnel can reach it. */
  readonly isPrivate: boolean;
}

interface Family {
  readonly engine: Engine;
  readonly label: string;
  readonly port: number;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  MYSQL: { engine: 'mysql', label: 'MySQL', port: 3306 },
  POSTGRES: { engine: 'postgres', label: 'PostgreSQL', port: 5432 },
  SQLSERVER: { engine: 'sqlserver', label: 'SQL Server', port: 1433 },
};

/** `POSTGRES_15` → PostgreSQL 15; `MYSQL_8_0_36` → MySQL 8.0; `SQLSERVER_2019_STANDARD` → SQL Server 2019. */
export function databaseEngine(version: string | undefined): Family {
  const [family = '', ...parts] = (version ?? '').split('_');
  const known = FAMILIES[family];
  if (known === undefined) return { engine: 'other', label: version ?? 'database', port: 5432 };
  // PostgreSQL counted releases by two numbers up to 9.6, MySQL still does.
  const isByOne = known.engine !== 'mysql' && Number(parts[0]) >= 10;
  const numbers = parts.filter((part) => /^\d+$/.test(part)).slice(0, isByOne ? 1 : 2);
  return { ...known, label: [known.label, numbers.join('.')].filter(Boolean).join(' ') };
}

export function databaseOf(instance: SqlInstance, askedIn: string): Database {
  const name = instance.name ?? '';
  const project = instance.project ?? askedIn;
  const region = instance.region ?? '';
  const { engine, label, port } = databaseEngine(instance.databaseVersion);
  const address = (type: string) => instance.ipAddresses?.find((each) => each.type === type)?.ipAddress;
  const inside = address('PRIVATE');
  // With Private Service Connect there is no address, but a name that the consumer's network resolves.
  const host = inside ?? instance.dnsName?.replace(/\.$/, '') ?? address('PRIMARY') ?? '';
  const network = resourcePath(instance.settings?.ipConfiguration?.privateNetwork);
  const isStopped = instance.settings?.activationPolicy === 'NEVER';
  const target: DatabaseTarget = {
    kind: 'database',
    provider: 'gcp',
    id: instance.connectionName ?? `${project}:${region}:${name}`,
    name,
    flavour: 'instance',
    engine,
    engineLabel: label,
    endpoint: { host, port },
    available: instance.state === 'RUNNABLE' && !isStopped,
    status: isStopped ? 'stopped' : (instance.state ?? 'unknown').toLowerCase(),
    project,
    ...(instance.gceZone === undefined ? {} : { zone: instance.gceZone }),
    ...(network === undefined ? {} : { networkId: network }),
    subnetIds: [],
    securityGroupIds: [],
  };
  return {
    target,
    name,
    region,
    labels: instance.settings?.userLabels ?? {},
    replicas: instance.replicaNames ?? [],
    isPrivate: inside !== undefined || (instance.dnsName !== undefined && host !== address('PRIMARY')),
  };
}

const VIEWER = 'roles/cloudsql.viewer';

/** @throws CT_TARGET_NOT_FOUND, CT_DENIED (also for an instance that does not exist, where nothing may be seen), CT_API_DISABLED … */
export async function getDatabase(api: GcpApi, project: string, name: string, signal: AbortSignal): Promise<Database> {
  const call: ApiCall = {
    permission: 'cloudsql.instances.get',
    resource: `Cloud SQL instance ${project}/${name}`,
    doing: `look up the Cloud SQL instance ${name} of ${project}`,
    role: VIEWER,
  };
  const request = { service: 'sql' as const, path: path`/v1/projects/${project}/instances/${name}` };
  return databaseOf(await api.call<SqlInstance>(request, call, signal), project);
}

/** @throws CT_DENIED, CT_API_DISABLED … */
export async function listDatabases(api: GcpApi, project: string, signal: AbortSignal): Promise<Database[]> {
  const call: ApiCall = {
    permission: 'cloudsql.instances.list',
    resource: `project ${project}`,
    doing: `list the Cloud SQL instances of ${project}`,
    role: VIEWER,
  };
  const request = {
    service: 'sql' as const,
    path: path`/v1/projects/${project}/instances`,
    query: { maxResults: '500' },
  };
  type Page = { readonly nextPageToken?: string; readonly items?: readonly SqlInstance[] };
  const pages = await api.pages<Page>(request, call, signal);
  return pages.flatMap(({ items }) => items ?? []).map((instance) => databaseOf(instance, project));
}
