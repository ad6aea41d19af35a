/** What we use of EC2, and nothing else, so that a bundler can leave out the rest. No logic here. */

export type {
  Filter,
  Instance,
  IpPermission,
  NetworkAcl,
  NetworkAclEntry,
  SecurityGroup,
  Subnet,
} from '@aws-sdk/client-ec2';
export {
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeNetworkAclsCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
