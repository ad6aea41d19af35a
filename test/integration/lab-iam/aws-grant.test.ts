/** A grant can be proved to open one database and nothing else: the lab enforces IAM policies, the product and the SDKs meet them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CreateTagsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from '@aws-sdk/client-ec2-instance-connect';
import {
  AttachUserPolicyCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  DeletePolicyCommand,
  DetachUserPolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAttachedUserPoliciesCommand,
  ListPoliciesCommand,
  PutUserPermissionsBoundaryCommand,
  PutUserPolicyCommand,
  SimulatePrincipalPolicyCommand,
  TagUserCommand,
} from '@aws-sdk/client-iam';
import { DecryptCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import {
  CreateDocumentCommand,
  DescribeDocumentCommand,
  GetDocumentCommand,
  ResumeSessionCommand,
  SendCommandCommand,
  SSMClient,
  StartSessionCommand,
  TerminateSessionCommand,
  UpdateDocumentCommand,
  UpdateDocumentDefaultVersionCommand,
} from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { Signer } from '@aws-sdk/rds-signer';
import { databaseLogin } from '../../../src/lab/aws/iam/database-login.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { askPractice } from '../../../src/lab/practice-query.ts';
import { systemWorld, type World } from '../../../src/runtime/world.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { BASTION, PINNED_DOCUMENT, pinnedGrant } from '../../support/pinned-grant.ts';

const READY = /^ready 127\.0\.0\.1:(\d+) -> prod /m;
const DAY = 86_400_000;

/** The code of the error that a call ends with, and its message; `ok` when there is none. */
async function outcome(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  return call.then(
    () => ({ code: 'ok', message: '' }),
    (error: Error) => ({ code: error.name, message: error.message }),
  );
}

const codeOf = async (call: Promise<unknown>) => (await outcome(call)).code;

async function grant(lab: Lab, user: string, document: string, name = 'cloudtun-readers'): Promise<string> {
  const iam = new IAMClient(clientOptions(lab, 'admin'));
  const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: name, PolicyDocument: document }));
  assert.ok(Policy?.Arn);
  await iam.send(new AttachUserPolicyCommand({ UserName: user, PolicyArn: Policy.Arn }));
  return Policy.Arn;
}

async function enforcing(t: { after(call: () => Promise<void>): void }, world: World = systemWorld()): Promise<Lab> {
  const lab = await testLab(t, {}, world);
  lab.iam.set({ enforce: true });
  return lab;
}

const start = (members: { DocumentName?: string; Target?: string; Parameters?: Record<string, string[]> } = {}) =>
  new StartSessionCommand({ Target: BASTION, DocumentName: PINNED_DOCUMENT, ...members });

suite('the product', () => {
  test('Alice is denied before the grant, opens prod with it, and is denied after its end', async (t) => {
    const { lab, start: run, run: ran, openSessions } = await cliLab(t);
    lab.iam.set({ enforce: true });
    const command = ['rds', 'prod', '--document', PINNED_DOCUMENT, '--via', BASTION, '--port', 'auto'];
    const before = await ran([...command, '--profile', 'alice']);
    assert.equal(before.code, 4, before.stderr);
    assert.match(before.stderr, /CT_ACCESS_DENIED|not authorized|may not/);

    const arn = await grant(lab, 'alice', pinnedGrant({ until: '2099-12-31T00:00:00Z' }));
    const open = run([...command, '--profile', 'alice']);
    const [, port] = await open.saw(READY);
    const answer = await askPractice({ host: '127.0.0.1', port: Number(port) }, 'SELECT count(*) AS n FROM orders');
    assert.deepEqual(answer.rows, [['50']]);
    assert.equal(lab.calls.records().find(({ action }) => action === 'ssmmessages:OpenDataChannel')?.outcome, 'ok');
    open.process.kill('SIGINT');
    assert.equal((await open.ended).code, 130);
    assert.deepEqual(openSessions(), [], 'she may end her own session');

    const shell = await ran(['forward', BASTION, '-L', '0:7', '--profile', 'alice']);
    assert.equal(shell.code, 4, 'and nothing but prod');

    const iam = new IAMClient(clientOptions(lab, 'admin'));
    const PolicyDocument = pinnedGrant({ until: '2020-01-01T00:00:00Z' });
    await iam.send(new CreatePolicyVersionCommand({ PolicyArn: arn, PolicyDocument, SetAsDefault: true }));
    const after = await ran([...command, '--profile', 'alice']);
    assert.equal(after.code, 4, after.stderr);
  });
});

