import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import type { Route } from '../../../../src/domain/target.ts';
import type { IapRelayTicket } from '../../../../src/domain/ticket.ts';
import { unseenMachine } from '../../../../src/providers/gcp/machines.ts';
import {
  ALICE,
  CALLS,
  type FakeGcp,
  type FakeGcpOptions,
  fakeGcp,
  inTurn,
  json,
  oauthRefusal,
  page,
  patiently,
  serviceAccountCredential,
  tokens,
  USER_CREDENTIAL,
  writeBelow,
} from '../../../support/gcp-answers.ts';
import { processEnvironment } from '../../../support/process-environment.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
const NODE = unseenMachine('acme', 'europe-west4-a', 'web-1');
const ROUTE: Route = { provider: 'gcp', target: NODE, node: NODE, to: { port: 22 }, reasons: [], rejected: [] };
const IMPERSONATE = 'POST iamcredentials/v1/projects/-/serviceAccounts';

type Context = Parameters<typeof temporaryDirectory>[0];
const person = async (context: Context, options: Omit<FakeGcpOptions, 'home'> = {}) =>
  fakeGcp({ home: await temporaryDirectory(context), ...options });

const source = (gcp: FakeGcp) => gcp.provider.gatekeeper.ticketSource(ROUTE, {});
const issue = (gcp: FakeGcp): Promise<IapRelayTicket> =>
  source(gcp).issue({ port: 22 }, signal) as Promise<IapRelayTicket>;
