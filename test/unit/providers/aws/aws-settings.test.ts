import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import { type AwsSettings, awsSettings, requireRegion } from '../../../../src/providers/aws/aws-settings.ts';
import { manualWorld } from '../../../support/manual-world.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const CONFIG = `
[default]
region = eu-central-1

[profile prod]
region = ap-northeast-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = readers
services = local
max_attempts = 7

[profile legacy]
sso_start_url = https://legacy.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = readers
endpoint_url = http://everything.example

[profile bare]
use_fips_endpoint = true

[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access, other:scope

[services local]
ssm =
  endpoint_url = http://ssm.example
`;
const CREDENTIALS = '[keys]\naws_access_key_id = A\naws_secret_access_key = B\nregion = sa-east-1\n';

type Teardown = { after(call: () => Promise<void>): void };

async function settingsWith(context: Teardown, env: Record<string, string>, selection = {}): Promise<AwsSettings> {
  const home = await temporaryDirectory(context);
  await mkdir(join(home, '.aws'));
  await writeFile(join(home, '.aws', 'config'), CONFIG);
  await writeFile(join(home, '.aws', 'credentials'), CREDENTIALS);
  return awsSettings(manualWorld({ home, env }).world, selection);
}

describe('the region', () => {
  const table: [
    env: Record<string, string>,
    selection: { profile?: string; region?: string },
    region: string | undefined,
  ][] = [
    [{}, {}, 'eu-central-1'],
    [{ AWS_DEFAULT_REGION: 'us-west-1' }, {}, 'us-west-1'],
    [{ AWS_DEFAULT_REGION: 'us-west-1', AWS_REGION: 'us-west-2' }, {}, 'us-west-2'],
    [{ AWS_REGION: 'us-west-2' }, { region: 'us-east-2' }, 'us-east-2'],
    [{}, { profile: 'prod' }, 'ap-northeast-1'],
    [{ AWS_REGION: 'us-west-2' }, { profile: 'prod' }, 'us-west-2'],
    [{ AWS_PROFILE: 'prod' }, {}, 'ap-northeast-1'],
    [{ AWS_PROFILE: 'prod' }, { profile: 'keys' }, 'sa-east-1'],
    [{ AWS_REGION: '' }, {}, 'eu-central-1'],
    [{}, { profile: 'bare' }, undefined],
  ];
  for (const [env, selection, region] of table) {
    test(`${JSON.stringify(env)} ${JSON.stringify(selection)}`, async (context) => {
      assert.equal((await settingsWith(context, env, selection)).region, region);
    });
  }

  test('none at all', async (context) => {
    const settings = await settingsWith(context, {}, { profile: 'bare' });
    assert.throws(
      () => requireRegion(settings),
      (error: CloudtunError) =>
        error.code === 'CT_NO_REGION' && /profile bare/.test(error.message) && /--region/.test(error.hints[0]!),
    );
    assert.equal(settings.label, 'aws bare');
  });
});

test('what a label says', async (context) => {
  assert.equal((await settingsWith(context, {}, { profile: 'prod' })).label, 'aws prod/ap-northeast-1');
  assert.equal((await settingsWith(context, { AWS_REGION: 'us-west-2' })).label, 'aws us-west-2');
});

test('a profile that does not exist', async (context) => {
  await assert.rejects(settingsWith(context, { AWS_PROFILE: 'prdo' }), (error: CloudtunError) => {
    assert.equal(error.code, 'CT_NO_PROFILE');
    assert.deepEqual(error.hints, [
      'did you mean: prod',
      'AWS_PROFILE names it; profiles live in ~/.aws/config and ~/.aws/credentials',
    ]);
    return true;
  });
});

test('no shared files at all', async () => {
  const settings = await awsSettings(manualWorld({ env: { AWS_REGION: 'eu-west-1' } }).world, {});
  assert.equal(settings.profile, undefined);
  assert.deepEqual(settings.profileKeys, {});
});

test('shared files elsewhere', async (context) => {
  const folder = await temporaryDirectory(context);
  await writeFile(join(folder, 'c'), '[profile far]\nregion = eu-north-1\n');
  const { world } = manualWorld({ env: { AWS_CONFIG_FILE: join(folder, 'c'), AWS_PROFILE: 'far' } });
  assert.equal((await awsSettings(world, {})).region, 'eu-north-1');
});

describe('Identity Center', () => {
  test('by sso_session, by the profile itself, and not at all', async (context) => {
    assert.deepEqual((await settingsWith(context, {}, { profile: 'prod' })).sso, {
      sessionName: 'corp',
      startUrl: 'https://corp.awsapps.com/start',
      region: 'us-east-1',
      scopes: ['sso:account:access', 'other:scope'],
    });
    assert.deepEqual((await settingsWith(context, {}, { profile: 'legacy' })).sso, {
      startUrl: 'https://legacy.awsapps.com/start',
      region: 'eu-west-1',
      scopes: ['sso:account:access'],
    });
    assert.equal((await settingsWith(context, {})).sso, undefined);
  });
});

describe('endpoints and switches', () => {
  test('the environment before the profile, a service before all services', async (context) => {
    const prod = { profile: 'prod' };
    const of = async (env: Record<string, string>, selection: object, service: 'ssm' | 'ec2') =>
      (await settingsWith(context, env, selection)).endpoint(service);
    assert.equal(await of({}, {}, 'ssm'), undefined);
    assert.equal(await of({}, prod, 'ssm'), 'http://ssm.example');
    assert.equal(await of({}, prod, 'ec2'), undefined);
    assert.equal(await of({}, { profile: 'legacy' }, 'ec2'), 'http://everything.example');
    assert.equal(await of({ AWS_ENDPOINT_URL: 'http://all' }, prod, 'ssm'), 'http://all');
    assert.equal(
      await of({ AWS_ENDPOINT_URL: 'http://all', AWS_ENDPOINT_URL_SSM: 'http://one' }, prod, 'ssm'),
      'http://one',
    );
    assert.equal(
      await of({ AWS_ENDPOINT_URL: 'http://all', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }, prod, 'ssm'),
      undefined,
    );
  });

  test('FIPS, dual stack, attempts', async (context) => {
    const plain = await settingsWith(context, {});
    assert.deepEqual([plain.useFips, plain.useDualstack, plain.maxAttempts], [false, false, undefined]);
    const chosen = await settingsWith(
      context,
      { AWS_USE_DUALSTACK_ENDPOINT: 'TRUE', AWS_MAX_ATTEMPTS: '5' },
      { profile: 'bare' },
    );
    assert.deepEqual([chosen.useFips, chosen.useDualstack, chosen.maxAttempts], [true, true, 5]);
    const opposed = await settingsWith(
      context,
      { AWS_USE_FIPS_ENDPOINT: 'false', AWS_MAX_ATTEMPTS: 'x' },
      { profile: 'bare' },
    );
    assert.deepEqual([opposed.useFips, opposed.maxAttempts], [false, undefined]);
    assert.equal((await settingsWith(context, {}, { profile: 'prod' })).maxAttempts, 7);
  });
});
