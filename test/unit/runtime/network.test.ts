import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, get as httpGet, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer, get as httpsGet } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { type NetworkSettings, networkSettings } from '../../../src/runtime/network.ts';
import { asNetworkError } from '../../../src/runtime/network-errors.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { selfSignedCertificate } from '../../support/self-signed-certificate.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { listening, testProxy, testSocksProxy } from '../../support/test-proxy.ts';

const NAME = 'ssm.cloudtun.test';
const certificate = selfSignedCertificate(NAME);

async function networkOf(env: Record<string, string>): Promise<NetworkSettings> {
  return networkSettings(manualWorld({ env }).world);
}

function fetchText(url: string, network: NetworkSettings): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = (response: IncomingMessage) => {
      let text = `${response.statusCode} `;
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve(text));
    };
    const agent = network.agentFor(url);
    const request = url.startsWith('https:') ? httpsGet(url, { agent }, read) : httpGet(url, { agent }, read);
    request.on('error', reject);
  });
}

async function failure(promise: Promise<unknown>): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail('should have failed'),
    (thrown: unknown) => asNetworkError(thrown, NAME),
  );
  assert.ok(error instanceof CloudtunError);
  return error;
}

async function tlsServer(context: { after(call: () => Promise<void>): void }) {
  const server = createTlsServer({ key: certificate.keyPem, cert: certificate.certificatePem }, (_, response) => {
    response.end('secure');
  });
  return { server, port: await listening(context, server) };
}

async function bundleFile(context: { after(call: () => Promise<void>): void }): Promise<string> {
  const path = join(await temporaryDirectory(context), 'ca.pem');
  await writeFile(path, certificate.certificatePem);
  return path;
}

test('without proxy and bundle: direct, kept alive, Node default roots', async (context) => {
  let connections = 0;
  const server = createServer((_, response) => void response.end('plain'));
  server.on('connection', () => {
    connections += 1;
  });
  const port = await listening(context, server);
  await using network = await networkOf({});
  assert.equal(network.ca, undefined);
  assert.equal(await fetchText(`http://127.0.0.1:${port}/`, network), '200 plain');
  assert.equal(await fetchText(`http://127.0.0.1:${port}/`, network), '200 plain');
  assert.equal(connections, 1);
  assert.equal(network.agentFor('ftp://a.example'), undefined);
  assert.equal(network.agentFor('wss://a.example'), network.agentFor(new URL('https://b.example')));
});

for (const variable of ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']) {
  test(`${variable} is trusted in addition to the default roots`, async (context) => {
    const { port } = await tlsServer(context);
    await using without = await networkOf({});
    const error = await failure(fetchText(`https://127.0.0.1:${port}/`, without));
    assert.equal(error.code, 'CT_TLS');
    assert.match(error.hints.join(), /AWS_CA_BUNDLE/);

    await using network = await networkOf({ [variable]: await bundleFile(context) });
    assert.ok((network.ca?.length ?? 0) > 50);
    assert.equal(await fetchText(`https://127.0.0.1:${port}/`, network), '200 secure');
  });
}

test('a bundle that cannot be read, holds nothing, or holds rubbish', async (context) => {
  const folder = await temporaryDirectory(context);
  const rubbish = '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n';
  for (const [name, text] of [
    ['empty.pem', ''],
    ['rubbish.pem', rubbish],
    ['absent.pem', undefined],
  ] as const) {
    const path = join(folder, name);
    if (text !== undefined) await writeFile(path, text);
    await assert.rejects(networkOf({ AWS_CA_BUNDLE: path }), (error: CloudtunError) => {
      assert.equal(error.code, 'CT_TLS');
      assert.match(error.message, new RegExp(`AWS_CA_BUNDLE.*${name}`));
      assert.match(error.hints.join(), /readable PEM/);
      return true;
    });
  }
});

