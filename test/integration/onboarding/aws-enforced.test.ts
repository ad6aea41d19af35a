/** What is applied lets a person open what the catalogue lists, and nothing else: the product and the SDKs meet the lab's IAM. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { CreateTagsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from '@aws-sdk/client-ec2-instance-connect';
import { AttachUserPolicyCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import {
  AddTagsToResourceCommand,
  CreateDocumentCommand,
  DeleteDocumentCommand,
  ModifyDocumentPermissionCommand,
  SendCommandCommand,
  SSMClient,
  StartSessionCommand,
  TerminateSessionCommand,
  UpdateDocumentCommand,
  UpdateDocumentDefaultVersionCommand,
} from '@aws-sdk/client-ssm';
import type { Lab } from '../../../src/lab/lab.ts';
import { askPractice } from '../../../src/lab/practice-query.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { clientOptions } from '../../support/aws-lab.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { BASTION } from '../../support/pinned-grant.ts';
import { teamLab } from '../../support/team-lab.ts';

const READY = /^ready 127\.0\.0\.1:(\d+) -> prod /m;
const WEB = 'i-0a1b2c3d4e5f60003';
const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: "tag:role=bastion" } }
  prod: { rds: prod, via: bastion }
  web: { aws: { instance: web-1 }, user: ec2-user, hostPort: 80 }
  wiki: { host: wiki.internal, hostPort: 80, via: bastion }
  inner: { aws: { instance: inner-1 }, via: bastion, hostPort: 80 }
`;
const withTeams = (text: string) => `${TARGETS}teams: { ${text} }\n`;

/** A lab that enforces, with this catalogue applied by its administrator on the command line. */
async function applied(t: TestContext, teams: string): Promise<CliLab> {
  const cli = await cliLab(t);
  cli.lab.iam.set({ enforce: true });
  cli.lab.change((inventory) => ({ ...inventory, users: inventory.users.map((one) => ({ ...one, denied: [] })) }));
  await apply(cli, teams);
  return cli;
}

async function apply(cli: CliLab, teams: string): Promise<void> {
  writeFileSync(join(cli.home, 'cloudtun.yaml'), withTeams(teams));
  const { code, stderr } = await cli.run(['team', 'apply', '--yes', '--profile', 'admin']);
  assert.equal(code, 0, stderr);
}

/** Opens prod, asks the database something, and ends. */
async function opensProd(cli: CliLab, profile: string): Promise<void> {
  const open = cli.start(['rds', 'prod', '--port', 'auto', '--profile', profile]);
  const [, port] = await open.saw(READY);
  const answer = await askPractice({ host: '127.0.0.1', port: Number(port) }, 'SELECT count(*) AS n FROM orders');
  assert.deepEqual(answer.rows, [['50']]);
  open.process.kill('SIGINT');
  assert.equal((await open.ended).code, 130);
  assert.deepEqual(cli.openSessions(), [], 'one may end the session that one began');
}

async function isDenied(cli: CliLab, command: readonly string[], profile: string): Promise<string> {
  const { code, stderr } = await cli.run([...command, '--profile', profile]);
  assert.equal(code, 4, `${command.join(' ')}: ${stderr}`);
  return stderr;
}

/** The code of the error that a call ends with; `ok` when there is none. */
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );

/** What a SOCKS5 proxy answers to a wish to connect. */
async function socksReply(port: number, host: string, to: number): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(10_000, () => socket.destroy(new Error('the proxy says nothing')));
  const name = Buffer.from(host);
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([to >> 8, to & 255])]));
  const [reply] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return reply;
}

const DENIED = ['AccessDeniedException', 'AccessDenied', 'UnauthorizedOperation', 'AuthException'];

