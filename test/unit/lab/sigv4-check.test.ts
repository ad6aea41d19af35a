import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import test, { describe } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { Secret } from '../../../src/domain/secret.ts';
import {
  type AccessKey,
  checkSigV4,
  claimedScope,
  type SignedRequest,
  type SigV4Verdict,
} from '../../../src/lab/aws/sigv4-check.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);
const KEY: AccessKey = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: new Secret('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'),
};
const TEMPORARY: AccessKey = { ...KEY, sessionToken: new Secret('token/with+signs=='), expiresAt: NOW + 60 * MINUTE };

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly service?: string;
  readonly at?: number;
  readonly key?: AccessKey;
}

class Hash {
  readonly #key: string | Uint8Array | undefined;
  readonly #parts: (string | Uint8Array)[] = [];
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#key = key === undefined || typeof key === 'string' ? key : Buffer.from(key as Uint8Array);
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#parts.push(typeof data === 'string' ? data : Buffer.from(data as Uint8Array));
  }
  async digest(): Promise<Uint8Array> {
    const hash = this.#key === undefined ? createHash('sha256') : createHmac('sha256', this.#key);
    for (const part of this.#parts) hash.update(part);
    return hash.digest();
  }
  reset(): void {}
}

/** Signs with the SDK's own signer and gives the request as a server sees it. */
async function signed(call: Call = {}): Promise<SignedRequest> {
  const { method = 'POST', path = '/', query = {}, body = '{}', service = 'ssm', at = NOW, key = KEY } = call;
  const headers = { host: '127.0.0.1:4711', ...call.headers };
  const signer = new SignatureV4({
    service,
    region: 'ap-northeast-1',
    sha256: Hash,
    credentials: {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secretAccessKey.reveal(),
      ...(key.sessionToken === undefined ? {} : { sessionToken: key.sessionToken.reveal() }),
    },
  });
  const request = { method, protocol: 'http:', hostname: '127.0.0.1', port: 4711, path, query, headers, body };
  const result = await signer.sign(request, { signingDate: new Date(at) });
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  const pairs = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return {
    method,
    target: pairs.length === 0 ? path : `${path}?${pairs.join('&')}`,
    headers: Object.fromEntries(Object.entries(result.headers).map(([name, value]) => [name.toLowerCase(), value])),
    body: Buffer.from(body),
  };
}

const check = (request: SignedRequest, key: AccessKey = KEY, now = NOW): SigV4Verdict<AccessKey> =>
  checkSigV4(request, (id) => (id === key.accessKeyId ? key : undefined), now);
const problem = (verdict: SigV4Verdict<AccessKey>) => (verdict.ok ? 'ok' : verdict.problem);
const without = (request: SignedRequest, name: string): SignedRequest => ({
  ...request,
  headers: Object.fromEntries(Object.entries(request.headers).filter(([each]) => each !== name)),
});
const withHeader = (request: SignedRequest, name: string, value: string): SignedRequest => ({
  ...request,
  headers: { ...request.headers, [name]: value },
});

