import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gcloudConfig } from '../../../../src/providers/gcp/gcloud-config.ts';
import { GCP_NAMES } from '../../../../src/providers/gcp/gcp-names.ts';
import { gcpSettings, networkEnvironment } from '../../../../src/providers/gcp/gcp-settings.ts';
import { relayRoot } from '../../../../src/providers/gcp/relay.ts';
import type { CloudSelection } from '../../../../src/providers/provider.ts';
import { ADC, writeBelow } from '../../../support/gcp-answers.ts';
import { manualWorld } from '../../../support/manual-world.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

type Context = Parameters<typeof temporaryDirectory>[0];
const CONFIGURATIONS = '.config/gcloud/configurations';

/** A home with a gcloud configuration, as gcloud writes it. */
async function home(context: Context, text: string, name = 'default'): Promise<string> {
  const path = await temporaryDirectory(context);
  writeBelow(path, `${CONFIGURATIONS}/config_${name}`, text);
  return path;
}
const settings = (path: string, env: Record<string, string> = {}, selection: CloudSelection = {}) =>
  gcpSettings(manualWorld({ home: path, env }).world, selection);

describe('what only Google Cloud writes so', () => {
  for (const target of [
    'acme/europe-west4-a/web-1',
    'example.com:acme/europe-west4-a/web-1',
    'sql:acme:europe-west4:reports',
    'acme:europe-west4:reports',
    'example.com:acme:europe-west4:reports',
    '10.0.0.5:5432@europe-west4/default/databases',
    '10.0.0.5@europe-west4/default',
    'db.corp:5432@europe-west4/default/databases',
    '[fd00::5]:5432@europe-west4/default/databases',
    'label:role=bastion',
    'web-1.europe-west4-a.c.acme.internal',
  ]) {
    test(`surely: ${target}`, () => assert.equal(GCP_NAMES.claims(target), 'surely'));
  }
  for (const target of ['web-1', '10.0.0.5', '4711', 'fd00::5', 'db.example.com']) {
    test(`perhaps: ${target}`, () => assert.equal(GCP_NAMES.claims(target), 'maybe'));
  }
  for (const target of [
    'i-0a1b2c3d4e5f60001',
    'mi-0a1b2c3d4e5f60001',
    'tag:role=bastion',
    'asg:web',
    'ecs:a/b/c',
    'rds:prod',
    'ip-10-0-0-5.eu-west-1.compute.internal',
    'prod.abc.eu-west-1.rds.amazonaws.com',
  ]) {
    test(`no: ${target}`, () => assert.equal(GCP_NAMES.claims(target), 'no'));
  }
});

describe('is anything set up here?', () => {
  const isConfigured = (path: string, env: Record<string, string> = {}) =>
    GCP_NAMES.isConfigured(manualWorld({ home: path, env }).world);

  test('nothing', async (t) => {
    const path = await temporaryDirectory(t);
    assert.equal(isConfigured(path), false);
    assert.equal(isConfigured(path, { CLOUDSDK_PYTHON: '/usr/bin/python3' }), false);
  });
  test('a variable, credentials, or an active configuration with a project', async (t) => {
    const path = await temporaryDirectory(t);
    assert.equal(isConfigured(path, { GOOGLE_CLOUD_PROJECT: 'acme' }), true);
    writeBelow(path, `${CONFIGURATIONS}/config_default`, '[core]\naccount = alice@example.com\n');
    assert.equal(isConfigured(path), false);
    writeBelow(path, `${CONFIGURATIONS}/config_work`, '[core]\nproject = acme\n');
    assert.equal(isConfigured(path, { CLOUDSDK_ACTIVE_CONFIG_NAME: 'work' }), true);
    writeBelow(path, ADC, '{}');
    assert.equal(isConfigured(path), true);
  });
});