suite('Alice', () => {
  test('is denied before the grant with what is missing named, opens prod and only prod with it, and is denied after its end', async (t) => {
    const cli = await cliLab(t);
    cli.lab.iam.set({ enforce: true });
    writeFileSync(
      join(cli.home, 'cloudtun.yaml'),
      withTeams('readers: { aws: { user: alice }, may: { connect: [prod] } }'),
    );
    assert.match(await isDenied(cli, ['rds', 'prod', '--port', 'auto'], 'alice'), /missing +(rds|ec2|ssm):/);

    await apply(cli, 'readers: { aws: { user: alice }, may: { connect: [prod] }, until: 2099-12-31 }');
    await opensProd(cli, 'alice');
    assert.match(
      await isDenied(cli, ['forward', 'wiki', '--port', 'auto'], 'alice'),
      /missing +ssm:StartSession on .*document\/AWS-StartPortForwardingSessionToRemoteHost/,
    );
    await isDenied(cli, ['forward', 'web', '-L', '0:22'], 'alice');
    await isDenied(cli, ['forward', 'bastion', '-L', '0:prod-replica:3306'], 'alice');

    await apply(cli, 'readers: { aws: { user: alice }, may: { connect: [prod] }, until: 2020-12-31 }');
    await isDenied(cli, ['rds', 'prod', '--port', 'auto'], 'alice');
  });

  test('opens everything that she is given by its own document: a port, a machine behind another one, a host, SOCKS', async (t) => {
    const cli = await applied(
      t,
      'readers: { aws: { user: alice }, may: { connect: [web, inner, wiki], ssh: [inner], socks: [bastion] }, until: 2099-12-31 }',
    );
    const opens = async (command: readonly string[], ready: RegExp) => {
      const open = cli.start([...command, '--profile', 'alice']);
      const [, port] = await open.saw(ready);
      return { port: Number(port), end: async () => open.process.kill('SIGINT') && (await open.ended).code };
    };
    for (const name of ['web', 'inner', 'wiki']) {
      const { port, end } = await opens(
        ['forward', name, '--port', 'auto'],
        /^(?:ready|open) +127\.0\.0\.1:(\d+) -> /m,
      );
      const page = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      assert.equal(page.status, 200, name);
      assert.equal(await end(), 130);
    }
    const socks = await opens(['socks', 'bastion', '--port', 'auto'], /127\.0\.0\.1:(\d+)/m);
    const connected = await socksReply(socks.port, 'wiki.internal', 80);
    assert.deepEqual([...connected.subarray(0, 2)], [5, 0]);
    await socks.end();
    const login = await cli.run(['ssh', 'inner', '--profile', 'alice', '--', 'whoami']);
    assert.equal(login.code, 0, login.stderr);
    assert.equal(login.stdout.trim(), 'ubuntu');
    const used = cli.lab.trail.events
      .visible(Date.now())
      .map(
        ({ event }) =>
          event.document as { eventName: string; errorCode?: string; requestParameters?: { documentName?: string } },
      )
      .filter(({ eventName, errorCode }) => eventName === 'StartSession' && errorCode === undefined)
      .map(({ requestParameters }) => requestParameters?.documentName);
    assert.deepEqual([...new Set(used)].sort(), [
      'cloudtun-bastion-socks',
      'cloudtun-inner',
      'cloudtun-inner-ssh',
      'cloudtun-web',
      'cloudtun-wiki',
    ]);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('in two teams has what both are given, and neither denies what the other one gives', async (t) => {
    const cli = await applied(
      t,
      'readers: { aws: { user: alice }, may: { connect: [prod] }, until: 2099-12-31 }, ' +
        'web: { aws: { user: alice }, may: { connect: [wiki], ssh: [web] }, until: 2099-12-31 }',
    );
    await opensProd(cli, 'alice');
    const keys = new EC2InstanceConnectClient(clientOptions(cli.lab, 'alice'));
    const push = (InstanceId: string, InstanceOSUser: string) =>
      outcome(keys.send(new SendSSHPublicKeyCommand({ InstanceId, InstanceOSUser, SSHPublicKey: KEY })));
    assert.equal(await push(WEB, 'ec2-user'), 'ok');
    assert.ok(DENIED.includes(await push(WEB, 'root')));
    assert.ok(DENIED.includes(await push(BASTION, 'ec2-user')));
    const { code, stdout, stderr } = await cli.run(['ssh', 'web', '--profile', 'alice', '--', 'whoami']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim(), 'ec2-user');
  });
});

const KEY = `ssh-ed25519 ${Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64')}`;

/** What somebody may try who has one document and one machine. @param session of somebody else */
function waysAround(lab: Lab, session: string): Readonly<Record<string, () => Promise<unknown>>> {
  const options = clientOptions(lab, 'mallory');
  const ssm = new SSMClient(options);
  const begin = (members: { DocumentName?: string; Target?: string; Parameters?: Record<string, string[]> }) =>
    ssm.send(new StartSessionCommand({ Target: BASTION, ...members }));
  const Name = 'cloudtun-prod';
  const host = { portNumber: ['3306'], host: ['orders.internal'] };
  return {
    'a shell': () => begin({}),
    'a shell by name': () => begin({ DocumentName: 'SSM-SessionManagerRunShell' }),
    'any host': () => begin({ DocumentName: 'AWS-StartPortForwardingSessionToRemoteHost', Parameters: host }),
    'any port': () => begin({ DocumentName: 'AWS-StartPortForwardingSession', Parameters: { portNumber: ['22'] } }),
    sshd: () => begin({ DocumentName: 'AWS-StartSSHSession' }),
    'an interactive command': () =>
      begin({ DocumentName: 'AWS-StartInteractiveCommand', Parameters: { command: ['id'] } }),
    'a pinned document of others': () => begin({ DocumentName: 'cloudtun-wiki' }),
    'another machine': () => begin({ DocumentName: Name, Target: WEB }),
    'another host of the pinned document': () => begin({ DocumentName: Name, Parameters: { host: ['evil.internal'] } }),
    'another port of the pinned document': () => begin({ DocumentName: Name, Parameters: { portNumber: ['22'] } }),
    'a command': () => ssm.send(new SendCommandCommand({ DocumentName: 'AWS-RunShellScript', InstanceIds: [BASTION] })),
    'editing the document': () =>
      ssm.send(new UpdateDocumentCommand({ Name, Content: '{}', DocumentVersion: '$LATEST' })),
    'another default version': () => ssm.send(new UpdateDocumentDefaultVersionCommand({ Name, DocumentVersion: '1' })),
    'sharing the document': () =>
      ssm.send(
        new ModifyDocumentPermissionCommand({ Name, PermissionType: 'Share', AccountIdsToAdd: ['444455556666'] }),
      ),
    'deleting the document': () => ssm.send(new DeleteDocumentCommand({ Name })),
    'tagging the document': () =>
      ssm.send(
        new AddTagsToResourceCommand({
          ResourceType: 'Document',
          ResourceId: Name,
          Tags: [{ Key: 'a', Value: 'b' }],
        }),
      ),
    'a document of her own': () =>
      ssm.send(new CreateDocumentCommand({ Name: 'mine', Content: '{}', DocumentType: 'Session' })),
    'the tag of the bastion for another machine': () =>
      new EC2Client(options).send(
        new CreateTagsCommand({ Resources: [WEB], Tags: [{ Key: 'role', Value: 'bastion' }] }),
      ),
    'the tag in capitals': () =>
      new EC2Client(options).send(
        new CreateTagsCommand({ Resources: [WEB], Tags: [{ Key: 'Role', Value: 'bastion' }] }),
      ),
    'a key': () =>
      new EC2InstanceConnectClient(options).send(
        new SendSSHPublicKeyCommand({ InstanceId: BASTION, InstanceOSUser: 'ec2-user', SSHPublicKey: KEY }),
      ),
    "somebody else's session": () => ssm.send(new TerminateSessionCommand({ SessionId: session })),
    'a wider grant': () =>
      new IAMClient(options).send(
        new AttachUserPolicyCommand({
          UserName: 'mallory',
          PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess',
        }),
      ),
  };
}

suite('Mallory with the same grant', () => {
  for (const documentCheck of ['always', 'when-asked'] as const) {
    test(`opens prod and nothing around it, where the document check is ${documentCheck}`, async (t) => {
      const team = await teamLab(t);
      const { lab } = team;
      lab.iam.set({ documentCheck });
      lab.change((inventory) => ({ ...inventory, users: inventory.users.map((one) => ({ ...one, denied: [] })) }));
      await team.bring(
        withTeams(
          'readers: { aws: { user: mallory }, may: { connect: [prod] }, until: 2099-12-31 }, others: { aws: { user: bob }, may: { connect: [wiki] } }',
        ),
      );
      const ssm = new SSMClient(clientOptions(lab, 'mallory'));
      const prod = () => outcome(ssm.send(new StartSessionCommand({ Target: BASTION, DocumentName: 'cloudtun-prod' })));
      assert.equal(await prod(), 'ok');
      const { SessionId = '' } = await new SSMClient(clientOptions(lab, 'bob')).send(
        new StartSessionCommand({ Target: BASTION, DocumentName: 'cloudtun-wiki' }),
      );
      const attempts = waysAround(lab, SessionId);
      for (const [what, attempt] of Object.entries(attempts)) {
        const ended = await outcome(attempt());
        // What a document does not leave open is no parameter of it: such a call is not denied, it is no call.
        const wanted = what.endsWith('of the pinned document') ? ['InvalidParameters'] : DENIED;
        assert.ok(wanted.includes(ended), `${what} ended with ${ended}`);
      }
      assert.equal(await prod(), 'ok', 'and still what is granted');
    });
  }
});

suite('Mallory with a wide policy of other hands beside it', () => {
  test('is kept from what leads around the pins, and has the rest: the union that team check warns of', async (t) => {
    const team = await teamLab(t);
    const { lab } = team;
    await team.bring(withTeams('readers: { aws: { user: mallory }, may: { connect: [prod] } }'));
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Sid: 'Wide', Effect: 'Allow', Action: ['ssm:*', 'ec2:*', 'ec2-instance-connect:*'], Resource: '*' },
      ],
    });
    const admin = new IAMClient(clientOptions(lab, 'admin'));
    await admin.send(new PutUserPolicyCommand({ UserName: 'mallory', PolicyName: 'wide', PolicyDocument }));
    const ended = await Promise.all(
      Object.entries(waysAround(lab, 'nobody-0123')).map(
        async ([what, attempt]) => [what, DENIED.includes(await outcome(attempt()))] as const,
      ),
    );
    assert.deepEqual(
      ended.filter(([, isDenied]) => !isDenied).map(([what]) => what),
      [
        'a pinned document of others',
        'another machine',
        'another host of the pinned document',
        'another port of the pinned document',
        "somebody else's session",
      ],
    );
  });
});

