import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import {
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  DescribeNetworkAclsCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  paginateDescribeInstances,
} from '@aws-sdk/client-ec2';
import { clientOptions, testLab } from '../../support/aws-lab.ts';

const named = (name: string) => (error: Error) => error.name === name;

async function open(t: Parameters<typeof testLab>[0], pageLimit?: number) {
  const lab = await testLab(t, pageLimit === undefined ? {} : { pageLimit });
  const ec2 = new EC2Client(clientOptions(lab));
  const names = async (input: DescribeInstancesCommandInput) => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand(input));
    return (Reservations ?? []).flatMap((one) => one.Instances ?? []).map((one) => one.InstanceId?.slice(-1));
  };
  const by = (Name: string, ...Values: string[]) => names({ Filters: [{ Name, Values }] });
  return { lab, ec2, names, by };
}

describe('DescribeInstances', () => {
  test('tells all of a machine that finding a way needs', async (t) => {
    const { ec2 } = await open(t);
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: ['i-0a1b2c3d4e5f60001'] }));
    const [instance] = Reservations?.[0]?.Instances ?? [];
    assert.equal(instance?.State?.Name, 'running');
    assert.equal(instance?.PrivateIpAddress, '10.20.10.11');
    assert.equal(instance?.PrivateDnsName, 'ip-10-20-10-11.ap-northeast-1.compute.internal');
    assert.equal(instance?.VpcId, 'vpc-0a1b2c3d4e5f60001');
    assert.equal(instance?.SubnetId, 'subnet-0a1b2c3d4e5f6a001');
    assert.deepEqual(instance?.SecurityGroups, [{ GroupId: 'sg-0a1b2c3d4e5f6b001', GroupName: 'bastion' }]);
    assert.deepEqual(instance?.Tags, [
      { Key: 'Name', Value: 'bastion-a' },
      { Key: 'role', Value: 'bastion' },
    ]);
    assert.equal(instance?.LaunchTime?.toISOString(), '2026-11-02T00:30:00.000Z');
    assert.equal(instance?.Placement?.AvailabilityZone, 'ap-northeast-1a');
  });

  test('filters, with wildcards, all of them at once', async (t) => {
    const { by, names } = await open(t);
    assert.deepEqual(await by('tag:Name', 'app'), ['7', '8']);
    assert.deepEqual(await by('tag:Name', 'bastion-?'), ['1', '2']);
    assert.deepEqual(await by('tag:role', 'bastion', 'web'), ['1', '2', '3']);
    assert.deepEqual(await by('tag:aws:autoscaling:groupName', 'app-asg'), ['7', '8']);
    assert.deepEqual(await by('tag-key', 'aws:*'), ['7', '8']);
    assert.deepEqual(await by('private-ip-address', '10.20.10.21'), ['3']);
    assert.deepEqual(await by('private-dns-name', 'ip-10-20-10-21.*'), ['3']);
    assert.deepEqual(await by('instance-state-name', 'stopped'), ['5']);
    assert.deepEqual(await by('vpc-id', 'vpc-0a1b2c3d4e5f60002'), []);
    assert.deepEqual(await by('instance-id', 'i-0a1b2c3d4e5f60004'), ['4']);
    const both = [
      { Name: 'tag:role', Values: ['bastion'] },
      { Name: 'subnet-id', Values: ['subnet-0a1b2c3d4e5f6a002'] },
    ];
    assert.deepEqual(await names({ Filters: both }), ['2']);
    await assert.rejects(by('colour', 'red'), named('InvalidParameterValue'));
  });

  test('pages, as asked and shorter', async (t) => {
    const { ec2 } = await open(t, 2);
    const seen: string[] = [];
    let pages = 0;
    for await (const page of paginateDescribeInstances({ client: ec2, pageSize: 5 }, {})) {
      pages += 1;
      seen.push(...(page.Reservations ?? []).flatMap((one) => one.Instances ?? []).map((one) => one.InstanceId ?? ''));
    }
    assert.equal(pages, 5);
    assert.equal(new Set(seen).size, 10);
    await assert.rejects(ec2.send(new DescribeInstancesCommand({ NextToken: 'x' })), named('InvalidParameterValue'));
    await assert.rejects(ec2.send(new DescribeInstancesCommand({ MaxResults: 4 })), named('InvalidParameterValue'));
    const both = { MaxResults: 5, InstanceIds: ['i-0a1b2c3d4e5f60001'] };
    await assert.rejects(ec2.send(new DescribeInstancesCommand(both)), named('InvalidParameterCombination'));
  });

  test('unknown and malformed ids', async (t) => {
    const { names } = await open(t);
    await assert.rejects(names({ InstanceIds: ['i-0123456789abcdef0'] }), named('InvalidInstanceID.NotFound'));
    await assert.rejects(names({ InstanceIds: ['web-1'] }), named('InvalidInstanceID.Malformed'));
  });
});

