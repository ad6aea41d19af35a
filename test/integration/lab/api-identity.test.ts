import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import test, { describe } from 'node:test';
import { DecryptCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateTokenCommand,
  RegisterClientCommand,
  SSOOIDCClient,
  StartDeviceAuthorizationCommand,
} from '@aws-sdk/client-sso-oidc';
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
} from '@aws-sdk/client-sts';
import { POLL_INTERVAL } from '../../../src/lab/aws/api/sign-in.ts';
import type { Lab, LabOptions } from '../../../src/lab/lab.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';

const named = (name: string) => (error: Error) => error.name === name;
const ROLE = 'arn:aws:iam::111122223333:role';

describe('STS', () => {
  test('GetCallerIdentity', async (t) => {
    const lab = await testLab(t);
    const answer = await new STSClient(clientOptions(lab)).send(new GetCallerIdentityCommand({}));
    assert.equal(answer.Arn, 'arn:aws:iam::111122223333:user/alice');
    assert.equal(answer.Account, '111122223333');
    assert.match(answer.UserId ?? '', /^AIDA[A-Z2-7]{17}$/);
  });

  test('AssumeRole gives credentials that work until they end', async (t) => {
    const lab = await testLab(t);
    const sts = new STSClient(clientOptions(lab));
    const answer = await sts.send(new AssumeRoleCommand({ RoleArn: `${ROLE}/readers`, RoleSessionName: 'night' }));
    assert.equal(answer.AssumedRoleUser?.Arn, 'arn:aws:sts::111122223333:assumed-role/readers/night');
    const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '', Expiration } = answer.Credentials ?? {};
    const left = (Expiration?.getTime() ?? 0) - Date.now();
    assert.ok(left > 3_590_000 && left <= 3_600_000, String(left));
    const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
    const who = await new STSClient({ ...clientOptions(lab), credentials }).send(new GetCallerIdentityCommand({}));
    assert.equal(who.Arn, 'arn:aws:sts::111122223333:assumed-role/readers/night');
  });

  test('AssumeRole with a second factor', async (t) => {
    const lab = await testLab(t);
    const sts = new STSClient(clientOptions(lab));
    const assume = (change: object) =>
      sts.send(new AssumeRoleCommand({ RoleArn: `${ROLE}/operators`, RoleSessionName: 'alice', ...change }));
    const SerialNumber = 'arn:aws:iam::111122223333:mfa/alice';
    const wrong = String((Number(lab.mfaCode) + 1) % 1_000_000).padStart(6, '0');
    await assert.rejects(assume({}), named('AccessDenied'));
    await assert.rejects(assume({ SerialNumber }), named('AccessDenied'));
    await assert.rejects(assume({ SerialNumber, TokenCode: wrong }), /invalid MFA one time pass code/);
    await assert.rejects(assume({ SerialNumber: `${SerialNumber}2`, TokenCode: lab.mfaCode }), /MFA serial number/);
    await assert.rejects(assume({ SerialNumber, TokenCode: '12ab56' }), named('ValidationError'));
    assert.ok((await assume({ SerialNumber, TokenCode: lab.mfaCode })).Credentials);
  });

  test('AssumeRole refuses strangers, unknown roles and wrong names alike', async (t) => {
    const lab = await testLab(t);
    const assume = (role: string, profile?: string, name = 'x1') =>
      new STSClient(clientOptions(lab, profile)).send(
        new AssumeRoleCommand({ RoleArn: `${ROLE}/${role}`, RoleSessionName: name }),
      );
    await assert.rejects(assume('readers', 'mallory'), named('AccessDenied'));
    await assert.rejects(assume('nothing'), named('AccessDenied'));
    await assert.rejects(assume('ci'), named('AccessDenied'));
    await assert.rejects(assume('readers', 'default', 'a b'), named('ValidationError'));
  });

  test('AssumeRoleWithWebIdentity', async (t) => {
    const lab = await testLab(t);
    const config = readFileSync(lab.env().AWS_CONFIG_FILE ?? '', 'utf8');
    const tokenFile = /web_identity_token_file = (.*)/.exec(config)?.[1] ?? '';
    const token = readFileSync(tokenFile, 'utf8');
    const sts = new STSClient({ endpoint: lab.url, region: 'ap-northeast-1', maxAttempts: 1 });
    const assume = (WebIdentityToken: string, role = 'ci') =>
      sts.send(
        new AssumeRoleWithWebIdentityCommand({ RoleArn: `${ROLE}/${role}`, RoleSessionName: 'job', WebIdentityToken }),
      );
    const answer = await assume(token);
    assert.equal(answer.AssumedRoleUser?.Arn, 'arn:aws:sts::111122223333:assumed-role/ci/job');
    await assert.rejects(assume('forged.token'), named('InvalidIdentityTokenException'));
    await assert.rejects(assume(token, 'readers'), named('AccessDenied'));
  });
});

