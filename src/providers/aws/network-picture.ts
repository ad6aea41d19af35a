import { CloudtunError } from '../../domain/errors.ts';
import { type Cidr, parseCidr } from '../../runtime/cidr.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import type { NetworkAclEntry } from './sdk/ec2.ts';
import { type GroupRules, groupRulesFrom } from './security-groups.ts';

export interface SubnetFacts {
  readonly id: string;
  readonly zone: string | undefined;
  readonly blocks: readonly Cidr[];
}

export interface AclFacts {
  readonly id: string;
  readonly entries: readonly NetworkAclEntry[];
}

/** What EC2 says about the paths of a network; each part undefined when it may not be read. */
export interface NetworkPicture {
  readonly groups: ReadonlyMap<string, GroupRules> | undefined;
  readonly subnets: ReadonlyMap<string, SubnetFacts> | undefined;
  /** By the subnet they guard. */
  readonly acls: ReadonlyMap<string, AclFacts> | undefined;
}

const MAX_PAGES = 20;
const PAGE_SIZE = 200;

/** Denials, and endpoints that lack the call, leave a blank in the picture: the choice goes on and says so. */
async function unlessHidden<Result>(reading: Promise<Result>): Promise<Result | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof CloudtunError && error.code === 'CT_DENIED') return undefined;
    if (['InvalidAction', 'UnknownOperationException'].includes(awsErrorName(error) ?? '')) return undefined;
    throw error;
  }
}

/** Reads security groups, subnets and network ACLs of the given networks, side by side. */
export async function readNetworks(
  api: AwsApi,
  networkIds: readonly string[],
  signal: AbortSignal,
): Promise<NetworkPicture> {
  const filters = [{ Name: 'vpc-id', Values: [...networkIds] }];
  const [groups, subnets, acls] = await Promise.all([
    unlessHidden(
      api.ec2({ action: 'ec2:DescribeSecurityGroups', doing: 'read security groups' }, signal, (sdk, client, options) =>
        pages(async (page) => {
          const answer = await client.send(
            new sdk.DescribeSecurityGroupsCommand({ Filters: filters, ...page }),
            options,
          );
          return { items: answer.SecurityGroups, next: answer.NextToken };
        }),
      ),
    ),
    unlessHidden(
      api.ec2({ action: 'ec2:DescribeSubnets', doing: 'read subnets' }, signal, (sdk, client, options) =>
        pages(async (page) => {
          const answer = await client.send(new sdk.DescribeSubnetsCommand({ Filters: filters, ...page }), options);
          return { items: answer.Subnets, next: answer.NextToken };
        }),
      ),
    ),
    unlessHidden(
      api.ec2({ action: 'ec2:DescribeNetworkAcls', doing: 'read network ACLs' }, signal, (sdk, client, options) =>
        pages(async (page) => {
          const answer = await client.send(new sdk.DescribeNetworkAclsCommand({ Filters: filters, ...page }), options);
          return { items: answer.NetworkAcls, next: answer.NextToken };
        }),
      ),
    ),
  ]);
  return {
    groups: groups && new Map(groups.map((group) => [group.GroupId ?? '', groupRulesFrom(group)])),
    subnets:
      subnets &&
      new Map(
        subnets.map((subnet) => {
          const ipv6 = (subnet.Ipv6CidrBlockAssociationSet ?? []).flatMap(
            (association) => association.Ipv6CidrBlock ?? [],
          );
          const blocks = [subnet.CidrBlock ?? '', ...ipv6].map(parseCidr).filter((block) => block !== undefined);
          return [subnet.SubnetId ?? '', { id: subnet.SubnetId ?? '', zone: subnet.AvailabilityZone, blocks }];
        }),
      ),
    acls:
      acls &&
      new Map(
        acls.flatMap((acl) =>
          (acl.Associations ?? []).map((association) => [
            association.SubnetId ?? '',
            { id: acl.NetworkAclId ?? '', entries: acl.Entries ?? [] },
          ]),
        ),
      ),
  };
}

async function pages<Item>(
  read: (page: {
    MaxResults: number;
    NextToken?: string;
  }) => Promise<{ items: Item[] | undefined; next: string | undefined }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await read({ MaxResults: PAGE_SIZE, ...(token === undefined ? {} : { NextToken: token }) });
    all.push(...(answer.items ?? []));
    token = answer.next || undefined;
    if (token === undefined) break;
  }
  return all;
}
