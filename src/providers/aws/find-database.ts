import { CloudtunError } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import type { DatabaseTarget } from '../../domain/target.ts';
import type { FindDatabaseOptions } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { type Database, databasesOf, fromInstance } from './databases.ts';
import {
  describeDatabases,
  type Inventory,
  listInstances,
  nameTagOf,
  proxyReaderHost,
  subnetGroup,
} from './rds-listing.ts';
import { parseDatabaseName } from './target-name.ts';

/** Documented: letters, digits and hyphens, starting with a letter. RDS refuses anything else as malformed. */
const IDENTIFIER = /^[a-z][a-z0-9-]{0,62}$/i;
/** Each costs a call; a name that is no identifier is seldom a proxy's. */
const TAGGED_PROXIES = 20;

const same = (left: string, right: string) => left.toLowerCase() === right.toLowerCase();

/**
 * Resolves a database by identifier, endpoint or Name tag. An identifier or an endpoint costs one round of three calls side by side;
 * only what that does not find makes us list everything.
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS, CT_TARGET_STOPPED, CT_DENIED, CT_USAGE …
 */
export async function findDatabase(
  api: AwsApi,
  text: string,
  options: FindDatabaseOptions,
  signal: AbortSignal,
): Promise<DatabaseTarget> {
  const { target } = await lookUpDatabase(api, text, options, signal);
  if (target.available) return target;
  throw new CloudtunError('CT_TARGET_STOPPED', `${target.id} is not available: its status is "${target.status}"`, {
    hint: [
      target.status.startsWith('stop') ? 'start it, and wait until it is available' : 'wait until it is available',
      'see all: cloudtun targets --kind database',
    ],
  });
}

/** The same with all that is known of it, whatever its state is. */
export async function lookUpDatabase(
  api: AwsApi,
  text: string,
  options: FindDatabaseOptions,
  signal: AbortSignal,
): Promise<Database> {
  const name = parseDatabaseName(text).replace(/\.$/, '');
  const matches = (await byIdentifier(api, name, signal)) ?? (await byListing(api, name, signal));
  const database = chooseOne(api, name, matches);
  const chosen = options.reader ? await readingSide(api, database, signal) : atEndpoint(database, name);
  return { ...chosen, target: await withNetwork(api, chosen, signal) };
}

async function byIdentifier(api: AwsApi, name: string, signal: AbortSignal): Promise<Database[] | undefined> {
  const id = name.split('.')[0]!;
  if (!IDENTIFIER.test(id)) return undefined;
  const inventory = await describeDatabases(api, id, signal);
  const members = await Promise.all(
    inventory.clusters.map((cluster) =>
      listInstances(api, { clusterId: cluster.DBClusterIdentifier ?? '' }, signal).catch(toleratingDenial<never[]>([])),
    ),
  );
  const found = databasesOf(inventory, members.flat()).filter((database) => answersTo(database, name));
  return found.length > 0 ? found : undefined;
}

function answersTo(database: Database, name: string): boolean {
  return name.includes('.') ? database.hosts.some((host) => same(host, name)) : same(database.target.id, name);
}

async function byListing(api: AwsApi, name: string, signal: AbortSignal): Promise<Database[]> {
  const inventory = await describeDatabases(api, undefined, signal);
  const databases = databasesOf(inventory);
  let found = databases.filter((database) => answersTo(database, name) || database.nameTag === name);
  if (found.length === 0) found = await proxiesTagged(api, name, databases, signal);
  if (found.length > 0) return found;
  const instancesDenied = inventory.denials.find((denial) =>
    denial.details.some(([, text]) => text === 'rds:DescribeDBInstances'),
  );
  if (instancesDenied !== undefined) throw instancesDenied;
  throw notFound(api, name, databases, inventory);
}

async function proxiesTagged(
  api: AwsApi,
  name: string,
  databases: readonly Database[],
  signal: AbortSignal,
): Promise<Database[]> {
  const proxies = databases
    .filter(({ target, arn }) => target.flavour === 'proxy' && arn !== undefined)
    .slice(0, TAGGED_PROXIES);
  const tags = await Promise.all(
    proxies.map(({ arn }) => nameTagOf(api, arn!, signal).catch(toleratingDenial<undefined>(undefined))),
  );
  return proxies.filter((_, index) => tags[index] === name);
}

