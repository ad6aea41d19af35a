import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import nock from 'nock';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import { nameFromArn } from '../../../../src/providers/aws/gatekeeper.ts';
import { ssoCachePath, writeSsoToken } from '../../../../src/providers/aws/sso-cache.ts';
import { xdgPaths } from '../../../../src/runtime/paths.ts';
import { type Answer, type FakeAws, fakeAws, nodesAnswer, refusal } from '../../../support/aws-answers.ts';
import { processEnvironment } from '../../../support/process-environment.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { listening } from '../../../support/test-proxy.ts';

const signal = new AbortController().signal;
const ID = 'i-0a1b2c3d4e5f60001';
const NO_KEYS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };

interface Setting {
  readonly config?: string;
  readonly credentials?: string;
  readonly env?: Record<string, string>;
  readonly profile?: string;
  readonly prompts?: Parameters<typeof fakeAws>[0] extends infer Options
    ? NonNullable<Options> extends { prompts?: infer P }
      ? P
      : never
    : never;
  /** For the process itself: what only the SDK reads. */
  readonly sdk?: Record<string, string>;
}

type Context = { after(call: () => void | Promise<void>): void };

/** A home with shared files, and nothing in the environment that a test did not put there. */
async function person(context: Context, setting: Setting): Promise<{ aws: FakeAws; home: string }> {
  const home = await temporaryDirectory(context as never);
  await mkdir(join(home, '.aws'));
  await writeFile(join(home, '.aws', 'config'), setting.config ?? '');
  await writeFile(join(home, '.aws', 'credentials'), setting.credentials ?? '');
  processEnvironment(context, { HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...setting.sdk });
  const aws = await fakeAws({
    home,
    env: { ...NO_KEYS, ...setting.env },
    selection: setting.profile === undefined ? {} : { profile: setting.profile },
    wall: () => Date.now(),
    ...(setting.prompts === undefined ? {} : { prompts: setting.prompts }),
  });
  aws.on('DescribeInstanceInformation', nodesAnswer([{ id: ID }]));
  aws.on('GetCallerIdentity', ({ headers }) => ({
    status: 200,
    body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/${/Credential=(\w+)/.exec(headers.authorization!)![1]}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`,
  }));
  return { aws, home };
}

/** `KEYID via source`: which key signed, and what we say where it came from. */
async function whoSigns(aws: FakeAws): Promise<string> {
  const { name, source } = await aws.provider.gatekeeper.whoami(signal);
  return `${name} via ${source}`;
}

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

function roleAnswer(operation: string, key: string, expiration: Date): Answer {
  const credentials = `<Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expiration.toISOString()}</Expiration></Credentials>`;
  return {
    status: 200,
    body: `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${operation}Result>${credentials}</${operation}Result></${operation}Response>`,
  };
}

const inAnHour = () => new Date(Date.now() + 3_600_000);

describe('the chain', () => {
  test('keys in the environment', async (context) => {
    const { aws } = await person(context, { env: { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: 's' } });
    await using _ = aws;
    assert.equal(await whoSigns(aws), 'AKIDENV via environment');
  });

  test('a profile that was named beats them', async (context) => {
    const { aws } = await person(context, {
      env: { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: 's' },
      credentials: '[prod]\naws_access_key_id = AKIDPROD\naws_secret_access_key = s\n',
      profile: 'prod',
    });
    await using _ = aws;
    assert.equal(await whoSigns(aws), 'AKIDPROD via profile prod');
  });

  test('the default profile', async (context) => {
    const { aws } = await person(context, {
      credentials: '[default]\naws_access_key_id = AKIDDEF\naws_secret_access_key = s\n',
    });
    await using _ = aws;
    assert.equal(await whoSigns(aws), 'AKIDDEF via profile default');
  });

  test('a process', async (context) => {
    const script = `"${process.execPath}" -p "JSON.stringify({Version:1,AccessKeyId:'AKIDPROC',SecretAccessKey:'s'})"`;
    const { aws } = await person(context, { config: `[profile p]\ncredential_process = ${script}\n`, profile: 'p' });
    await using _ = aws;
    assert.equal(await whoSigns(aws), 'AKIDPROC via profile p, credential_process');
  });

  test('a web identity', async (context) => {
    const folder = await temporaryDirectory(context as never);
    await writeFile(join(folder, 'token'), 'jwt');
    const { aws } = await person(context, {
      sdk: { AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'), AWS_ROLE_ARN: 'arn:aws:iam::1:role/ci' },
    });
    await using _ = aws;
    aws.on('AssumeRoleWithWebIdentity', roleAnswer('AssumeRoleWithWebIdentity', 'ASIAWEB', inAnHour()));
    assert.equal(await whoSigns(aws), 'ASIAWEB via web identity');
  });

  test('a role, assumed with an MFA code that a person is asked for once', async (context) => {
    const asked: string[] = [];
    const { aws } = await person(context, {
      config:
        '[profile r]\nrole_arn = arn:aws:iam::1:role/readers\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/alice\n',
      credentials: '[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n',
      profile: 'r',
      prompts: {
        mfaCode: async (device) => {
          asked.push(device);
          return '123456';
        },
      },
    });
    await using _ = aws;
    aws.on('AssumeRole', roleAnswer('AssumeRole', 'ASIAROLE', inAnHour()));
    const answers = await Promise.all([whoSigns(aws), whoSigns(aws)]);
    assert.deepEqual(answers, Array(2).fill('ASIAROLE via profile r, role readers'));
    assert.deepEqual(asked, ['arn:aws:iam::1:mfa/alice']);
    const call = aws.asked.find(({ action }) => action === 'AssumeRole');
    assert.equal(call?.input.TokenCode, '123456');
    assert.match(call?.headers.authorization ?? '', /Credential=AKIDBASE/);
  });

  test('on EC2', async (context) => {
    const { aws } = await person(context, { sdk: { AWS_EC2_METADATA_DISABLED: 'false' } });
    await using _ = aws;
    const credentials = {
      Code: 'Success',
      AccessKeyId: 'ASIAEC2',
      SecretAccessKey: 's',
      Token: 't',
      Expiration: inAnHour().toISOString(),
    };
    nock('http://169.254.169.254')
      .put('/latest/api/token')
      .reply(200, 'imds')
      .get('/latest/meta-data/iam/security-credentials/')
      .reply(200, 'node-role')
      .get('/latest/meta-data/iam/security-credentials/node-role')
      .reply(200, credentials);
    assert.equal(await whoSigns(aws), 'ASIAEC2 via instance metadata');
  });
});

describe('credentials that cannot be had', () => {
  test('none anywhere', async (context) => {
    const { aws } = await person(context, {});
    await using _ = aws;
    const error = await failure(whoSigns(aws), 'CT_NO_CREDENTIALS');
    assert.equal(
      error.message,
      'no AWS credentials were found (environment, default profile, web identity, container, instance metadata)',
    );
    assert.deepEqual(error.hints, [
      'sign in with Identity Center: cloudtun login',
      'or choose a profile: --profile NAME or AWS_PROFILE',
      'or try it without an account: cloudtun demo',
    ]);
  });

  test('a metadata address that answers nobody does not hang us', async (context) => {
    const silent = await listening(context as never, createServer());
    const { aws } = await person(context, {
      sdk: { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${silent}` },
    });
    await using _ = aws;
    nock.enableNetConnect('127.0.0.1');
    const started = performance.now();
    await failure(whoSigns(aws), 'CT_NO_CREDENTIALS');
    assert.ok(performance.now() - started < 8_000);
  });

  test('a role that may not be assumed', async (context) => {
    const { aws } = await person(context, {
      config: '[profile r]\nrole_arn = arn:aws:iam::1:role/readers\nsource_profile = base\n',
      credentials: '[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n',
      profile: 'r',
    });
    await using _ = aws;
    aws.on('AssumeRole', refusal('AccessDenied', 403));
    const error = await failure(whoSigns(aws), 'CT_DENIED');
    assert.deepEqual(error.details, [['missing', 'sts:AssumeRole on arn:aws:iam::1:role/readers']]);
  });

  test('an MFA code, and nobody to ask', async (context) => {
    const { aws } = await person(context, {
      config:
        '[profile r]\nrole_arn = arn:aws:iam::1:role/readers\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/alice\n',
      credentials: '[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n',
      profile: 'r',
    });
    await using _ = aws;
    const error = await failure(whoSigns(aws), 'CT_NO_CREDENTIALS');
    assert.match(error.message, /wants a code of arn:aws:iam::1:mfa\/alice/);
  });

  test('no region: said before anything is asked', async (context) => {
    const { aws } = await person(context, {
      env: { AWS_REGION: '', AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 's' },
    });
    await using _ = aws;
    await failure(whoSigns(aws), 'CT_NO_REGION');
    assert.throws(() => aws.provider.region, { code: 'CT_NO_REGION' });
    assert.deepEqual(aws.asked, []);
  });
});

