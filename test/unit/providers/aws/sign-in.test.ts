import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { LoginReport, SignIn } from '../../../../src/providers/provider.ts';
import { type FakeAws, fakeAws, inTurn, json, type Responder, refusal } from '../../../support/aws-answers.ts';
import { turn } from '../../../support/manual-world.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const START_URL = 'https://corp.awsapps.com/start';
const CONFIG = `[profile sso]
region = eu-west-1
sso_session = corp
[sso-session corp]
sso_start_url = ${START_URL}
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
[profile legacy]
region = eu-west-1
sso_start_url = https://legacy.awsapps.com/start
sso_region = eu-west-1
[profile plain]
region = eu-west-1
[profile nowhere]
sso_session = corp
`;
/** SHA-1 of `corp`, by sha1sum: the name that the AWS CLI gives the file. */
const FILE_OF_SESSION = 'ee0bfd2552fbd840c02cc48b6e823320543c450f.json';

const REGISTERED = json({
  clientId: 'client',
  clientSecret: 'hush',
  clientSecretExpiresAt: Date.UTC(2027, 0, 1) / 1_000,
});
const DEVICE = json({
  deviceCode: 'device',
  userCode: 'ABCD-EFGH',
  verificationUri: 'https://device.sso.example/',
  verificationUriComplete: 'https://device.sso.example/?user_code=ABCD-EFGH',
  expiresIn: 600,
  interval: 1,
});
const TOKEN = json({
  accessToken: 'access-token',
  tokenType: 'Bearer',
  expiresIn: 28_800,
  refreshToken: 'refresh-token',
});

const oauthError =
  (code: string, exception: string): Responder =>
  () => ({
    status: 400,
    body: JSON.stringify({ error: code, error_description: 'made up' }),
    headers: { 'x-amzn-errortype': exception },
  });
const PENDING = oauthError('authorization_pending', 'AuthorizationPendingException');
const SLOW_DOWN = oauthError('slow_down', 'SlowDownException');

type Context = { after(call: () => Promise<void>): void };

async function person(context: Context, profile: string): Promise<{ aws: FakeAws; home: string }> {
  const home = await temporaryDirectory(context);
  await mkdir(join(home, '.aws'));
  await writeFile(join(home, '.aws', 'config'), CONFIG);
  const aws = await fakeAws({ home, selection: { profile }, env: { AWS_REGION: '' } });
  aws.on('/client/register', REGISTERED).on('/device_authorization', DEVICE).on('/token', TOKEN);
  return { aws, home };
}

