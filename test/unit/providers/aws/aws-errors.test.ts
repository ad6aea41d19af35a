import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { describe, test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { awsError, awsErrorName } from '../../../../src/providers/aws/aws-errors.ts';
import { awsProvider } from '../../../../src/providers/aws/aws-provider.ts';
import { fakeAws, inTurn, json, nodesAnswer, refusal } from '../../../support/aws-answers.ts';
import { manualWorld } from '../../../support/manual-world.ts';
import { selfSignedCertificate } from '../../../support/self-signed-certificate.ts';
import { listening, testProxy } from '../../../support/test-proxy.ts';

const signal = new AbortController().signal;
const ID = 'i-0a1b2c3d4e5f60001';
const KEYS = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'eu-west-1',
  AWS_MAX_ATTEMPTS: '1',
};

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

/** A real request to a real socket: what nock cannot show. */
async function callWith(env: Record<string, string>) {
  await using provider = await awsProvider(manualWorld({ env: { ...KEYS, ...env } }).world, {});
  return await provider.finder.findMachine(ID, {}, signal);
}

describe('answers of AWS', () => {
  test('each service has its own word for the same trouble', async () => {
    const table: [service: 'ssm' | 'ec2' | 'rds', code: string, status: number, ours: string][] = [
      ['ec2', 'UnauthorizedOperation', 403, 'CT_DENIED'],
      ['ec2', 'AuthFailure', 401, 'CT_CREDENTIALS_INVALID'],
      ['ec2', 'RequestExpired', 400, 'CT_CREDENTIALS_EXPIRED'],
      ['ec2', 'RequestLimitExceeded', 503, 'CT_THROTTLED'],
      ['ec2', 'InternalError', 500, 'CT_SERVICE'],
      ['rds', 'ExpiredToken', 403, 'CT_CREDENTIALS_EXPIRED'],
      ['rds', 'InvalidClientTokenId', 403, 'CT_CREDENTIALS_INVALID'],
      ['rds', 'SignatureDoesNotMatch', 403, 'CT_CREDENTIALS_INVALID'],
      ['rds', 'Throttling', 400, 'CT_THROTTLED'],
      ['rds', 'ServiceUnavailable', 503, 'CT_SERVICE'],
      ['ssm', 'ExpiredTokenException', 400, 'CT_CREDENTIALS_EXPIRED'],
      ['ssm', 'SomethingNew', 418, 'CT_SERVICE'],
      ['ssm', 'SomethingBusy', 429, 'CT_THROTTLED'],
    ];
    for (const [service, code, status, ours] of table) {
      await using aws = await fakeAws();
      const answer = refusal(code, status);
      const { finder } = aws.provider;
      for (const action of ['DescribeInstances', 'DescribeDBInstances', 'DescribeInstanceInformation'])
        aws.on(action, answer);
      const asked =
        service === 'ec2'
          ? finder.findMachine('web-1', {}, signal)
          : service === 'rds'
            ? finder.findDatabase('two words', {}, signal)
            : finder.findMachine(ID, {}, signal);
      if (service === 'ssm' || service === 'rds') aws.on('DescribeDBClusters', answer).on('DescribeDBProxies', answer);
      const error = await failure(asked, ours);
      assert.equal(awsErrorName(error), code);
    }
  });

  test('throttling is tried again before it is an error', async () => {
    await using aws = await fakeAws({ env: { AWS_MAX_ATTEMPTS: '2' } });
    aws.on('DescribeInstanceInformation', inTurn(refusal('ThrottlingException'), nodesAnswer([{ id: ID }])));
    assert.equal((await aws.provider.finder.findMachine(ID, {}, signal)).online, true);
    assert.equal(aws.asked.length, 2);
    aws.on('DescribeInstanceInformation', refusal('ThrottlingException'));
    const error = await failure(aws.provider.finder.findMachine(ID, {}, signal), 'CT_THROTTLED');
    assert.equal(error.retryable, true);
    assert.equal(aws.asked.length, 4);
  });

  test('a denial is not tried again', async () => {
    await using aws = await fakeAws({ env: { AWS_MAX_ATTEMPTS: '3' } });
    aws
      .on('DescribeInstances', refusal('UnauthorizedOperation', 403))
      .on('GetCallerIdentity', refusal('AccessDenied', 403));
    const error = await failure(aws.provider.finder.findMachine('web-1', {}, signal), 'CT_DENIED');
    assert.equal(error.message, 'this identity may not look up machines');
    assert.deepEqual(error.details, [['missing', 'ec2:DescribeInstances']]);
    assert.deepEqual(aws.actions(), ['DescribeInstances', 'GetCallerIdentity']);
  });

  test('credentials that expired under way are replaced once', async () => {
    const env: Record<string, string> = { AWS_SESSION_TOKEN: 'old' };
    await using aws = await fakeAws({ env });
    const live = aws.manual.world.env as Record<string, string>;
    aws.on('DescribeInstanceInformation', (asked) => {
      live.AWS_SESSION_TOKEN = 'new';
      return asked.headers['x-amz-security-token'] === 'new'
        ? nodesAnswer([{ id: ID }])
        : refusal('ExpiredTokenException')(asked);
    });
    assert.equal((await aws.provider.finder.findMachine(ID, {}, signal)).online, true);
    assert.equal(aws.asked.length, 2);
  });

  test('expired, and nothing else to be had: one attempt', async () => {
    await using aws = await fakeAws({ selection: { region: 'eu-west-1' } });
    aws.on('DescribeInstanceInformation', refusal('ExpiredTokenException'));
    await failure(aws.provider.finder.findMachine(ID, {}, signal), 'CT_CREDENTIALS_EXPIRED');
    assert.equal(aws.asked.length, 1);
  });

  test('an answer that is none', async () => {
    await using aws = await fakeAws();
    aws.on('DescribeInstanceInformation', { status: 200, body: '<html>sign in to the hotel network</html>' });
    const error = await failure(aws.provider.finder.findMachine(ID, {}, signal), 'CT_SERVICE');
    assert.match(error.message, /gave an answer that is not one of AWS \(HTTP 200\)/);
  });

  test('called off while AWS is being asked: the reason of the caller', async () => {
    await using aws = await fakeAws();
    const caller = new AbortController();
    const reason = new Error('no longer wanted');
    aws.on('DescribeInstanceInformation', () => {
      caller.abort(reason);
      return json({});
    });
    await assert.rejects(aws.provider.finder.findMachine(ID, {}, caller.signal), reason);
  });
});

