import { CloudtunError } from '../../domain/errors.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import { nameTag } from './databases.ts';
import type { DBCluster, DBInstance, DBProxy } from './sdk/rds.ts';

/** What RDS says, raw; each list by its own permission. */
export interface Inventory {
  readonly instances: readonly DBInstance[];
  readonly clusters: readonly DBCluster[];
  readonly proxies: readonly DBProxy[];
  /** The lists that were denied; the rest is what may be seen. */
  readonly denials: readonly CloudtunError[];
}

const PAGE_SIZE = 100;
const MAX_PAGES = 50;
/** Codes for "no such thing", and for a region or endpoint that has no such call. */
const ABSENT = [
  'DBInstanceNotFound',
  'DBInstanceNotFoundFault',
  'DBClusterNotFoundFault',
  'DBClusterNotFound',
  'DBProxyNotFoundFault',
  'DBProxyNotFound',
  'InvalidParameterValue',
  'InvalidAction',
  'UnknownOperationException',
];

/**
 * Instances, clusters and proxies: all of them, or those of one identifier. A denied list is noted in `denials`, the others stay
 * usable: many people may list instances only.
 *
 * @throws whatever else a call throws
 */
export async function describeDatabases(api: AwsApi, id: string | undefined, signal: AbortSignal): Promise<Inventory> {
  const denials: CloudtunError[] = [];
  const tolerant = async <Item>(listing: Promise<Item[]>): Promise<Item[]> => {
    try {
      return await listing;
    } catch (error) {
      if (id !== undefined && ABSENT.includes(awsErrorName(error) ?? '')) return [];
      if (['InvalidAction', 'UnknownOperationException'].includes(awsErrorName(error) ?? '')) return [];
      if (!(error instanceof CloudtunError) || error.code !== 'CT_DENIED') throw error;
      denials.push(error);
      return [];
    }
  };
  const [instances, clusters, proxies] = await Promise.all([
    tolerant(listInstances(api, id === undefined ? {} : { DBInstanceIdentifier: id }, signal)),
    tolerant(listClusters(api, id, signal)),
    tolerant(listProxies(api, id, signal)),
  ]);
  return { instances, clusters, proxies, denials };
}

const doing = (what: string) => `look up ${what}`;

/** Follows `Marker` to the last page. */
async function pages<Item>(
  read: (marker: string | undefined) => Promise<{ items: Item[] | undefined; marker: string | undefined }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let marker: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await read(marker);
    all.push(...(answer.items ?? []));
    marker = answer.marker || undefined;
    if (marker === undefined) break;
  }
  return all;
}

export function listInstances(
  api: AwsApi,
  select: { readonly DBInstanceIdentifier?: string; readonly clusterId?: string },
  signal: AbortSignal,
): Promise<DBInstance[]> {
  const { clusterId, ...rest } = select;
  const filters = clusterId === undefined ? {} : { Filters: [{ Name: 'db-cluster-id', Values: [clusterId] }] };
  return api.rds(
    { action: 'rds:DescribeDBInstances', doing: doing('database instances') },
    signal,
    (sdk, client, options) =>
      pages(async (marker) => {
        const page = marker === undefined ? {} : { Marker: marker };
        const command = new sdk.DescribeDBInstancesCommand({ MaxRecords: PAGE_SIZE, ...rest, ...filters, ...page });
        const answer = await client.send(command, options);
        return { items: answer.DBInstances, marker: answer.Marker };
      }),
  );
}

function listClusters(api: AwsApi, id: string | undefined, signal: AbortSignal): Promise<DBCluster[]> {
  return api.rds(
    { action: 'rds:DescribeDBClusters', doing: doing('database clusters') },
    signal,
    (sdk, client, options) =>
      pages(async (marker) => {
        const page = marker === undefined ? {} : { Marker: marker };
        const select = id === undefined ? {} : { DBClusterIdentifier: id };
        const answer = await client.send(
          new sdk.DescribeDBClustersCommand({ MaxRecords: PAGE_SIZE, ...select, ...page }),
          options,
        );
        return { items: answer.DBClusters, marker: answer.Marker };
      }),
  );
}

function listProxies(api: AwsApi, id: string | undefined, signal: AbortSignal): Promise<DBProxy[]> {
  return api.rds(
    { action: 'rds:DescribeDBProxies', doing: doing('database proxies') },
    signal,
    (sdk, client, options) =>
      pages(async (marker) => {
        const page = marker === undefined ? {} : { Marker: marker };
        const select = id === undefined ? {} : { DBProxyName: id };
        const answer = await client.send(
          new sdk.DescribeDBProxiesCommand({ MaxRecords: PAGE_SIZE, ...select, ...page }),
          options,
        );
        return { items: answer.DBProxies, marker: answer.Marker };
      }),
  );
}

/** The reading endpoint of a proxy, if one was made for it. */
export async function proxyReaderHost(api: AwsApi, name: string, signal: AbortSignal): Promise<string | undefined> {
  const call = { action: 'rds:DescribeDBProxyEndpoints', doing: doing('the endpoints of a database proxy') };
  const endpoints = await api.rds(call, signal, (sdk, client, options) =>
    pages(async (marker) => {
      const page = marker === undefined ? {} : { Marker: marker };
      const answer = await client.send(
        new sdk.DescribeDBProxyEndpointsCommand({ DBProxyName: name, ...page }),
        options,
      );
      return { items: answer.DBProxyEndpoints, marker: answer.Marker };
    }),
  );
  return endpoints.find((endpoint) => endpoint.TargetRole === 'READ_ONLY' && endpoint.Status === 'available')?.Endpoint;
}

/** Proxies carry no tags in their own description. */
export async function nameTagOf(api: AwsApi, arn: string, signal: AbortSignal): Promise<string | undefined> {
  const call = { action: 'rds:ListTagsForResource', doing: doing('the tags of a database proxy') };
  const answer = await api.rds(call, signal, (sdk, client, options) =>
    client.send(new sdk.ListTagsForResourceCommand({ ResourceName: arn }), options),
  );
  return nameTag(answer.TagList);
}

/** Network and subnets of a cluster that has no member to ask. */
export async function subnetGroup(
  api: AwsApi,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly networkId?: string; readonly subnetIds: readonly string[] }> {
  const call = { action: 'rds:DescribeDBSubnetGroups', doing: doing('a database subnet group') };
  const answer = await api.rds(call, signal, (sdk, client, options) =>
    client.send(new sdk.DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: name }), options),
  );
  const group = answer.DBSubnetGroups?.[0];
  return {
    ...(group?.VpcId === undefined ? {} : { networkId: group.VpcId }),
    subnetIds: (group?.Subnets ?? []).flatMap((subnet) => subnet.SubnetIdentifier ?? []),
  };
}
