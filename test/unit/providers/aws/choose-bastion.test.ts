import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { DatabaseTarget } from '../../../../src/domain/target.ts';
import { agentAbilities, agentObjection, compareVersions } from '../../../../src/providers/aws/agent-version.ts';
import {
  aclsAnswer,
  type FakeAws,
  fakeAws,
  type InstanceShape,
  instancesAnswer,
  type NodeShape,
  nodesAnswer,
  nodesResponder,
  refusal,
  securityGroupsAnswer,
  subnetsAnswer,
  VPC,
} from '../../../support/aws-answers.ts';

const signal = new AbortController().signal;
const DATABASE: DatabaseTarget = {
  kind: 'database',
  provider: 'aws',
  id: 'prod',
  flavour: 'instance',
  engine: 'mysql',
  engineLabel: 'MySQL 8.0',
  endpoint: { host: 'prod.example', port: 3306 },
  available: true,
  status: 'available',
  zone: 'eu-west-1a',
  networkId: VPC,
  subnetIds: ['subnet-db-a', 'subnet-db-b'],
  securityGroupIds: ['sg-db'],
};
const id = (number: number) => `i-0a1b2c3d4e5f6000${number}`;

async function network(instances: readonly InstanceShape[], nodes: readonly NodeShape[]): Promise<FakeAws> {
  const aws = await fakeAws();
  aws.on('DescribeInstanceInformation', nodesResponder(nodes));
  aws.on('DescribeInstances', ({ input }) => {
    const wanted = input['InstanceId.1'];
    return instancesAnswer(instances.filter((shape) => wanted === undefined || shape.id === wanted));
  });
  aws.on(
    'DescribeSecurityGroups',
    securityGroupsAnswer({
      'sg-bastion': { egress: [{ protocol: '-1', cidrs: ['0.0.0.0/0'] }] },
      'sg-lonely': { egress: [{ protocol: '-1', cidrs: ['0.0.0.0/0'] }] },
      'sg-mute': {},
      'sg-listed': { egress: [{ ports: [3306, 3306], lists: ['pl-1'] }] },
      'sg-db': { ingress: [{ ports: [3306, 3306], groups: ['sg-bastion', 'sg-mute', 'sg-listed'] }] },
    }),
  );
  aws.on(
    'DescribeSubnets',
    subnetsAnswer([
      { id: 'subnet-db-a', cidr: '10.0.8.0/24', zone: 'eu-west-1a' },
      { id: 'subnet-db-b', cidr: '10.0.9.0/24', zone: 'eu-west-1b' },
    ]),
  );
  aws.on('DescribeNetworkAcls', aclsAnswer([]));
  return aws;
}

