import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../../../src/domain/errors.ts';
import {
  ALICE,
  aggregated,
  CALLS,
  type FakeGcp,
  type FakeGcpOptions,
  fakeGcp,
  inTurn,
  page,
  patiently,
  refusal,
} from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
const FOUND = aggregated([{ name: 'web-1' }]);

type Context = Parameters<typeof temporaryDirectory>[0];
const cloud = async (context: Context, options: Omit<FakeGcpOptions, 'home'> = {}) =>
  fakeGcp({ home: await temporaryDirectory(context), ...options });
const find = (gcp: FakeGcp, within = signal) => gcp.provider.finder.findMachine('web-1', {}, within);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('requests', () => {
  test('token, quota project and reason as headers; the filter as a parameter', async (t) => {
    await using gcp = await cloud(t, {
      env: { GOOGLE_CLOUD_QUOTA_PROJECT: 'bill', CLOUDSDK_CORE_REQUEST_REASON: 'incident 42' },
    });
    gcp.on(CALLS.instances, FOUND);
    await find(gcp);
    const { headers, query } = gcp.asked.at(-1)!;
    assert.equal(headers.authorization, 'Bearer ya29.token-1');
    assert.equal(headers['x-goog-user-project'], 'bill');
    assert.equal(headers['x-goog-request-reason'], 'incident 42');
    assert.deepEqual(query, { maxResults: '500', returnPartialSuccess: 'true', filter: 'name = "web-1"' });
  });

  test('the quota project of the credential file', async (t) => {
    const credential = {
      type: 'authorized_user',
      client_id: 'c',
      client_secret: 's',
      refresh_token: 'r',
      quota_project_id: 'q',
    };
    await using gcp = await cloud(t, { credential });
    gcp.on(CALLS.instances, FOUND);
    await find(gcp);
    assert.equal(gcp.asked.at(-1)!.headers['x-goog-user-project'], 'q');
  });

  test('all pages', async (t) => {
    await using gcp = await cloud(t);
    const pages = inTurn(
      aggregated([{ name: 'other' }], 'next page'),
      aggregated([{ name: 'web-1', zone: 'us-central1-a' }]),
    );
    gcp.on(CALLS.instances, pages);
    assert.equal((await find(gcp)).id, 'acme/us-central1-a/web-1');
    assert.equal(gcp.asked.at(-1)!.query.pageToken, 'next page');
  });

  test('a list without an end is given up', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, aggregated([], 'again'));
    assert.match((await failure(find(gcp), 'CT_SERVICE')).message, /200 pages/);
  });

  test('a token that was revoked meanwhile is replaced once', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, inTurn(refusal(401, 'authError'), FOUND));
    await find(gcp);
    assert.equal(gcp.asked.at(-1)!.headers.authorization, 'Bearer ya29.token-2');
  });

  test('throttled and broken answers are waited for, a quota told by 403 too', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, inTurn(page(503), refusal(429, 'x'), refusal(403, 'rateLimitExceeded'), FOUND));
    const started = gcp.manual.clock.now();
    await patiently(gcp.manual, find(gcp));
    const waited = gcp.manual.clock.now() - started;
    assert.ok(waited > 2_500 && waited < 4_500, `${waited} ms`);
  });

  test('an abort ends the waiting', async (t) => {
    await using gcp = await cloud(t);
    const stop = new AbortController();
    gcp.on(CALLS.instances, () => {
      setImmediate(() => stop.abort(new Error('Ctrl-C')));
      return page(503);
    });
    await assert.rejects(find(gcp, stop.signal), /Ctrl-C/);
  });

  test('no project anywhere', async (t) => {
    await using gcp = await cloud(t, { env: { CLOUDSDK_CORE_PROJECT: '' } });
    const error = await failure(find(gcp), 'CT_NO_PROJECT');
    assert.match(error.hints.join(), /--project.*gcloud config set project/);
  });
});

