import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import {
  DescribeDocumentCommand,
  DescribeInstanceInformationCommand,
  DescribeSessionsCommand,
  GetConnectionStatusCommand,
  GetDocumentCommand,
  ListDocumentsCommand,
  paginateDescribeInstanceInformation,
  paginateDescribeSessions,
  ResumeSessionCommand,
  SSMClient,
  StartSessionCommand,
  type StartSessionCommandInput,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import { changeInstance } from '../../../src/lab/aws/inventory.ts';
import type { Lab, LabOptions } from '../../../src/lab/lab.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';

const BASTION = 'i-0a1b2c3d4e5f60001';
const OFFLINE = 'i-0a1b2c3d4e5f60006';
const REMOTE_HOST = 'AWS-StartPortForwardingSessionToRemoteHost';

type Lifetime = Parameters<typeof testLab>[0];

async function open(t: Lifetime, options: LabOptions = {}, profile?: string): Promise<{ lab: Lab; ssm: SSMClient }> {
  const lab = await testLab(t, options);
  return { lab, ssm: new SSMClient(clientOptions(lab, profile)) };
}

const portSession: StartSessionCommandInput = {
  Target: BASTION,
  DocumentName: REMOTE_HOST,
  Parameters: { host: ['prod.c1abcdefghij.ap-northeast-1.rds.amazonaws.com'], portNumber: ['3306'] },
  Reason: 'schema check',
};
const named = (name: string) => (error: Error) => error.name === name;

describe('StartSession', () => {
  test('answers with id, stream URL and token, and the session is described', async (t) => {
    const { lab, ssm } = await open(t);
    const answer = await ssm.send(new StartSessionCommand(portSession));
    assert.match(answer.SessionId ?? '', /^alice-[a-z0-9]{26}$/);
    assert.equal(
      answer.StreamUrl,
      `ws://127.0.0.1:${lab.port}/v1/data-channel/${answer.SessionId}?role=publish_subscribe`,
    );
    assert.ok((answer.TokenValue ?? '').length > 50);
    const { Sessions } = await ssm.send(new DescribeSessionsCommand({ State: 'Active' }));
    const [session] = Sessions ?? [];
    assert.equal(session?.SessionId, answer.SessionId);
    assert.equal(session?.Target, BASTION);
    assert.equal(session?.Status, 'Connecting');
    assert.equal(session?.Reason, 'schema check');
    assert.equal(session?.DocumentName, REMOTE_HOST);
    assert.equal(session?.Owner, 'arn:aws:iam::111122223333:user/alice');
    assert.ok(Math.abs((session?.StartDate?.getTime() ?? 0) - Date.now()) < 60_000);
  });

  test('flattens parameters and fills in defaults', async (t) => {
    const { lab, ssm } = await open(t);
    const { SessionId } = await ssm.send(new StartSessionCommand(portSession));
    assert.deepEqual(lab.sessions.get(SessionId ?? '')?.properties, {
      portNumber: '3306',
      localPortNumber: '0',
      type: 'LocalPortForwarding',
      host: 'prod.c1abcdefghij.ap-northeast-1.rds.amazonaws.com',
    });
    const pinned = await ssm.send(new StartSessionCommand({ Target: BASTION, DocumentName: 'practice-prod' }));
    assert.equal(lab.sessions.get(pinned.SessionId ?? '')?.properties.portNumber, '3306');
  });

  test('without a document it is the shell of the account', async (t) => {
    const { lab, ssm } = await open(t);
    const { SessionId } = await ssm.send(new StartSessionCommand({ Target: BASTION }));
    assert.equal(lab.sessions.get(SessionId ?? '')?.documentName, 'SSM-SessionManagerRunShell');
    assert.equal(lab.sessions.get(SessionId ?? '')?.sessionType, 'Standard_Stream');
  });

  const refused: readonly (readonly [string, Partial<StartSessionCommandInput>, string])[] = [
    ['an unknown target', { Target: 'i-0123456789abcdef0' }, 'TargetNotConnected'],
    ['an offline target', { Target: OFFLINE }, 'TargetNotConnected'],
    ['a stopped target', { Target: 'i-0a1b2c3d4e5f60005' }, 'TargetNotConnected'],
    ['a target without agent', { Target: 'i-0a1b2c3d4e5f60009' }, 'TargetNotConnected'],
    ['an empty target', { Target: '' }, 'ValidationException'],
    ['an unknown document', { DocumentName: 'AWS-NoSuchDocument' }, 'InvalidDocument'],
    ['a document name of a wrong form', { DocumentName: 'a b' }, 'ValidationException'],
    ['an empty reason', { Reason: '' }, 'ValidationException'],
    ['a reason that is too long', { Reason: 'r'.repeat(257) }, 'ValidationException'],
    ['a missing parameter', { Parameters: { portNumber: ['1'] } }, 'InvalidParameters'],
    ['an unknown parameter', { Parameters: { ...portSession.Parameters, user: ['x'] } }, 'InvalidParameters'],
    ['two values', { Parameters: { ...portSession.Parameters, portNumber: ['1', '2'] } }, 'InvalidParameters'],
    ['port 65536', { Parameters: { ...portSession.Parameters, portNumber: ['65536'] } }, 'InvalidParameters'],
    ['a leading zero', { Parameters: { ...portSession.Parameters, portNumber: ['080'] } }, 'InvalidParameters'],
    ['a host with a blank and a sign', { Parameters: { host: ['a;b'], portNumber: ['1'] } }, 'InvalidParameters'],
  ];
  test('what it refuses, and how', async (t) => {
    const { lab, ssm } = await open(t);
    for (const [what, change, code] of refused) {
      await assert.rejects(ssm.send(new StartSessionCommand({ ...portSession, ...change })), named(code), what);
    }
    assert.equal(lab.sessions.list('Active').length, 0);
    await ssm.send(new StartSessionCommand({ ...portSession, Reason: 'r'.repeat(256) }));
  });

  test('a machine that goes offline is not connected any more', async (t) => {
    const { lab, ssm } = await open(t);
    lab.change((inventory) => changeInstance(inventory, 'bastion-a', { state: 'stopping' }));
    await assert.rejects(ssm.send(new StartSessionCommand(portSession)), named('TargetNotConnected'));
    lab.change((inventory) => changeInstance(inventory, 'bastion-a', { state: 'running' }));
    lab.faults.set({ deadNodes: [BASTION] });
    await assert.rejects(ssm.send(new StartSessionCommand(portSession)), named('TargetNotConnected'));
  });

  test('another region has no such machine', async (t) => {
    const lab = await testLab(t);
    const ssm = new SSMClient({ ...clientOptions(lab), region: 'us-east-1' });
    await assert.rejects(ssm.send(new StartSessionCommand(portSession)), named('TargetNotConnected'));
    assert.deepEqual((await ssm.send(new DescribeInstanceInformationCommand({}))).InstanceInformationList, []);
  });

  test('is denied to mallory, who may look', async (t) => {
    const { ssm } = await open(t, {}, 'mallory');
    await assert.rejects(ssm.send(new StartSessionCommand(portSession)), (error: Error) => {
      assert.equal(error.name, 'AccessDeniedException');
      assert.match(
        error.message,
        /user\/mallory is not authorized to perform: ssm:StartSession on resource: arn:aws:ec2:.*\/i-/,
      );
      return true;
    });
    await ssm.send(new DescribeSessionsCommand({ State: 'Active' }));
  });
});

describe('ResumeSession and TerminateSession', () => {
  test('resume gives a new token for the same session', async (t) => {
    const { ssm } = await open(t);
    const first = await ssm.send(new StartSessionCommand(portSession));
    const again = await ssm.send(new ResumeSessionCommand({ SessionId: first.SessionId }));
    assert.equal(again.SessionId, first.SessionId);
    assert.equal(again.StreamUrl, first.StreamUrl);
    assert.notEqual(again.TokenValue, first.TokenValue);
  });

  test('a session that timed out has no token', async (t) => {
    const { ssm } = await open(t, { faults: { refuseResumes: 1 } });
    const { SessionId } = await ssm.send(new StartSessionCommand(portSession));
    assert.equal((await ssm.send(new ResumeSessionCommand({ SessionId }))).TokenValue, undefined);
    assert.ok((await ssm.send(new ResumeSessionCommand({ SessionId }))).TokenValue);
  });

  test('terminate is final, and may be said twice', async (t) => {
    const { lab, ssm } = await open(t);
    const { SessionId } = await ssm.send(new StartSessionCommand(portSession));
    assert.equal((await ssm.send(new TerminateSessionCommand({ SessionId }))).SessionId, SessionId);
    await ssm.send(new TerminateSessionCommand({ SessionId }));
    await assert.rejects(ssm.send(new ResumeSessionCommand({ SessionId })), named('DoesNotExistException'));
    assert.equal(lab.gateway.openSessions().length, 0);
    const { Sessions } = await ssm.send(new DescribeSessionsCommand({ State: 'History' }));
    assert.equal(Sessions?.[0]?.Status, 'Terminated');
    assert.ok(Sessions?.[0]?.EndDate instanceof Date);
  });

  test('unknown sessions do not exist', async (t) => {
    const { ssm } = await open(t);
    const SessionId = 'alice-00000000000000000';
    await assert.rejects(ssm.send(new ResumeSessionCommand({ SessionId })), named('DoesNotExistException'));
    await assert.rejects(ssm.send(new TerminateSessionCommand({ SessionId })), named('DoesNotExistException'));
  });
});

describe('DescribeSessions', () => {
  test('pages and filters', async (t) => {
    const { ssm } = await open(t, { pageLimit: 3 });
    for (let count = 0; count < 8; count += 1) await ssm.send(new StartSessionCommand(portSession));
    const other = await ssm.send(new StartSessionCommand({ Target: 'mi-0a1b2c3d4e5f60001' }));
    const ids: (string | undefined)[] = [];
    let pages = 0;
    for await (const page of paginateDescribeSessions({ client: ssm }, { State: 'Active' })) {
      pages += 1;
      ids.push(...(page.Sessions ?? []).map((session) => session.SessionId));
    }
    assert.equal(pages, 3);
    assert.equal(new Set(ids).size, 9);
    const ask = async (
      key: 'Target' | 'Owner' | 'Status' | 'SessionId' | 'InvokedAfter' | 'InvokedBefore',
      value: string,
    ) => {
      const input = { State: 'Active', Filters: [{ key, value }] } as const;
      return (await ssm.send(new DescribeSessionsCommand({ ...input, Filters: [...input.Filters] }))).Sessions ?? [];
    };
    assert.deepEqual(
      (await ask('Target', 'mi-0a1b2c3d4e5f60001')).map((one) => one.SessionId),
      [other.SessionId],
    );
    assert.deepEqual(
      (await ask('SessionId', ids[3] ?? '')).map((one) => one.SessionId),
      [ids[3]],
    );
    assert.equal((await ask('Status', 'Connected')).length, 0);
    assert.equal((await ask('Owner', 'arn:aws:iam::111122223333:user/alice')).length, 3);
    assert.equal((await ask('InvokedAfter', '2100-01-01T00:00:00Z')).length, 0);
    assert.equal((await ask('InvokedBefore', '2100-01-01T00:00:00Z')).length, 3);
  });

  test('a foreign token and a wrong size are refused', async (t) => {
    const { ssm } = await open(t);
    for (const NextToken of ['garbage', Buffer.from('lab1:ssm:DescribeSessions:History:1').toString('base64')]) {
      await assert.rejects(
        ssm.send(new DescribeSessionsCommand({ State: 'Active', NextToken })),
        named('InvalidNextToken'),
      );
    }
    await assert.rejects(
      ssm.send(new DescribeSessionsCommand({ State: 'Active', MaxResults: 201 })),
      named('ValidationException'),
    );
  });
});

describe('DescribeInstanceInformation and GetConnectionStatus', () => {
  test('pages through every registered machine', async (t) => {
    const { ssm } = await open(t);
    const found = new Map<string | undefined, string | undefined>();
    for await (const page of paginateDescribeInstanceInformation({ client: ssm, pageSize: 5 }, {})) {
      for (const one of page.InstanceInformationList ?? [])
        found.set(one.InstanceId, `${one.PingStatus} ${one.AgentVersion}`);
    }
    assert.equal(found.size, 9);
    assert.equal(found.get(BASTION), 'Online 3.3.4121.0');
    assert.equal(found.get('i-0a1b2c3d4e5f60004'), 'Online 3.0.150.0');
    assert.equal(found.get(OFFLINE), 'ConnectionLost 3.3.4121.0');
    assert.equal(found.get('mi-0a1b2c3d4e5f60001'), 'Online 3.3.4121.0');
    assert.equal(found.has('i-0a1b2c3d4e5f60009'), false);
  });

  test('filters', async (t) => {
    const { ssm } = await open(t);
    const ask = async (...Filters: { Key: string; Values: string[] }[]) => {
      const { InstanceInformationList } = await ssm.send(new DescribeInstanceInformationCommand({ Filters }));
      return (InstanceInformationList ?? []).map((one) => one.InstanceId);
    };
    assert.deepEqual(await ask({ Key: 'InstanceIds', Values: [BASTION, OFFLINE, 'i-0123456789abcdef0'] }), [
      BASTION,
      OFFLINE,
    ]);
    assert.deepEqual(await ask({ Key: 'PingStatus', Values: ['ConnectionLost'] }), ['i-0a1b2c3d4e5f60005', OFFLINE]);
    assert.deepEqual(await ask({ Key: 'ResourceType', Values: ['ManagedInstance'] }), ['mi-0a1b2c3d4e5f60001']);
    assert.deepEqual(await ask({ Key: 'tag:role', Values: ['bastion'] }, { Key: 'PingStatus', Values: ['Online'] }), [
      BASTION,
      'i-0a1b2c3d4e5f60002',
    ]);
    await assert.rejects(ask({ Key: 'Colour', Values: ['red'] }), named('InvalidFilterKey'));
  });

  test('connection status', async (t) => {
    const { ssm } = await open(t);
    const ask = async (Target: string) => (await ssm.send(new GetConnectionStatusCommand({ Target }))).Status;
    assert.equal(await ask(BASTION), 'connected');
    assert.equal(await ask(OFFLINE), 'notconnected');
    assert.equal(await ask('i-0123456789abcdef0'), 'notconnected');
  });
});

describe('documents', () => {
  test('are listed in pages, described, and read', async (t) => {
    const { ssm } = await open(t);
    const first = await ssm.send(new ListDocumentsCommand({ MaxResults: 5 }));
    const rest = await ssm.send(new ListDocumentsCommand({ MaxResults: 5, NextToken: first.NextToken }));
    const names = [...(first.DocumentIdentifiers ?? []), ...(rest.DocumentIdentifiers ?? [])].map((one) => one.Name);
    assert.equal(names.length, 8);
    const own = await ssm.send(new ListDocumentsCommand({ Filters: [{ Key: 'Owner', Values: ['Self'] }] }));
    assert.deepEqual(
      own.DocumentIdentifiers?.map((one) => one.Name),
      ['SSM-SessionManagerRunShell', 'practice-prod'],
    );
    const { Document } = await ssm.send(new DescribeDocumentCommand({ Name: REMOTE_HOST }));
    assert.deepEqual(
      Document?.Parameters?.map((one) => [one.Name, one.DefaultValue]),
      [
        ['portNumber', '80'],
        ['localPortNumber', '0'],
        ['host', undefined],
      ],
    );
    const { Content } = await ssm.send(new GetDocumentCommand({ Name: 'AWS-StartSSHSession' }));
    const content = JSON.parse(Content ?? '') as { sessionType: string; properties: object };
    assert.equal(content.sessionType, 'Port');
    assert.deepEqual(content.properties, { portNumber: '{{ portNumber }}' });
    await assert.rejects(ssm.send(new GetDocumentCommand({ Name: 'nothing' })), named('InvalidDocument'));
  });
});