suite('the signed upgrade', () => {
  test('a grant without the data channel of the person opens nothing', async (t) => {
    const { lab, run, openSessions } = await cliLab(t);
    lab.iam.set({ enforce: true });
    await grant(lab, 'alice', pinnedGrant({ sessions: 'somebody' }));
    const command = [
      'rds',
      'prod',
      '--document',
      PINNED_DOCUMENT,
      '--via',
      BASTION,
      '--port',
      'auto',
      '--profile',
      'alice',
    ];
    const { code, stderr } = await run(command);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /^error CT_DENIED: alice may not open the data channel of the session\n/);
    assert.match(
      stderr,
      /\n {2}identity +arn:aws:iam::\d+:user\/alice \(.*\)\n {2}missing +ssmmessages:OpenDataChannel on session\/alice-\w+\n/,
    );
    const [upgrade] = lab.calls.records().filter(({ action }) => action === 'ssmmessages:OpenDataChannel');
    assert.match(upgrade?.outcome ?? '', /session\/alice-\w+ because no identity-based policy allows/);
    assert.deepEqual(openSessions(), []);
  });
});

suite('Mallory with the same grant on her own sessions', () => {
  const withGrant = async (t: Parameters<typeof enforcing>[0], withoutDenials = false) => {
    const lab = await enforcing(t);
    lab.change((inventory) => ({
      ...inventory,
      users: inventory.users.map((one) => (one.name === 'mallory' ? { ...one, denied: [] } : one)),
    }));
    await grant(lab, 'mallory', pinnedGrant({ sessions: 'mallory', withoutDenials }));
    return { lab, ssm: new SSMClient(clientOptions(lab, 'mallory')) };
  };

  for (const withoutDenials of [false, true]) {
    test(`opens the one document and nothing else, ${withoutDenials ? 'without' : 'with'} the deny pack`, async (t) => {
      const { lab, ssm } = await withGrant(t, withoutDenials);
      assert.equal(await codeOf(ssm.send(start())), 'ok');
      const host = { portNumber: ['3306'], host: ['orders.internal'] };
      const attempts: readonly (readonly [string, Promise<unknown>])[] = [
        ['shell', ssm.send(new StartSessionCommand({ Target: BASTION }))],
        ['shell by name', ssm.send(start({ DocumentName: 'SSM-SessionManagerRunShell' }))],
        [
          'another host',
          ssm.send(start({ DocumentName: 'AWS-StartPortForwardingSessionToRemoteHost', Parameters: host })),
        ],
        [
          'another port',
          ssm.send(start({ DocumentName: 'AWS-StartPortForwardingSession', Parameters: { portNumber: ['22'] } })),
        ],
        ['ssh', ssm.send(start({ DocumentName: 'AWS-StartSSHSession' }))],
        ['another machine', ssm.send(start({ Target: 'i-0a1b2c3d4e5f60003' }))],
        ['a command', ssm.send(new SendCommandCommand({ DocumentName: 'AWS-RunShellScript', InstanceIds: [BASTION] }))],
        [
          'editing the document',
          ssm.send(new UpdateDocumentCommand({ Name: PINNED_DOCUMENT, Content: '{}', DocumentVersion: '$LATEST' })),
        ],
        [
          'another default version',
          ssm.send(new UpdateDocumentDefaultVersionCommand({ Name: PINNED_DOCUMENT, DocumentVersion: '1' })),
        ],
        [
          'a document of her own',
          ssm.send(new CreateDocumentCommand({ Name: 'mine', Content: '{}', DocumentType: 'Session' })),
        ],
        [
          'a grant',
          new IAMClient(clientOptions(lab, 'mallory')).send(
            new AttachUserPolicyCommand({
              UserName: 'mallory',
              PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess',
            }),
          ),
        ],
        [
          'a key',
          new EC2InstanceConnectClient(clientOptions(lab, 'mallory')).send(
            new SendSSHPublicKeyCommand({
              InstanceId: BASTION,
              InstanceOSUser: 'ec2-user',
              SSHPublicKey: 'x'.repeat(100),
            }),
          ),
        ],
      ];
      for (const [what, attempt] of attempts) {
        assert.ok(['AccessDeniedException', 'AccessDenied'].includes(await codeOf(attempt)), what);
      }
      const ec2 = new EC2Client(clientOptions(lab, 'mallory'));
      const retag = new CreateTagsCommand({ Resources: [BASTION], Tags: [{ Key: 'role', Value: 'mine' }] });
      assert.equal(await codeOf(ec2.send(retag)), 'UnauthorizedOperation');
    });
  }

  test('what the document fixes cannot be passed to it', async (t) => {
    const { lab, ssm } = await withGrant(t);
    for (const Parameters of [{ host: ['orders.internal'] }, { portNumber: ['22'] }, { localPortNumber: ['x'] }]) {
      assert.equal(await codeOf(ssm.send(start({ Parameters }))), 'InvalidParameters');
    }
    await ssm.send(start({ Parameters: { localPortNumber: ['13306'] } }));
    const { properties } = lab.sessions.list('Active')[0]!;
    assert.equal(properties.portNumber, '3306');
    assert.match(properties.host ?? '', /^prod\./);
    assert.equal(properties.localPortNumber, '13306');
  });

  test("cannot end or take over somebody else's session", async (t) => {
    const { lab, ssm } = await withGrant(t);
    await grant(lab, 'alice', pinnedGrant(), 'alices');
    const alice = new SSMClient(clientOptions(lab, 'alice'));
    const { SessionId } = await alice.send(start());
    assert.equal(await codeOf(ssm.send(new TerminateSessionCommand({ SessionId }))), 'AccessDeniedException');
    assert.equal(await codeOf(ssm.send(new ResumeSessionCommand({ SessionId }))), 'AccessDeniedException');
    assert.equal(await codeOf(alice.send(new ResumeSessionCommand({ SessionId }))), 'ok');
    assert.equal(await codeOf(alice.send(new TerminateSessionCommand({ SessionId }))), 'ok');
  });

  test('the refusal says action, resource and why', async (t) => {
    const { ssm } = await withGrant(t);
    const denied = await outcome(ssm.send(start({ DocumentName: 'AWS-StartSSHSession' })));
    assert.equal(
      denied.message,
      'User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: ssm:StartSession on resource: ' +
        'arn:aws:ssm:ap-northeast-1::document/AWS-StartSSHSession with an explicit deny in an identity-based policy',
    );
    const other = await outcome(ssm.send(start({ Target: 'i-0a1b2c3d4e5f60003' })));
    assert.match(
      other.message,
      /instance\/i-0a1b2c3d4e5f60003 because no identity-based policy allows the ssm:StartSession action$/,
    );
  });
});