test('API calls and websockets go through the same http proxy, user and password included', async (context) => {
  const { server, port } = await tlsServer(context);
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.send('hello'));
  const proxy = await testProxy(context, () => port);
  await using network = await networkOf({
    HTTPS_PROXY: `http://alice:s%40crt@127.0.0.1:${proxy.port}`,
    AWS_CA_BUNDLE: await bundleFile(context),
  });
  assert.equal(await fetchText(`https://${NAME}/`, network), '200 secure');
  assert.equal(await fetchText(`https://${NAME}/`, network), '200 secure');
  const agent = network.agentFor(`wss://${NAME}/stream`);
  assert.ok(agent);
  const socket = new WebSocket(`wss://${NAME}/stream`, { agent });
  const greeting = await new Promise<string>((resolve, reject) => {
    socket.once('message', (data) => resolve(String(data)));
    socket.once('error', reject);
  });
  assert.equal(greeting, 'hello');
  socket.terminate();
  assert.deepEqual(proxy.asked, [`CONNECT ${NAME}:443`, `CONNECT ${NAME}:443`]);
  assert.equal(proxy.authorizations[0], `Basic ${Buffer.from('alice:s@crt').toString('base64')}`);
});

test('a proxy that itself speaks TLS', async (context) => {
  const { port } = await tlsServer(context);
  const proxy = await testProxy(context, () => port, { tls: certificate });
  const bundle = await bundleFile(context);
  await using network = await networkOf({ HTTPS_PROXY: `https://127.0.0.1:${proxy.port}`, AWS_CA_BUNDLE: bundle });
  assert.equal(await fetchText(`https://${NAME}/`, network), '200 secure');
  await using untrusting = await networkOf({ HTTPS_PROXY: `https://127.0.0.1:${proxy.port}` });
  const error = await failure(fetchText(`https://${NAME}/`, untrusting));
  assert.equal(error.code, 'CT_TLS');
  assert.match(error.message, /the proxy https:\/\/127\.0\.0\.1/);
});

test('a connection ahead of need goes the same way: through the proxy, with TLS to the far end, and nothing said on it', async (context) => {
  const { server, port } = await tlsServer(context);
  const proxy = await testProxy(context, () => port);
  await using network = await networkOf({
    HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
    AWS_CA_BUNDLE: await bundleFile(context),
  });
  let requests = 0;
  server.on('request', () => (requests += 1));
  const socket = await network.connect(`wss://${NAME}/v4`, undefined, new AbortController().signal);
  assert.ok((socket as TLSSocket).authorized);
  assert.deepEqual(proxy.asked, [`CONNECT ${NAME}:443`]);
  assert.equal(requests, 0);
  socket.destroy();
});

