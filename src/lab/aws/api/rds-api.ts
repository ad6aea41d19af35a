import type { Inventory, LabCluster, LabDatabase, LabProxy, Tags } from '../inventory.ts';
import {
  type ApiCall,
  type ApiContext,
  type QueryOperation,
  type QueryService,
  regionalInventory,
} from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { takePage } from './paging.ts';
import type { QueryFilter, QueryParameters } from './query-parameters.ts';
import {
  clusterEndpoints,
  describeCluster,
  describeDatabase,
  describeProxy,
  describeProxyEndpoint,
  describeProxyTarget,
  describeSubnetGroup,
  describeTagList,
  rdsArn,
  subnetGroups,
} from './rds-shapes.ts';
import type { XmlObject } from './xml.ts';

/** The describing part of RDS. */
export function rdsApi(context: ApiContext): QueryService {
  const list = <Item>(operation: string, lowest: number, question: Question<Item>): QueryOperation => ({
    ...(question.identifier === undefined ? {} : { resources: resourcesBy(question.identifier) }),
    run: (input, call) => {
      const inventory = regionalInventory(context, call);
      const found = question.find(inventory, input);
      const size = Math.min(input.integer('MaxRecords', lowest, 100) ?? 100, context.pageLimit);
      const page = takePage(`rds:${operation}`, found, size, input.get('Marker'), BAD_MARKER);
      const items = page.items.map((item) => question.describe(item, inventory));
      return { [question.set]: { [question.member]: items }, Marker: page.next };
    },
  });
  /** The one that was asked for by its name, or all of the kind. */
  const resourcesBy =
    ([parameter, kind]: readonly [parameter: string, kind: string]) =>
    (input: QueryParameters, call: ApiCall) => {
      const asked = input.get(parameter) ?? '*';
      const arn = `arn:aws:rds:${call.region}:${context.inventory().account}:${kind}:${asked}`;
      return [asked.startsWith('arn:') ? asked : arn];
    };
  return {
    name: 'rds',
    protocol: 'query',
    version: '2014-10-31',
    namespace: 'http://rds.amazonaws.com/doc/2014-10-31/',
    operations: {
      DescribeDBInstances: list('DescribeDBInstances', 20, DATABASES),
      DescribeDBClusters: list('DescribeDBClusters', 20, CLUSTERS),
      DescribeDBClusterEndpoints: list('DescribeDBClusterEndpoints', 20, CLUSTER_ENDPOINTS),
      DescribeDBProxies: list('DescribeDBProxies', 20, PROXIES),
      DescribeDBProxyEndpoints: list('DescribeDBProxyEndpoints', 20, PROXY_ENDPOINTS),
      DescribeDBProxyTargets: list('DescribeDBProxyTargets', 20, PROXY_TARGETS),
      DescribeDBSubnetGroups: list('DescribeDBSubnetGroups', 20, SUBNET_GROUPS),
      ListTagsForResource: {
        run: (input, call) => {
          const inventory = regionalInventory(context, call);
          return { TagList: describeTagList(tagsOf(inventory, input.require('ResourceName'))) };
        },
      },
    },
  };
}

interface Question<Item> {
  /** The parameter that names one of them, and what their ARNs call them; absent: permissions are about all of them. */
  readonly identifier?: readonly [parameter: string, kind: string];
  readonly find: (inventory: Inventory, input: QueryParameters) => readonly Item[];
  readonly describe: (item: Item, inventory: Inventory) => XmlObject;
  readonly set: string;
  readonly member: string;
}

const BAD_MARKER = new AwsFault('InvalidParameterValue', 400, 'Invalid or unparsable marker.');

const DATABASES: Question<LabDatabase> = {
  identifier: ['DBInstanceIdentifier', 'db'],
  find: (inventory, input) => {
    const asked = input.get('DBInstanceIdentifier');
    const found = inventory.databases.filter(
      (one) => asked === undefined || isNamed(asked, one.id) || asked === rdsArn(inventory, 'db', one.id),
    );
    if (asked !== undefined && found.length === 0)
      throw notFound('DBInstanceNotFound', `DBInstance ${asked} not found.`);
    return filtered(found, input, {
      'db-instance-id': (one) => [one.id, rdsArn(inventory, 'db', one.id)],
      'db-cluster-id': (one) => (one.clusterId === undefined ? [] : [one.clusterId]),
      'dbi-resource-id': (one) => [one.resourceId],
      engine: (one) => [one.engine],
    });
  },
  describe: describeDatabase,
  set: 'DBInstances',
  member: 'DBInstance',
};

