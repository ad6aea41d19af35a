/** What we use of RDS, and nothing else, so that a bundler can leave out the rest. No logic here. */

export type { DBCluster, DBInstance, DBProxy, DBSubnetGroup, Tag } from '@aws-sdk/client-rds';
export {
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  DescribeDBProxiesCommand,
  DescribeDBProxyEndpointsCommand,
  DescribeDBSubnetGroupsCommand,
  ListTagsForResourceCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