describe('refusals by status and reason', () => {
  const cases: [name: string, answer: ReturnType<typeof refusal>, code: string, words: RegExp, rest: RegExp][] = [
    [
      'no permission',
      refusal(403, 'forbidden', { reason: 'IAM_PERMISSION_DENIED' }),
      'CT_DENIED',
      /^alice@example\.com may not list the instances of acme$/,
      /identity,alice@example\.com \(application.*missing,compute\.instances\.list on project acme.*roles\/compute\.viewer/,
    ],
    [
      'API disabled',
      refusal(403, 'accessNotConfigured', {
        reason: 'SERVICE_DISABLED',
        metadata: { service: 'compute.googleapis.com', consumer: 'projects/acme' },
      }),
      'CT_API_DISABLED',
      /compute\.googleapis\.com is not enabled in project acme/,
      /gcloud services enable compute\.googleapis\.com --project=acme/,
    ],
    [
      'API disabled, in the older form',
      refusal(403, 'accessNotConfigured'),
      'CT_API_DISABLED',
      /compute\.googleapis\.com is not enabled/,
      /gcloud services enable compute\.googleapis\.com/,
    ],
    [
      'service perimeter',
      refusal(403, 'forbidden', {
        reason: 'SECURITY_POLICY_VIOLATED',
        metadata: { vpcServiceControlsUniqueIdentifier: 'Xyz-123' },
      }),
      'CT_DENIED',
      /service perimeter/,
      /violation,Xyz-123/,
    ],
    [
      'organisation',
      refusal(403, 'forbidden', { reason: 'ORG_RESTRICTION_VIOLATION' }),
      'CT_DENIED',
      /organisation's policy/,
      /ask/,
    ],
    [
      'quota project',
      refusal(403, 'forbidden', { reason: 'USER_PROJECT_DENIED', metadata: { consumer: 'projects/bill' } }),
      'CT_DENIED',
      /may not use project bill for quota/,
      /serviceusage\.services\.use on project bill/,
    ],
    [
      'scope',
      refusal(403, 'insufficientPermissions', { reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT' }),
      'CT_DENIED',
      /scope/,
      /gcloud auth/,
    ],
    [
      'no such project',
      refusal(404, 'notFound'),
      'CT_TARGET_NOT_FOUND',
      /there is no project acme/,
      /--?project|names of project/,
    ],
    [
      'a proxy',
      page(403),
      'CT_PROXY',
      /something between here and compute\.googleapis\.com answered HTTP 403/,
      /proxy/,
    ],
    ['a proxy with a form', page(407), 'CT_PROXY', /user name and password/, /user:password/],
    [
      'a sign-in page',
      page(200),
      'CT_SERVICE',
      /something between here and compute\.googleapis\.com answered HTTP 200/,
      /sign-in page/,
    ],
    ...(['null', '5', '"x"', '[]', '['].map((body) => [
      `no object: ${body}`,
      { status: 200, body },
      'CT_SERVICE',
      /answered HTTP 200; could not list the instances/,
      /no answer of Google/,
    ]) as typeof cases),
    [
      'an unknown token',
      refusal(401, 'authError'),
      'CT_CREDENTIALS_INVALID',
      /does not accept the access token/,
      /gcloud auth/,
    ],
    ['slow down', refusal(429, 'rateLimitExceeded'), 'CT_THROTTLED', /slow down/, /wait/],
    ['broken', refusal(500, 'backendError'), 'CT_SERVICE', /answered 500/, /try again/],
    ['something new', refusal(400, 'invalid'), 'CT_SERVICE', /HTTP 400, invalid/, /-v/],
  ];
  for (const [name, answer, code, words, rest] of cases) {
    test(name, async (t) => {
      await using gcp = await cloud(t);
      gcp.on(CALLS.instances, answer);
      const error = await failure(patiently(gcp.manual, find(gcp)), code);
      assert.match(error.message, words);
      assert.match(`${error.details.join('\n')}\n${error.hints.join('\n')}`.replaceAll('\n', ' '), rest);
      assert.doesNotMatch(error.message, /made up/);
    });
  }

  test('whoever was denied is named also when only Google can say who it is', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instances, refusal(403, 'forbidden'));
    const error = await failure(find(gcp), 'CT_DENIED');
    assert.match(error.message, new RegExp(ALICE));
  });
});