describe('KMS', () => {
  const EncryptionContext = { 'aws:ssm:SessionId': 'alice-1', 'aws:ssm:TargetId': 'i-0a1b2c3d4e5f60001' };

  test('a data key opens with the same context, in any order', async (t) => {
    const kms = new KMSClient(clientOptions(await testLab(t)));
    const key = await kms.send(
      new GenerateDataKeyCommand({ KeyId: 'alias/ssm-sessions', NumberOfBytes: 64, EncryptionContext }),
    );
    assert.equal(key.Plaintext?.length, 64);
    assert.match(key.KeyId ?? '', /^arn:aws:kms:ap-northeast-1:111122223333:key\/0a1b2c3d-/);
    const swapped = Object.fromEntries(Object.entries(EncryptionContext).reverse());
    const opened = await kms.send(
      new DecryptCommand({ CiphertextBlob: key.CiphertextBlob, EncryptionContext: swapped }),
    );
    assert.deepEqual(opened.Plaintext, key.Plaintext);
    assert.equal(opened.KeyId, key.KeyId);
  });

  test('another context, another blob, another key do not', async (t) => {
    const lab = await testLab(t);
    const kms = new KMSClient(clientOptions(lab));
    const { CiphertextBlob = new Uint8Array(), KeyId } = await kms.send(
      new GenerateDataKeyCommand({ KeyId: 'alias/ssm-sessions', KeySpec: 'AES_256', EncryptionContext }),
    );
    const open = (blob: Uint8Array, context?: Record<string, string>) =>
      kms.send(new DecryptCommand({ CiphertextBlob: blob, EncryptionContext: context }));
    await assert.rejects(open(CiphertextBlob), named('InvalidCiphertextException'));
    await assert.rejects(
      open(CiphertextBlob, { ...EncryptionContext, more: '1' }),
      named('InvalidCiphertextException'),
    );
    const changed = Uint8Array.from(CiphertextBlob, (byte, index) => (index === 60 ? byte ^ 1 : byte));
    await assert.rejects(open(changed, EncryptionContext), named('InvalidCiphertextException'));
    await assert.rejects(open(CiphertextBlob.slice(0, 20), EncryptionContext), named('InvalidCiphertextException'));
    const unknown = new GenerateDataKeyCommand({ KeyId: 'alias/nothing', NumberOfBytes: 64 });
    await assert.rejects(kms.send(unknown), named('NotFoundException'));
    await assert.rejects(kms.send(new GenerateDataKeyCommand({ KeyId })), named('ValidationException'));
    lab.change((inventory) => ({ ...inventory, keys: inventory.keys.map((key) => ({ ...key, enabled: false })) }));
    await assert.rejects(open(CiphertextBlob, EncryptionContext), named('DisabledException'));
  });
});