const CLUSTERS: Question<LabCluster> = {
  identifier: ['DBClusterIdentifier', 'cluster'],
  find: (inventory, input) => {
    const asked = input.get('DBClusterIdentifier');
    const found = inventory.clusters.filter(
      (one) => asked === undefined || isNamed(asked, one.id) || asked === rdsArn(inventory, 'cluster', one.id),
    );
    if (asked !== undefined && found.length === 0)
      throw notFound('DBClusterNotFoundFault', `DBCluster ${asked} not found.`);
    return filtered(found, input, {
      'db-cluster-id': (one) => [one.id, rdsArn(inventory, 'cluster', one.id)],
      'db-cluster-resource-id': (one) => [one.resourceId],
      engine: (one) => [one.engine],
    });
  },
  describe: describeCluster,
  set: 'DBClusters',
  member: 'DBCluster',
};

const CLUSTER_ENDPOINTS: Question<XmlObject> = {
  find: (inventory, input) => {
    const asked = input.get('DBClusterIdentifier');
    return inventory.clusters.filter((one) => asked === undefined || isNamed(asked, one.id)).flatMap(clusterEndpoints);
  },
  describe: (endpoint) => endpoint,
  set: 'DBClusterEndpoints',
  member: 'DBClusterEndpointList',
};

function findProxies(inventory: Inventory, name: string | undefined): readonly LabProxy[] {
  const found = inventory.proxies.filter((one) => name === undefined || isNamed(name, one.name));
  if (name !== undefined && found.length === 0) throw notFound('DBProxyNotFoundFault', `DBProxy ${name} not found.`);
  return found;
}

const PROXIES: Question<LabProxy> = {
  find: (inventory, input) => findProxies(inventory, input.get('DBProxyName')),
  describe: describeProxy,
  set: 'DBProxies',
  member: 'member',
};

const PROXY_ENDPOINTS: Question<XmlObject> = {
  find: (inventory, input) => {
    const asked = input.get('DBProxyEndpointName');
    const found = findProxies(inventory, input.get('DBProxyName')).flatMap((proxy) =>
      proxy.endpoints
        .filter((endpoint) => asked === undefined || isNamed(asked, endpoint.name))
        .map((endpoint) => describeProxyEndpoint(proxy, endpoint, inventory)),
    );
    if (asked !== undefined && found.length === 0) {
      throw notFound('DBProxyEndpointNotFoundFault', `DBProxyEndpoint ${asked} not found.`);
    }
    return found;
  },
  describe: (endpoint) => endpoint,
  set: 'DBProxyEndpoints',
  member: 'member',
};

const PROXY_TARGETS: Question<LabProxy> = {
  find: (inventory, input) => findProxies(inventory, input.require('DBProxyName')),
  describe: describeProxyTarget,
  set: 'Targets',
  member: 'member',
};

const SUBNET_GROUPS: Question<{ readonly name: string; readonly subnetIds: readonly string[] }> = {
  find: (inventory, input) => {
    const asked = input.get('DBSubnetGroupName');
    const found = subnetGroups(inventory).filter((one) => asked === undefined || isNamed(asked, one.name));
    if (asked !== undefined && found.length === 0) {
      throw notFound('DBSubnetGroupNotFoundFault', `DBSubnetGroup ${asked} not found.`);
    }
    return found;
  },
  describe: (group, inventory) => describeSubnetGroup(group.subnetIds, inventory),
  set: 'DBSubnetGroups',
  member: 'DBSubnetGroup',
};

const notFound = (code: string, message: string): AwsFault => new AwsFault(code, 404, message);

/** Identifiers are stored in lower case and asked for in any. */
const isNamed = (asked: string, id: string): boolean => asked.toLowerCase() === id.toLowerCase();

function filtered<Item>(
  items: readonly Item[],
  input: QueryParameters,
  table: Readonly<Record<string, (item: Item) => readonly string[]>>,
): readonly Item[] {
  const tests = input.filters().map(({ name, values }: QueryFilter) => {
    const read = table[name];
    if (read === undefined) throw new AwsFault('InvalidParameterValue', 400, `Unrecognized filter name: ${name}`);
    return (item: Item) => read(item).some((mine) => values.includes(mine));
  });
  return items.filter((item) => tests.every((fits) => fits(item)));
}

function tagsOf(inventory: Inventory, arn: string): Tags {
  for (const one of inventory.databases) if (rdsArn(inventory, 'db', one.id) === arn) return one.tags;
  for (const one of inventory.clusters) if (rdsArn(inventory, 'cluster', one.id) === arn) return one.tags;
  if (inventory.proxies.some((one) => rdsArn(inventory, 'db-proxy', one.name) === arn)) return {};
  throw new AwsFault(
    'InvalidParameterValue',
    400,
    `The specified resource name does not match an RDS resource in this region: ${arn}`,
  );
}