suite('what is not documented is a setting', () => {
  test('the end date of a grant goes by the clock', async (t) => {
    const world = systemWorld();
    let ahead = 0;
    const later = new Proxy(world.clock, {
      get: (clock, name) =>
        name === 'wall'
          ? () => clock.wall() + ahead
          : typeof Reflect.get(clock, name) === 'function'
            ? Reflect.get(clock, name).bind(clock)
            : Reflect.get(clock, name),
    });
    const lab = await enforcing(t, { ...world, clock: later });
    const until = new Date(world.clock.wall() + DAY).toISOString().replace(/\.\d+/, '');
    await grant(lab, 'alice', pinnedGrant({ until }));
    const options = clientOptions(lab, 'alice');
    assert.equal(await codeOf(new SSMClient(options).send(start())), 'ok');
    ahead = 2 * DAY;
    const client = new SSMClient({ ...options, systemClockOffset: ahead });
    assert.equal(await codeOf(client.send(start())), 'AccessDeniedException');
  });

  test('sessions of a role: the name or the user id begins the ARN', async (t) => {
    const lab = await enforcing(t);
    const readers = lab.iam.directory.entity('role', 'readers');
    const sts = new STSClient(clientOptions(lab, 'alice'));
    const RoleArn = 'arn:aws:iam::111122223333:role/readers';
    const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'alice' }));
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    };
    const ssm = new SSMClient({ ...clientOptions(lab), credentials });
    const mayOpen = (sessionIds: 'name' | 'userid', sessions: string) => {
      lab.iam.set({ sessionIds });
      readers.inline.set('grant', pinnedGrant({ sessions }));
      const key = lab.keys.find(credentials.accessKeyId)!;
      const session = lab.sessions.list('Active')[0]!;
      const resources = [lab.iam.sessionResource(session, 'ap-northeast-1')];
      const action = 'ssmmessages:OpenDataChannel';
      return lab.iam.refuse({ key, region: 'ap-northeast-1', action, resources }) === undefined;
    };
    readers.inline.set('grant', pinnedGrant());
    const { SessionId } = await ssm.send(start());
    assert.equal(mayOpen('name', 'alice'), true);
    assert.equal(mayOpen('name', `\${aws:userid}`), false, 'the user id of a role has the role in front');
    assert.equal(mayOpen('userid', `\${aws:userid}`), true);
    assert.equal(mayOpen('userid', 'alice'), false);
    assert.equal(await codeOf(ssm.send(new TerminateSessionCommand({ SessionId }))), 'ok', 'tags do not depend on it');
  });

  test('a start without a document name, by an old and by a new guide', async (t) => {
    const lab = await enforcing(t);
    const open = pinnedGrant().replace(/"BoolIfExists":\{[^}]*\}/, '"Null":{"aws:userid":"false"}');
    await grant(lab, 'alice', open);
    const ssm = new SSMClient(clientOptions(lab, 'alice'));
    const shell = () => codeOf(ssm.send(new StartSessionCommand({ Target: BASTION })));
    assert.equal(await shell(), 'AccessDeniedException');
    lab.iam.set({ documentCheck: 'when-asked' });
    assert.equal(await shell(), 'ok', 'without the check in the policy the shell is open');
    lab.iam.directory.entity('user', 'alice').attached.clear();
    await grant(lab, 'alice', pinnedGrant(), 'checked');
    assert.equal(await shell(), 'AccessDeniedException', 'with it, it is not');
  });
});