describe('IAM Identity Center', () => {
  /** A lab whose wall clock is moved by hand, so that polling needs no waiting. */
  async function open(t: Parameters<typeof testLab>[0], options: LabOptions = {}) {
    const real = systemWorld();
    let later = 0;
    const clock = { ...real.clock, wall: () => Date.now() + later };
    const lab = await testLab(t, options, { ...real, clock });
    const oidc = new SSOOIDCClient({ endpoint: lab.url, region: 'ap-northeast-1', maxAttempts: 1 });
    const client = await oidc.send(new RegisterClientCommand({ clientName: 'cloudtun', clientType: 'public' }));
    const { clientId, clientSecret } = client;
    const device = await oidc.send(
      new StartDeviceAuthorizationCommand({ clientId, clientSecret, startUrl: `${lab.url}/start` }),
    );
    const grantType = 'urn:ietf:params:oauth:grant-type:device_code';
    const poll = (change: object = {}) =>
      oidc.send(
        new CreateTokenCommand({ clientId, clientSecret, grantType, deviceCode: device.deviceCode, ...change }),
      );
    const wait = (ms: number = POLL_INTERVAL) => {
      later += ms;
    };
    return { lab, oidc, client, device, poll, wait };
  }

  const decide = (lab: Lab, code: string | undefined, decision: string, origin = lab.url) =>
    fetch(`${lab.url}/device`, {
      method: 'POST',
      headers: { origin },
      body: new URLSearchParams({ user_code: code ?? '', decision }),
    });

  test('pending, slow down, a person approves, token, role credentials', async (t) => {
    const { lab, client, device, poll, wait } = await open(t);
    assert.match(device.userCode ?? '', /^[B-Z]{4}-[B-Z]{4}$/);
    assert.equal(device.interval, 1);
    assert.equal(device.expiresIn, 600);
    assert.ok((client.clientSecretExpiresAt ?? 0) > (client.clientIdIssuedAt ?? 0));
    await assert.rejects(poll(), named('AuthorizationPendingException'));
    await assert.rejects(poll(), named('SlowDownException'));
    wait();
    await assert.rejects(poll(), named('AuthorizationPendingException'));

    const page = await fetch(device.verificationUriComplete ?? '');
    assert.match(await page.text(), new RegExp(`value="${device.userCode}"`));
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.equal((await decide(lab, device.userCode, 'approve', 'http://evil.example.com')).status, 403);
    assert.equal((await decide(lab, 'WRNG-CODE', 'approve')).status, 404);
    assert.equal((await decide(lab, device.userCode?.toLowerCase(), 'approve')).status, 200);

    wait();
    const token = await poll();
    assert.equal(token.tokenType, 'Bearer');
    assert.equal(token.expiresIn, 28_800);
    wait();
    await assert.rejects(poll(), named('InvalidGrantException'));

    const ask = (role: string, bearer = token.accessToken ?? '') =>
      fetch(`${lab.url}/federation/credentials?role_name=${role}&account_id=111122223333`, {
        headers: { 'x-amz-sso_bearer_token': bearer },
      });
    const granted = (await (await ask('readers')).json()) as { roleCredentials: Record<string, string> };
    const { accessKeyId = '', secretAccessKey = '', sessionToken = '' } = granted.roleCredentials;
    const credentials = { accessKeyId, secretAccessKey, sessionToken };
    const who = await new STSClient({ ...clientOptions(lab), credentials }).send(new GetCallerIdentityCommand({}));
    assert.match(who.Arn ?? '', /assumed-role\/AWSReservedSSO_readers_[0-9a-f]{16}\/alice@example\.com$/);
    assert.equal((await ask('admins')).status, 403);
    const foreign = await ask('readers', 'forged');
    assert.equal(foreign.status, 401);
    assert.equal(foreign.headers.get('x-amzn-errortype'), 'UnauthorizedException');
    lab.desk.signOut();
    assert.equal((await ask('readers')).status, 401);
  });

  test('a person denies', async (t) => {
    const { lab, device, poll } = await open(t);
    assert.equal((await decide(lab, device.userCode, 'deny')).status, 200);
    await assert.rejects(poll(), named('AccessDeniedException'));
    assert.equal((await decide(lab, device.userCode, 'approve')).status, 404);
  });

  test('the lab approves or denies by itself at the second poll', async (t) => {
    const { lab, poll, wait } = await open(t, { signIn: 'approve' });
    await assert.rejects(poll(), named('AuthorizationPendingException'));
    wait();
    const token = await poll();
    wait();
    const again = { grantType: 'refresh_token', refreshToken: token.refreshToken, deviceCode: undefined };
    assert.notEqual((await poll(again)).accessToken, token.accessToken);
    await assert.rejects(poll(again), named('InvalidGrantException'));
    lab.desk.mode = 'deny';
    const other = await open(t, { signIn: 'deny' });
    await assert.rejects(other.poll(), named('AuthorizationPendingException'));
    other.wait();
    await assert.rejects(other.poll(), named('AccessDeniedException'));
  });

  test('codes end, clients are checked, other grants are not played', async (t) => {
    const { poll, wait } = await open(t);
    await assert.rejects(poll({ clientSecret: 'x' }), named('InvalidClientException'));
    await assert.rejects(poll({ deviceCode: 'x' }), named('InvalidGrantException'));
    await assert.rejects(poll({ grantType: 'authorization_code' }), named('UnsupportedGrantTypeException'));
    wait(600_000);
    await assert.rejects(poll(), named('ExpiredTokenException'));
    wait(90 * 86_400_000);
    await assert.rejects(poll(), named('InvalidClientException'));
  });
});

describe('what the lab writes', () => {
  test('files are private, and gone afterwards', async (t) => {
    const lab = await testLab(t);
    const files = [lab.env().AWS_CONFIG_FILE ?? '', lab.env().AWS_SHARED_CREDENTIALS_FILE ?? ''];
    for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600);
    await lab[Symbol.asyncDispose]();
    for (const file of files) assert.throws(() => statSync(file), /ENOENT/);
  });

  test('secrets are new at every start', async (t) => {
    const [a, b] = [await testLab(t), await testLab(t)];
    assert.notEqual(a.env().AWS_SECRET_ACCESS_KEY, b.env().AWS_SECRET_ACCESS_KEY);
    assert.notEqual(a.controlToken.reveal(), b.controlToken.reveal());
    const foreign = { ...clientOptions(a), endpoint: b.url };
    await assert.rejects(new STSClient(foreign).send(new GetCallerIdentityCommand({})), named('InvalidClientTokenId'));
  });
});