const route = (aws: FakeAws, via?: string, database = DATABASE) =>
  aws.provider.finder.routeTo(database, 3306, via === undefined ? {} : { via }, signal);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('which machine to go through', () => {
  test('the one the groups let through; the others with the reason', async () => {
    await using aws = await network(
      [
        { id: id(1), name: 'bastion-a' },
        { id: id(2), name: 'bastion-b', groups: ['sg-lonely'], ip: '10.0.1.6' },
        { id: id(3), name: 'mute', groups: ['sg-mute'] },
        { id: id(4), name: 'old', groups: ['sg-bastion'] },
        { id: id(5), name: 'offline' },
      ],
      [
        { id: id(1) },
        { id: id(2) },
        { id: id(3) },
        { id: id(4), agent: '3.1.1187.0' },
        { id: id(5), status: 'ConnectionLost' },
      ],
    );
    const found = await route(aws);
    assert.equal(found.node.id, id(1));
    assert.equal(found.node.kind === 'machine' && found.node.online, true);
    assert.deepEqual(found.to, { host: 'prod.example', port: 3306 });
    assert.deepEqual(found.reasons, [
      `online in ${VPC}, the network of prod`,
      'in the same zone, eu-west-1a',
      'prod admits it: sg-db names sg-bastion on 3306',
      'agent 3.3.4121.0',
    ]);
    assert.deepEqual(
      found.rejected.map(({ node, reason }) => `${node.name}: ${reason}`),
      [
        'bastion-b: sg-db of prod does not admit sg-lonely or 10.0.1.6 on 3306',
        'mute: sg-mute of mute lets nothing out to prod on 3306',
        'old: agent 3.1.1187.0 is too old to forward to another host (3.1.1188 or newer)',
      ],
    );
    assert.deepEqual(aws.actions().sort(), [
      'DescribeInstanceInformation',
      'DescribeInstances',
      'DescribeNetworkAcls',
      'DescribeSecurityGroups',
      'DescribeSubnets',
    ]);
  });

  const rankings: [
    why: string,
    better: Partial<InstanceShape> & { agent?: string },
    worse: Partial<InstanceShape> & { agent?: string },
  ][] = [
    ['certain before uncertain', { name: 'z' }, { name: 'bastion', groups: ['sg-listed'] }],
    [
      'named as a bastion before other work',
      { name: 'bastion', zone: 'eu-west-1b' },
      { name: 'app', zone: 'eu-west-1a' },
    ],
    ['tagged as a bastion', { name: 'z', tags: { role: 'bastion' } }, { name: 'app' }],
    ['the subnet of the database before its zone', { name: 'z', subnet: 'subnet-db-a' }, { name: 'a' }],
    ['the zone before the agent', { name: 'z', agent: '3.2.0.0' }, { name: 'a', zone: 'eu-west-1b' }],
    ['the newest agent, by number', { name: 'z', agent: '3.3.10.0' }, { name: 'a', agent: '3.3.9.0' }],
    ['the name', { name: 'a' }, { name: 'b' }],
  ];
  for (const [why, better, worse] of rankings) {
    test(`ranking: ${why}`, async () => {
      const shapes = [worse, better].map((shape, index) => ({ id: id(index + 1), ...shape }));
      const nodes = shapes.map((shape) => ({ id: shape.id, agent: shape.agent ?? '3.3.4121.0' }));
      await using aws = await network(shapes, nodes);
      const found = await route(aws);
      assert.equal(found.node.name, better.name);
      assert.equal(found.rejected.length, 1);
    });
  }

  test('namesakes: the lower id, whatever order AWS gives', async () => {
    const twins = [
      { id: id(2), name: 'a' },
      { id: id(1), name: 'a' },
    ];
    for (const order of [twins, twins.toReversed()]) {
      await using aws = await network(order, [{ id: id(1) }, { id: id(2) }]);
      assert.equal((await route(aws)).node.id, id(1));
    }
  });

  test('a prefix list leaves a doubt, which is stated', async () => {
    await using aws = await network([{ id: id(1), groups: ['sg-listed'] }], [{ id: id(1) }]);
    const { reasons } = await route(aws);
    assert.ok(reasons.includes('not certain that it can reach the database'));
    assert.ok(reasons.some((reason) => reason.includes('prefix list pl-1')));
  });

  test('groups that may not be read leave a doubt, which is stated', async () => {
    await using aws = await network(
      [{ id: id(1) }, { id: id(2), groups: ['sg-lonely'] }],
      [{ id: id(1) }, { id: id(2) }],
    );
    for (const action of ['DescribeSecurityGroups', 'DescribeSubnets', 'DescribeNetworkAcls']) {
      aws.on(action, refusal('UnauthorizedOperation', 403));
    }
    aws.on('GetCallerIdentity', refusal('AccessDenied', 403));
    const found = await route(aws);
    assert.equal(found.node.id, id(1));
    assert.ok(found.reasons.includes('security groups may not be read (ec2:DescribeSecurityGroups)'));
  });

  test('nodes on further pages count', async () => {
    await using aws = await network([{ id: id(1), name: 'far' }], []);
    aws.on('DescribeInstanceInformation', ({ input }) =>
      input.NextToken === 'p2' ? nodesAnswer([{ id: id(1) }]) : nodesAnswer([{ id: 'mi-0a1b2c3d4e5f60009' }], 'p2'),
    );
    assert.equal((await route(aws)).node.name, 'far');
  });
});

