import { IMAGES, type LabImage, systemOf } from '../aws-ssh.ts';
import type {
  Inventory,
  LabInstance,
  LabNetworkAcl,
  LabRule,
  LabSecurityGroup,
  LabSubnet,
  LabVpc,
  Tags,
} from '../inventory.ts';
import { privateDnsName } from '../managed-nodes.ts';
import type { XmlObject } from './xml.ts';

/** The inventory in the words of the EC2 API; long because its answers are. */

const STATE_CODES: Readonly<Record<LabInstance['state'], number>> = {
  pending: 0,
  running: 16,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export function describeInstance(instance: LabInstance, inventory: Inventory): XmlObject {
  const suffix = instance.id.slice('i-'.length);
  const subnet = inventory.subnets.find((one) => one.id === instance.subnetId);
  const dnsName = privateDnsName(inventory, instance.privateIp);
  const groups = {
    item: instance.securityGroupIds.map((id) => ({ groupId: id, groupName: groupName(inventory, id) })),
  };
  return {
    reservationId: `r-${suffix}`,
    ownerId: inventory.account,
    groupSet: {},
    instancesSet: {
      item: [
        {
          instanceId: instance.id,
          imageId: IMAGES[systemOf(instance)].id,
          instanceState: { code: STATE_CODES[instance.state], name: instance.state },
          privateDnsName: dnsName,
          dnsName: '',
          reason: instance.state === 'stopped' ? 'User initiated' : '',
          amiLaunchIndex: 0,
          instanceType: instance.type,
          launchTime: instance.launchedAt,
          placement: { availabilityZone: subnet?.zone, groupName: '', tenancy: 'default' },
          platformDetails: 'Linux/UNIX',
          monitoring: { state: 'disabled' },
          subnetId: instance.subnetId,
          vpcId: subnet?.vpcId,
          privateIpAddress: instance.privateIp,
          sourceDestCheck: true,
          groupSet: groups,
          architecture: 'arm64',
          rootDeviceType: 'ebs',
          hypervisor: 'xen',
          tagSet: describeTags({ Name: instance.name, ...instance.tags }),
          networkInterfaceSet: {
            item: [
              {
                networkInterfaceId: `eni-${suffix}`,
                subnetId: instance.subnetId,
                vpcId: subnet?.vpcId,
                ownerId: inventory.account,
                status: 'in-use',
                privateIpAddress: instance.privateIp,
                privateDnsName: dnsName,
                groupSet: groups,
                privateIpAddressesSet: { item: [{ privateIpAddress: instance.privateIp, primary: true }] },
              },
            ],
          },
        },
      ],
    },
  };
}

export function describeImage(image: LabImage): XmlObject {
  return {
    imageId: image.id,
    imageLocation: `${image.ownerAlias}/${image.name}`,
    imageState: 'available',
    imageOwnerId: image.ownerId,
    imageOwnerAlias: image.ownerAlias,
    isPublic: true,
    architecture: 'arm64',
    imageType: 'machine',
    name: image.name,
    description: image.description,
    platformDetails: 'Linux/UNIX',
    usageOperation: 'RunInstances',
    rootDeviceType: 'ebs',
    rootDeviceName: '/dev/xvda',
    virtualizationType: 'hvm',
    hypervisor: 'xen',
    enaSupport: true,
    creationDate: '2025-09-15T00:00:00.000Z',
    tagSet: {},
  };
}

const groupName = (inventory: Inventory, id: string): string =>
  inventory.securityGroups.find((group) => group.id === id)?.name ?? id;

export function describeSecurityGroup(group: LabSecurityGroup, inventory: Inventory): XmlObject {
  return {
    ownerId: inventory.account,
    groupId: group.id,
    groupName: group.name,
    groupDescription: group.description,
    vpcId: group.vpcId,
    ipPermissions: { item: group.ingress.map((rule) => describeRule(rule, inventory)) },
    ipPermissionsEgress: { item: group.egress.map((rule) => describeRule(rule, inventory)) },
    tagSet: describeTags(group.tags),
  };
}

function describeRule(rule: LabRule, inventory: Inventory): XmlObject {
  return {
    ipProtocol: rule.protocol,
    fromPort: rule.ports?.[0],
    toPort: rule.ports?.[1],
    groups: { item: (rule.groups ?? []).map((id) => ({ userId: inventory.account, groupId: id })) },
    ipRanges: { item: (rule.cidrs ?? []).filter((cidr) => !cidr.includes(':')).map((cidr) => ({ cidrIp: cidr })) },
    ipv6Ranges: { item: (rule.cidrs ?? []).filter((cidr) => cidr.includes(':')).map((cidr) => ({ cidrIpv6: cidr })) },
    prefixListIds: {},
  };
}

export function describeSubnet(subnet: LabSubnet, inventory: Inventory): XmlObject {
  return {
    subnetId: subnet.id,
    subnetArn: `arn:aws:ec2:${inventory.region}:${inventory.account}:subnet/${subnet.id}`,
    state: 'available',
    ownerId: inventory.account,
    vpcId: subnet.vpcId,
    cidrBlock: subnet.cidr,
    ipv6CidrBlockAssociationSet: {},
    availableIpAddressCount: 240,
    availabilityZone: subnet.zone,
    defaultForAz: false,
    mapPublicIpOnLaunch: false,
    tagSet: describeTags(subnet.tags),
  };
}

export function describeVpc(vpc: LabVpc, inventory: Inventory): XmlObject {
  const association = {
    associationId: `vpc-cidr-assoc-${vpc.id.slice('vpc-'.length)}`,
    cidrBlock: vpc.cidr,
    cidrBlockState: { state: 'associated' },
  };
  return {
    vpcId: vpc.id,
    state: 'available',
    ownerId: inventory.account,
    cidrBlock: vpc.cidr,
    cidrBlockAssociationSet: { item: [association] },
    instanceTenancy: 'default',
    isDefault: vpc.isDefault,
    tagSet: describeTags(vpc.tags),
  };
}

export function describeAcl(acl: LabNetworkAcl, inventory: Inventory): XmlObject {
  return {
    networkAclId: acl.id,
    vpcId: acl.vpcId,
    ownerId: inventory.account,
    default: acl.isDefault,
    entrySet: {
      item: acl.entries.map((entry) => ({
        ruleNumber: entry.number,
        protocol: entry.protocol,
        ruleAction: entry.allow ? 'allow' : 'deny',
        egress: entry.egress,
        cidrBlock: entry.cidr,
        portRange: entry.ports === undefined ? undefined : { from: entry.ports[0], to: entry.ports[1] },
      })),
    },
    associationSet: {
      item: acl.subnetIds.map((subnetId) => ({
        networkAclAssociationId: `aclassoc-${subnetId.slice('subnet-'.length)}`,
        networkAclId: acl.id,
        subnetId,
      })),
    },
    tagSet: {},
  };
}

export const describeTags = (tags: Tags): XmlObject => ({
  item: Object.entries(tags).map(([key, value]) => ({ key, value })),
});