const token = async (gcp: FakeGcp) => (await issue(gcp)).token.reveal();
const form = (gcp: FakeGcp, index = 0) =>
  Object.fromEntries(new URLSearchParams(gcp.asked.filter(({ call }) => call === CALLS.token)[index]!.body));

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('a user', () => {
  test('the refresh token is exchanged, and who it is comes with the answer', async (t) => {
    await using gcp = await person(t);
    assert.equal(await token(gcp), 'ya29.token-1');
    assert.deepEqual(form(gcp), {
      refresh_token: '1//refresh',
      client_id: 'client.apps.googleusercontent.com',
      client_secret: 'not-so-secret',
      grant_type: 'refresh_token',
    });
    const identity = await gcp.provider.gatekeeper.whoami(signal);
    assert.deepEqual(identity, {
      id: ALICE,
      account: 'acme',
      name: 'alice',
      principals: [{ cloud: 'gcp', kind: 'user', name: 'alice@example.com' }],
      source: 'application default credentials (user)',
    });
    assert.equal(gcp.asked.length, 1);
    assert.ok(gcp.manual.logs.some(({ message }) => message === 'credentials: application default credentials (user)'));
  });

  test('without an ID token Google is asked, once for each token, and not with the token in the address', async (t) => {
    await using gcp = await person(t);
    gcp.on(CALLS.token, tokens('')).on(CALLS.tokenInfo, json({ email: 'bob@example.com', sub: '1' }));
    gcp.on(CALLS.token, () => json({ access_token: 'bare', expires_in: 3599 }));
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await gcp.provider.gatekeeper.whoami(signal)).id, 'bob@example.com');
    }
    const [asked, ...rest] = gcp.asked.filter(({ call }) => call === CALLS.tokenInfo);
    assert.deepEqual([asked?.query, asked?.body, rest.length], [{}, 'access_token=bare', 0]);
  });

  test('whoever answers something else than Google does not say who it is', async (t) => {
    for (const body of ['"x"', 'null', '{"email":5}', '<html>']) {
      await using gcp = await person(t);
      gcp.on(CALLS.token, tokens('')).on(CALLS.tokenInfo, { status: 200, body });
      assert.equal((await gcp.provider.gatekeeper.whoami(signal)).id, 'unknown principal', body);
    }
  });

  test('a token is kept until five minutes before its end, and asked for once by all', async (t) => {
    await using gcp = await person(t);
    const same = source(gcp);
    const all = await Promise.all([1, 2, 3].map(() => same.issue({ port: 22 }, signal) as Promise<IapRelayTicket>));
    assert.deepEqual(new Set(all.map((ticket) => ticket.token.reveal())), new Set(['ya29.token-1']));
    await gcp.manual.clock.advance((3599 - 301) * 1_000);
    assert.equal(await token(gcp), 'ya29.token-1');
    await gcp.manual.clock.advance(2_000);
    assert.equal(await token(gcp), 'ya29.token-2');
  });

  test('renewed means asked for just now', async (t) => {
    await using gcp = await person(t);
    const tickets = source(gcp);
    const first = (await tickets.issue({ port: 22 }, signal)) as IapRelayTicket;
    const second = (await tickets.renew(first, signal)) as IapRelayTicket;
    assert.deepEqual([first.token.reveal(), second.token.reveal()], ['ya29.token-1', 'ya29.token-2']);
    assert.deepEqual(second.to, { port: 22 });
  });

  test('one who gives up does not take it from the others', async (t) => {
    await using gcp = await person(t);
    const impatient = new AbortController();
    const given = source(gcp).issue({ port: 22 }, impatient.signal);
    const patient = token(gcp);
    impatient.abort(new Error('gave up'));
    await assert.rejects(given, /gave up/);
    assert.equal(await patient, 'ya29.token-1');
  });

  test('a token endpoint of its own', async (t) => {
    await using gcp = await person(t, {
      credential: { ...USER_CREDENTIAL, token_uri: 'https://sts.googleapis.com/v1/oauthtoken' },
    });
    gcp.on('POST sts/v1/oauthtoken', json({ access_token: 'elsewhere', expires_in: 60 }));
    assert.equal(await token(gcp), 'elsewhere');
  });

  const refusals: [name: string, answer: ReturnType<typeof json>, code: string, words: RegExp][] = [
    ['revoked', oauthRefusal('invalid_grant'), 'CT_CREDENTIALS_EXPIRED', /expired or was revoked/],
    ['session control', oauthRefusal('invalid_grant', 'invalid_rapt'), 'CT_CREDENTIALS_EXPIRED', /organisation wants/],
    ['session control, older', oauthRefusal('invalid_grant', 'rapt_required'), 'CT_CREDENTIALS_EXPIRED', /in person/],
    ['another client', oauthRefusal('invalid_client', undefined, 401), 'CT_CREDENTIALS_INVALID', /invalid_client/],
    ['forbidden by policy', oauthRefusal('access_denied', undefined, 403), 'CT_DENIED', /access_denied/],
    ['a page of a proxy', page(403), 'CT_PROXY', /not one of Google/],
    ['407', page(407), 'CT_PROXY', /user name and password/],
    ['busy', page(429), 'CT_THROTTLED', /slow down/],
    ['broken', page(503), 'CT_SERVICE', /503/],
  ];
  for (const [name, answer, code, words] of refusals) {
    test(`refused: ${name}`, async (t) => {
      await using gcp = await person(t);
      gcp.on(CALLS.token, answer);
      const error = await failure(patiently(gcp.manual, issue(gcp)), code);
      assert.match(error.message, words);
      assert.ok(error.hints.length > 0);
      assert.doesNotMatch(inspect(error, { depth: 9 }), /refresh_token|1\/\/refresh|not-so-secret/);
      assert.deepEqual(error.details[0], ['credentials', 'application default credentials (user)']);
    });
  }

  test('a busy endpoint is asked again', async (t) => {
    await using gcp = await person(t);
    gcp.on(CALLS.token, inTurn(page(503), page(429), tokens()));
    assert.equal(await patiently(gcp.manual, token(gcp)), 'ya29.token-1');
  });
});

