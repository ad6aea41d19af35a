import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import { DescribeSessionsCommand, SSMClient, type SSMClientConfig } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Lab } from '../../../src/lab/lab.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';

type Options = ReturnType<typeof clientOptions>;

/** One call of each protocol, and of EC2, which is a protocol of its own. */
const CALLS: Readonly<Record<'json' | 'query' | 'ec2', (options: Options) => Promise<unknown>>> = {
  json: (options) => new SSMClient(options).send(new DescribeSessionsCommand({ State: 'Active' })),
  query: (options) => new RDSClient(options).send(new DescribeDBInstancesCommand({})),
  ec2: (options) => new EC2Client(options).send(new DescribeInstancesCommand({})),
};
const PROTOCOLS = ['json', 'query', 'ec2'] as const;

interface Refusal {
  readonly name: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly message: string;
}

async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    const { name, message, $metadata } = error as Error & {
      $metadata?: { httpStatusCode?: number; requestId?: string };
    };
    return { name, message, status: $metadata?.httpStatusCode, requestId: $metadata?.requestId };
  }
  throw new Error('it was not refused');
}

/** Name and HTTP status of each protocol's refusal, in the order of PROTOCOLS. */
async function refusals(options: Options): Promise<readonly string[]> {
  const found = await Promise.all(PROTOCOLS.map((protocol) => refusalOf(CALLS[protocol](options))));
  for (const one of found) assert.match(one.requestId ?? '', /^[0-9a-f-]{36}$/);
  return found.map((one) => `${one.name} ${one.status}`);
}

const withSecret = (options: Options, change: Partial<Options['credentials']>): Options => ({
  ...options,
  credentials: { ...options.credentials, ...change },
});

describe('who may call', () => {
  test('an unknown key', async (t) => {
    const options = clientOptions(await testLab(t));
    assert.deepEqual(await refusals(withSecret(options, { accessKeyId: 'AKIAUNKNOWNUNKNOWNXX' })), [
      'UnrecognizedClientException 400',
      'InvalidClientTokenId 403',
      'AuthFailure 401',
    ]);
  });

  test('a wrong secret', async (t) => {
    const options = clientOptions(await testLab(t));
    assert.deepEqual(await refusals(withSecret(options, { secretAccessKey: 'wrong' })), [
      'InvalidSignatureException 400',
      'SignatureDoesNotMatch 403',
      'AuthFailure 401',
    ]);
  });

  test('a session token that was not given out', async (t) => {
    const options = clientOptions(await testLab(t));
    assert.deepEqual(await refusals(withSecret(options, { sessionToken: 'forged' })), [
      'UnrecognizedClientException 400',
      'InvalidClientTokenId 403',
      'AuthFailure 401',
    ]);
  });

  test('an expired token', async (t) => {
    const options = clientOptions(await testLab(t), 'expired');
    assert.deepEqual(await refusals(options), ['ExpiredTokenException 400', 'ExpiredToken 403', 'RequestExpired 400']);
  });

  test('a key that was deleted meanwhile', async (t) => {
    const lab = await testLab(t);
    const options = clientOptions(lab);
    await CALLS.json(options);
    lab.keys.revoke(options.credentials.accessKeyId);
    assert.equal((await refusalOf(CALLS.json(options))).name, 'UnrecognizedClientException');
  });

  test('a clock that is off by more than AWS allows, and the SDK that corrects it', async (t) => {
    const real = systemWorld();
    const world = { ...real, clock: { ...real.clock, wall: () => Date.now() + 20 * 60_000 } };
    const lab = await testLab(t, {}, world);
    assert.deepEqual(await refusals(clientOptions(lab)), [
      'InvalidSignatureException 400',
      'SignatureDoesNotMatch 403',
      'RequestExpired 400',
    ]);
    // The Date header of the refusal tells the SDK the lab's time, with which the second attempt is signed.
    await CALLS.json({ ...clientOptions(lab), maxAttempts: 2 });
    const sts = new STSClient({ ...clientOptions(lab), systemClockOffset: 10 * 60_000 });
    assert.equal((await sts.send(new GetCallerIdentityCommand({}))).Account, '111122223333');
  });

  test('a call that is signed for another service', async (t) => {
    const lab = await testLab(t);
    // An option that the types do not tell of.
    const ssm = new SSMClient({ ...clientOptions(lab), signingName: 'kms' } as SSMClientConfig);
    const refusal = await refusalOf(ssm.send(new DescribeSessionsCommand({ State: 'Active' })));
    assert.equal(refusal.name, 'InvalidSignatureException');
    assert.match(refusal.message, /correct service: 'ssm'/);
  });
});