suite('other services', () => {
  const statement = (Action: string | string[], members: object = {}) =>
    JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action, Resource: '*', ...members } });
  const give = (lab: Lab, document: string) => lab.iam.directory.entity('user', 'alice').inline.set('given', document);

  test('a role lets in whom its trust names, and a session policy narrows it', async (t) => {
    const lab = await enforcing(t);
    lab.iam.directory.entity('role', 'readers').inline.set('open', statement('ssm:*'));
    const assume = async (user: string, Policy?: string) => {
      const sts = new STSClient(clientOptions(lab, user));
      const RoleArn = 'arn:aws:iam::111122223333:role/readers';
      return sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: user, Policy }));
    };
    assert.equal(await codeOf(assume('mallory')), 'AccessDenied');
    assert.equal(await codeOf(assume('alice', '{"Statement": []}')), 'MalformedPolicyDocumentException');
    for (const [policy, expected] of [
      [undefined, 'ok'],
      [statement('ssm:Get*'), 'AccessDeniedException'],
    ] as const) {
      const { Credentials } = await assume('alice', policy);
      const credentials = {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      };
      const denied = await outcome(new SSMClient({ ...clientOptions(lab), credentials }).send(start()));
      assert.equal(denied.code, expected);
      if (expected !== 'ok') assert.match(denied.message, /because no session policy allows/);
    }
    give(
      lab,
      JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Deny', Action: 'sts:AssumeRole', Resource: '*' } }),
    );
    assert.equal(await codeOf(assume('alice')), 'AccessDenied', 'a deny goes before any trust');
  });

  test('a key is let in for one user of the machine', async (t) => {
    const lab = await enforcing(t);
    const Condition = { StringEquals: { 'ec2:osuser': 'ec2-user' } };
    give(lab, statement('ec2-instance-connect:SendSSHPublicKey', { Condition }));
    const client = new EC2InstanceConnectClient(clientOptions(lab, 'alice'));
    const push = (InstanceOSUser: string) =>
      codeOf(
        client.send(
          new SendSSHPublicKeyCommand({ InstanceId: BASTION, InstanceOSUser, SSHPublicKey: 'x'.repeat(100) }),
        ),
      );
    assert.equal(await push('root'), 'AccessDeniedException');
    assert.equal(await push('ec2-user'), 'InvalidArgsException', 'let through to a look at the key');
  });

  test('a token lets one user into one database', async (t) => {
    const lab = await enforcing(t);
    const database = lab.inventory.databases.find(({ iamAuth }) => iamAuth);
    assert.ok(database);
    const where = `ap-northeast-1:111122223333:dbuser:${database.resourceId}`;
    give(lab, statement('rds-db:connect', { Resource: `arn:aws:rds-db:${where}/app_iam` }));
    const { iam, keys, inventory } = lab;
    const login = async (user: string, profile: string) => {
      const { credentials, region } = clientOptions(lab, profile);
      const signer = new Signer({ hostname: database.host, port: database.port, username: user, region, credentials });
      return databaseLogin({ inventory, iam, keys, now: Date.now() }, await signer.getAuthToken());
    };
    assert.equal(await login('app_iam', 'alice'), 'app_iam');
    assert.equal(await login('admin', 'alice'), undefined, 'another user');
    assert.equal(await login('app_iam', 'bob'), undefined, 'another person');
  });

  test('one database is described, one key makes data keys', async (t) => {
    const lab = await enforcing(t);
    const where = 'ap-northeast-1:111122223333';
    const rds = new RDSClient(clientOptions(lab, 'alice'));
    give(lab, statement('rds:DescribeDBInstances', { Resource: `arn:aws:rds:${where}:db:prod` }));
    const describe = (DBInstanceIdentifier?: string) =>
      codeOf(rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier })));
    assert.deepEqual(
      [await describe('prod'), await describe('orders'), await describe()],
      ['ok', 'AccessDenied', 'AccessDenied'],
    );
    const [key] = lab.inventory.keys;
    const kms = new KMSClient(clientOptions(lab, 'alice'));
    const Condition = { StringEquals: { 'kms:EncryptionContext:aws:ssm:TargetId': BASTION } };
    give(lab, statement('kms:*', { Resource: `arn:aws:kms:${where}:key/${key?.id}`, Condition }));
    const make = (target: string, KeyId = key?.aliases[0]) =>
      kms.send(
        new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: { 'aws:ssm:TargetId': target } }),
      );
    assert.equal(await codeOf(make('i-0a1b2c3d4e5f60002')), 'AccessDeniedException');
    assert.equal(await codeOf(make(BASTION, 'alias/none')), 'AccessDeniedException');
    const { CiphertextBlob } = await make(BASTION);
    const EncryptionContext = { 'aws:ssm:TargetId': BASTION };
    assert.equal(await codeOf(kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))), 'ok');
  });
});

