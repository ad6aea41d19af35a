import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import {
  type FakeAws,
  fakeAws,
  type InstanceShape,
  instancesAnswer,
  inTurn,
  type NodeShape,
  nodesAnswer,
  nodesResponder,
  refusal,
} from '../../../support/aws-answers.ts';

const A = 'i-0a1b2c3d4e5f60001';
const B = 'i-0a1b2c3d4e5f60002';
const C = 'i-0a1b2c3d4e5f60003';
const HYBRID = 'mi-0a1b2c3d4e5f60009';
const signal = new AbortController().signal;

const find = (aws: FakeAws, text: string, mustBeOnline = true) =>
  aws.provider.finder.findMachine(text, { mustBeOnline }, signal);

/** EC2 and Systems Manager with these machines; EC2 looks at the one filter that we send beside the state. */
async function account(instances: readonly InstanceShape[], nodes: readonly NodeShape[]): Promise<FakeAws> {
  const aws = await fakeAws();
  aws.on('DescribeInstanceInformation', nodesResponder(nodes));
  aws.on('DescribeInstances', ({ input }) => {
    const wantedId = input['InstanceId.1'];
    const filter = input['Filter.1.Name'] === 'instance-state-name' ? undefined : String(input['Filter.1.Name']);
    const value = String(input['Filter.1.Value.1']);
    return instancesAnswer(
      instances.filter((shape) => {
        if (wantedId !== undefined) return shape.id === wantedId;
        if (filter === undefined) return true;
        if (filter.startsWith('tag:'))
          return { Name: shape.name, ...shape.tags }[filter.slice(4)] === value.replace(/\\(.)/g, '$1');
        if (filter === 'private-dns-name')
          return `ip-${shape.ip?.replaceAll('.', '-')}.eu-west-1.compute.internal` === value;
        if (filter === 'network-interface.addresses.private-ip-address') return shape.ip === value;
        if (filter === 'network-interface.ipv6-addresses.ipv6-address') return shape.ipv6 === value;
        return assert.fail(`unknown filter ${filter}`);
      }),
    );
  });
  return aws;
}

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

const MACHINES: InstanceShape[] = [
  {
    id: A,
    name: 'web-1',
    ip: '10.0.1.5',
    ipv6: 'fd00::5',
    tags: { role: 'web' },
    launched: '2026-10-01T00:00:00.000Z',
  },
  {
    id: B,
    name: 'web-2',
    ip: '10.0.1.6',
    tags: { role: 'web', 'aws:autoscaling:groupName': 'web*' },
    launched: '2026-10-02T00:00:00.000Z',
  },
  {
    id: C,
    name: 'a.dotted.name',
    ip: '10.0.1.7',
    tags: { role: 'web', path: 'x=y' },
    launched: '2026-10-03T00:00:00.000Z',
  },
];
const NODES: NodeShape[] = [
  { id: A },
  { id: B, agent: '3.2.1.0' },
  { id: C, status: 'ConnectionLost' },
  { id: HYBRID, name: 'onprem', ip: '192.0.2.1' },
];