describe('Identity Center', () => {
  const config = `[profile sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = readers
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
`;
  const sso = { sessionName: 'corp', startUrl: 'https://corp.awsapps.com/start', region: 'eu-west-1', scopes: [] };
  const token = (expiresAt: number) => ({
    startUrl: sso.startUrl,
    region: sso.region,
    accessToken: 'sso-access-token',
    expiresAt,
    clientId: 'c',
    clientSecret: 's',
    registrationExpiresAt: expiresAt,
  });

  test('nobody signed in', async (context) => {
    const { aws } = await person(context, { config, profile: 'sso' });
    await using _ = aws;
    const error = await failure(whoSigns(aws), 'CT_NO_CREDENTIALS');
    assert.equal(error.message, 'nobody is signed in for profile sso');
    assert.deepEqual(error.hints, ['sign in: cloudtun login --profile sso']);
  });

  test('the sign-in has expired', async (context) => {
    const { aws, home } = await person(context, { config, profile: 'sso' });
    await using _ = aws;
    writeSsoToken(ssoCachePath(xdgPaths({ HOME: home }), sso), token(Date.now() - 1_000));
    const error = await failure(whoSigns(aws), 'CT_CREDENTIALS_EXPIRED');
    assert.deepEqual(error.hints, ['sign in again: cloudtun login --profile sso']);
  });

  test('a token that we wrote is what the SDK uses', async (context) => {
    const { aws, home } = await person(context, { config, profile: 'sso' });
    await using _ = aws;
    writeSsoToken(ssoCachePath(xdgPaths({ HOME: home }), sso), token(Date.now() + 3_600_000));
    const roleCredentials = {
      accessKeyId: 'ASIASSO',
      secretAccessKey: 's',
      sessionToken: 't',
      expiration: Date.now() + 3_600_000,
    };
    nock('https://portal.sso.eu-west-1.amazonaws.com', { reqheaders: { 'x-amz-sso_bearer_token': 'sso-access-token' } })
      .get('/federation/credentials')
      .query({ role_name: 'readers', account_id: '111122223333' })
      .reply(200, { roleCredentials });
    assert.equal(await whoSigns(aws), 'ASIASSO via profile sso, SSO');
  });
});