describe('no machine to go through', () => {
  test('one line for each that was looked at', async () => {
    await using aws = await network(
      [
        { id: id(1), name: 'bastion-b', groups: ['sg-lonely'], ip: '10.0.1.6' },
        { id: id(2), name: 'offline' },
        { id: id(3), name: 'stopped', state: 'stopped' },
        { id: id(4), name: 'appliance' },
      ],
      [{ id: id(1) }, { id: id(2), status: 'ConnectionLost', lastPing: Date.UTC(2026, 10, 20) / 1_000 }],
    );
    const error = await failure(route(aws), 'CT_NO_BASTION');
    assert.equal(error.message, `no way to prod: no machine of ${VPC} that is online can reach it on port 3306`);
    assert.deepEqual(error.details, [
      ['bastion-b', `${id(1)}: sg-db of prod does not admit sg-lonely or 10.0.1.6 on 3306`],
      ['appliance', `${id(4)}: not registered with Systems Manager (no agent, or no instance profile)`],
      ['offline', `${id(2)}: agent offline since 2026-11-20`],
      ['stopped', `${id(3)}: stopped`],
    ]);
    assert.match(error.hints.join(), /--via TARGET/);
  });

  test('a long list is cut', async () => {
    const shapes = Array.from({ length: 30 }, (_, index) => ({
      id: `i-${String(index).padStart(17, '0')}`,
      groups: ['sg-lonely'],
    }));
    await using aws = await network(
      shapes,
      shapes.map((shape) => ({ id: shape.id })),
    );
    const error = await failure(route(aws), 'CT_NO_BASTION');
    assert.equal(error.details.length, 13);
    assert.deepEqual(error.details.at(-1), ['…', 'and 18 more']);
  });

  test('an empty network, and a database of which AWS does not say where it is', async () => {
    await using aws = await network([], []);
    assert.deepEqual((await failure(route(aws), 'CT_NO_BASTION')).details, []);
    const { networkId: _, ...nowhere } = DATABASE;
    await failure(route(aws, undefined, nowhere), 'CT_NO_BASTION');
  });
});

describe('through a machine that a person chose', () => {
  test('it is taken, with what speaks for it', async () => {
    await using aws = await network([{ id: id(1), name: 'bastion-a' }], [{ id: id(1) }]);
    const found = await route(aws, 'bastion-a');
    assert.deepEqual(found.reasons, [
      'chosen by --via',
      'agent 3.3.4121.0',
      'prod admits it: sg-db names sg-bastion on 3306',
    ]);
    assert.equal((await route(aws, id(1))).node.name, 'bastion-a');
  });

  test('it looks closed: said, and tried', async () => {
    await using aws = await network([{ id: id(1), name: 'b', groups: ['sg-lonely'] }], [{ id: id(1) }]);
    const { node, reasons } = await route(aws, 'b');
    assert.equal(node.name, 'b');
    assert.deepEqual(reasons.slice(2), [
      'warning: it looks closed',
      'sg-db of prod does not admit sg-lonely or 10.0.1.5 on 3306',
    ]);
  });

  test('it is elsewhere', async () => {
    await using aws = await network([{ id: id(1), name: 'far', vpc: 'vpc-other' }], [{ id: id(1) }]);
    assert.match((await route(aws, 'far')).reasons.join(), /in vpc-other, not in vpc-0a1b2c3d/);
  });

  test('it is outside AWS', async () => {
    await using aws = await network([], [{ id: 'mi-0a1b2c3d4e5f60009' }]);
    assert.match((await route(aws, 'mi-0a1b2c3d4e5f60009')).reasons.join(), /outside AWS/);
  });

  test('nobody may look: taken without a word on the network', async () => {
    await using aws = await network([], [{ id: id(1) }]);
    aws.on('DescribeInstances', refusal('UnauthorizedOperation', 403));
    aws.on('GetCallerIdentity', refusal('AccessDenied', 403));
    assert.match((await route(aws, id(1))).reasons.join(), /could not be looked up/);
  });

  test('its agent is too old', async () => {
    await using aws = await network([{ id: id(1), name: 'old' }], [{ id: id(1), agent: '3.0.150.0' }]);
    const error = await failure(route(aws, 'old'), 'CT_AGENT_TOO_OLD');
    assert.match(error.message, /cannot go through .*: agent 3\.0\.150\.0 is too old to forward to another host/);
  });

  test('it is offline', async () => {
    await using aws = await network([{ id: id(1), name: 'b' }], []);
    await failure(route(aws, 'b'), 'CT_TARGET_OFFLINE');
  });
});