describe('a service account key', () => {
  test('signs an assertion', async (t) => {
    await using gcp = await person(t, { credential: serviceAccountCredential(), env: { CLOUDSDK_CORE_PROJECT: '' } });
    gcp.on(CALLS.token, tokens(undefined));
    assert.equal(await token(gcp), 'ya29.token-1');
    const sent = form(gcp);
    assert.equal(sent.grant_type, 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const claims = JSON.parse(Buffer.from(sent.assertion!.split('.')[1]!, 'base64url').toString()) as Record<
      string,
      string
    >;
    assert.equal(claims.iss, 'ci@acme.iam.gserviceaccount.com');
    assert.equal(claims.scope, 'https://www.googleapis.com/auth/cloud-platform');
    const identity = await gcp.provider.gatekeeper.whoami(signal);
    assert.equal(identity.id, 'ci@acme.iam.gserviceaccount.com');
    assert.equal(identity.source, 'application default credentials (service account key)');
    assert.equal(identity.account, 'acme');
  });

  test('deleted', async (t) => {
    await using gcp = await person(t, { credential: serviceAccountCredential() });
    gcp.on(CALLS.token, oauthRefusal('invalid_grant'));
    assert.match((await failure(issue(gcp), 'CT_CREDENTIALS_EXPIRED')).message, /key.*deleted or disabled/);
  });
});

describe('impersonation', () => {
  const CI = 'ci@acme.iam.gserviceaccount.com';
  const END = 'end@prod.iam.gserviceaccount.com';
  const minted = json({ accessToken: 'ya29.impersonated', expireTime: '2026-11-22T10:00:00Z' });

  test('asked for by variable, with a chain', async (t) => {
    await using gcp = await person(t, { env: { CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: `${CI},${END}` } });
    gcp.on(`${IMPERSONATE}/${END}:generateAccessToken`, minted);
    assert.equal(await token(gcp), 'ya29.impersonated');
    const asked = gcp.asked.at(-1)!;
    assert.equal(asked.headers.authorization, 'Bearer ya29.token-1');
    assert.deepEqual(JSON.parse(asked.body), {
      scope: ['https://www.googleapis.com/auth/cloud-platform'],
      lifetime: '3600s',
      delegates: [`projects/-/serviceAccounts/${CI}`],
    });
    const identity = await gcp.provider.gatekeeper.whoami(signal);
    assert.equal(identity.id, END);
    assert.equal(identity.source, `impersonating ${END} via ${CI} via application default credentials (user)`);
  });

  test('in the credential file', async (t) => {
    await using gcp = await person(t, {
      credential: {
        type: 'impersonated_service_account',
        delegates: [`projects/-/serviceAccounts/${CI}`],
        service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${END}:generateAccessToken`,
        source_credentials: USER_CREDENTIAL,
      },
    });
    gcp.on(`${IMPERSONATE}/${END}:generateAccessToken`, minted);
    assert.equal(await token(gcp), 'ya29.impersonated');
    assert.equal((await gcp.provider.gatekeeper.whoami(signal)).id, END);
  });

  test('denied: who, what, on whom', async (t) => {
    await using gcp = await person(t, { env: { CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: END } });
    gcp.on(
      `${IMPERSONATE}/${END}:generateAccessToken`,
      json({ error: { code: 403, status: 'PERMISSION_DENIED' } }, 403),
    );
    const error = await failure(issue(gcp), 'CT_DENIED');
    assert.equal(error.message, `${ALICE} may not act as ${END}`);
    assert.deepEqual(error.details.at(-1), ['missing', `iam.serviceAccounts.getAccessToken on ${END}`]);
  });
});

describe('workload identity federation', () => {
  const federated = (extra: object = {}) => ({
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/pool/providers/ci',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: 'https://sts.googleapis.com/v1/token',
    ...extra,
  });

  test('a token from a file is exchanged, then a service account impersonated', async (t) => {
    const home = await temporaryDirectory(t);
    const file = writeBelow(home, 'subject-token', 'subject.jwt');
    const email = 'deploy@acme.iam.gserviceaccount.com';
    await using gcp = await fakeGcp({
      home,
      credential: federated({
        credential_source: { file },
        service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
      }),
    });
    gcp.on('POST sts/v1/token', json({ access_token: 'federated', expires_in: 3600, token_type: 'Bearer' }));
    gcp.on(
      `${IMPERSONATE}/${email}:generateAccessToken`,
      json({ accessToken: 'deployed', expireTime: '2026-11-22T10:00:00Z' }),
    );
    assert.equal(await token(gcp), 'deployed');
    const exchanged = new URLSearchParams(gcp.asked[0]!.body);
    assert.equal(exchanged.get('subject_token'), 'subject.jwt');
    assert.equal(exchanged.get('grant_type'), 'urn:ietf:params:oauth:grant-type:token-exchange');
    const identity = await gcp.provider.gatekeeper.whoami(signal);
    assert.deepEqual([identity.id, identity.name], [email, 'deploy']);
    assert.match(identity.source, /workload identity federation/);
  });

  test('a token from a URL, as CI systems give it', async (t) => {
    await using gcp = await person(t, {
      credential: federated({
        credential_source: {
          url: 'https://www.googleapis.com/ci/id-token',
          headers: { authorization: 'bearer ci-secret' },
          format: { type: 'json', subject_token_field_name: 'value' },
        },
      }),
    });
    gcp.on('GET ci/id-token', json({ value: 'from-url' }));
    gcp.on('POST sts/v1/token', json({ access_token: 'federated', expires_in: 3600, token_type: 'Bearer' }));
    gcp.on(CALLS.tokenInfo, oauthRefusal('invalid_token'));
    assert.equal(await token(gcp), 'federated');
    assert.equal(gcp.asked[0]!.headers.authorization, 'bearer ci-secret');
    assert.equal((await gcp.provider.gatekeeper.whoami(signal)).id, 'unknown principal');
  });

  test('a subject token goes over TLS only', async (t) => {
    const home = await temporaryDirectory(t);
    const file = writeBelow(home, 'subject-token', 'subject.jwt');
    await using gcp = await fakeGcp({
      home,
      credential: federated({ token_url: 'http://sts.example/v1/token', credential_source: { file } }),
    });
    assert.match((await failure(issue(gcp), 'CT_CONFIG')).message, /http:\/\/sts\.example/);
    assert.deepEqual(gcp.asked, []);
  });

  test('a program runs only where the user allows it', async (t) => {
    const home = await temporaryDirectory(t);
    const answer = {
      version: 1,
      success: true,
      token_type: 'urn:ietf:params:oauth:token-type:jwt',
      id_token: 'from-program',
      expiration_time: 4_102_444_800,
    };
    const program = writeBelow(home, 'give-token', `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
    chmodSync(program, 0o700);
    const credential = federated({ credential_source: { executable: { command: program, timeout_millis: 5_000 } } });
    await using gcp = await fakeGcp({ home, credential });
    gcp.on('POST sts/v1/token', json({ access_token: 'federated', expires_in: 3600, token_type: 'Bearer' }));
    const refused = await failure(issue(gcp), 'CT_NO_CREDENTIALS');
    assert.match(String(refused.details), /GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES/);
    // The library reads this one from the process.
    processEnvironment(t, { GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1' });
    assert.equal(await token(gcp), 'federated');
    assert.equal(new URLSearchParams(gcp.asked.at(-1)!.body).get('subject_token'), 'from-program');
  });

  test('a file that is not there is named', async (t) => {
    await using gcp = await person(t, { credential: federated({ credential_source: { file: '/nonexistent/token' } }) });
    assert.match(String((await failure(issue(gcp), 'CT_NO_CREDENTIALS')).details), /\/nonexistent\/token/);
  });

  test('workforce sign-in: a refresh token that changes', async (t) => {
    await using gcp = await person(t, {
      credential: {
        type: 'external_account_authorized_user',
        audience: '//iam.googleapis.com/locations/global/workforcePools/corp/providers/okta',
        client_id: 'c',
        client_secret: 's',
        refresh_token: 'refresh-0',
        token_url: 'https://sts.googleapis.com/v1/oauthtoken',
      },
    });
    let count = 0;
    gcp.on('POST sts/v1/oauthtoken', () => {
      count += 1;
      return json({ access_token: `workforce-${count}`, refresh_token: `refresh-${count}`, expires_in: 3600 });
    });
    const tickets = source(gcp);
    const first = (await tickets.issue({ port: 22 }, signal)) as IapRelayTicket;
    const second = (await tickets.renew(first, signal)) as IapRelayTicket;
    assert.deepEqual([first.token.reveal(), second.token.reveal()], ['workforce-1', 'workforce-2']);
    const sent = gcp.asked.map(({ body }) => new URLSearchParams(body).get('refresh_token'));
    assert.deepEqual(sent, ['refresh-0', 'refresh-1']);
  });
});

describe('other places', () => {
  test('GOOGLE_APPLICATION_CREDENTIALS comes first, and must exist', async (t) => {
    const home = await temporaryDirectory(t);
    const file = writeBelow(home, 'key.json', serviceAccountCredential());
    await using gcp = await fakeGcp({ home, env: { GOOGLE_APPLICATION_CREDENTIALS: file } });
    assert.equal(
      (await gcp.provider.gatekeeper.whoami(signal)).source,
      'GOOGLE_APPLICATION_CREDENTIALS (service account key)',
    );
    await using other = await fakeGcp({ home, env: { GOOGLE_APPLICATION_CREDENTIALS: '/nonexistent.json' } });
    assert.match((await failure(issue(other), 'CT_NO_CREDENTIALS')).message, /does not exist: \/nonexistent\.json/);
  });

  test('an access token file is read at each asking', async (t) => {
    const home = await temporaryDirectory(t);
    const file = writeBelow(home, 'token', 'first\n');
    await using gcp = await fakeGcp({ home, env: { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: file } });
    const tickets = source(gcp);
    const first = (await tickets.issue({ port: 22 }, signal)) as IapRelayTicket;
    writeBelow(home, 'token', 'second\n');
    const second = (await tickets.renew(first, signal)) as IapRelayTicket;
    assert.deepEqual([first.token.reveal(), second.token.reveal()], ['first', 'second']);
    for (const content of ['no token at all', '', 'two\r\nlines', 'x'.repeat(100_000)]) {
      writeBelow(home, 'token', content);
      await failure(tickets.renew(first, signal), 'CT_NO_CREDENTIALS');
    }
    assert.deepEqual(gcp.asked, []);
  });

  test("gcloud's own login only when asked for: a file, or its database", async (t) => {
    const home = await temporaryDirectory(t);
    const env = { CLOUDTUN_GCLOUD_AUTH: '1', CLOUDSDK_CORE_ACCOUNT: ALICE };
    const folder = '.config/gcloud';
    const ask = async (use: (gcp: FakeGcp) => Promise<unknown>, variables: Record<string, string> = env) => {
      await using gcp = await fakeGcp({ home, env: variables, credential: null });
      await use(gcp);
    };
    await ask((gcp) => failure(issue(gcp), 'CT_NO_CREDENTIALS'));
    const path = writeBelow(home, `${folder}/credentials.db`, '');
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)');
    database.prepare('INSERT INTO credentials VALUES (?, ?)').run(ALICE, JSON.stringify(USER_CREDENTIAL));
    database.close();
    await ask(async (gcp) => {
      assert.equal((await gcp.provider.gatekeeper.whoami(signal)).source, `gcloud login of ${ALICE} (user)`);
    });
    writeBelow(home, `${folder}/legacy_credentials/${ALICE}/adc.json`, { ...USER_CREDENTIAL, refresh_token: 'legacy' });
    await ask(async (gcp) => {
      await issue(gcp);
      assert.equal(form(gcp).refresh_token, 'legacy');
    });
    await ask((gcp) => failure(issue(gcp), 'CT_NO_CREDENTIALS'), { CLOUDSDK_CORE_ACCOUNT: ALICE });
  });

  test('nothing anywhere says what to do', async (t) => {
    await using gcp = await person(t, { credential: null });
    const error = await failure(issue(gcp), 'CT_NO_CREDENTIALS');
    assert.match(error.hints.join('\n'), /gcloud auth application-default login[\s\S]*GOOGLE_APPLICATION_CREDENTIALS/);
    assert.deepEqual(gcp.asked, []);
  });

  for (const [name, content] of [
    ['no JSON', 'secret-text'],
    ['no type', '{"refresh_token":"secret-text"}'],
    ['an unknown type', '{"type":"gdch_service_account","key":"secret-text"}'],
    ['not complete', '{"type":"authorized_user","refresh_token":"secret-text"}'],
  ]) {
    test(`a file that is no credential: ${name}`, async (t) => {
      const home = await temporaryDirectory(t);
      const file = writeBelow(home, 'x.json', content!);
      await using gcp = await fakeGcp({ home, env: { GOOGLE_APPLICATION_CREDENTIALS: file } });
      const error = await failure(issue(gcp), 'CT_CONFIG');
      assert.doesNotMatch(inspect(error, { depth: 9 }), /secret-text/);
    });
  }
});
