import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { suite, test } from 'node:test';
import { ExternalAccountClient } from 'google-auth-library';
import { changeVm } from '../../src/lab/gcp/inventory.ts';
import { CLOUD_PLATFORM } from '../../src/lab/gcp/token-store.ts';
import type { Lab, LabOptions } from '../../src/lab/lab.ts';
import { testLab } from '../support/aws-lab.ts';
import type { After } from '../support/gateway-lab.ts';

type Json = Readonly<Record<string, unknown>>;

interface Answer {
  readonly status: number;
  readonly json: Json;
  readonly headers: Headers;
}

/** Requests to the Google half of a lab, as somebody. */
async function client(t: After, options: LabOptions = {}) {
  const lab = await testLab(t, options);
  const { url, tokens } = lab.gcp;
  const ask = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, json: isJson ? JSON.parse(text) : { text }, headers: response.headers };
  };
  const as = (email: string, scopes = [CLOUD_PLATFORM], lifetime?: number) => {
    const { token } = tokens.issue(email, scopes, lifetime);
    return (path: string, body?: object) =>
      ask(path, {
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
  };
  const post = (path: string, form: Readonly<Record<string, string>>) =>
    ask(path, { method: 'POST', body: new URLSearchParams(form) });
  return { lab, ask, as, post, alice: as('alice@example.com') };
}

const credentials = (lab: Lab, name: string): Json => JSON.parse(readFileSync(lab.gcp.profiles[name] ?? '', 'utf8'));
const items = (answer: Answer, key = 'items') => (answer.json[key] ?? []) as readonly Record<string, unknown>[];
const names = (answer: Answer, key?: string) => items(answer, key).map(({ name }) => name);
const reasonOf = ({ json }: Answer) => {
  const { details, errors } = json.error as {
    details?: readonly { readonly reason: string }[];
    errors: readonly { readonly reason: string }[];
  };
  return [errors[0]?.reason, details?.[0]?.reason];
};
const COMPUTE = '/compute/v1/projects/acme-practice';
const ZONE = `${COMPUTE}/zones/asia-northeast1-a`;

suite('tokens', () => {
  test('a refresh token gives an access token; a revoked one, a wrong client and another grant do not', async (t) => {
    const { lab, post, ask } = await client(t);
    const { client_id, client_secret, refresh_token } = credentials(lab, 'alice') as Record<string, string>;
    const form = {
      grant_type: 'refresh_token',
      client_id: client_id!,
      client_secret: client_secret!,
      refresh_token: refresh_token!,
    };
    const { status, json } = await post('/oauth2/token', form);
    assert.deepEqual([status, json.expires_in, json.token_type], [200, 3_600, 'Bearer']);
    const info = await ask(`/oauth2/v3/tokeninfo?access_token=${String(json.access_token)}`);
    assert.equal(info.json.email, 'alice@example.com');
    assert.match(String(info.json.scope), /cloud-platform/);
    const me = await ask('/oauth2/v3/userinfo', { headers: { authorization: `Bearer ${String(json.access_token)}` } });
    assert.equal(me.json.email, 'alice@example.com');
    const outcomes = await Promise.all([
      post('/oauth2/token', { ...form, refresh_token: 'revoked yesterday' }),
      post('/oauth2/token', { ...form, client_secret: 'x' }),
      post('/oauth2/token', { grant_type: 'password' }),
      ask('/oauth2/v3/tokeninfo?access_token=x'),
    ]);
    assert.deepEqual(
      outcomes.map((one) => [one.status, one.json.error]),
      [
        [400, 'invalid_grant'],
        [401, 'invalid_client'],
        [400, 'unsupported_grant_type'],
        [400, 'invalid_token'],
      ],
    );
  });

  test('a service account signs for its token; what it signs is checked', async (t) => {
    const { lab, post } = await client(t);
    const path = await lab.gcp.serviceAccountFile();
    const key = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: key.client_email, scope: CLOUD_PLATFORM, aud: key.token_uri, iat: now, exp: now + 3_600 };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const jwt = (claim: object, privateKey = key.private_key!) => {
      const text = `${part({ alg: 'RS256', kid: key.private_key_id })}.${part(claim)}`;
      return `${text}.${sign('RSA-SHA256', Buffer.from(text), createPrivateKey(privateKey)).toString('base64url')}`;
    };
    const ask = (assertion: string) =>
      post('/oauth2/token', { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
    const good = await ask(jwt(claims));
    assert.equal(good.status, 200);
    const verdict = lab.gcp.tokens.check(String(good.json.access_token));
    assert.equal(verdict.ok && verdict.grant.email, key.client_email);
    assert.equal((await ask(jwt({ ...claims, aud: 'https://oauth2.googleapis.com/token' }))).status, 200);
    const bad = [
      jwt({ ...claims, aud: 'https://example.com' }),
      jwt({ ...claims, exp: now + 7_200 }),
      jwt({ ...claims, iat: now - 7_200, exp: now - 3_600 }),
      jwt({ ...claims, iss: 'stranger@example.com' }),
      `${jwt(claims).slice(0, -8)}AAAAAAAA`,
      'x.y.z',
    ];
    for (const assertion of bad) assert.equal((await ask(assertion)).json.error, 'invalid_grant');
    assert.equal((await ask(jwt({ ...claims, scope: '' }))).json.error, 'invalid_scope');
  });

  test('a federated identity goes through the auth library’s own code, impersonation included', async (t) => {
    const { lab } = await client(t);
    for (const [profile, email] of [
      ['federated', /^principal:/],
      ['federated-impersonated', /^tunnel-opener@/],
    ] as const) {
      const external = ExternalAccountClient.fromJSON(
        credentials(lab, profile) as unknown as Parameters<typeof ExternalAccountClient.fromJSON>[0],
      );
      assert.ok(external);
      external.scopes = [CLOUD_PLATFORM];
      const { token } = await external.getAccessToken();
      const verdict = lab.gcp.tokens.check(token ?? '');
      assert.match(verdict.ok ? verdict.grant.email : verdict.why, email);
    }
  });

  test('acting as a service account needs permission, along the whole chain', async (t) => {
    const { lab, as, alice } = await client(t);
    const opener = 'tunnel-opener@acme-practice.iam.gserviceaccount.com';
    const path = `/iamcredentials/v1/projects/-/serviceAccounts/${opener}:generateAccessToken`;
    const body = { scope: [CLOUD_PLATFORM], lifetime: '300s' };
    const { status, json } = await alice(path, body);
    assert.equal(status, 200);
    assert.match(String(json.expireTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const verdict = lab.gcp.tokens.check(String(json.accessToken));
    assert.equal(verdict.ok && verdict.grant.email, opener);
    const denied = await as('bob@example.com')(path, body);
    assert.deepEqual([denied.status, reasonOf(denied)[1]], [403, 'IAM_PERMISSION_DENIED']);
    assert.equal((await alice(path, { ...body, delegates: ['projects/-/serviceAccounts/x@y'] })).status, 403);
    assert.equal((await alice(path, { scope: [] })).status, 400);
    assert.equal((await alice(path, { ...body, lifetime: '7200s' })).status, 400);
  });

  test('the metadata server answers who asks in its way', async (t) => {
    const { lab, ask } = await client(t);
    const path = '/computeMetadata/v1/instance/service-accounts/default/token';
    const headers = { 'metadata-flavor': 'Google' };
    assert.equal((await ask(path)).status, 403);
    const { json, headers: answered } = await ask(path, { headers });
    assert.equal(answered.get('metadata-flavor'), 'Google');
    assert.equal(lab.gcp.tokens.check(String(json.access_token)).ok, true);
    assert.equal((await ask('/computeMetadata/v1/project/project-id', { headers })).json.text, 'acme-practice');
    assert.equal((await ask('/computeMetadata/v1/nothing', { headers })).status, 404);
    assert.equal((await ask('/')).headers.get('metadata-flavor'), 'Google');
  });
});

suite('who is asked for', () => {
  test('no token, a wrong, expired, revoked one, one for something else', async (t) => {
    const { lab, ask, as } = await client(t);
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const missing = await ask(`${COMPUTE}/zones`);
    assert.deepEqual([missing.status, reasonOf(missing)], [401, ['required', 'CREDENTIALS_MISSING']]);
    assert.match(missing.headers.get('www-authenticate') ?? '', /^Bearer/);
    const wrong = await ask(`${COMPUTE}/zones`, bearer('x'));
    assert.deepEqual([wrong.status, reasonOf(wrong)], [401, ['authError', 'ACCESS_TOKEN_TYPE_UNSUPPORTED']]);
    const expired = await as('alice@example.com', [CLOUD_PLATFORM], 0)(`${COMPUTE}/zones`);
    assert.deepEqual([expired.status, reasonOf(expired)[1]], [401, 'ACCESS_TOKEN_EXPIRED']);
    const narrow = await as('alice@example.com', ['openid'])(`${COMPUTE}/zones`);
    assert.deepEqual([narrow.status, reasonOf(narrow)[1]], [403, 'ACCESS_TOKEN_SCOPE_INSUFFICIENT']);
    const alice = as('alice@example.com');
    assert.equal((await alice(`${COMPUTE}/zones`)).status, 200);
    lab.gcp.tokens.revoke('alice@example.com');
    assert.equal((await alice(`${COMPUTE}/zones`)).status, 401);
  });

  test('permissions, projects that are not there, services that are off', async (t) => {
    const { as, alice } = await client(t);
    const denied = await as('mallory@example.com')(`${ZONE}/instances`);
    assert.deepEqual([denied.status, reasonOf(denied)], [403, ['forbidden', 'IAM_PERMISSION_DENIED']]);
    assert.match(
      String((denied.json.error as Json).message),
      /Required 'compute\.instances\.list' permission for 'projects\/acme-practice\/zones\/asia-northeast1-a'/,
    );
    assert.equal((await alice('/compute/v1/projects/nobody/zones')).status, 403);
    const off = await alice('/compute/v1/projects/acme-frozen/zones');
    assert.deepEqual([off.status, reasonOf(off)], [403, ['accessNotConfigured', 'SERVICE_DISABLED']]);
    const state = await alice('/serviceusage/v1/projects/acme-frozen/services/compute.googleapis.com');
    assert.equal(state.json.state, 'DISABLED');
  });

  test('only this machine’s own name leads here', async (t) => {
    const { lab } = await client(t);
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      const headers = { host: 'rebound.example.com' };
      request(`${lab.gcp.url}/`, { headers }, (response) => resolve(response.resume().statusCode)).end();
    });
    assert.equal(status, 403);
  });
});

suite('finding things', () => {
  test('machines: one, a zone’s, all, filtered, page by page', async (t) => {
    const { lab, alice } = await client(t);
    const { json } = await alice(`${ZONE}/instances/web-1`);
    assert.equal(json.status, 'RUNNING');
    const [nic] = json.networkInterfaces as readonly Json[];
    assert.deepEqual([nic?.name, nic?.networkIP], ['nic0', '10.40.10.21']);
    assert.equal((await alice(`${ZONE}/instances/4100000000000000001`)).json.name, 'web-1');
    assert.equal((await alice(`${ZONE}/instances/nobody`)).status, 404);
    assert.equal((await alice(`${COMPUTE}/zones/mars-a/instances`)).status, 404);
    assert.deepEqual(names(await alice(`${ZONE}/instances?filter=labels.role%3Dbastion`)), ['bastion-g']);
    assert.equal((await alice(`${ZONE}/instances?filter=name`)).status, 400);

    const first = await alice(`${ZONE}/instances?maxResults=3`);
    const second = await alice(`${ZONE}/instances?maxResults=3&pageToken=${String(first.json.nextPageToken)}`);
    assert.deepEqual([...names(first), ...names(second)], ['web-1', 'bastion-g', 'quiet-1', 'app']);
    assert.equal(second.json.nextPageToken, undefined);
    assert.equal((await alice(`${ZONE}/instances?pageToken=x`)).status, 400);

    const { json: all } = await alice(`${COMPUTE}/aggregated/instances?filter=${encodeURIComponent('name = "app"')}`);
    const places = all.items as Readonly<Record<string, { instances?: readonly Json[]; warning?: Json }>>;
    const found = Object.entries(places).map(([place, { instances = [], warning }]) => [
      place,
      instances.length,
      warning?.code,
    ]);
    assert.deepEqual(found, [
      ['zones/asia-northeast1-a', 1, undefined],
      ['zones/asia-northeast1-b', 1, undefined],
      ['zones/asia-northeast1-c', 0, 'NO_RESULTS_ON_PAGE'],
      ['zones/europe-west4-a', 0, 'NO_RESULTS_ON_PAGE'],
    ]);
    lab.gcp.change((inventory) => changeVm(inventory, 'web-1', { status: 'SUSPENDED' }));
    assert.equal((await alice(`${ZONE}/instances/web-1`)).json.status, 'SUSPENDED');
    assert.equal(lab.gcp.calls.count('compute.instances.list'), 6);
  });

  test('zones, regions, firewalls, networks, the project', async (t) => {
    const { alice } = await client(t, { gcp: { pageLimit: 2 } });
    const zones = await alice(`${COMPUTE}/zones`);
    assert.equal(items(zones).length, 2);
    assert.equal(names(await alice(`${COMPUTE}/regions`)).length, 2);
    const [rule] = items(await alice(`${COMPUTE}/global/firewalls`));
    assert.deepEqual([rule?.sourceRanges, rule?.targetTags], [['35.235.240.0/20'], ['iap']]);
    assert.deepEqual(names(await alice(`${COMPUTE}/global/networks`)), ['practice-vpc']);
    const project = await alice(COMPUTE);
    assert.deepEqual([project.json.name, project.json.id], ['acme-practice', '100000000001']);
  });

  test('databases and destination groups', async (t) => {
    const { as, alice } = await client(t);
    const path = '/sql/v1/projects/acme-practice/instances';
    assert.deepEqual(names(await alice(path)), ['reports', 'shop', 'archive-g', 'public-only']);
    const { json } = await alice(`${path}/reports`);
    assert.equal(json.connectionName, 'acme-practice:asia-northeast1:reports');
    assert.deepEqual(json.ipAddresses, [{ type: 'PRIVATE', ipAddress: '10.40.32.5' }]);
    assert.equal((await alice(`${path}/nobody`)).status, 404);
    const tunnels = '/iap/v1/projects/acme-practice/iap_tunnel';
    const groups = await alice(`${tunnels}/locations/-/destGroups`);
    const [group] = items(groups, 'tunnelDestGroups');
    assert.deepEqual(group?.cidrs, ['10.40.32.0/24']);
    assert.equal((await alice(`${tunnels}/locations/asia-northeast1/destGroups/private-sql`)).status, 200);
    assert.equal((await alice(`${tunnels}/locations/europe-west4/destGroups/private-sql`)).status, 404);
    const may = async (email: string) => {
      const permissions = ['iap.tunnelInstances.accessViaIAP'];
      const answer = await as(email)(`${tunnels}/zones/asia-northeast1-a/instances/web-1:testIamPermissions`, {
        permissions,
      });
      return answer.json.permissions;
    };
    assert.deepEqual(await may('alice@example.com'), ['iap.tunnelInstances.accessViaIAP']);
    assert.equal(await may('bob@example.com'), undefined);
  });

  test('a path that nobody plays is not found, and is noted', async (t) => {
    const { lab, alice } = await client(t);
    assert.equal((await alice('/storage/v1/b')).status, 404);
    assert.equal(lab.gcp.calls.count('GET /storage/v1/b'), 1);
  });
});

test('faults strike as Google words them', async (t) => {
  const { lab, alice, post } = await client(t);
  const { apiFaults } = lab.gcp;
  const kinds = [
    ['throttle', 429, 'rateLimitExceeded'],
    ['deny', 403, 'forbidden'],
    ['service-disabled', 403, 'accessNotConfigured'],
    ['expired-token', 401, 'authError'],
    ['internal-error', 500, 'backendError'],
    ['unavailable', 503, 'backendError'],
  ] as const;
  for (const [kind, status, reason] of kinds) {
    apiFaults.set([{ action: 'compute.*', kind, times: 1 }]);
    const answer = await alice(`${COMPUTE}/zones`);
    assert.deepEqual([answer.status, reasonOf(answer)[0]], [status, reason]);
    assert.equal((await alice(`${COMPUTE}/zones`)).status, 200);
  }
  apiFaults.set([{ action: 'compute.*', kind: 'hang-up' }]);
  await assert.rejects(alice(`${COMPUTE}/zones`));
  apiFaults.set([{ action: 'oauth2.token', kind: 'expired-token' }]);
  assert.equal((await post('/oauth2/token', {})).json.error_subtype, 'invalid_rapt');
});
