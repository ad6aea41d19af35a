import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DatabaseTarget, MachineTarget } from '../../../../src/domain/target.ts';
import { EPHEMERAL_PORTS, judgeAcl } from '../../../../src/providers/aws/network-acls.ts';
import type { NetworkPicture } from '../../../../src/providers/aws/network-picture.ts';
import { judgeReach } from '../../../../src/providers/aws/reachability.ts';
import type { IpPermission, NetworkAclEntry } from '../../../../src/providers/aws/sdk/ec2.ts';
import { judgeGroups } from '../../../../src/providers/aws/security-groups.ts';
import { covers, overlaps, parseCidr } from '../../../../src/runtime/cidr.ts';

const cidr = (text: string) => parseCidr(text) ?? assert.fail(text);

describe('blocks of addresses', () => {
  const inside: [outer: string, inner: string, covered: boolean, overlapping: boolean][] = [
    ['10.0.0.0/8', '10.1.2.3', true, true],
    ['10.0.0.0/8', '11.0.0.0/8', false, false],
    ['10.0.1.0/24', '10.0.0.0/16', false, true],
    ['0.0.0.0/0', '255.255.255.255', true, true],
    ['0.0.0.0/0', 'fd00::1', false, false],
    ['fd00::/8', 'fd12:3456::1/64', true, true],
    ['::/0', '::ffff:10.0.0.1', true, true],
    ['2001:db8::/32', '2001:db9::', false, false],
    ['10.0.0.7/24', '10.0.0.0', true, true],
  ];
  for (const [outer, inner, covered, overlapping] of inside) {
    test(`${outer} and ${inner}`, () => {
      assert.equal(covers(cidr(outer), cidr(inner)), covered);
      assert.equal(overlaps(cidr(outer), cidr(inner)), overlapping);
      assert.equal(overlaps(cidr(inner), cidr(outer)), overlapping);
    });
  }

  test('what is none', () => {
    for (const text of [
      '',
      '10.0.0',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fd00::/129',
      'fe80::1%eth0',
      'sg-1',
    ]) {
      assert.equal(parseCidr(text), undefined, text);
    }
  });

  test('a shorter prefix of the same address covers a longer one', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(
        fc.tuple(octet, octet, octet, octet),
        fc.integer({ min: 0, max: 32 }),
        fc.integer({ min: 0, max: 32 }),
        (parts, a, b) => {
          const address = parts.join('.');
          const [short, long] = [Math.min(a, b), Math.max(a, b)];
          assert.ok(covers(cidr(`${address}/${short}`), cidr(`${address}/${long}`)));
        },
      ),
    );
  });
});

