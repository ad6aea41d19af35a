/** Records as the two clouds write them, in the forms that files of them have. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readRecordFiles } from '../../../src/audit/read-record-files.ts';
import { recordsOfFiles } from '../../../src/cli/reconcile-sources.ts';
import { cloudTrailReader } from '../../../src/providers/aws/audit-reader.ts';
import { cloudAuditReader, readEntry } from '../../../src/providers/gcp/audit-reader.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const TRAIL = {
  eventVersion: '1.11',
  userIdentity: {
    type: 'AssumedRole',
    principalId: 'AROAEXAMPLE:alice@example.com',
    arn: 'arn:aws:sts::111122223333:assumed-role/readers/alice@example.com',
    accountId: '111122223333',
  },
  eventTime: '2026-11-22T09:00:00Z',
  eventSource: 'ssm.amazonaws.com',
  eventName: 'StartSession',
  awsRegion: 'eu-west-1',
  sourceIPAddress: '203.0.113.7',
  userAgent: 'aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux',
  requestParameters: {
    target: 'i-0abc',
    documentName: 'AWS-StartPortForwardingSessionToRemoteHost',
    parameters: { host: ['db.internal'], portNumber: ['3306'] },
    reason: 'INC-7',
  },
  responseElements: { sessionId: 'alice@example.com-0a1b', tokenValue: 'HIDDEN_DUE_TO_SECURITY_REASONS' },
  eventID: '6a1f',
  eventType: 'AwsApiCall',
  recipientAccountId: '111122223333',
};

const ENTRY = {
  insertId: 'x1',
  logName: 'projects/shop-prod/logs/cloudaudit.googleapis.com%2Fdata_access',
  timestamp: '2026-11-22T09:00:00.123456Z',
  resource: { type: 'gce_instance', labels: { instance_id: '4711', project_id: 'shop-prod', zone: 'europe-west1-b' } },
  protoPayload: {
    serviceName: 'iap.googleapis.com',
    methodName: 'AuthorizeUser',
    authenticationInfo: { principalEmail: 'carol@example.com' },
    requestMetadata: { callerIp: '203.0.113.9', destinationAttributes: { ip: '10.1.2.3', port: '22' } },
    authorizationInfo: [
      {
        resource: 'projects/99/iap_tunnel/zones/europe-west1-b/instances/4711',
        permission: 'iap.tunnelInstances.accessViaIAP',
        granted: true,
      },
    ],
  },
};

suite('a record of CloudTrail', () => {
  test('says who, where to, by what, and by which session', () => {
    const { isAt, ...use } = cloudTrailReader.read(TRAIL)!.use!;
    assert.deepEqual(use, {
      person: 'arn:aws:sts::111122223333:assumed-role/readers/alice@example.com',
      session: 'alice@example.com-0a1b',
      node: 'i-0abc',
      port: 3_306,
      document: 'AWS-StartPortForwardingSessionToRemoteHost',
      reason: 'INC-7',
      address: '203.0.113.7',
      program: 'aws-cli/2.31.0',
      isOurs: false,
      isGranted: true,
    });
    assert.deepEqual([isAt('i-0abc', undefined), isAt('i-0abd', undefined)], [true, false]);
    assert.equal(cloudTrailReader.read(TRAIL)!.at, Date.UTC(2026, 10, 22, 9));
    const own = cloudTrailReader.read({ ...TRAIL, userAgent: 'aws-sdk-js/3.1 ua/2.1 lang/js cloudtun' });
    assert.equal(own!.use!.isOurs, true);
    const shell = cloudTrailReader.read({ ...TRAIL, requestParameters: { target: 'i-0abc' } });
    assert.equal(shell!.use!.document, 'SSM-SessionManagerRunShell');
  });

  test('a refusal has no parameters, and another service with such a call is none of ours', () => {
    const refused = { ...TRAIL, errorCode: 'AccessDenied', requestParameters: null, responseElements: null };
    assert.equal(cloudTrailReader.read(refused)!.use!.isGranted, false);
    const athena = cloudTrailReader.read({ ...TRAIL, eventSource: 'athena.amazonaws.com' });
    assert.deepEqual([athena?.id, athena?.use], ['6a1f', undefined]);
    for (const value of [
      null,
      'text',
      7,
      [],
      {},
      { eventID: 1 },
      ENTRY,
      { CloudTrailEvent: '{' },
      { ...TRAIL, eventTime: '?' },
    ])
      assert.equal(cloudTrailReader.read(value), undefined);
  });

  test('a line of the journal belongs to its account and region', () => {
    const scope = cloudTrailReader.read(TRAIL)!.scope;
    const scopes = (place: string, account?: string) => cloudTrailReader.scopesOf({ place, account, node: 'i-0abc' });
    assert.deepEqual(scopes('aws prod/eu-west-1', '111122223333'), [scope]);
    assert.deepEqual(scopes('aws eu-west-1', '111122223333'), [scope]);
    assert.notDeepEqual(scopes('aws us-east-1', '111122223333'), [scope]);
    assert.notDeepEqual(scopes('aws eu-west-1', '444455556666'), [scope]);
    assert.deepEqual([scopes('aws eu-west-1'), scopes('gcp shop-prod/eu-west-1', '111122223333')], [[], []]);
  });
});

suite('an entry of Cloud Audit Logs', () => {
  test('knows the machine by its number: by zone and port, or by name where that was looked up', () => {
    const { isAt, ...use } = cloudAuditReader.read(ENTRY)!.use!;
    assert.deepEqual(use, {
      person: 'carol@example.com',
      node: 'shop-prod/europe-west1-b/4711',
      port: 22,
      address: '203.0.113.9',
      isGranted: true,
    });
    const nodes = [
      'shop-prod/europe-west1-b/web-1',
      'shop-prod/europe-west1-b/web-2',
      'shop-prod/europe-west1-c/web-1',
    ];
    assert.deepEqual(
      nodes.map((node) => isAt(node, ':22')),
      [true, true, false],
    );
    const named = readEntry(ENTRY, new Map([['4711', 'web-1']]))!.use!;
    assert.deepEqual(
      nodes.map((node) => named.isAt(node, ':22')),
      [true, false, false],
    );
  });

  test('of a destination group: its region, and the address where the journal has one', () => {
    const resource = 'projects/99/iap_tunnel/locations/europe-west1/destGroups/sql';
    const authorizationInfo = [{ resource, permission: 'iap.tunnelDestGroups.accessViaIAP', granted: true }];
    const requestMetadata = { destinationAttributes: { ip: '10.9.8.7', port: 5432 } };
    const { use } = cloudAuditReader.read({
      ...ENTRY,
      protoPayload: { ...ENTRY.protoPayload, requestMetadata, authorizationInfo },
    })!;
    assert.deepEqual([use?.node, use?.port], ['sql in europe-west1 (10.9.8.7)', 5_432]);
    const isAt = (node: string, to: string) => use!.isAt(node, to);
    assert.ok(isAt('10.9.8.7@europe-west1/vpc/sql', '10.9.8.7:5432'));
    assert.ok(isAt('db.internal@europe-west1/vpc/sql', 'db.internal:5432'));
    assert.ok(isAt('10.9.8.7@europe-west1/vpc', '10.9.8.7:5432'));
    assert.ok(!isAt('10.9.8.6@europe-west1/vpc/sql', '10.9.8.6:5432'));
    assert.ok(!isAt('10.9.8.7@europe-west1/vpc/other', '10.9.8.7:5432'));
    assert.ok(!isAt('10.9.8.7@europe-west4/vpc/sql', '10.9.8.7:5432'));
  });

  test('a refusal, a web application, another log, and what is none', () => {
    const payload = (say: object) =>
      cloudAuditReader.read({ ...ENTRY, protoPayload: { ...ENTRY.protoPayload, ...say } });
    assert.equal(payload({ status: { code: 7 } })!.use!.isGranted, false);
    const web = [{ resource: 'projects/99/iap_web', permission: 'iap.webServiceVersions.accessViaIAP', granted: true }];
    assert.equal(payload({ authorizationInfo: web })!.use, undefined);
    assert.equal(payload({ methodName: 'SetIamPolicy' })!.use, undefined);
    assert.equal(cloudAuditReader.read({ ...ENTRY, logName: 'projects/p/logs/syslog' }), undefined);
    for (const value of [null, 'text', [], {}, TRAIL, { ...ENTRY, protoPayload: null }, { ...ENTRY, timestamp: 'x' }])
      assert.equal(cloudAuditReader.read(value), undefined);
  });

  test('a line of the journal belongs to the project of the machine, or to those that were looked in', () => {
    const scopes = (place: string, node: string) => cloudAuditReader.scopesOf({ place, node });
    assert.deepEqual(scopes('gcp a,b/europe-west1-b', 'b/europe-west1-b/web-1'), ['b']);
    assert.deepEqual(scopes('gcp a,b/europe-west1-b', '10.9.8.7@europe-west1/vpc/sql'), ['a', 'b']);
    assert.deepEqual(scopes('aws eu-west-1', 'i-0abc'), []);
  });
});

suite('files of records', () => {
  test('of S3, of lookup-events, of exports, packed or not, in directories', async (t) => {
    const home = await temporaryDirectory(t);
    mkdirSync(join(home, 'AWSLogs/111122223333/CloudTrail/eu-west-1'), { recursive: true });
    const event = (id: string) => ({ ...TRAIL, eventID: id });
    const looked = { EventId: 'b', CloudTrailEvent: JSON.stringify(event('b')) };
    const files: readonly (readonly [string, string | Buffer])[] = [
      ['AWSLogs/111122223333/CloudTrail/eu-west-1/1.json.gz', gzipSync(JSON.stringify({ Records: [event('a')] }))],
      ['AWSLogs/111122223333/CloudTrail/eu-west-1/notes.txt', 'nothing'],
      ['looked.json', JSON.stringify({ Events: [looked] }, undefined, 2)],
      ['lines.jsonl', `${JSON.stringify(event('c'))}\n${JSON.stringify(ENTRY)}\n\n`],
      ['read.json', JSON.stringify([{ ...ENTRY, insertId: 'x2' }])],
    ];
    for (const [name, content] of files) writeFileSync(join(home, name), content);
    const read = await recordsOfFiles([home], readRecordFiles, undefined);
    assert.deepEqual(
      read.map(({ reader, records, label }) => [reader.label, records.map(({ id }) => id).sort(), label]),
      [
        ['CloudTrail', ['a', 'b', 'c'], '3 files'],
        ['Cloud Audit Logs', ['x1', 'x2'], '2 files'],
      ],
    );
    assert.deepEqual([read[0]?.from, read[0]?.to], [Date.UTC(2026, 10, 22, 9), Date.UTC(2026, 10, 22, 9)]);
  });

  test('what cannot be read says which file, which line and why', async (t) => {
    const home = await temporaryDirectory(t);
    const refused = (content: string | Buffer, why: RegExp) => {
      const path = join(home, 'file.json');
      writeFileSync(path, content);
      return assert.rejects(recordsOfFiles([path], readRecordFiles, undefined), { code: 'CT_STATE', message: why });
    };
    await refused('{"a":1}\nnonsense\n', /file\.json:2 is no JSON/);
    await refused(Buffer.from([0x1f, 0x8b, 1, 2]), /cannot be read/);
    await refused(gzipSync('{}').subarray(0, 12), /cannot be read/);
    await refused('', /no record of any cloud/);
    await refused('{"Records":[]}', /no record of any cloud/);
    await refused('7', /no record of any cloud/);
  });
});