/** Signs in, moving the clock on to the next question whenever everything waits for it. Notes how long each wait was. */
async function run(aws: FakeAws, signal = new AbortController().signal) {
  const shown: SignIn[] = [];
  const waits: number[] = [];
  let outcome: { report: LoginReport } | { error: unknown } | undefined;
  aws.provider.signIn!((signIn) => shown.push(signIn), signal).then(
    (report) => {
      outcome = { report };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  while (outcome === undefined) {
    await turn();
    const { next } = aws.manual.clock;
    if (next === undefined) continue;
    waits.push(next);
    aws.manual.clock.tick(next);
  }
  return { shown, waits, ...(outcome as { report?: LoginReport; error?: CloudtunError }) };
}

describe('signing in at Identity Center', () => {
  test('the token lands where the SDKs and the AWS CLI look for it', async (context) => {
    const { aws, home } = await person(context, 'sso');
    await using _ = aws;
    aws.on('/token', inTurn(PENDING, SLOW_DOWN, PENDING, TOKEN));
    const { shown, waits, report } = await run(aws);
    assert.deepEqual(shown, [
      { url: 'https://device.sso.example/?user_code=ABCD-EFGH', userCode: 'ABCD-EFGH', expiresInMs: 600_000 },
    ]);
    assert.deepEqual(waits, [1_000, 1_000, 6_000, 6_000]);

    const path = join(home, '.aws', 'sso', 'cache', FILE_OF_SESSION);
    assert.deepEqual(report, { cachedIn: path, expiresAt: '2026-11-22T17:00:14.000Z' });
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
      startUrl: START_URL,
      region: 'eu-west-1',
      accessToken: 'access-token',
      clientId: 'client',
      clientSecret: 'hush',
      refreshToken: 'refresh-token',
      expiresAt: '2026-11-22T17:00:14.000Z',
      registrationExpiresAt: '2027-01-01T00:00:00.000Z',
    });
    assert.equal((await stat(path)).mode & 0o777, 0o600);

    const [register, device, token] = aws.asked;
    assert.deepEqual(register!.input, {
      clientName: 'cloudtun',
      clientType: 'public',
      scopes: ['sso:account:access'],
      grantTypes: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    });
    assert.equal(register!.headers.authorization, undefined);
    assert.deepEqual(device!.input, { clientId: 'client', clientSecret: 'hush', startUrl: START_URL });
    assert.deepEqual(token!.input, {
      clientId: 'client',
      clientSecret: 'hush',
      deviceCode: 'device',
      grantType: 'urn:ietf:params:oauth:grant-type:device_code',
    });
  });

  test('the older form of configuration: no scopes, the file named after the URL', async (context) => {
    const { aws } = await person(context, 'legacy');
    await using _ = aws;
    const { report } = await run(aws);
    assert.match(report!.cachedIn, /\/sso\/cache\/[0-9a-f]{40}\.json$/);
    assert.ok(!report!.cachedIn.endsWith(FILE_OF_SESSION));
    assert.deepEqual(aws.asked[0]!.input, { clientName: 'cloudtun', clientType: 'public' });
  });

  test('no region of targets is needed', async (context) => {
    const { aws } = await person(context, 'nowhere');
    await using _ = aws;
    assert.ok((await run(aws)).report);
  });

  for (const [name, answer, message] of [
    ['refused', oauthError('access_denied', 'AccessDeniedException'), 'the sign-in was refused'],
    ['too late', oauthError('expired_token', 'ExpiredTokenException'), 'the sign-in was not finished in time'],
    ['without a token', json({}), 'the sign-in gave no token'],
  ] as const) {
    test(name, async (context) => {
      const { aws } = await person(context, 'sso');
      await using _ = aws;
      aws.on('/token', answer);
      const { error } = await run(aws);
      assert.deepEqual([error?.code, error?.message], ['CT_LOGIN_FAILED', message]);
    });
  }

  test('nobody comes: it ends by itself', async (context) => {
    const { aws } = await person(context, 'sso');
    await using _ = aws;
    aws.on(
      '/device_authorization',
      json({ deviceCode: 'd', userCode: 'U', verificationUri: 'https://x/', expiresIn: 3, interval: 1 }),
    );
    aws.on('/token', PENDING);
    const { error, waits } = await run(aws);
    assert.equal(error?.code, 'CT_LOGIN_FAILED');
    assert.equal(waits.length, 3);
  });

  test('called off while it waits', async (context) => {
    const { aws } = await person(context, 'sso');
    await using _ = aws;
    const caller = new AbortController();
    aws.on('/token', () => {
      caller.abort(new Error('interrupted'));
      return PENDING({ service: 'oidc', action: '/token', input: {}, headers: {} });
    });
    const { error } = await run(aws, caller.signal);
    assert.equal(error?.message, 'interrupted');
    assert.equal(aws.manual.clock.pending, 0);
  });

  test('a profile that knows no Identity Center', async (context) => {
    const { aws } = await person(context, 'plain');
    await using _ = aws;
    const { error } = await run(aws);
    assert.equal(error?.code, 'CT_CONFIG');
    assert.match(error?.hints.at(-1) ?? '', /cloudtun login --profile NAME/);
  });

  test('a place that cannot be written', async (context) => {
    const { aws, home } = await person(context, 'sso');
    await using _ = aws;
    await writeFile(join(home, '.aws', 'sso'), 'a file where a directory should be');
    const { error } = await run(aws);
    assert.equal(error?.code, 'CT_STATE');
  });

  test('Identity Center itself fails', async (context) => {
    const { aws } = await person(context, 'sso');
    await using _ = aws;
    aws.on('/client/register', refusal('InternalServerException', 500));
    const { error } = await run(aws);
    assert.equal(error?.code, 'CT_SERVICE');
  });
});