describe('how long credentials are believed', () => {
  const keys = (id: string) => `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\n`;
  const NODE = { kind: 'machine', provider: 'aws', id: ID, state: 'running' } as const;
  const route = { provider: 'aws', target: NODE, node: NODE, to: { port: 80 }, reasons: [], rejected: [] } as const;

  test('before a resume, keys without an end are read again', async (context) => {
    const { aws, home } = await person(context, { credentials: keys('AKIDOLD') });
    await using _ = aws;
    const stream = { SessionId: 's', StreamUrl: 'wss://ssmmessages.eu-west-1.amazonaws.com/x', TokenValue: 't' };
    for (const action of ['StartSession', 'ResumeSession'])
      aws.on(action, { status: 200, body: JSON.stringify(stream) });
    const tickets = aws.provider.gatekeeper.ticketSource(route, {});
    const ticket = await tickets.issue({ port: 80 }, signal);
    await writeFile(join(home, '.aws', 'credentials'), keys('AKIDNEW'));
    await tickets.renew(ticket, signal);
    const signers = aws.asked.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization!)![1]);
    assert.deepEqual(signers, ['AKIDOLD', 'AKIDNEW']);
  });

  test('what ends soon is replaced, what ends late is kept', async (context) => {
    const config = '[profile r]\nrole_arn = arn:aws:iam::1:role/readers\nsource_profile = base\n';
    const { aws } = await person(context, { config, credentials: keys('A').replace('default', 'base'), profile: 'r' });
    await using _ = aws;
    let count = 0;
    aws.on('AssumeRole', () => {
      count += 1;
      return roleAnswer('AssumeRole', `ASIA${count}`, new Date(Date.now() + (count === 1 ? 60_000 : 3_600_000)));
    });
    assert.match(await whoSigns(aws), /^ASIA1 /);
    assert.match(await whoSigns(aws), /^ASIA1 /, 'its source is not asked again at once');
    aws.manual.clock.tick(60_000);
    assert.match(await whoSigns(aws), /^ASIA2 /);
    aws.manual.clock.tick(60_000);
    assert.match(await whoSigns(aws), /^ASIA2 /);
  });
});

test('the name in an ARN', () => {
  const table: [string, string][] = [
    ['arn:aws:sts::111122223333:assumed-role/readers/alice', 'alice'],
    ['arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_readers_0a1b/alice@example.com', 'alice@example.com'],
    ['arn:aws:iam::111122223333:user/team/bob', 'bob'],
    ['arn:aws-cn:iam::111122223333:root', 'root'],
    ['arn:aws:sts::111122223333:federated-user/carol', 'carol'],
    ['odd', 'odd'],
  ];
  for (const [arn, name] of table) assert.equal(nameFromArn(arn), name);
});