suite('the IAM API', () => {
  test('policies, versions, attachments and tags as the SDK speaks of them', async (t) => {
    const lab = await enforcing(t);
    const iam = new IAMClient(clientOptions(lab, 'admin'));
    const PolicyArn = await grant(lab, 'alice', pinnedGrant());
    assert.equal(
      await codeOf(
        iam.send(new CreatePolicyCommand({ PolicyName: 'cloudtun-readers', PolicyDocument: pinnedGrant() })),
      ),
      'EntityAlreadyExistsException',
    );
    assert.equal(
      await codeOf(iam.send(new CreatePolicyCommand({ PolicyName: 'bad', PolicyDocument: '{"Statement":[]}' }))),
      'MalformedPolicyDocumentException',
    );
    const long = JSON.stringify({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 'a:b', Resource: `arn:${'x'.repeat(6_200)}` },
    });
    assert.equal(
      await codeOf(iam.send(new CreatePolicyCommand({ PolicyName: 'long', PolicyDocument: long }))),
      'LimitExceededException',
    );
    const got = await iam.send(new GetPolicyCommand({ PolicyArn }));
    assert.deepEqual([got.Policy?.AttachmentCount, got.Policy?.DefaultVersionId], [1, 'v1']);
    const version = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
    assert.equal(decodeURIComponent(version.PolicyVersion?.Document ?? ''), pinnedGrant());
    for (let index = 2; index <= 5; index += 1) {
      await iam.send(new CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: pinnedGrant() }));
    }
    assert.equal(
      await codeOf(iam.send(new CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: pinnedGrant() }))),
      'LimitExceededException',
    );
    const listed = await iam.send(new ListAttachedUserPoliciesCommand({ UserName: 'alice' }));
    assert.deepEqual(listed.AttachedPolicies, [{ PolicyArn, PolicyName: 'cloudtun-readers' }]);
    const local = await iam.send(new ListPoliciesCommand({ Scope: 'Local' }));
    assert.deepEqual(
      local.Policies?.map(({ Arn }) => Arn),
      [PolicyArn],
    );
    assert.equal(await codeOf(iam.send(new DeletePolicyCommand({ PolicyArn }))), 'DeleteConflictException');
    await iam.send(new DetachUserPolicyCommand({ UserName: 'alice', PolicyArn }));
    assert.equal(
      await codeOf(iam.send(new DetachUserPolicyCommand({ UserName: 'alice', PolicyArn }))),
      'NoSuchEntityException',
    );
    assert.equal(
      await codeOf(iam.send(new GetUserPolicyCommand({ UserName: 'nobody', PolicyName: 'x' }))),
      'NoSuchEntityException',
    );
    assert.equal(
      await codeOf(new IAMClient(clientOptions(lab, 'alice')).send(new GetPolicyCommand({ PolicyArn }))),
      'AccessDenied',
    );
  });

  test('tags of the person decide, and a boundary', async (t) => {
    const lab = await enforcing(t);
    const iam = new IAMClient(clientOptions(lab, 'admin'));
    const Statement = {
      Effect: 'Allow',
      Action: 'ssm:GetConnectionStatus',
      Resource: '*',
      Condition: { StringEquals: { 'ssm:resourceTag/role': `\${aws:PrincipalTag/team}` } },
    };
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
    await iam.send(new PutUserPolicyCommand({ UserName: 'alice', PolicyName: 'abac', PolicyDocument }));
    const alice = lab.keys.find(clientOptions(lab, 'alice').credentials.accessKeyId)!;
    const refused = (role: string) => {
      const context = { 'ssm:resourceTag/role': role };
      const resources = [{ arn: `arn:aws:ec2:ap-northeast-1:111122223333:instance/${BASTION}`, context }];
      return lab.iam.refuse({ key: alice, region: 'ap-northeast-1', action: 'ssm:GetConnectionStatus', resources });
    };
    assert.ok(refused('bastion'));
    await iam.send(new TagUserCommand({ UserName: 'alice', Tags: [{ Key: 'team', Value: 'bastion' }] }));
    assert.equal(refused('bastion'), undefined);
    assert.ok(refused('web'));
    const { Policy } = await iam.send(
      new CreatePolicyCommand({
        PolicyName: 'edge',
        PolicyDocument: PolicyDocument.replace('ssm:GetConnectionStatus', 's3:*'),
      }),
    );
    await iam.send(new PutUserPermissionsBoundaryCommand({ UserName: 'alice', PermissionsBoundary: Policy?.Arn }));
    assert.match(refused('bastion')?.because ?? '', /no permissions boundary allows/);
  });

  test('the simulator says what the calls then do', async (t) => {
    const lab = await enforcing(t);
    await grant(lab, 'alice', pinnedGrant());
    const iam = new IAMClient(clientOptions(lab, 'admin'));
    const { EvaluationResults = [] } = await iam.send(
      new SimulatePrincipalPolicyCommand({
        PolicySourceArn: 'arn:aws:iam::111122223333:user/alice',
        ActionNames: ['ssm:StartSession', 'ssm:SendCommand'],
        ResourceArns: [`arn:aws:ssm:ap-northeast-1:111122223333:document/${PINNED_DOCUMENT}`],
        ContextEntries: [{ ContextKeyName: 'aws:username', ContextKeyValues: ['alice'], ContextKeyType: 'string' }],
      }),
    );
    assert.deepEqual(
      EvaluationResults.map(({ EvalActionName, EvalDecision }) => [EvalActionName, EvalDecision]),
      [
        ['ssm:StartSession', 'allowed'],
        ['ssm:SendCommand', 'explicitDeny'],
      ],
    );
    assert.equal(EvaluationResults[0]?.MatchedStatements?.[0]?.SourcePolicyId, 'cloudtun-readers');
  });
});