function toleratingDenial<Instead>(instead: Instead): (error: unknown) => Instead {
  return (error) => {
    if (error instanceof CloudtunError && error.code === 'CT_DENIED') return instead;
    throw error;
  };
}

function notFound(api: AwsApi, name: string, databases: readonly Database[], inventory: Inventory): CloudtunError {
  const near = nearestNames(
    name,
    databases.flatMap((database) => [
      database.target.id,
      ...(database.nameTag === undefined ? [] : [database.nameTag]),
    ]),
  );
  return new CloudtunError('CT_TARGET_NOT_FOUND', `no database named "${name}" in ${api.settings.label}`, {
    details: inventory.denials.map((denial) => ['not seen', denial.message]),
    hint: [
      ...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      'see all: cloudtun targets --kind database',
    ],
  });
}

/** A cluster and a member of the same name: people mean the cluster. Any other pair of namesakes must be told apart by a person. */
function chooseOne(api: AwsApi, name: string, matches: readonly Database[]): Database {
  const clusters = matches.filter(({ target }) => target.flavour === 'cluster').map(({ target }) => target.id);
  const left = matches.filter(({ clusterId }) => clusterId === undefined || !clusters.includes(clusterId));
  if (left.length === 1) return left[0]!;
  throw new CloudtunError(
    'CT_TARGET_AMBIGUOUS',
    `${left.length} databases are called "${name}" in ${api.settings.label}`,
    {
      details: left.map(({ target }) => [
        target.flavour,
        `${target.id}, ${target.engineLabel}, ${target.endpoint.host}`,
      ]),
      hint: 'use the endpoint instead of the name',
    },
  );
}

const at = (target: DatabaseTarget, host: string): DatabaseTarget => ({
  ...target,
  endpoint: { ...target.endpoint, host },
});

/** When the name was one of the endpoints of a cluster, that endpoint is what was meant. */
function atEndpoint(database: Database, name: string): Database {
  const host = database.hosts.find((candidate) => same(candidate, name));
  if (host === undefined || host === database.hosts[0]) return database;
  const { role: _, ...target } = database.target;
  return {
    ...database,
    target: { ...at(target, host), ...(host === database.readerHost ? { role: 'reader' as const } : {}) },
  };
}

async function readingSide(api: AwsApi, database: Database, signal: AbortSignal): Promise<Database> {
  const { target, clusterId, replicaIds, readerHost } = database;
  const reading = (host: string): Database => ({ ...database, target: { ...at(target, host), role: 'reader' } });
  if (readerHost !== undefined) return reading(readerHost);
  if (clusterId !== undefined) {
    const cluster = (await byIdentifier(api, clusterId, signal))?.find(
      ({ target: { flavour } }) => flavour === 'cluster',
    );
    if (cluster?.readerHost !== undefined) {
      return { ...cluster, target: { ...at(cluster.target, cluster.readerHost), role: 'reader' } };
    }
  }
  if (target.flavour === 'proxy') {
    const host = await proxyReaderHost(api, target.id, signal);
    if (host !== undefined) return reading(host);
  }
  if (replicaIds.length === 1) {
    const [replica] = await listInstances(api, { DBInstanceIdentifier: replicaIds[0]! }, signal);
    const found = replica === undefined ? undefined : fromInstance(replica);
    if (found !== undefined) return { ...found, target: { ...found.target, role: 'reader' } };
  }
  if (replicaIds.length > 1) {
    throw new CloudtunError('CT_TARGET_AMBIGUOUS', `${target.id} has ${replicaIds.length} read replicas`, {
      details: replicaIds.map((id) => ['replica', id]),
      hint: 'name one of them instead of using --reader',
    });
  }
  throw new CloudtunError('CT_TARGET_NOT_FOUND', `${target.id} has no endpoint for reading`, {
    hint: ['leave out --reader', 'see all: cloudtun targets --kind database'],
  });
}

async function withNetwork(
  api: AwsApi,
  { target, subnetGroupName }: Database,
  signal: AbortSignal,
): Promise<DatabaseTarget> {
  if (target.networkId !== undefined || subnetGroupName === undefined) return target;
  const nowhere: Awaited<ReturnType<typeof subnetGroup>> = { subnetIds: [] };
  return { ...target, ...(await subnetGroup(api, subnetGroupName, signal).catch(toleratingDenial(nowhere))) };
}