suite('both forms of session ids', () => {
  for (const sessionIds of ['name', 'userid'] as const) {
    test(`a user, and a role with and without members, where ARNs begin with the ${sessionIds}`, async (t) => {
      const cli = await applied(t, 'readers: { aws: { user: alice, role: readers }, may: { connect: [prod] } }');
      cli.lab.iam.set({ sessionIds });
      await opensProd(cli, 'alice');
      await opensProd(cli, 'readers');
    });

    test(`a permission set, and not the sessions of others, where ARNs begin with the ${sessionIds}`, async (t) => {
      const team = await teamLab(t, systemWorld({ clock: { ...systemClock, sleep: async () => {} } }));
      const { lab } = team;
      lab.iam.set({ sessionIds });
      const key = (name: string) =>
        lab.keys.issueTemporary(
          {
            name,
            arn: `arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_readers_0a1b2c3d4e5f6071/${name}`,
            userId: `AROAX:${name}`,
            account: '111122223333',
            denied: [],
          },
          3_600_000,
          true,
        );
      const [alice, bob] = [key('alice@example.com'), key('bob@example.com')];
      const clientOf = ({ accessKeyId, secretAccessKey, sessionToken }: typeof alice) =>
        new SSMClient({
          ...clientOptions(lab),
          credentials: {
            accessKeyId,
            secretAccessKey: secretAccessKey.reveal(),
            sessionToken: sessionToken!.reveal(),
          },
        });
      for (const members of ['', ', members: [alice@example.com]']) {
        await team.bring(withTeams(`readers: { aws: { permissionSet: readers }${members}, may: { connect: [prod] } }`));
        const { SessionId = '' } = await clientOf(alice).send(
          new StartSessionCommand({ Target: BASTION, DocumentName: 'cloudtun-prod' }),
        );
        const resources = [lab.iam.sessionResource(lab.sessions.get(SessionId)!, 'ap-northeast-1')];
        const channel = (who: typeof alice) =>
          lab.iam.refuse({ key: who, region: 'ap-northeast-1', action: 'ssmmessages:OpenDataChannel', resources });
        assert.equal(channel(alice), undefined);
        assert.ok(channel(bob), 'the channel of somebody else');
        assert.equal(
          await outcome(clientOf(bob).send(new TerminateSessionCommand({ SessionId }))),
          'AccessDeniedException',
        );
        assert.equal(await outcome(clientOf(alice).send(new TerminateSessionCommand({ SessionId }))), 'ok');
      }
    });
  }
});
