import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { targetLabel } from '../../../../src/domain/target.ts';
import type { TargetQuery } from '../../../../src/providers/provider.ts';
import {
  aclsAnswer,
  type FakeAws,
  fakeAws,
  instancesAnswer,
  nodesResponder,
  refusal,
  securityGroupsAnswer,
  serveRds,
  subnetsAnswer,
} from '../../../support/aws-answers.ts';

const signal = new AbortController().signal;
const id = (number: number) => `i-0a1b2c3d4e5f6000${number}`;

async function account(): Promise<FakeAws> {
  const aws = await fakeAws();
  serveRds(aws, {
    instances: [
      { id: 'prod', name: 'orders database' },
      { id: 'legacy', vpc: 'vpc-legacy' },
      { id: 'archive', status: 'stopped' },
      { id: 'closed', groups: ['sg-closed'] },
      { id: 'listed', groups: ['sg-listed'] },
    ],
    proxies: [{ name: 'prod-proxy' }],
  });
  aws.on(
    'DescribeInstances',
    instancesAnswer([
      { id: id(1), name: 'bastion-a', tags: { role: 'bastion' } },
      { id: id(2), name: 'offline' },
      { id: id(3), name: 'batch', state: 'stopped' },
      { id: id(4), name: 'ancient' },
      { id: id(5) },
    ]),
  );
  aws.on(
    'DescribeInstanceInformation',
    nodesResponder([
      { id: id(1) },
      { id: id(2), status: 'ConnectionLost', lastPing: Date.UTC(2026, 10, 20) / 1_000 },
      { id: id(4), agent: '2.3.600.0' },
      { id: 'mi-0a1b2c3d4e5f60009', name: 'onprem' },
      { id: 'i-0a1b2c3d4e5f6000f', status: 'ConnectionLost' },
    ]),
  );
  aws.on(
    'DescribeSecurityGroups',
    securityGroupsAnswer({
      'sg-bastion': { egress: [{ protocol: '-1', cidrs: ['0.0.0.0/0'] }] },
      'sg-db': { ingress: [{ ports: [3306, 3306], groups: ['sg-bastion'] }] },
      'sg-closed': {},
      'sg-listed': { ingress: [{ ports: [3306, 3306], lists: ['pl-1'] }] },
    }),
  );
  aws.on('DescribeSubnets', subnetsAnswer([])).on('DescribeNetworkAcls', aclsAnswer([]));
  return aws;
}

async function lines(aws: FakeAws, query: TargetQuery = {}): Promise<string[]> {
  const listed = await aws.provider.finder.list(query, signal);
  return listed.map(({ target, reachable, remark }) => `${reachable ? '+' : '-'} ${targetLabel(target)}: ${remark}`);
}

const MACHINES = [
  '- ancient: agent 2.3.600.0 is too old for port sessions (2.3.672 or newer)',
  '+ bastion-a: agent 3.3.4121.0',
  '- batch: stopped',
  `- ${id(5)}: not registered with Systems Manager (no agent, or no instance profile)`,
  '- offline: agent offline since 2026-11-20',
  '+ onprem: agent 3.3.4121.0',
];
const DATABASES = [
  '- archive: stopped',
  '- closed: no bastion in vpc-0a1b2c3d',
  '- legacy: no bastion in vpc-legacy',
  '+ listed: perhaps via bastion-a',
  '+ prod: via bastion-a',
  '+ prod-proxy: via bastion-a',
];

describe('the list of targets', () => {
  test('machines, then databases, each with why or why not', async () => {
    await using aws = await account();
    assert.deepEqual(await lines(aws), [...MACHINES, ...DATABASES]);
  });

  test('of one kind', async () => {
    await using aws = await account();
    assert.deepEqual(await lines(aws, { kind: 'machine' }), MACHINES);
    assert.ok(!aws.actions().some((action) => action.startsWith('DescribeDB')));
    assert.deepEqual(await lines(aws, { kind: 'database' }), DATABASES);
  });

  test('that contain a text: names, ids, addresses, tags', async () => {
    await using aws = await account();
    const texts: [string, number][] = [
      ['PROD', 2],
      ['orders data', 1],
      ['role=bast', 1],
      ['0009', 1],
      ['10.0.1.', 6],
      ['.proxy-', 1],
      ['zzz', 0],
    ];
    for (const [text, count] of texts) assert.equal((await lines(aws, { text })).length, count, text);
  });
});

describe('what may not be seen', () => {
  const warnings = (aws: FakeAws) =>
    aws.manual.logs.filter(({ level }) => level === 'warn').map(({ message }) => message);
  const deny = (aws: FakeAws, ...actions: string[]) => {
    for (const action of [...actions, 'GetCallerIdentity']) aws.on(action, refusal('AccessDeniedException', 403));
  };

  test('EC2: what Systems Manager knows is shown', async () => {
    await using aws = await account();
    deny(aws, 'DescribeInstances');
    assert.deepEqual(await lines(aws, { kind: 'machine' }), [
      `+ ${id(1)}: agent 3.3.4121.0`,
      `- ${id(4)}: agent 2.3.600.0 is too old for port sessions (2.3.672 or newer)`,
      '+ onprem: agent 3.3.4121.0',
    ]);
    assert.deepEqual(warnings(aws), ['the list is not complete: this identity may not look up machines']);
  });

  test('Systems Manager: machines are shown, but not whether they can be reached', async () => {
    await using aws = await account();
    deny(aws, 'DescribeInstanceInformation');
    const shown = await lines(aws);
    assert.ok(shown.includes('- bastion-a: agent not known: ssm:DescribeInstanceInformation is denied'));
    assert.ok(shown.includes('- prod: no bastion in vpc-0a1b2c3d'));
  });

  test('databases: machines are shown', async () => {
    await using aws = await account();
    deny(aws, 'DescribeDBInstances', 'DescribeDBClusters', 'DescribeDBProxies');
    assert.deepEqual(await lines(aws), MACHINES);
    assert.equal(warnings(aws).length, 3);
  });

  test('nothing at all: an error', async () => {
    await using aws = await account();
    deny(aws, 'DescribeInstances', 'DescribeInstanceInformation');
    await assert.rejects(lines(aws, { kind: 'machine' }), { code: 'CT_DENIED' });
    deny(aws, 'DescribeDBInstances', 'DescribeDBClusters', 'DescribeDBProxies');
    await assert.rejects(lines(aws), { code: 'CT_DENIED' });
  });

  test('databases alone were asked for, and denied: an error, though machines may be seen', async () => {
    await using aws = await account();
    deny(aws, 'DescribeDBInstances', 'DescribeDBClusters', 'DescribeDBProxies');
    await assert.rejects(lines(aws, { kind: 'database' }), { code: 'CT_DENIED' });
  });
});
