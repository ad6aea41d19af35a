import { matchesPattern } from '../../core/wildcard.ts';
import { IMAGES, type LabImage, systemOf } from '../aws-ssh.ts';
import type { Inventory, LabInstance, LabNetworkAcl, LabSecurityGroup, LabSubnet, LabVpc, Tags } from '../inventory.ts';
import { privateDnsName } from '../managed-nodes.ts';
import { type ApiContext, type QueryOperation, type QueryService, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import {
  describeAcl,
  describeImage,
  describeInstance,
  describeSecurityGroup,
  describeSubnet,
  describeVpc,
} from './ec2-shapes.ts';
import { ec2TagOperations } from './ec2-tags.ts';
import { takePage } from './paging.ts';
import type { QueryFilter, QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

/** What EC2 knows of one kind of thing: how to list it, find it by id, filter it and write it. */
interface Kind<Item> {
  readonly list: (inventory: Inventory) => readonly Item[];
  readonly id: (item: Item) => string;
  readonly tags: (item: Item) => Tags;
  /** Parameter with ids, and what the answer to an unknown one is called. */
  readonly idParameter: string;
  readonly notFound: string;
  /** Where an id of a wrong form is called something else. */
  readonly malformed?: string;
  readonly idPrefix: string;
  readonly what: string;
  /** Filter name → the values that an item has for it. */
  readonly filters: Readonly<Record<string, (item: Item, inventory: Inventory) => readonly string[]>>;
  readonly describe: (item: Item, inventory: Inventory) => XmlObject;
  /** Element that holds the `item`s. */
  readonly set: string;
  readonly lowestPage: number;
}

const INSTANCES: Kind<LabInstance> = {
  list: (inventory) => inventory.instances,
  id: (one) => one.id,
  tags: (one) => ({ Name: one.name, ...one.tags }),
  idParameter: 'InstanceId',
  notFound: 'InvalidInstanceID.NotFound',
  malformed: 'InvalidInstanceID.Malformed',
  idPrefix: 'i-',
  what: 'instance ID',
  filters: {
    'instance-id': (one) => [one.id],
    'instance-state-name': (one) => [one.state],
    'instance-type': (one) => [one.type],
    'image-id': (one) => [IMAGES[systemOf(one)].id],
    'private-ip-address': (one) => [one.privateIp],
    'network-interface.addresses.private-ip-address': (one) => [one.privateIp],
    'private-dns-name': (one, inventory) => [privateDnsName(inventory, one.privateIp)],
    'subnet-id': (one) => [one.subnetId],
    'vpc-id': (one, inventory) =>
      inventory.subnets.filter((subnet) => subnet.id === one.subnetId).map((subnet) => subnet.vpcId),
    'availability-zone': (one, inventory) =>
      inventory.subnets.filter((subnet) => subnet.id === one.subnetId).map((subnet) => subnet.zone),
    'instance.group-id': (one) => one.securityGroupIds,
    'network-interface.group-id': (one) => one.securityGroupIds,
  },
  describe: describeInstance,
  set: 'reservationSet',
  lowestPage: 5,
};

const SECURITY_GROUPS: Kind<LabSecurityGroup> = {
  list: (inventory) => inventory.securityGroups,
  id: (one) => one.id,
  tags: (one) => one.tags,
  idParameter: 'GroupId',
  notFound: 'InvalidGroup.NotFound',
  idPrefix: 'sg-',
  what: 'security group',
  filters: { 'group-id': (one) => [one.id], 'group-name': (one) => [one.name], 'vpc-id': (one) => [one.vpcId] },
  describe: describeSecurityGroup,
  set: 'securityGroupInfo',
  lowestPage: 5,
};

const SUBNETS: Kind<LabSubnet> = {
  list: (inventory) => inventory.subnets,
  id: (one) => one.id,
  tags: (one) => one.tags,
  idParameter: 'SubnetId',
  notFound: 'InvalidSubnetID.NotFound',
  idPrefix: 'subnet-',
  what: 'subnet ID',
  filters: {
    'subnet-id': (one) => [one.id],
    'vpc-id': (one) => [one.vpcId],
    'cidr-block': (one) => [one.cidr],
    'availability-zone': (one) => [one.zone],
    state: () => ['available'],
  },
  describe: describeSubnet,
  set: 'subnetSet',
  lowestPage: 5,
};

const VPCS: Kind<LabVpc> = {
  list: (inventory) => inventory.vpcs,
  id: (one) => one.id,
  tags: (one) => one.tags,
  idParameter: 'VpcId',
  notFound: 'InvalidVpcID.NotFound',
  idPrefix: 'vpc-',
  what: 'vpc ID',
  filters: {
    'vpc-id': (one) => [one.id],
    cidr: (one) => [one.cidr],
    'cidr-block-association.cidr-block': (one) => [one.cidr],
    'is-default': (one) => [String(one.isDefault)],
    state: () => ['available'],
  },
  describe: describeVpc,
  set: 'vpcSet',
  lowestPage: 5,
};

const NETWORK_ACLS: Kind<LabNetworkAcl> = {
  list: (inventory) => inventory.networkAcls,
  id: (one) => one.id,
  tags: () => ({}),
  idParameter: 'NetworkAclId',
  notFound: 'InvalidNetworkAclID.NotFound',
  idPrefix: 'acl-',
  what: 'network acl ID',
  filters: {
    'network-acl-id': (one) => [one.id],
    'vpc-id': (one) => [one.vpcId],
    'association.subnet-id': (one) => one.subnetIds,
    default: (one) => [String(one.isDefault)],
  },
  describe: describeAcl,
  set: 'networkAclSet',
  lowestPage: 5,
};

const PUBLIC_IMAGES: Kind<LabImage> = {
  list: () => Object.values(IMAGES),
  id: (one) => one.id,
  tags: () => ({}),
  idParameter: 'ImageId',
  notFound: 'InvalidAMIID.NotFound',
  malformed: 'InvalidAMIID.Malformed',
  idPrefix: 'ami-',
  what: 'image id',
  filters: {
    'image-id': (one) => [one.id],
    name: (one) => [one.name],
    'owner-alias': (one) => [one.ownerAlias],
    state: () => ['available'],
  },
  describe: describeImage,
  set: 'imagesSet',
  lowestPage: 1,
};

/** The describing part of EC2 that finding a way to a machine or database needs. */
export function ec2Api(context: ApiContext): QueryService {
  return {
    name: 'ec2',
    protocol: 'ec2',
    version: '2016-11-15',
    namespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
    operations: {
      DescribeInstances: describeOperation(context, 'DescribeInstances', INSTANCES),
      DescribeImages: describeOperation(context, 'DescribeImages', PUBLIC_IMAGES),
      DescribeSecurityGroups: describeOperation(context, 'DescribeSecurityGroups', SECURITY_GROUPS),
      DescribeSubnets: describeOperation(context, 'DescribeSubnets', SUBNETS),
      DescribeVpcs: describeOperation(context, 'DescribeVpcs', VPCS),
      DescribeNetworkAcls: describeOperation(context, 'DescribeNetworkAcls', NETWORK_ACLS),
      ...ec2TagOperations(context),
    },
  };
}

function describeOperation<Item>(context: ApiContext, operation: string, kind: Kind<Item>): QueryOperation {
  return {
    run: (input, call) => {
      const inventory = regionalInventory(context, call);
      const ids = input.list(kind.idParameter);
      const asked = input.integer('MaxResults', kind.lowestPage, 1_000);
      if (ids.length > 0 && asked !== undefined) {
        const what = `The parameter ${kind.idParameter} cannot be used with the parameter MaxResults`;
        throw new AwsFault('InvalidParameterCombination', 400, what);
      }
      const chosen = chooseByIds(kind, kind.list(inventory), ids);
      const filters = input.filters();
      const found = chosen.filter((item) => filters.every((filter) => fits(kind, item, inventory, filter)));
      // A list of ids is answered whole, whatever the page limit: it was bounded by the caller.
      const size = ids.length > 0 ? found.length : Math.min(asked ?? 1_000, context.pageLimit);
      const page = takePage(`ec2:${operation}`, found, Math.max(1, size), nextToken(input), BAD_TOKEN);
      const items = page.items.map((item) => kind.describe(item, inventory));
      return { [kind.set]: { item: items }, nextToken: page.next };
    },
  };
}

const BAD_TOKEN = new AwsFault('InvalidParameterValue', 400, 'Unable to parse pagination token');

const nextToken = (input: QueryParameters): string | undefined => input.get('NextToken');

function chooseByIds<Item>(kind: Kind<Item>, items: readonly Item[], ids: readonly string[]): readonly Item[] {
  if (ids.length === 0) return items;
  const malformed = ids.find(
    (id) => !id.startsWith(kind.idPrefix) || !/^[0-9a-f]+$/.test(id.slice(kind.idPrefix.length)),
  );
  if (malformed !== undefined) {
    const code = kind.malformed ?? kind.notFound;
    throw new AwsFault(code, 400, `Invalid id: "${malformed}" (expecting "${kind.idPrefix}...")`);
  }
  const unknown = ids.filter((id) => !items.some((item) => kind.id(item) === id));
  if (unknown.length > 0) {
    throw new AwsFault(kind.notFound, 400, `The ${kind.what} '${unknown.join(', ')}' does not exist`);
  }
  return items.filter((item) => ids.includes(kind.id(item)));
}

function fits<Item>(kind: Kind<Item>, item: Item, inventory: Inventory, filter: QueryFilter): boolean {
  const mine = filterValues(kind, item, inventory, filter.name);
  return filter.values.some((pattern) => mine.some((value) => matchesPattern(pattern, value)));
}

function filterValues<Item>(kind: Kind<Item>, item: Item, inventory: Inventory, name: string): readonly string[] {
  const tags = kind.tags(item);
  if (name.startsWith('tag:')) {
    const value = tags[name.slice('tag:'.length)];
    return value === undefined ? [] : [value];
  }
  if (name === 'tag-key') return Object.keys(tags);
  if (name === 'owner-id') return [inventory.account];
  const read = kind.filters[name];
  if (read === undefined) throw new AwsFault('InvalidParameterValue', 400, `The filter '${name}' is invalid`);
  return read(item, inventory);
}