describe("gcloud's configuration", () => {
  const TEXT = `[core]
account = alice@example.com
project = acme
custom_ca_certs_file = /etc/corp.pem

[compute]
zone = europe-west4-a
region = europe-west1

[auth]
impersonate_service_account = mid@acme.iam.gserviceaccount.com, end@acme.iam.gserviceaccount.com

[proxy]
type = http
address = proxy.corp
port = 3128
username = alice
password = p#a;ss\\w@rd
`;

  test('the file of the active configuration, by name, by variable, by default', async (t) => {
    const path = await home(t, '[core]\nproject = one\n');
    writeBelow(path, `${CONFIGURATIONS}/config_two`, '[core]\nproject = two\n');
    writeBelow(path, `${CONFIGURATIONS}/config_three`, '[core]\nproject = three\n');
    assert.deepEqual((await settings(path)).projects, ['one']);
    writeBelow(path, '.config/gcloud/active_config', 'two');
    assert.deepEqual((await settings(path)).projects, ['two']);
    assert.deepEqual((await settings(path, { CLOUDSDK_ACTIVE_CONFIG_NAME: 'three' })).projects, ['three']);
  });

  test('a configuration that does not exist, named by a variable', async (t) => {
    const path = await home(t, '', 'production');
    await assert.rejects(settings(path, { CLOUDSDK_ACTIVE_CONFIG_NAME: 'prodution' }), (error: Error) => {
      assert.match(error.message, /no gcloud configuration "prodution"/);
      assert.match(String((error as Error & { hints: string[] }).hints[0]), /did you mean: production/);
      return true;
    });
  });

  test('another folder', async (t) => {
    const path = await temporaryDirectory(t);
    writeBelow(path, 'elsewhere/configurations/config_default', '[core]\nproject = there\n');
    const { projects } = await settings(path, { CLOUDSDK_CONFIG: `${path}/elsewhere` });
    assert.deepEqual(projects, ['there']);
  });

  test('project, zone, region, account and impersonation', async (t) => {
    const found = await settings(await home(t, TEXT));
    assert.deepEqual(found.projects, ['acme']);
    assert.equal(found.zone, 'europe-west4-a');
    assert.equal(found.region, 'europe-west1');
    assert.equal(found.account, 'alice@example.com');
    assert.equal(found.label, 'gcp acme/europe-west4-a');
    assert.deepEqual(found.impersonate, ['mid@acme.iam.gserviceaccount.com', 'end@acme.iam.gserviceaccount.com']);
  });

  test('flags before variables before the file', async (t) => {
    const path = await home(t, TEXT);
    const env = { GOOGLE_CLOUD_PROJECT: 'by-google', CLOUDSDK_COMPUTE_ZONE: 'us-central1-b' };
    const byVariable = await settings(path, env);
    assert.deepEqual([byVariable.projects, byVariable.zone], [['by-google'], 'us-central1-b']);
    const byGcloud = await settings(path, { ...env, CLOUDSDK_CORE_PROJECT: 'by-gcloud' });
    assert.deepEqual(byGcloud.projects, ['by-gcloud']);
    const byFlag = await settings(path, env, { project: 'one,two', zone: 'asia-east1-a' });
    assert.deepEqual([byFlag.projects, byFlag.zone, byFlag.region], [['one', 'two'], 'asia-east1-a', 'asia-east1']);
  });

  test('quota project: special words mean no header', async (t) => {
    const path = await home(t, '[core]\nproject = acme\n[billing]\nquota_project = CURRENT_PROJECT\n');
    assert.equal((await settings(path)).quotaProject, 'acme');
    assert.equal((await settings(path, { CLOUDSDK_BILLING_QUOTA_PROJECT: 'LEGACY' })).quotaProject, undefined);
    assert.equal((await settings(path, { GOOGLE_CLOUD_QUOTA_PROJECT: 'bill' })).quotaProject, 'bill');
  });

  test('its proxy and CA file, where the environment says nothing', async (t) => {
    const path = await home(t, TEXT);
    const { world } = manualWorld({ home: path });
    const config = await gcloudConfig(world);
    const env = networkEnvironment(world.env, config);
    assert.equal(env.CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE, '/etc/corp.pem');
    const proxy = new URL(env.HTTPS_PROXY!);
    assert.equal(proxy.host, 'proxy.corp:3128');
    assert.equal(decodeURIComponent(proxy.password), 'p#a;ss\\w@rd');
    assert.equal(networkEnvironment({ https_proxy: 'http://other:1' }, config).HTTPS_PROXY, undefined);
  });

  test('a proxy that tunnels cannot go through', async (t) => {
    const { world } = manualWorld({ home: await home(t, '[proxy]\ntype = socks5\naddress = p\nport = 1\n') });
    const config = await gcloudConfig(world);
    assert.throws(() => networkEnvironment({}, config), { code: 'CT_PROXY', message: /socks5/ });
    const half = await gcloudConfig(manualWorld({ env: { CLOUDSDK_PROXY_TYPE: 'http' } }).world);
    assert.throws(() => networkEnvironment({}, half), { code: 'CT_PROXY', message: /not complete/ });
  });
});