describe('connections', () => {
  test('refused', async () => {
    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const error = await failure(callWith({ AWS_ENDPOINT_URL_SSM: `http://127.0.0.1:${port}` }), 'CT_NETWORK');
    assert.equal(error.message, `cannot reach 127.0.0.1:${port}: the connection was refused (ECONNREFUSED)`);
  });

  test('a certificate that is not trusted', async (context) => {
    const { keyPem, certificatePem } = selfSignedCertificate('ssm.cloudtun.test');
    const port = await listening(context, createTlsServer({ key: keyPem, cert: certificatePem }));
    const error = await failure(callWith({ AWS_ENDPOINT_URL: `https://127.0.0.1:${port}` }), 'CT_TLS');
    assert.match(error.hints.join(), /AWS_CA_BUNDLE/);
  });

  test('a proxy that refuses is not AWS that denies', async (context) => {
    const proxy = await testProxy(context, () => 1, { refuse: 403 });
    const error = await failure(callWith({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }), 'CT_PROXY');
    assert.match(error.message, /answered 403 for ssm\.eu-west-1\.amazonaws\.com:443/);
    assert.deepEqual(proxy.asked, ['CONNECT ssm.eu-west-1.amazonaws.com:443']);
  });

  test('an endpoint on loopback is reached directly, whatever the proxy', async (context) => {
    const port = await listening(
      context,
      createServer((_, response) => void response.end(nodesAnswer([{ id: ID }]).body)),
    );
    const target = await callWith({
      AWS_ENDPOINT_URL_SSM: `http://127.0.0.1:${port}`,
      ALL_PROXY: 'http://127.0.0.1:9',
    });
    assert.equal(target.online, true);
  });
});

test('what is thrown beside all that is our own defect', () => {
  const context = { call: { action: 'a:B', doing: 'do' }, host: 'h', login: 'cloudtun login' };
  assert.equal(awsError(new TypeError('x'), context).code, 'CT_INTERNAL');
  const ours = new CloudtunError('CT_PROXY', 'x');
  assert.equal(awsError(ours, context), ours);
  const late = Object.assign(new Error('x'), { name: 'TimeoutError', $metadata: { attempts: 1 } });
  assert.equal(awsError(late, context).code, 'CT_NETWORK');
  assert.equal(awsErrorName(new Error('x')), undefined);
});