describe('raw requests', () => {
  const post = (lab: Lab, headers: Record<string, string>, body = '{}') =>
    fetch(lab.url, { method: 'POST', headers, body });
  const target = { 'x-amz-target': 'AmazonSSM.DescribeSessions', 'content-type': 'application/x-amz-json-1.1' };

  test('no signature, in the words of each protocol', async (t) => {
    const lab = await testLab(t);
    const json = await post(lab, target);
    assert.equal(json.status, 400);
    assert.equal(json.headers.get('content-type'), 'application/x-amz-json-1.1');
    assert.equal(json.headers.get('x-amzn-errortype'), 'MissingAuthenticationTokenException');
    assert.deepEqual(await json.json(), {
      __type: 'MissingAuthenticationTokenException',
      message: 'Missing Authentication Token',
    });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const query = await post(lab, form, 'Action=DescribeDBInstances&Version=2014-10-31');
    assert.equal(query.status, 403);
    assert.match(
      await query.text(),
      /^<\?xml.*\?>\n<ErrorResponse xmlns="http:\/\/rds.amazonaws.com\/doc\/2014-10-31\/"><Error><Type>Sender<\/Type><Code>MissingAuthenticationToken<\/Code><Message>.*<\/Message><\/Error><RequestId>[0-9a-f-]{36}<\/RequestId><\/ErrorResponse>$/,
    );
    const ec2 = await post(lab, form, 'Action=DescribeInstances&Version=2016-11-15');
    assert.equal(ec2.status, 400);
    assert.match(
      await ec2.text(),
      /<Response><Errors><Error><Code>MissingParameter<\/Code><Message>.*<\/Message><\/Error><\/Errors><RequestID>[0-9a-f-]{36}<\/RequestID><\/Response>$/,
    );
  });

  test('a broken Authorization header', async (t) => {
    const lab = await testLab(t);
    const answer = await post(lab, { ...target, authorization: 'AWS4-HMAC-SHA256 Credential=x' });
    assert.equal(answer.headers.get('x-amzn-errortype'), 'IncompleteSignatureException');
  });

  test('what is no API call', async (t) => {
    const lab = await testLab(t);
    assert.equal((await fetch(lab.url)).status, 404);
    assert.equal((await post(lab, { 'x-amz-target': 'DynamoDB_20120810.ListTables' })).status, 404);
    assert.equal((await post(lab, target, 'x'.repeat(1_048_577))).status, 413);
  });

  test('another name in Host is refused, whatever it asks', async (t) => {
    const lab = await testLab(t);
    const { request } = await import('node:http');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = request({
        host: '127.0.0.1',
        port: lab.port,
        path: '/device',
        headers: { host: 'evil.example.com' },
      });
      call.once('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      call.once('error', reject);
      call.end();
    });
    assert.equal(status, 403);
  });

  test('a signed call for an operation that is not played', async (t) => {
    const lab = await testLab(t);
    const ssm = new SSMClient(clientOptions(lab));
    ssm.middlewareStack.add(
      (next) => async (args) => {
        (args.request as { headers: Record<string, string> }).headers['x-amz-target'] = 'AmazonSSM.DeleteEverything';
        return await next(args);
      },
      { step: 'build', priority: 'low' },
    );
    const refusal = await refusalOf(ssm.send(new DescribeSessionsCommand({ State: 'Active' })));
    assert.equal(refusal.name, 'UnknownOperationException');
  });
});

describe('API faults', () => {
  test('throttled, in the words of each protocol, as often as told', async (t) => {
    const lab = await testLab(t);
    lab.apiFaults.set([{ action: '*', kind: 'throttle', times: 3 }]);
    assert.deepEqual(await refusals(clientOptions(lab)), [
      'ThrottlingException 400',
      'Throttling 400',
      'RequestLimitExceeded 503',
    ]);
    await CALLS.ec2(clientOptions(lab));
    assert.deepEqual(lab.apiFaults.list(), []);
  });

  test('the SDK retries what it is throttled on', async (t) => {
    const lab = await testLab(t);
    lab.apiFaults.set([{ action: 'ssm:DescribeSessions', kind: 'throttle', times: 1 }]);
    await CALLS.json({ ...clientOptions(lab), maxAttempts: 3 });
    assert.deepEqual(
      lab.calls.records().map((one) => one.outcome),
      ['ThrottlingException', 'ok'],
    );
  });

  test('denied, expired, broken, unavailable', async (t) => {
    const lab = await testLab(t);
    const struck = async (kind: 'deny' | 'expired-token' | 'internal-error' | 'unavailable') => {
      lab.apiFaults.set([{ action: '*', kind }]);
      return await refusals(clientOptions(lab));
    };
    assert.deepEqual(await struck('deny'), [
      'AccessDeniedException 400',
      'AccessDenied 403',
      'UnauthorizedOperation 403',
    ]);
    assert.deepEqual(await struck('expired-token'), [
      'ExpiredTokenException 400',
      'ExpiredToken 403',
      'RequestExpired 400',
    ]);
    assert.deepEqual(await struck('internal-error'), [
      'InternalServerError 500',
      'InternalFailure 500',
      'InternalError 500',
    ]);
    assert.deepEqual(await struck('unavailable'), [
      'ServiceUnavailableException 503',
      'ServiceUnavailable 503',
      'Unavailable 503',
    ]);
  });

  test('latency waits by the clock, a hang-up cuts', async (t) => {
    const slept: number[] = [];
    const real = systemWorld();
    const clock = { ...real.clock, sleep: async (delay: number) => void slept.push(delay) };
    const lab = await testLab(t, {}, { ...real, clock });
    lab.apiFaults.set([{ action: 'rds:*', kind: 'latency', delay: 250 }]);
    await CALLS.query(clientOptions(lab));
    assert.deepEqual(slept, [250]);
    lab.apiFaults.set([{ action: 'rds:*', kind: 'hang-up', times: 1 }]);
    await assert.rejects(CALLS.query(clientOptions(lab)), /socket hang up|ECONNRESET/);
    assert.equal(lab.calls.records().at(-1)?.outcome, 'hung-up');
    await CALLS.query(clientOptions(lab));
    assert.equal(lab.calls.count('rds:DescribeDBInstances'), 3);
  });
});