describe('security groups', () => {
  const peer = { groupIds: ['sg-bastion', 'sg-common'], blocks: [cidr('10.0.1.5')] };
  const tcp = (from: number, to: number, rest: IpPermission): IpPermission => ({
    IpProtocol: 'tcp',
    FromPort: from,
    ToPort: to,
    ...rest,
  });
  const anyone: IpPermission = { IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
  const table: [name: string, rules: IpPermission[], family: 4 | 6, expected: string][] = [
    ['no rule', [], 4, 'closed'],
    ['the port, from everywhere', [tcp(3306, 3306, anyone)], 4, 'open'],
    ['another port', [tcp(5432, 5432, anyone)], 4, 'closed'],
    ['a range with the port in it', [tcp(3000, 4000, anyone)], 4, 'open'],
    ['a range that ends before', [tcp(3000, 3305, anyone)], 4, 'closed'],
    ['all ports of TCP, as -1', [tcp(-1, -1, anyone)], 4, 'open'],
    ['all traffic', [{ IpProtocol: '-1', ...anyone }], 4, 'open'],
    ['protocol 6 by number', [{ ...tcp(3306, 3306, anyone), IpProtocol: '6' }], 4, 'open'],
    ['UDP on the port', [{ ...tcp(3306, 3306, anyone), IpProtocol: 'udp' }], 4, 'closed'],
    ['ICMP', [{ IpProtocol: 'icmp', FromPort: -1, ToPort: -1, ...anyone }], 4, 'closed'],
    ['the address itself', [tcp(3306, 3306, { IpRanges: [{ CidrIp: '10.0.1.5/32' }] })], 4, 'open'],
    ['the subnet', [tcp(3306, 3306, { IpRanges: [{ CidrIp: '10.0.1.0/24' }] })], 4, 'open'],
    ['another subnet', [tcp(3306, 3306, { IpRanges: [{ CidrIp: '10.0.2.0/24' }] })], 4, 'closed'],
    ['its group', [tcp(3306, 3306, { UserIdGroupPairs: [{ GroupId: 'sg-bastion' }] })], 4, 'open'],
    ['its second group, also for IPv6', [tcp(3306, 3306, { UserIdGroupPairs: [{ GroupId: 'sg-common' }] })], 6, 'open'],
    ['another group', [tcp(3306, 3306, { UserIdGroupPairs: [{ GroupId: 'sg-other' }] })], 4, 'closed'],
    ['a group on another port', [tcp(22, 22, { UserIdGroupPairs: [{ GroupId: 'sg-bastion' }] })], 4, 'closed'],
    ['IPv6 everywhere, asked for IPv4', [tcp(3306, 3306, { Ipv6Ranges: [{ CidrIpv6: '::/0' }] })], 4, 'closed'],
    ['IPv6 everywhere, asked for IPv6', [tcp(3306, 3306, { Ipv6Ranges: [{ CidrIpv6: '::/0' }] })], 6, 'open'],
    ['a prefix list', [tcp(3306, 3306, { PrefixListIds: [{ PrefixListId: 'pl-1' }] })], 4, 'unknown'],
    ['a prefix list on another port', [tcp(22, 22, { PrefixListIds: [{ PrefixListId: 'pl-1' }] })], 4, 'closed'],
    [
      'a prefix list and a rule that settles it',
      [tcp(3306, 3306, { PrefixListIds: [{ PrefixListId: 'pl-1' }], ...anyone })],
      4,
      'open',
    ],
    ['rubbish for a block', [tcp(3306, 3306, { IpRanges: [{ CidrIp: 'everywhere' }] })], 4, 'closed'],
  ];
  for (const [name, ingress, family, expected] of table) {
    test(name, () => {
      const finding = judgeGroups([{ id: 'sg-db', ingress, egress: [] }], 'ingress', 3306, peer, family);
      assert.equal(finding.openness, expected);
    });
  }

  test('the two directions are not mixed up', () => {
    const group = { id: 'sg-1', ingress: [tcp(3306, 3306, anyone)], egress: [] };
    assert.equal(judgeGroups([group], 'egress', 3306, peer, 4).openness, 'closed');
  });

  test('towards a subnet: all of it, a part, or not known', () => {
    const egress = [tcp(3306, 3306, { IpRanges: [{ CidrIp: '10.0.8.0/25' }] })];
    const judge = (blocks: string[]) =>
      judgeGroups([{ id: 'sg-1', ingress: [], egress }], 'egress', 3306, { groupIds: [], blocks: blocks.map(cidr) }, 4)
        .openness;
    assert.equal(judge(['10.0.8.0/26']), 'open');
    assert.equal(judge(['10.0.8.0/24']), 'unknown');
    assert.equal(judge(['10.0.8.0/26', '10.0.9.0/24']), 'unknown');
    assert.equal(judge(['10.0.9.0/24']), 'closed');
    assert.equal(judge([]), 'unknown');
  });

  test('adding a rule never closes anything', () => {
    const rank = { closed: 0, unknown: 1, open: 2 };
    const rule = fc.record({
      IpProtocol: fc.constantFrom('tcp', 'udp', '-1', '6'),
      FromPort: fc.constantFrom(0, 3306, 5000),
      ToPort: fc.constantFrom(3306, 5000, 65_535),
      IpRanges: fc.subarray([{ CidrIp: '10.0.1.0/24' }, { CidrIp: '0.0.0.0/0' }, { CidrIp: '10.0.2.0/24' }]),
      UserIdGroupPairs: fc.subarray([{ GroupId: 'sg-bastion' }, { GroupId: 'sg-other' }]),
      PrefixListIds: fc.subarray([{ PrefixListId: 'pl-1' }]),
    });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 3 }), rule, (rules, more) => {
        const judge = (ingress: IpPermission[]) =>
          judgeGroups([{ id: 'sg', ingress, egress: [] }], 'ingress', 3306, peer, 4).openness;
        assert.ok(rank[judge([...rules, more])] >= rank[judge(rules)]);
      }),
    );
  });
});