describe('a machine by each form of TARGET', () => {
  const forms: [text: string, id: string][] = [
    [A, A],
    [`aws:${A}`, A],
    [HYBRID, HYBRID],
    ['web-1', A],
    ['aws:web-2', B],
    ['10.0.1.6', B],
    ['fd00::5', A],
    ['[fd00::5]', A],
    ['192.0.2.1', HYBRID],
    ['onprem', HYBRID],
    ['ip-10-0-1-5.eu-west-1.compute.internal', A],
    ['ip-10-0-1-5.eu-west-1.compute.internal.', A],
    ['tag:role=web', B],
    ['asg:web*', B],
  ];
  for (const [text, id] of forms) {
    test(text, async () => {
      await using aws = await account(MACHINES, NODES);
      const target = await find(aws, text);
      assert.equal(target.id, id);
      assert.equal(target.online, true);
      assert.equal(target.state, 'running');
    });
  }

  test('what is known of it', async () => {
    await using aws = await account(MACHINES, NODES);
    assert.deepEqual(await find(aws, 'web-2'), {
      kind: 'machine',
      provider: 'aws',
      id: B,
      state: 'running',
      name: 'web-2',
      privateIp: '10.0.1.6',
      privateDns: 'ip-10-0-1-6.eu-west-1.compute.internal',
      zone: 'eu-west-1a',
      networkId: 'vpc-0a1b2c3d',
      subnetId: 'subnet-app-a',
      securityGroupIds: ['sg-bastion'],
      online: true,
      agentVersion: '3.2.1.0',
    });
  });

  test('an id costs one call, to Systems Manager', async () => {
    await using aws = await account(MACHINES, NODES);
    await find(aws, A);
    assert.deepEqual(aws.actions(), ['DescribeInstanceInformation']);
    assert.deepEqual(aws.asked[0]!.input, { MaxResults: 50, Filters: [{ Key: 'InstanceIds', Values: [A] }] });
    assert.match(aws.asked[0]!.headers.authorization!, /Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/ssm\/aws4_request/);
  });

  test('an id whose agent nobody may ask about: StartSession will judge', async () => {
    await using aws = await account(MACHINES, NODES);
    aws.on('DescribeInstanceInformation', refusal('AccessDeniedException'));
    assert.deepEqual(await find(aws, A), { kind: 'machine', provider: 'aws', id: A, state: 'other' });
  });

  test('wildcards of EC2 in a name mean themselves', async () => {
    await using aws = await account([{ id: A, name: 'we*b?' }], NODES);
    assert.equal((await find(aws, 'we*b?')).id, A);
    assert.equal(aws.asked[0]!.input['Filter.1.Value.1'], 'we\\*b\\?');
  });

  test('a tag whose machines may not be asked about their agents: the newest running one', async () => {
    await using aws = await account(MACHINES, NODES);
    aws.on('DescribeInstanceInformation', refusal('AccessDeniedException'));
    const target = await find(aws, 'tag:role=web');
    assert.equal(target.id, C);
    assert.equal(target.online, undefined);
  });

  test('a value of a tag may hold an equals sign', async () => {
    await using aws = await account(MACHINES, NODES);
    assert.equal((await find(aws, 'tag:path=x=y', false)).id, C);
  });

  test('of two namesakes the one that is connected', async () => {
    await using aws = await account(
      [
        { id: A, name: 'app' },
        { id: C, name: 'app' },
      ],
      NODES,
    );
    assert.equal((await find(aws, 'app')).id, A);
  });
});

describe('a machine that is not there', () => {
  test('the nearest names, and where to see all', async () => {
    await using aws = await account(MACHINES, NODES);
    const error = await failure(find(aws, 'wbe-1'), 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'no machine named "wbe-1" in aws eu-west-1');
    assert.deepEqual(error.hints, ['did you mean: web-1, web-2', 'see all: cloudtun targets --kind machine']);
  });

  test('an id that EC2 does not know', async () => {
    await using aws = await account(MACHINES, NODES);
    const gone = 'i-0a1b2c3d4e5f6000f';
    aws.on('DescribeInstances', inTurn(refusal('InvalidInstanceID.NotFound'), instancesAnswer(MACHINES)));
    const error = await failure(find(aws, gone), 'CT_TARGET_NOT_FOUND');
    assert.match(error.hints[0]!, /^did you mean: i-0a1b2c3d4e5f60001/);
  });

  test('a hybrid id that nobody knows', async () => {
    await using aws = await account(MACHINES, NODES);
    await failure(find(aws, 'mi-0a1b2c3d4e5f60008'), 'CT_TARGET_NOT_FOUND');
  });

  test('a terminated machine is not looked at', async () => {
    await using aws = await account([], []);
    await failure(find(aws, 'web-1'), 'CT_TARGET_NOT_FOUND');
    const states = Object.entries(aws.asked[0]!.input).filter(([name]) => name.startsWith('Filter.2.Value'));
    assert.deepEqual(
      states.map(([, value]) => value),
      ['pending', 'running', 'stopping', 'stopped'],
    );
  });
});

