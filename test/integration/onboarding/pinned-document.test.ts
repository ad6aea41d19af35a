/** The document that a team is given is used by itself, is read while it is used, and is never in the way of wider rights. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { AttachUserPolicyCommand, CreatePolicyCommand, IAMClient } from '@aws-sdk/client-iam';
import type { LabDocument } from '../../../src/lab/aws/documents.ts';
import { askPractice } from '../../../src/lab/practice-query.ts';
import { clientOptions } from '../../support/aws-lab.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { BASTION, PINNED_DOCUMENT, pinnedGrant } from '../../support/pinned-grant.ts';

const READY = /^ready 127\.0\.0\.1:(\d+) -> prod /m;
const CATALOGUE = `version: 1
targets:
  bastion: { aws: { instance: ${BASTION}, profile: alice } }
  prod: { rds: prod, via: bastion }
teams:
  readers: { aws: { user: alice }, may: { connect: [prod] } }
`;

/** A lab whose `cloudtun-prod` is what the practice account's own pinned document is, or another one, or none. */
async function pinnedLab(
  t: Parameters<typeof cliLab>[0],
  document: Partial<LabDocument> | 'none' = {},
): Promise<CliLab> {
  const cli = await cliLab(t);
  cli.lab.iam.set({ enforce: true });
  writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE);
  cli.lab.change((inventory) => ({
    ...inventory,
    documents: inventory.documents.flatMap((one) => {
      if (one.name !== PINNED_DOCUMENT) return [one];
      return document === 'none' ? [] : [{ ...one, name: 'cloudtun-prod', ...document }];
    }),
  }));
  return cli;
}

async function allow(cli: CliLab, document: string): Promise<void> {
  const iam = new IAMClient(clientOptions(cli.lab, 'admin'));
  const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: 'granted', PolicyDocument: document }));
  await iam.send(new AttachUserPolicyCommand({ UserName: 'alice', PolicyArn: Policy?.Arn }));
}

const pin = () => pinnedGrant().replaceAll(PINNED_DOCUMENT, 'cloudtun-prod');
const everything = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Sid: 'All', Effect: 'Allow', Action: '*', Resource: '*' }],
});
const withoutPin = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Sid: 'All', Effect: 'Allow', Action: '*', Resource: '*' },
    { Sid: 'NoPin', Effect: 'Deny', Action: '*', Resource: 'arn:aws:ssm:*:*:document/cloudtun-prod' },
  ],
});

async function opened(cli: CliLab): Promise<readonly [number, ...string[]]> {
  const open = cli.start(['rds', 'prod', '--port', 'auto']);
  const [, port] = await open.saw(READY);
  const answer = await askPractice({ host: '127.0.0.1', port: Number(port) }, 'SELECT count(*) AS n FROM orders');
  assert.deepEqual(answer.rows, [['50']]);
  open.process.kill('SIGINT');
  assert.equal((await open.ended).code, 130);
  assert.deepEqual(cli.openSessions(), []);
  return documentsTried(cli);
}

/** How often StartSession was called, and with which document it was answered. */
const documentsTried = ({ lab, calls }: CliLab): readonly [number, ...string[]] => [
  calls('ssm:StartSession'),
  ...lab.trail.events
    .visible(Date.now())
    .toReversed()
    .map(({ event }) => event.document as { eventName: string; requestParameters?: { documentName?: string } })
    .filter(({ eventName, requestParameters }) => eventName === 'StartSession' && requestParameters?.documentName)
    .map(({ requestParameters }) => String(requestParameters?.documentName)),
];

suite('the pinned document of a target', () => {
  test('is used where a team is given the target, and nothing else is asked for', async (t) => {
    const cli = await pinnedLab(t);
    await allow(cli, pin());
    assert.deepEqual(await opened(cli), [1, 'cloudtun-prod']);
    const explained = await cli.run(['rds', 'prod', '--explain']);
    assert.match(explained.stdout, /cloudtun-prod/);
  });

  test('is done without where it is not there, or may not be used, by who may', async (t) => {
    const missing = await pinnedLab(t, 'none');
    await allow(missing, everything);
    assert.deepEqual((await opened(missing)).at(-1), 'AWS-StartPortForwardingSessionToRemoteHost');
    assert.equal(missing.calls('ssm:StartSession'), 2);
    const denied = await pinnedLab(t);
    await allow(denied, withoutPin);
    assert.deepEqual((await opened(denied)).at(-1), 'AWS-StartPortForwardingSessionToRemoteHost');
    assert.equal(denied.calls('ssm:StartSession'), 2);
  });

  test('is named by the denial of who may do neither, with whom to ask', async (t) => {
    const cli = await pinnedLab(t);
    await allow(cli, pinnedGrant());
    const { code, stderr } = await cli.run(['rds', 'prod', '--port', 'auto']);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /^error CT_DENIED: alice may not start a session on .* with document cloudtun-prod$/m);
    assert.match(stderr, /^ {2}missing +ssm:StartSession on .*document\/cloudtun-prod$/m);
    assert.match(stderr, /^ {2}ask +cloudtun team check alice prod$/m);
  });

  test('that is not there says who makes it', async (t) => {
    const cli = await pinnedLab(t, 'none');
    await allow(cli, pin());
    const { code, stderr } = await cli.run(['rds', 'prod', '--port', 'auto']);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /^ {2}pinned +document\/cloudtun-prod is not there$/m);
    assert.match(stderr, /cloudtun team apply/);
  });

  test('that was aimed elsewhere ends the session before anybody used it', async (t) => {
    const cli = await pinnedLab(t, {
      properties: { host: 'evil.internal', portNumber: '3306', type: 'LocalPortForwarding', localPortNumber: '0' },
    });
    await allow(cli, pin());
    const { code, stdout, stderr } = await cli.run(['rds', 'prod', '--port', 'auto']);
    assert.equal(code, 5, stderr);
    assert.match(
      stderr,
      /^error CT_DOCUMENT_INVALID: .*leads to host evil\.internal, not to prod\..*; the session was ended$/m,
    );
    assert.match(stderr, /cloudtun team plan/);
    assert.doesNotMatch(stdout, /ready/);
    assert.deepEqual(cli.openSessions(), []);
  });
});