suite('session documents', () => {
  const CONTENT = {
    schemaVersion: '1.0',
    sessionType: 'Port',
    parameters: { localPortNumber: { type: 'String', default: '0', allowedPattern: '^[0-9]{1,5}$' } },
    properties: {
      type: 'LocalPortForwarding',
      host: 'a.internal',
      portNumber: '5432',
      localPortNumber: '{{ localPortNumber }}',
    },
  };
  const text = (host: string) => JSON.stringify({ ...CONTENT, properties: { ...CONTENT.properties, host } });

  test('a new version counts once it is the default', async (t) => {
    const lab = await enforcing(t);
    const ssm = new SSMClient(clientOptions(lab, 'admin'));
    const Name = 'cloudtun-orders';
    const Tags = [{ Key: 'team', Value: 'orders' }];
    await ssm.send(
      new CreateDocumentCommand({
        Name,
        DocumentType: 'Session',
        DocumentFormat: 'JSON',
        Content: text('a.internal'),
        Tags,
      }),
    );
    const hostNow = async () => {
      await ssm.send(start({ DocumentName: Name }));
      return lab.sessions.list('Active')[0]?.properties.host;
    };
    assert.equal(await hostNow(), 'a.internal');
    const update = (Content: string) =>
      ssm.send(new UpdateDocumentCommand({ Name, Content, DocumentVersion: '$LATEST' }));
    assert.equal(await codeOf(update(text('a.internal'))), 'DuplicateDocumentContent');
    assert.equal((await update(text('b.internal'))).DocumentDescription?.DocumentVersion, '2');
    assert.equal(await hostNow(), 'a.internal');
    await ssm.send(new UpdateDocumentDefaultVersionCommand({ Name, DocumentVersion: '2' }));
    assert.equal(await hostNow(), 'b.internal');
    const { Document } = await ssm.send(new DescribeDocumentCommand({ Name }));
    assert.deepEqual([Document?.LatestVersion, Document?.DefaultVersion, Document?.Tags], ['2', '2', Tags]);
    const first = await ssm.send(new GetDocumentCommand({ Name, DocumentVersion: '1' }));
    assert.equal(JSON.parse(first.Content ?? '').properties.host, 'a.internal');
  });

  for (const [what, content] of [
    ['not JSON', '{'],
    ['another schema', JSON.stringify({ ...CONTENT, schemaVersion: '2.2' })],
    ['another type', JSON.stringify({ ...CONTENT, sessionType: 'Ports' })],
    ['a parameter that is not declared', JSON.stringify({ ...CONTENT, properties: { portNumber: '{{ port }}' } })],
    [
      'a default beside its pattern',
      JSON.stringify({
        ...CONTENT,
        parameters: { localPortNumber: { type: 'String', default: 'x', allowedPattern: '^[0-9]$' } },
      }),
    ],
    ['an unknown member', JSON.stringify({ ...CONTENT, property: {} })],
  ] as const) {
    test(`refused: ${what}`, async (t) => {
      const lab = await testLab(t);
      const ssm = new SSMClient(clientOptions(lab, 'admin'));
      const command = new CreateDocumentCommand({
        Name: 'wrong',
        DocumentType: 'Session',
        DocumentFormat: 'JSON',
        Content: content,
      });
      assert.equal(await codeOf(ssm.send(command)), 'InvalidDocumentContent');
    });
  }
});