describe('a machine that cannot be used', () => {
  test('stopped, by name and by id', async () => {
    await using aws = await account(
      [{ id: A, name: 'batch', state: 'stopped' }],
      [{ id: A, status: 'ConnectionLost' }],
    );
    for (const text of ['batch', A]) {
      const error = await failure(find(aws, text), 'CT_TARGET_STOPPED');
      assert.equal(error.message, `batch (${A}) is stopped`);
    }
    assert.equal((await find(aws, 'batch', false)).state, 'stopped');
  });

  test('its agent is not connected', async () => {
    await using aws = await account(
      [{ id: A, name: 'web-1' }],
      [{ id: A, status: 'ConnectionLost', lastPing: Date.UTC(2026, 10, 20) / 1_000 }],
    );
    const error = await failure(find(aws, 'web-1'), 'CT_TARGET_OFFLINE');
    assert.deepEqual(error.details, [['agent', 'agent offline since 2026-11-20']]);
  });

  test('it never had an agent', async () => {
    await using aws = await account([{ id: A, name: 'appliance' }], []);
    const error = await failure(find(aws, A), 'CT_TARGET_OFFLINE');
    assert.match(error.details[0]![1], /not registered with Systems Manager/);
  });

  test('not connected, and EC2 may not be asked why', async () => {
    await using aws = await account([], []);
    aws.on('DescribeInstances', refusal('UnauthorizedOperation', 403));
    aws.on('GetCallerIdentity', refusal('InternalFailure', 500));
    await failure(find(aws, A), 'CT_TARGET_OFFLINE');
  });

  test('a hybrid node that is offline', async () => {
    await using aws = await account([], [{ id: HYBRID, name: 'onprem', status: 'Inactive' }]);
    await failure(find(aws, 'onprem'), 'CT_TARGET_OFFLINE');
    await failure(find(aws, HYBRID), 'CT_TARGET_OFFLINE');
  });

  test('all members of a group are unfit: the newest says why', async () => {
    await using aws = await account(
      [
        { id: A, tags: { role: 'x' }, launched: '2026-10-01T00:00:00.000Z' },
        { id: B, tags: { role: 'x' }, state: 'stopped', launched: '2026-10-02T00:00:00.000Z' },
      ],
      [],
    );
    await failure(find(aws, 'tag:role=x'), 'CT_TARGET_STOPPED');
  });

  test('ambiguous: the candidates, one a line', async () => {
    await using aws = await account(
      [
        { id: A, name: 'app', ip: '10.0.1.5' },
        { id: B, name: 'app', ip: '10.0.1.6' },
      ],
      NODES,
    );
    const error = await failure(find(aws, 'app'), 'CT_TARGET_AMBIGUOUS');
    assert.deepEqual(error.details, [
      [A, 'app, 10.0.1.5, eu-west-1a, running, agent 3.3.4121.0'],
      [B, 'app, 10.0.1.6, eu-west-1a, running, agent 3.2.1.0'],
    ]);
  });
});

describe('what can be no machine', () => {
  for (const text of [
    '',
    '  ',
    'aws:',
    'rds:prod',
    'ecs:c/s',
    'gcp:x',
    'sql:p:r:n',
    'elasticache:x',
    'tag:role',
    'tag:=x',
  ]) {
    test(JSON.stringify(text), async () => {
      await using aws = await account(MACHINES, NODES);
      await failure(find(aws, text), 'CT_USAGE');
      assert.deepEqual(aws.asked, []);
    });
  }
});

describe('paging', () => {
  test('instances and nodes to the last page', async () => {
    await using aws = await fakeAws();
    aws.on('DescribeInstances', ({ input }) =>
      input.NextToken === 'p2'
        ? instancesAnswer([{ id: B, name: 'app', state: 'stopped' }])
        : instancesAnswer([{ id: A, name: 'app' }], 'p2'),
    );
    aws.on('DescribeInstanceInformation', ({ input }) =>
      input.NextToken === 'n2' ? nodesAnswer([{ id: A }]) : nodesAnswer([], 'n2'),
    );
    assert.equal((await find(aws, 'app')).id, A);
    assert.equal(aws.actions().length, 4);
  });

  test('many ids are asked for in pages of fifty', async () => {
    const ids = Array.from({ length: 51 }, (_, index) => `i-${String(index).padStart(17, '0')}`);
    await using aws = await account(
      ids.map((id) => ({ id, tags: { role: 'x' } })),
      [{ id: ids[50]! }],
    );
    assert.equal((await find(aws, 'tag:role=x')).id, ids[50]);
    assert.equal(aws.actions().filter((action) => action === 'DescribeInstanceInformation').length, 2);
  });

  test('a token that never ends does not hang us', async () => {
    await using aws = await fakeAws();
    aws.on('DescribeInstances', instancesAnswer([{ id: A, name: 'app' }], 'again'));
    aws.on('DescribeInstanceInformation', nodesResponder(NODES));
    assert.equal((await find(aws, 'app')).id, A);
  });
});