describe('networks', () => {
  test('security groups with their rules', async (t) => {
    const { ec2 } = await open(t);
    const GroupIds = ['sg-0a1b2c3d4e5f6b004'];
    const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({ GroupIds }));
    const [group] = SecurityGroups ?? [];
    assert.equal(group?.GroupName, 'database');
    const [rule] = group?.IpPermissions ?? [];
    assert.deepEqual([rule?.IpProtocol, rule?.FromPort, rule?.ToPort], ['tcp', 3306, 3306]);
    assert.deepEqual(rule?.UserIdGroupPairs, [{ UserId: '111122223333', GroupId: 'sg-0a1b2c3d4e5f6b001' }]);
    assert.deepEqual(group?.IpPermissionsEgress, []);
    const bastion = await ec2.send(
      new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: ['bastion'] }] }),
    );
    assert.equal(bastion.SecurityGroups?.[0]?.IpPermissionsEgress?.[0]?.IpProtocol, '-1');
    assert.deepEqual(bastion.SecurityGroups?.[0]?.IpPermissionsEgress?.[0]?.IpRanges, [{ CidrIp: '0.0.0.0/0' }]);
    const unknown = new DescribeSecurityGroupsCommand({ GroupIds: ['sg-0123456789abcdef0'] });
    await assert.rejects(ec2.send(unknown), named('InvalidGroup.NotFound'));
  });

  test('subnets, networks and network ACLs', async (t) => {
    const { ec2 } = await open(t);
    const Filters = [{ Name: 'vpc-id', Values: ['vpc-0a1b2c3d4e5f60001'] }];
    const { Subnets } = await ec2.send(new DescribeSubnetsCommand({ Filters }));
    assert.deepEqual(
      Subnets?.map((one) => one.CidrBlock),
      ['10.20.10.0/24', '10.20.11.0/24', '10.20.20.0/24', '10.20.21.0/24', '10.20.30.0/24'],
    );
    const { Vpcs } = await ec2.send(new DescribeVpcsCommand({}));
    assert.deepEqual(
      Vpcs?.map((one) => one.CidrBlockAssociationSet?.[0]?.CidrBlock),
      ['10.20.0.0/16', '10.30.0.0/16'],
    );
    const association = [{ Name: 'association.subnet-id', Values: ['subnet-0a1b2c3d4e5f6a003'] }];
    const { NetworkAcls } = await ec2.send(new DescribeNetworkAclsCommand({ Filters: association }));
    assert.equal(NetworkAcls?.length, 1);
    const entry = NetworkAcls?.[0]?.Entries?.find((one) => one.Egress === false && one.RuleNumber === 100);
    assert.deepEqual([entry?.RuleAction, entry?.CidrBlock, entry?.Protocol], ['allow', '0.0.0.0/0', '-1']);
    await assert.rejects(
      ec2.send(new DescribeSubnetsCommand({ SubnetIds: ['subnet-0'] })),
      named('InvalidSubnetID.NotFound'),
    );
    await assert.rejects(ec2.send(new DescribeVpcsCommand({ VpcIds: ['vpc-0'] })), named('InvalidVpcID.NotFound'));
  });
});