describe('endpoints', () => {
  const urls = async (env: Record<string, string>) => {
    const { endpoints } = await gcpSettings(manualWorld({ env }).world, {});
    return (['compute', 'sql', 'iap', 'oauth2', 'tokeninfo', 'iamcredentials', 'sts'] as const).map(
      (service) => endpoints.url(service, '/v1/x').href,
    );
  };

  test("Google's own", async () => {
    assert.deepEqual(await urls({}), [
      'https://compute.googleapis.com/compute/v1/x',
      'https://sqladmin.googleapis.com/v1/x',
      'https://iap.googleapis.com/v1/x',
      'https://oauth2.googleapis.com/v1/x',
      'https://www.googleapis.com/oauth2/v3/v1/x',
      'https://iamcredentials.googleapis.com/v1/x',
      'https://sts.googleapis.com/v1/x',
    ]);
  });
  test('CLOUDTUN_GCP_ENDPOINT replaces all of them', async () => {
    const base = 'http://127.0.0.1:8080';
    assert.deepEqual(await urls({ CLOUDTUN_GCP_ENDPOINT: `${base}/` }), [
      `${base}/compute/v1/x`,
      `${base}/sql/v1/x`,
      `${base}/iap/v1/x`,
      `${base}/oauth2/v1/x`,
      `${base}/oauth2/v3/v1/x`,
      `${base}/iamcredentials/v1/x`,
      `${base}/sts/v1/x`,
    ]);
  });
  test("gcloud's overrides, with the version in them", async () => {
    const [compute, sql] = await urls({
      CLOUDTUN_GCP_ENDPOINT: 'http://127.0.0.1:8080',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: 'http://127.0.0.1:9/compute/v1/',
    });
    assert.deepEqual([compute, sql], ['http://127.0.0.1:9/compute/v1/x', 'http://127.0.0.1:8080/sql/v1/x']);
  });
  test('the addresses that the auth library has built in', async () => {
    const { endpoints } = await gcpSettings(
      manualWorld({ env: { CLOUDTUN_GCP_ENDPOINT: 'http://127.0.0.1:1' } }).world,
      {},
    );
    const redirected = (text: string) => endpoints.redirect(new URL(text)).href;
    assert.equal(redirected('https://oauth2.googleapis.com/token'), 'http://127.0.0.1:1/oauth2/token');
    assert.equal(redirected('https://sts.googleapis.com/v1/token'), 'http://127.0.0.1:1/sts/v1/token');
    assert.equal(redirected('https://token.example.com/x'), 'https://token.example.com/x');
  });
  test('no token without TLS to another machine', async () => {
    await assert.rejects(urls({ CLOUDTUN_GCP_ENDPOINT: 'http://lab.example:80' }), {
      code: 'CT_CONFIG',
      message: /without TLS/,
    });
    await assert.rejects(urls({ CLOUDTUN_GCP_ENDPOINT: 'lab' }), {
      code: 'CT_CONFIG',
      message: /no.*address|not the address/,
    });
  });

  test('the relay', () => {
    assert.equal(relayRoot({}, 'googleapis.com', false), 'wss://tunnel.cloudproxy.app/v4');
    assert.equal(relayRoot({}, 'googleapis.com', true), 'wss://mtls.tunnel.cloudproxy.app/v4');
    assert.equal(relayRoot({}, 'apis.example', true), 'wss://tunnel-cloudproxy.apis.example/v4');
    const at = (CLOUDTUN_IAP_ENDPOINT: string) => relayRoot({ CLOUDTUN_IAP_ENDPOINT }, 'googleapis.com', true);
    assert.equal(at('wss://127.0.0.1:8443'), 'wss://127.0.0.1:8443/v4');
    assert.equal(at('ws://localhost:8443/v4/?x=1'), 'ws://localhost:8443/v4');
    assert.equal(at('wss://relay.example/other/v4/'), 'wss://relay.example/other/v4');
    assert.throws(() => at('ws://relay.example/v4'), { code: 'CT_CONFIG', message: /without TLS/ });
    assert.throws(() => at('https://relay.example/v4'), { code: 'CT_CONFIG' });
  });
});