describe('to a machine', () => {
  const machine = (agentVersion?: string) => ({
    kind: 'machine' as const,
    provider: 'aws' as const,
    id: id(1),
    name: 'web-1',
    state: 'running' as const,
    privateIp: '10.0.1.5',
    ...(agentVersion === undefined ? {} : { agentVersion }),
  });

  test('its own agent dials, also to other hosts', async () => {
    await using aws = await network([], []);
    const own = await aws.provider.finder.routeTo(machine('3.0.150.0'), 80, {}, signal);
    assert.deepEqual([own.node.id, own.to, own.reasons], [id(1), { port: 80 }, ['the target itself']]);
    const remote = await aws.provider.finder.routeTo(machine('3.3.0.0'), 443, { host: 'admin.internal' }, signal);
    assert.deepEqual(remote.to, { host: 'admin.internal', port: 443 });
    assert.deepEqual(aws.asked, []);
    const { finder } = aws.provider;
    await failure(finder.routeTo(machine('3.0.150.0'), 443, { host: 'admin.internal' }, signal), 'CT_AGENT_TOO_OLD');
    await failure(finder.routeTo(machine('2.3.600.0'), 80, {}, signal), 'CT_AGENT_TOO_OLD');
    assert.deepEqual((await finder.routeTo(machine(), 443, { host: 'x' }, signal)).to, { host: 'x', port: 443 });
  });

  test('through another machine, to its private address', async () => {
    await using aws = await network([{ id: id(2), name: 'bastion-a' }], [{ id: id(2) }]);
    const found = await aws.provider.finder.routeTo(machine(), 80, { via: 'bastion-a' }, signal);
    assert.deepEqual([found.node.id, found.to], [id(2), { host: '10.0.1.5', port: 80 }]);
    const { privateIp: _, ...unknown } = machine();
    await failure(aws.provider.finder.routeTo(unknown, 80, { via: 'bastion-a' }, signal), 'CT_TARGET_NOT_FOUND');
  });
});

test('what agents can do, by version', () => {
  const table: [string, boolean, boolean, boolean][] = [
    ['2.3.671.0', false, false, false],
    ['2.3.672.0', true, false, false],
    ['3.0.196.0', true, false, false],
    ['3.0.222.0', true, false, true],
    ['3.1.1187.0', true, false, true],
    ['3.1.1188.0', true, true, true],
    ['3.3.4121.0', true, true, true],
    ['10.0.0.0', true, true, true],
  ];
  for (const [version, portSessions, remoteHosts, multiplexes] of table) {
    assert.deepEqual(agentAbilities(version), { portSessions, remoteHosts, multiplexes }, version);
  }
  assert.equal(compareVersions('3.3', '3.3.0.0'), 0);
  assert.equal(compareVersions('3.10', '3.9'), 1);
  assert.equal(agentObjection(undefined, true), undefined);
});