describe('checkSigV4', () => {
  test('takes the published example of the specification', () => {
    const verdict = check(
      {
        method: 'GET',
        target: '/?Action=ListUsers&Version=2010-05-08',
        headers: {
          host: 'iam.amazonaws.com',
          'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
          'x-amz-date': '20150830T123600Z',
          authorization:
            'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
        },
        body: new Uint8Array(),
      },
      KEY,
      Date.UTC(2015, 7, 30, 12, 36, 0),
    );
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.scope, { region: 'us-east-1', service: 'iam' });
  });

  test('takes what the SDK signs, whatever is in path, query, headers and body', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 });
    const name = fc.string({ minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, text), text, fc.boolean(), async (query, body, isTemporary) => {
        const key = isTemporary ? TEMPORARY : KEY;
        const path = '/v1/data-channel/alice-0123456789abcdef0';
        const request = await signed({ method: 'GET', path, query, body, key, headers: { 'x-amz-target': 'A.b  c' } });
        assert.equal(problem(check(request, key)), 'ok');
      }),
      { numRuns: 150 },
    );
  });

  test('takes a path with percent signs, which is encoded once more', async () => {
    const request = await signed({ method: 'GET', path: '/v1/data-channel/a%40example.com-0', service: 'ssmmessages' });
    assert.equal(problem(check(request)), 'ok');
  });

  test('the base64 of a cell number is read percent-encoded or not', async () => {
    const call: Call = {
      method: 'GET',
      path: '/c',
      query: { role: 'publish_subscribe', 'cell-number': 'AAEC+w==' },
      body: '',
    };
    const request = await signed(call);
    assert.equal(problem(check(request)), 'ok');
    assert.equal(problem(check({ ...request, target: '/c?cell-number=AAEC%2bw%3d%3d&role=publish_subscribe' })), 'ok');
  });

  test('a changed byte of anything that is signed is a mismatch', async () => {
    const request = await signed({ query: { a: '1' }, headers: { 'x-amz-target': 'AmazonSSM.StartSession' } });
    assert.equal(problem(check({ ...request, body: Buffer.from('{ }') })), 'mismatch');
    assert.equal(problem(check({ ...request, method: 'GET' })), 'mismatch');
    assert.equal(problem(check({ ...request, target: '/?a=2' })), 'mismatch');
    assert.equal(problem(check({ ...request, target: '/x?a=1' })), 'mismatch');
    assert.equal(problem(check(withHeader(request, 'host', '127.0.0.1:4712'))), 'mismatch');
    assert.equal(problem(check(withHeader(request, 'x-amz-target', 'AmazonSSM.TerminateSession'))), 'mismatch');
    assert.equal(problem(check(request, { ...KEY, secretAccessKey: new Secret('other') })), 'mismatch');
  });

  test('missing and malformed authorization', async () => {
    const request = await signed();
    assert.equal(problem(check(without(request, 'authorization'))), 'missing');
    assert.equal(problem(check(without(request, 'x-amz-date'))), 'incomplete');
    for (const line of [
      'Bearer abc',
      'AWS4-HMAC-SHA256 ',
      'AWS4-HMAC-SHA256 Credential=A/20261122/r/s/aws4_request, SignedHeaders=host',
      'AWS4-HMAC-SHA256 Credential=A/r/s/aws4_request, SignedHeaders=host, Signature=00',
    ]) {
      assert.equal(problem(check(withHeader(request, 'authorization', line))), 'incomplete', line);
    }
  });

  test('host must be signed, and the scope must name the day', async () => {
    const request = await signed();
    const line = request.headers.authorization as string;
    assert.equal(problem(check(withHeader(request, 'authorization', line.replace('host;', '')))), 'mismatch');
    assert.equal(
      problem(check(withHeader(request, 'authorization', line.replace('/20261122/', '/20261121/')))),
      'mismatch',
    );
  });

  test('unknown keys, wrong and absent session tokens', async () => {
    assert.equal(problem(check(await signed(), { ...KEY, accessKeyId: 'AKIDOTHER' })), 'unknown-key');
    const request = await signed({ key: TEMPORARY });
    assert.equal(problem(check(request, TEMPORARY)), 'ok');
    assert.equal(problem(check(without(request, 'x-amz-security-token'), TEMPORARY)), 'bad-token');
    assert.equal(problem(check(withHeader(request, 'x-amz-security-token', 'x'), TEMPORARY)), 'bad-token');
    assert.equal(problem(check(request, KEY)), 'bad-token');
  });

  test('a token is expired from its very end on', async () => {
    const end = TEMPORARY.expiresAt!;
    const request = await signed({ key: TEMPORARY, at: end });
    assert.equal(problem(check(request, TEMPORARY, end - 1)), 'ok');
    assert.equal(problem(check(request, TEMPORARY, end)), 'expired-token');
  });

  test('clocks may differ by 5 minutes, at STS by 15', async () => {
    for (const [service, minutes] of [
      ['ssm', 5],
      ['ssmmessages', 5],
      ['sts', 15],
    ] as const) {
      const request = await signed({ service });
      assert.equal(problem(check(request, KEY, NOW + minutes * MINUTE)), 'ok');
      assert.equal(problem(check(request, KEY, NOW - minutes * MINUTE)), 'ok');
      const late = check(request, KEY, NOW + minutes * MINUTE + 1_000);
      assert.ok(!late.ok);
      assert.match(
        late.message,
        new RegExp(`^Signature expired: 20261122T090000Z is now earlier than .* - ${minutes} min\\.\\)$`),
      );
      const early = check(request, KEY, NOW - minutes * MINUTE - 1_000);
      assert.ok(!early.ok);
      assert.match(early.message, /^Signature not yet current: /);
    }
  });

  test('claimedScope reads what a request claims and nothing else', async () => {
    const request = await signed({ service: 'kms' });
    assert.deepEqual(claimedScope(request.headers), { region: 'ap-northeast-1', service: 'kms' });
    assert.equal(claimedScope({}), undefined);
  });

  test('any Authorization header gives a verdict', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (line, target) => {
        const headers = { authorization: `AWS4-HMAC-SHA256 ${line}`, 'x-amz-date': '20261122T090000Z' };
        assert.notEqual(problem(check({ method: 'GET', target, headers, body: new Uint8Array() })), 'ok');
      }),
    );
  });
});