describe('network ACLs', () => {
  const entry = (
    RuleNumber: number,
    RuleAction: 'allow' | 'deny',
    CidrBlock: string,
    ports?: [number, number],
    Egress = false,
  ): NetworkAclEntry => ({
    RuleNumber,
    RuleAction,
    CidrBlock,
    Egress,
    Protocol: ports === undefined ? '-1' : '6',
    ...(ports === undefined ? {} : { PortRange: { From: ports[0], To: ports[1] } }),
  });
  const question = { direction: 'in' as const, block: cidr('10.0.1.5'), ports: [3306, 3306] as const };
  const table: [name: string, entries: NetworkAclEntry[], expected: string][] = [
    ['nothing', [], 'closed'],
    ['the default ACL', [entry(100, 'allow', '0.0.0.0/0'), entry(32_767, 'deny', '0.0.0.0/0')], 'open'],
    [
      'the lower number wins, whatever the order',
      [entry(200, 'allow', '0.0.0.0/0'), entry(100, 'deny', '10.0.1.0/24')],
      'closed',
    ],
    ['a denial of another port', [entry(100, 'deny', '0.0.0.0/0', [22, 22]), entry(200, 'allow', '0.0.0.0/0')], 'open'],
    ['a denial of another block', [entry(100, 'deny', '10.0.2.0/24'), entry(200, 'allow', '0.0.0.0/0')], 'open'],
    ['rules of the other direction', [entry(100, 'allow', '0.0.0.0/0', undefined, true)], 'closed'],
    ['UDP', [{ ...entry(100, 'allow', '0.0.0.0/0'), Protocol: '17' }], 'closed'],
  ];
  for (const [name, entries, expected] of table) {
    test(name, () => assert.equal(judgeAcl(entries, question), expected));
  }

  test('a part of the block or of the ports is treated differently', () => {
    const wide = { ...question, block: cidr('10.0.1.0/24') };
    const rules = [entry(100, 'deny', '10.0.1.0/25'), entry(200, 'allow', '0.0.0.0/0')];
    assert.equal(judgeAcl(rules, wide), 'unknown');
    const answers = { ...question, ports: EPHEMERAL_PORTS };
    assert.equal(judgeAcl([entry(100, 'allow', '0.0.0.0/0', [1024, 65_535])], answers), 'open');
    assert.equal(judgeAcl([entry(100, 'allow', '0.0.0.0/0', [49_152, 65_535])], answers), 'unknown');
    assert.equal(
      judgeAcl([entry(100, 'allow', '0.0.0.0/0', [49_152, 65_535]), entry(200, 'allow', '0.0.0.0/0')], answers),
      'open',
    );
  });
});

