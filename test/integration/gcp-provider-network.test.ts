import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import nock from 'nock';
import type { CloudtunError } from '../../src/domain/errors.ts';
import { gcpProvider } from '../../src/providers/gcp/gcp-provider.ts';
import { ADC, aggregated, USER_CREDENTIAL, writeBelow } from '../support/gcp-answers.ts';
import { type ManualWorld, manualWorld } from '../support/manual-world.ts';
import { selfSignedCertificate } from '../support/self-signed-certificate.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { listening, testProxy } from '../support/test-proxy.ts';
import { until } from '../support/until.ts';

/* How Google's APIs are reached: proxies, CA bundles and strange answers, over real sockets. */

// Loaded with the recorded shapes, it stands between Node and its sockets and tells a TLS failure as a reset.
nock.restore();

const NAME = 'gcp.cloudtun.test';
const certificate = selfSignedCertificate(NAME);
const signal = new AbortController().signal;
type Context = Parameters<typeof temporaryDirectory>[0];

const TOKEN = JSON.stringify({ access_token: 'ya29.token', expires_in: 3599 });
const INSTANCES = aggregated([{ name: 'web-1' }]).body;

const answering: RequestListener = (request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(request.url === '/oauth2/token' ? TOKEN : INSTANCES);
};

/** Somebody with application default credentials and a gcloud configuration, in a world where only `env` is set. */
async function person(context: Context, configuration: string, env: Record<string, string>): Promise<ManualWorld> {
  const home = await temporaryDirectory(context);
  writeBelow(home, ADC, USER_CREDENTIAL);
  writeBelow(home, '.config/gcloud/configurations/config_default', `[core]\nproject = acme\n${configuration}`);
  return manualWorld({ home, env });
}

async function find({ world }: ManualWorld): Promise<string> {
  await using provider = await gcpProvider(world, {});
  return (await provider.finder.findMachine('web-1', {}, signal)).id;
}

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('behind a proxy that signs anew', () => {
  const endpoint = { CLOUDTUN_GCP_ENDPOINT: `https://${NAME}` };
  const serve = async (context: Context) =>
    listening(context, createTlsServer({ key: certificate.keyPem, cert: certificate.certificatePem }, answering));
  const bundle = async (context: Context) =>
    writeBelow(await temporaryDirectory(context), 'ca.pem', certificate.certificatePem);

  test("gcloud's proxy and CA file are used for tokens, calls and websockets", async (t) => {
    const port = await serve(t);
    const proxy = await testProxy(t, () => port);
    const configuration = `custom_ca_certs_file = ${await bundle(t)}\n[proxy]\ntype = http\naddress = 127.0.0.1\nport = ${proxy.port}\nusername = alice\npassword = p;w#d\n`;
    const alice = await person(t, configuration, endpoint);
    assert.equal(await find(alice), 'acme/europe-west4-a/web-1');
    assert.deepEqual(new Set(proxy.asked), new Set([`CONNECT ${NAME}:443`]));
    assert.equal(proxy.authorizations[0], `Basic ${Buffer.from('alice:p;w#d').toString('base64')}`);
    await using provider = await gcpProvider(alice.world, {});
    assert.ok(provider.network?.ca?.some((pem) => pem.includes(certificate.certificatePem.trim().split('\n')[1]!)));
  });

  test('the same by variables', async (t) => {
    const port = await serve(t);
    const proxy = await testProxy(t, () => port);
    const env = { ...endpoint, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, CLOUDTUN_GCP_CA_FILE: await bundle(t) };
    assert.equal(
      await find(await person(t, '[proxy]\ntype = http\naddress = other\nport = 1\n', env)),
      'acme/europe-west4-a/web-1',
    );
    assert.ok(proxy.asked.length > 0);
  });

  test('a certificate that nobody vouches for', async (t) => {
    const port = await serve(t);
    const proxy = await testProxy(t, () => port);
    const env = { ...endpoint, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const error = await failure(find(await person(t, '', env)), 'CT_TLS');
    assert.match(error.message, new RegExp(NAME));
  });

  test('a proxy that refuses is no denial by Google', async (t) => {
    const proxy = await testProxy(t, () => 1, { refuse: 403 });
    const env = { ...endpoint, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const error = await failure(find(await person(t, '', env)), 'CT_PROXY');
    assert.match(error.message, /the proxy .* answered 403/);
  });

  test('a CA file that is not there', async (t) => {
    const missing = await person(t, 'custom_ca_certs_file = /nonexistent.pem\n', endpoint);
    await failure(find(missing), 'CT_TLS');
  });
});

describe('strange answers', () => {
  const served = async (context: Context, listener: RequestListener) => {
    const port = await listening(context, createServer(listener));
    return person(context, '', { CLOUDTUN_GCP_ENDPOINT: `http://127.0.0.1:${port}` });
  };
  const instances =
    (answer: RequestListener): RequestListener =>
    (request, response) =>
      request.url === '/oauth2/token' ? answering(request, response) : answer(request, response);

  test('compressed', async (t) => {
    const alice = await served(
      t,
      instances((request, response) => {
        assert.equal(request.headers['accept-encoding'], 'gzip');
        response.setHeader('content-encoding', 'gzip').end(gzipSync(INSTANCES));
      }),
    );
    assert.equal(await find(alice), 'acme/europe-west4-a/web-1');
  });

  test('compressed, and without an end', async (t) => {
    const bomb = gzipSync(Buffer.alloc(40 << 20));
    const alice = await served(
      t,
      instances((_, response) => void response.setHeader('content-encoding', 'gzip').end(bomb)),
    );
    assert.match((await failure(find(alice), 'CT_SERVICE')).message, /32 MiB/);
  });

  test('a redirect is not followed, least of all with a token', async (t) => {
    const asked: string[] = [];
    const elsewhere = await listening(
      t,
      createServer((request, response) => void response.end(asked.push(request.url ?? ''))),
    );
    const alice = await served(
      t,
      instances((_, response) => void response.writeHead(302, { location: `http://127.0.0.1:${elsewhere}/` }).end()),
    );
    await failure(find(alice), 'CT_SERVICE');
    assert.deepEqual(asked, []);
  });

  test('none at all, for a minute, four times', async (t) => {
    let count = 0;
    const alice = await served(
      t,
      instances(() => {
        count += 1;
      }),
    );
    const finding = failure(find(alice), 'CT_NETWORK');
    for (const tries of [1, 2, 3, 4]) {
      await until(() => count === tries);
      await alice.clock.advance(60_000);
      if (tries < 4) await alice.clock.advance(10_000);
    }
    assert.match((await finding).message, /did not answer in time/);
  });

  test('broken off in the middle, then whole', async (t) => {
    let count = 0;
    const alice = await served(
      t,
      instances((_, response) => {
        count += 1;
        if (count > 1) return void response.end(INSTANCES);
        response.setHeader('content-length', INSTANCES.length).write(INSTANCES.slice(0, 20), () => response.destroy());
      }),
    );
    const finding = find(alice);
    await until(() => alice.clock.next !== undefined && alice.clock.next < 1_000);
    await alice.clock.advance(1_000);
    assert.equal(await finding, 'acme/europe-west4-a/web-1');
  });
});