test('a connection ahead of need fails as others do, and can be called off', async (context) => {
  const { port } = await tlsServer(context);
  const proxy = await testProxy(context, () => port);
  await using untrusting = await networkOf({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
  const { signal } = new AbortController();
  assert.equal((await failure(untrusting.connect(`wss://${NAME}/`, undefined, signal))).code, 'CT_TLS');
  const refusing = await testProxy(context, () => port, { refuse: 403 });
  await using refused = await networkOf({ HTTPS_PROXY: `http://127.0.0.1:${refusing.port}` });
  assert.equal((await failure(refused.connect(`wss://${NAME}/`, undefined, signal))).code, 'CT_PROXY');
  await using direct = await networkOf({});
  const giveUp = new AbortController();
  const silent = createTcpServer();
  const silentPort = await listening(context, silent);
  const opening = direct.connect(`wss://127.0.0.1:${silentPort}/`, undefined, giveUp.signal);
  giveUp.abort(new Error('enough'));
  await assert.rejects(opening, /enough/);
});

test('an untrusted certificate behind a proxy is the fault of the far end, not of the proxy', async (context) => {
  const { port } = await tlsServer(context);
  const proxy = await testProxy(context, () => port);
  await using network = await networkOf({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
  const error = await failure(fetchText(`https://${NAME}/`, network));
  assert.equal(error.code, 'CT_TLS');
  assert.match(error.message, new RegExp(NAME));
});

test('plain http is forwarded, a plain websocket tunnelled', async (context) => {
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (open) => open.send('hello'));
  });
  const port = await listening(context, server);
  const proxy = await testProxy(context, () => port);
  await using network = await networkOf({ HTTP_PROXY: `http://127.0.0.1:${proxy.port}` });
  assert.equal(await fetchText(`http://${NAME}:8000/x`, network), '200 forwarded');
  const agent = network.agentFor(`ws://${NAME}:8000/`);
  assert.ok(agent);
  const socket = new WebSocket(`ws://${NAME}:8000/`, { agent });
  await new Promise((resolve, reject) => {
    socket.once('message', resolve);
    socket.once('error', reject);
  });
  socket.terminate();
  assert.deepEqual(proxy.asked, [`GET http://${NAME}:8000/x`, `CONNECT ${NAME}:8000`]);
});

test('socks5: the proxy resolves the name', async (context) => {
  const { port } = await tlsServer(context);
  const proxy = await testSocksProxy(context, () => port);
  await using network = await networkOf({
    ALL_PROXY: `socks5://127.0.0.1:${proxy.port}`,
    AWS_CA_BUNDLE: await bundleFile(context),
  });
  assert.equal(await fetchText(`https://${NAME}/`, network), '200 secure');
  assert.deepEqual(proxy.asked, [`${NAME}:443`]);
});

for (const [status, sentence] of [
  [407, /wants a user name and password/],
  [403, /does not allow it/],
  [502, /could not connect to it/],
] as const) {
  test(`a proxy that answers ${status} to CONNECT`, async (context) => {
    const proxy = await testProxy(context, () => 1, { refuse: status });
    await using network = await networkOf({ HTTPS_PROXY: `http://alice:secret@127.0.0.1:${proxy.port}` });
    const error = await failure(fetchText(`https://${NAME}/`, network));
    assert.equal(error.code, 'CT_PROXY');
    assert.match(error.message, sentence);
    assert.match(error.message, new RegExp(`answered ${status} for ${NAME}:443`));
    assert.doesNotMatch(error.message, /secret|alice/);

    const agent = network.agentFor(`wss://${NAME}/`);
    assert.ok(agent);
    const socket = new WebSocket(`wss://${NAME}/`, { agent });
    const refusal = await failure(new Promise((_, reject) => void socket.once('error', reject)));
    assert.equal(refusal.code, 'CT_PROXY');
  });
}

for (const scheme of ['http', 'socks5']) {
  test(`a ${scheme} proxy that is not there, or hangs up`, async (context) => {
    const nobody = createTcpServer((socket) => void socket.destroy());
    const port = await listening(context, nobody);
    await using hangsUp = await networkOf({ HTTPS_PROXY: `${scheme}://127.0.0.1:${port}` });
    assert.equal((await failure(fetchText(`https://${NAME}/`, hangsUp))).code, 'CT_PROXY');

    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const gone = (closed.address() as { port: number }).port;
    await new Promise((resolve) => closed.close(resolve));
    await using refuses = await networkOf({ HTTPS_PROXY: `${scheme}://127.0.0.1:${gone}` });
    const error = await failure(fetchText(`https://${NAME}/`, refuses));
    assert.equal(error.code, 'CT_PROXY');
    assert.match(error.message, /gave no connection to ssm\.cloudtun\.test:443/);
  });
}

test('a proxy variable without sense is reported when the settings are made', async () => {
  await assert.rejects(networkOf({ https_proxy: 'gopher://x' }), { code: 'CT_PROXY' });
});

test('failures of connections by code, also inside an AggregateError', () => {
  const coded = (code: string) => Object.assign(new Error('x'), { code });
  assert.equal(asNetworkError(coded('ECONNREFUSED'), 'h')?.code, 'CT_NETWORK');
  assert.equal(asNetworkError(new AggregateError([coded('ENETUNREACH')]), 'h')?.code, 'CT_NETWORK');
  assert.equal(asNetworkError(new Error('x', { cause: coded('CERT_HAS_EXPIRED') }), 'h')?.code, 'CT_TLS');
  assert.equal(asNetworkError(new Error('ECONNREFUSED'), 'h'), undefined);
  assert.equal(asNetworkError('text', 'h'), undefined);
});