describe('from a machine to a database', () => {
  const node: MachineTarget = {
    kind: 'machine',
    provider: 'aws',
    id: 'i-0a1b2c3d4e5f60001',
    name: 'bastion-a',
    state: 'running',
    privateIp: '10.0.1.5',
    subnetId: 'subnet-app',
    securityGroupIds: ['sg-bastion'],
  };
  const database: DatabaseTarget = {
    kind: 'database',
    provider: 'aws',
    id: 'prod',
    flavour: 'instance',
    engine: 'mysql',
    engineLabel: 'MySQL 8.0',
    endpoint: { host: 'prod.example', port: 3306 },
    available: true,
    status: 'available',
    zone: 'a',
    subnetIds: ['subnet-db-a', 'subnet-db-b'],
    securityGroupIds: ['sg-db'],
  };
  const all: IpPermission = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
  const fromBastion: IpPermission = {
    IpProtocol: 'tcp',
    FromPort: 3306,
    ToPort: 3306,
    UserIdGroupPairs: [{ GroupId: 'sg-bastion' }],
  };
  const subnet = (id: string, zone: string, ...blocks: string[]) =>
    [id, { id, zone, blocks: blocks.map(cidr) }] as const;
  const picture = (
    egress: IpPermission[],
    ingress: IpPermission[],
    rest: Partial<NetworkPicture> = {},
  ): NetworkPicture => ({
    groups: new Map([
      ['sg-bastion', { id: 'sg-bastion', ingress: [], egress }],
      ['sg-db', { id: 'sg-db', ingress, egress: [] }],
    ]),
    subnets: new Map([subnet('subnet-db-a', 'a', '10.0.8.0/24'), subnet('subnet-db-b', 'b', '10.0.9.0/24')]),
    acls: undefined,
    ...rest,
  });
  const judge = (view: NetworkPicture, caller = { target: node, ipv6: [] as string[] }) =>
    judgeReach(caller, database, 3306, view);

  test('let out and let in', () => {
    assert.deepEqual(judge(picture([all], [fromBastion])), {
      openness: 'open',
      reasons: ['prod admits it: sg-db names sg-bastion on 3306'],
    });
  });

  test('not let in', () => {
    assert.deepEqual(judge(picture([all], [])), {
      openness: 'closed',
      reasons: ['sg-db of prod does not admit sg-bastion or 10.0.1.5 on 3306'],
    });
  });

  test('not let out', () => {
    const result = judge(picture([], [fromBastion]));
    assert.deepEqual(result, {
      openness: 'closed',
      reasons: ['sg-bastion of bastion-a lets nothing out to prod on 3306'],
    });
  });

  test('let out to the group of the database, or to the subnet of its zone', () => {
    const toGroup: IpPermission = {
      IpProtocol: 'tcp',
      FromPort: 3306,
      ToPort: 3306,
      UserIdGroupPairs: [{ GroupId: 'sg-db' }],
    };
    const toZone: IpPermission = {
      IpProtocol: 'tcp',
      FromPort: 3306,
      ToPort: 3306,
      IpRanges: [{ CidrIp: '10.0.8.0/24' }],
    };
    assert.equal(judge(picture([toGroup], [fromBastion])).openness, 'open');
    assert.equal(judge(picture([toZone], [fromBastion])).openness, 'open');
    assert.equal(judge(picture([toZone], [fromBastion], { subnets: undefined })).openness, 'unknown');
  });

  test('one group for both, which names itself', () => {
    const self: IpPermission = { IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: 'sg-both' }] };
    const groups = new Map([['sg-both', { id: 'sg-both', ingress: [self], egress: [all] }]]);
    const result = judgeReach(
      { target: { ...node, securityGroupIds: ['sg-both'] }, ipv6: [] },
      { ...database, securityGroupIds: ['sg-both'] },
      3306,
      picture([], [], { groups }),
    );
    assert.equal(result.openness, 'open');
  });

  test('groups that may not be read, or not all of them', () => {
    assert.deepEqual(judge(picture([], [], { groups: undefined })), {
      openness: 'unknown',
      reasons: ['security groups may not be read (ec2:DescribeSecurityGroups)'],
    });
    const half = new Map([['sg-bastion', { id: 'sg-bastion', ingress: [], egress: [all] }]]);
    assert.equal(judge(picture([], [], { groups: half })).openness, 'unknown');
  });

  test('by IPv6 where both ends have it', () => {
    const view = picture(
      [{ IpProtocol: '-1', Ipv6Ranges: [{ CidrIpv6: '::/0' }] }],
      [{ IpProtocol: 'tcp', FromPort: 3306, ToPort: 3306, Ipv6Ranges: [{ CidrIpv6: 'fd00::/8' }] }],
    );
    const dual = new Map([subnet('subnet-db-a', 'a', '10.0.8.0/24', 'fd00:8::/64')]);
    assert.equal(judge(view, { target: node, ipv6: ['fd00::5'] }).openness, 'closed');
    assert.equal(judge({ ...view, subnets: dual }, { target: node, ipv6: ['fd00::5'] }).openness, 'open');
    assert.equal(judge({ ...view, subnets: dual }).openness, 'closed');
  });

  describe('network ACLs between the subnets', () => {
    const allow = (Egress: boolean): NetworkAclEntry => ({
      RuleNumber: 100,
      RuleAction: 'allow',
      CidrBlock: '0.0.0.0/0',
      Protocol: '-1',
      Egress,
    });
    const open = { id: 'acl-open', entries: [allow(true), allow(false)] };
    const oneWay = { id: 'acl-in', entries: [allow(false)] };
    const shut = { id: 'acl-shut', entries: [] };
    const withAcls = (acls: Record<string, typeof open>) =>
      picture([all], [fromBastion], { acls: new Map(Object.entries(acls)) });

    test('open, closed, and without a way back', () => {
      assert.equal(judge(withAcls({ 'subnet-app': open, 'subnet-db-a': open })).openness, 'open');
      const closed = judge(withAcls({ 'subnet-app': open, 'subnet-db-a': shut }));
      assert.equal(closed.openness, 'closed');
      assert.match(closed.reasons[0]!, /network ACL acl-shut between subnet-app and subnet-db-a/);
      assert.equal(judge(withAcls({ 'subnet-app': oneWay, 'subnet-db-a': open })).openness, 'closed');
      assert.equal(judge(withAcls({ 'subnet-app': open, 'subnet-db-a': oneWay })).openness, 'closed');
    });

    test('inside one subnet they are not asked', () => {
      const inside = { target: { ...node, subnetId: 'subnet-db-a' }, ipv6: [] };
      assert.equal(judge(withAcls({ 'subnet-db-a': shut }), inside).openness, 'open');
    });

    test('a database whose subnet is not known: closed towards one of two is a doubt', () => {
      const { zone: _, ...anywhere } = database;
      const view = withAcls({ 'subnet-app': open, 'subnet-db-a': open, 'subnet-db-b': shut });
      assert.equal(judgeReach({ target: node, ipv6: [] }, anywhere, 3306, view).openness, 'unknown');
    });
  });
});
