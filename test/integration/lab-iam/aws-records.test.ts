/** CloudTrail and Identity Center of the lab, and switching enforcement from outside, as administrators and auditors meet them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CreatePolicyCommand, IAMClient } from '@aws-sdk/client-iam';
import { SSMClient, StartSessionCommand, TerminateSessionCommand } from '@aws-sdk/client-ssm';
import {
  AttachCustomerManagedPolicyReferenceToPermissionSetCommand,
  DescribePermissionSetProvisioningStatusCommand,
  GetInlinePolicyForPermissionSetCommand,
  ListInstancesCommand,
  ListPermissionSetsCommand,
  ProvisionPermissionSetCommand,
  PutInlinePolicyToPermissionSetCommand,
  SSOAdminClient,
} from '@aws-sdk/client-sso-admin';
import { labStatusLines } from '../../../src/cli/present/lab-report.ts';
import { startLab } from '../../../src/lab/lab.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';
import { BASTION, PINNED_DOCUMENT, pinnedGrant } from '../../support/pinned-grant.ts';

const outcome = (call: Promise<unknown>) =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );

suite('CloudTrail', () => {
  test('a session is there with parameters, document, reason and id, and no secret', async (t) => {
    const lab = await testLab(t);
    const ssm = new SSMClient(clientOptions(lab, 'alice'));
    const Parameters = { host: ['prod.internal'], portNumber: ['3306'] };
    const DocumentName = 'AWS-StartPortForwardingSessionToRemoteHost';
    const started = await ssm.send(
      new StartSessionCommand({ Target: BASTION, DocumentName, Parameters, Reason: 'INC-7' }),
    );
    await ssm.send(new TerminateSessionCommand({ SessionId: started.SessionId }));
    const denied = new SSMClient(clientOptions(lab, 'mallory')).send(new StartSessionCommand({ Target: BASTION }));
    assert.equal(await outcome(denied), 'AccessDeniedException');

    const trail = new CloudTrailClient(clientOptions(lab, 'alice'));
    const lookUp = async (AttributeKey: 'EventName' | 'Username', AttributeValue: string, more: object = {}) => {
      const { Events = [] } = await trail.send(
        new LookupEventsCommand({ LookupAttributes: [{ AttributeKey, AttributeValue }], ...more }),
      );
      return Events;
    };
    const [refused, first] = await lookUp('EventName', 'StartSession');
    assert.ok(!first?.CloudTrailEvent?.includes(started.TokenValue ?? 'no token'));
    const event = JSON.parse(first?.CloudTrailEvent ?? '');
    assert.deepEqual(
      [event.eventSource, event.userIdentity.userName, event.requestParameters, event.responseElements.sessionId],
      [
        'ssm.amazonaws.com',
        'alice',
        { target: BASTION, documentName: DocumentName, parameters: Parameters, reason: 'INC-7' },
        started.SessionId,
      ],
    );
    assert.equal(event.responseElements.tokenValue, 'HIDDEN_DUE_TO_SECURITY_REASONS');
    const refusedEvent = JSON.parse(refused?.CloudTrailEvent ?? '');
    assert.deepEqual([refusedEvent.errorCode, refusedEvent.requestParameters], ['AccessDenied', null]);
    assert.match(refusedEvent.errorMessage, /ssm:StartSession/);
    assert.deepEqual((await lookUp('EventName', 'TerminateSession')).length, 1);
    assert.ok((await lookUp('Username', 'mallory')).every(({ Username }) => Username === 'mallory'));
    const past = { StartTime: new Date(0), EndTime: new Date(Date.now() - 3_600_000) };
    assert.deepEqual(await lookUp('EventName', 'StartSession', past), []);
    const wrong = { StartTime: new Date(), EndTime: new Date(0) };
    assert.equal(await outcome(trail.send(new LookupEventsCommand(wrong))), 'InvalidTimeRangeException');
  });

  test('late, twice, and page by page', async (t) => {
    const lab = await testLab(t, { pageLimit: 2 });
    lab.trail.events.set({ duplicateEvery: 3 });
    const ssm = new SSMClient(clientOptions(lab, 'alice'));
    for (let index = 0; index < 3; index += 1) await ssm.send(new StartSessionCommand({ Target: BASTION }));
    const trail = new CloudTrailClient(clientOptions(lab, 'alice'));
    const LookupAttributes = [{ AttributeKey: 'EventName' as const, AttributeValue: 'StartSession' }];
    const ids: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const page = await trail.send(new LookupEventsCommand({ LookupAttributes, NextToken }));
      ids.push(...(page.Events ?? []).map(({ EventId }) => EventId));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    assert.deepEqual([ids.length, new Set(ids).size], [4, 3]);
    lab.trail.events.set({ delayMs: 900_000 });
    const { Events } = await trail.send(new LookupEventsCommand({ LookupAttributes }));
    assert.deepEqual(Events, []);
  });
});

suite('Identity Center', () => {
  test('a permission set grants what was provisioned, and not what was written only', async (t) => {
    const lab = await testLab(t);
    lab.iam.set({ enforce: true });
    const sso = new SSOAdminClient(clientOptions(lab, 'admin'));
    const { Instances = [] } = await sso.send(new ListInstancesCommand({}));
    const InstanceArn = Instances[0]?.InstanceArn;
    const { PermissionSets = [] } = await sso.send(new ListPermissionSetsCommand({ InstanceArn }));
    const set = { InstanceArn, PermissionSetArn: PermissionSets[0] };
    const role = 'arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_readers_0a1b2c3d4e5f6071/alice@example.com';
    const principal = {
      name: 'alice@example.com',
      arn: role,
      userId: 'AROAX:alice@example.com',
      account: '111122223333',
      denied: [],
    };
    const key = lab.keys.issueTemporary(principal, 3_600_000, true);
    const credentials = {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secretAccessKey.reveal(),
      sessionToken: key.sessionToken.reveal(),
    };
    const ssm = new SSMClient({ ...clientOptions(lab), credentials });
    const opens = () => outcome(ssm.send(new StartSessionCommand({ Target: BASTION, DocumentName: PINNED_DOCUMENT })));
    const InlinePolicy = pinnedGrant();
    await sso.send(new PutInlinePolicyToPermissionSetCommand({ ...set, InlinePolicy }));
    assert.equal((await sso.send(new GetInlinePolicyForPermissionSetCommand(set))).InlinePolicy, InlinePolicy);
    assert.equal(await opens(), 'AccessDeniedException');
    const provision = new ProvisionPermissionSetCommand({ ...set, TargetType: 'ALL_PROVISIONED_ACCOUNTS' });
    const begun = (await sso.send(provision)).PermissionSetProvisioningStatus;
    assert.equal(begun?.Status, 'IN_PROGRESS');
    const look = { InstanceArn, ProvisionPermissionSetRequestId: begun?.RequestId };
    const ended = await sso.send(new DescribePermissionSetProvisioningStatusCommand(look));
    assert.equal(ended.PermissionSetProvisioningStatus?.Status, 'SUCCEEDED');
    assert.equal(await opens(), 'ok');

    const iam = new IAMClient(clientOptions(lab, 'admin'));
    await sso.send(
      new PutInlinePolicyToPermissionSetCommand({ ...set, InlinePolicy: pinnedGrant({ until: '2020-01-01' }) }),
    );
    const CustomerManagedPolicyReference = { Name: 'readers', Path: '/' };
    await sso.send(
      new AttachCustomerManagedPolicyReferenceToPermissionSetCommand({ ...set, CustomerManagedPolicyReference }),
    );
    assert.equal(await outcome(sso.send(provision)), 'ConflictException', 'the account has no such policy yet');
    await iam.send(new CreatePolicyCommand({ PolicyName: 'readers', PolicyDocument: pinnedGrant() }));
    await sso.send(provision);
    assert.equal(await opens(), 'ok', 'the reference grants what the inline policy does not any more');
    assert.equal(
      await outcome(new SSOAdminClient({ ...clientOptions(lab), credentials }).send(provision)),
      'AccessDeniedException',
    );
  });
});

suite('the control endpoint', () => {
  test('switches enforcement of both clouds, and refuses nonsense without changing anything', async () => {
    await using lab = await startLab(systemWorld());
    const set = async (body: unknown) => {
      const answer = await fetch(`${lab.url}/_lab/iam`, {
        method: 'POST',
        headers: { authorization: `Bearer ${lab.controlToken.reveal()}` },
        body: JSON.stringify(body),
      });
      return answer.status;
    };
    const ssm = new SSMClient(clientOptions(lab, 'alice'));
    const start = () => outcome(ssm.send(new StartSessionCommand({ Target: BASTION })));
    assert.equal(await start(), 'ok');
    for (const wrong of [
      { aws: { enforce: 'yes' } },
      { aws: { enforce: true }, azure: {} },
      { gcp: { groups: ['a'] } },
      [],
    ]) {
      assert.equal(await set(wrong), 400, JSON.stringify(wrong));
    }
    assert.equal(await start(), 'ok');
    assert.equal(
      await set({
        aws: { enforce: true, groups: { readers: ['alice'] } },
        gcp: { enforce: true, groups: { 'readers@example.com': ['alice@example.com'] } },
        records: { delayMs: 5 },
      }),
      200,
    );
    assert.equal(await start(), 'AccessDeniedException');
    assert.deepEqual(lab.status().enforces, { aws: true, gcp: true });
    assert.ok(labStatusLines(lab.status()).includes('permissions decide on AWS and Google Cloud'));
    lab.iam.directory
      .entity('group', 'readers')
      .inline.set(
        'all',
        JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }),
      );
    assert.equal(await start(), 'ok', 'by her group');
    assert.equal(lab.gcp.iam.may('alice@example.com', 'compute.instances.list', 'projects/acme-practice'), false);
    assert.equal(await set({ aws: { enforce: false }, gcp: { enforce: false } }), 200);
    assert.equal(lab.gcp.iam.may('alice@example.com', 'compute.instances.list', 'projects/acme-practice'), true);
  });
});
