import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import test, { describe } from 'node:test';
import { SSMClient, StartSessionCommand } from '@aws-sdk/client-ssm';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Lab } from '../../../src/lab/lab.ts';
import type { LabStatus } from '../../../src/lab/lab-status.ts';
import { NodeServices } from '../../../src/lab/node-services.ts';
import { clientOptions, testLab } from '../../support/aws-lab.ts';
import { SsmPeer } from '../../support/ssm-peer.ts';

const BASTION = 'i-0a1b2c3d4e5f60001';
const PROD = 'prod.c1abcdefghij.ap-northeast-1.rds.amazonaws.com';

async function startSession(lab: Lab, Target: string, port: number, host?: string) {
  const Parameters = { portNumber: [String(port)], ...(host === undefined ? {} : { host: [host] }) };
  const DocumentName = `AWS-StartPortForwardingSession${host === undefined ? '' : 'ToRemoteHost'}`;
  const ssm = new SSMClient(clientOptions(lab));
  const {
    SessionId = '',
    StreamUrl = '',
    TokenValue = '',
  } = await ssm.send(new StartSessionCommand({ Target, DocumentName, Parameters }));
  return { SessionId, StreamUrl, TokenValue };
}

describe('from StartSession to the far side', () => {
  test('a database behind its private name greets', async (t) => {
    const lab = await testLab(t);
    const { StreamUrl, TokenValue } = await startSession(lab, BASTION, 3306, PROD);
    const peer = new SsmPeer();
    await peer.connect(StreamUrl, TokenValue);
    await peer.handshake();
    peer.openStream(3, '');
    await peer.until(() => /8\.0\.36/.test(peer.streams.get(3)?.data ?? ''));
    assert.equal((await lab.databases.mysql()).counters().connections, 1);
    assert.deepEqual(lab.gateway.violations(), []);
  });

  test('a web page on the machine itself', async (t) => {
    const lab = await testLab(t);
    const { StreamUrl, TokenValue } = await startSession(lab, 'i-0a1b2c3d4e5f60003', 80);
    const peer = new SsmPeer();
    await peer.connect(StreamUrl, TokenValue);
    await peer.handshake();
    peer.openStream(3, 'GET / HTTP/1.0\r\nHost: web-1\r\n\r\n');
    await peer.until(() => /You reached the practice machine web-1/.test(peer.streams.get(3)?.data ?? ''));
  });
});

describe('the signed upgrade', () => {
  class Hash {
    readonly #hash;
    constructor(key?: string | ArrayBuffer | ArrayBufferView) {
      this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key as string);
    }
    update(data: string | ArrayBuffer | ArrayBufferView): void {
      this.#hash.update(data as string);
    }
    async digest(): Promise<Uint8Array> {
      return this.#hash.digest();
    }
    reset(): void {}
  }

  /** The HTTP status of an upgrade that is signed with the key of a profile. */
  async function upgrade(
    lab: Lab,
    StreamUrl: string,
    profile = 'default',
    service = 'ssmmessages',
    tamper = (line: string) => line,
  ) {
    const url = new URL(StreamUrl);
    const signer = new SignatureV4({ service, sha256: Hash, ...clientOptions(lab, profile) });
    const signed = await signer.sign({
      method: 'GET',
      protocol: 'wss:',
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host },
    });
    const headers: Record<string, string> = {
      ...signed.headers,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    headers.authorization = tamper(headers.authorization ?? '');
    return await new Promise<number | undefined>((resolve, reject) => {
      const call = request({ host: url.hostname, port: url.port, path: url.pathname + url.search, headers });
      call.once('upgrade', (response: IncomingMessage, socket) => {
        socket.destroy();
        resolve(response.statusCode);
      });
      call.once('response', (response: IncomingMessage) => {
        response.resume();
        resolve(response.statusCode);
      });
      call.once('error', reject);
      call.end();
    });
  }

  test('is taken with a right signature, with a cell number too, and refused with a wrong one', async (t) => {
    const lab = await testLab(t, { faults: { cellNumber: 'cell/number+3==' } });
    const { StreamUrl } = await startSession(lab, BASTION, 22);
    assert.match(StreamUrl, /&cell-number=cell%2Fnumber%2B3%3D%3D$/);
    assert.equal(await upgrade(lab, StreamUrl), 101);
    assert.equal(await upgrade(lab, StreamUrl, 'expired'), 403);
    assert.equal(await upgrade(lab, StreamUrl, 'default', 'ssm'), 403);
    assert.equal(await upgrade(lab, StreamUrl, 'default', 'ssmmessages', (line) => line.replace(/.$/, 'g')), 403);
    assert.equal(await upgrade(lab, StreamUrl, 'default', 'ssmmessages', () => 'Bearer x'), 403);
    assert.equal(lab.calls.count('ssmmessages:OpenDataChannel'), 5);
  });

  test('is subject to permission and faults', async (t) => {
    const lab = await testLab(t);
    const { StreamUrl } = await startSession(lab, BASTION, 22);
    const faults = (kind: 'deny' | 'throttle' | 'unavailable' | 'internal-error' | 'expired-token') =>
      lab.apiFaults.set([{ action: 'ssmmessages:OpenDataChannel', kind, times: 1 }]);
    for (const [kind, status] of [
      ['deny', 403],
      ['expired-token', 403],
      ['throttle', 429],
      ['unavailable', 503],
      ['internal-error', 500],
    ] as const) {
      faults(kind);
      assert.equal(await upgrade(lab, StreamUrl), status, kind);
    }
    assert.equal(await upgrade(lab, StreamUrl), 101);
  });
});

describe('the control endpoint', () => {
  const control = (lab: Lab, path: string, body?: unknown, token = lab.controlToken.reveal()) =>
    fetch(`${lab.url}/_lab/${path}`, {
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });

  test('tells sessions, calls and faults, and no secret', async (t) => {
    const lab = await testLab(t);
    const { SessionId } = await startSession(lab, BASTION, 3306, PROD);
    const answer = await control(lab, 'status');
    const text = await answer.text();
    const status = JSON.parse(text) as LabStatus;
    assert.equal(status.url, lab.url);
    assert.deepEqual(
      status.sessions.map((one) => [one.sessionId, one.owner, one.properties.host]),
      [[SessionId, 'alice', PROD]],
    );
    assert.equal(status.apiCalls['ssm:StartSession'], 1);
    assert.equal(status.counters.sessions, 1);
    assert.deepEqual(status.violations, []);
    for (const key of Object.values(lab.profiles)) assert.ok(!text.includes(key.secretAccessKey.reveal()));
    assert.ok(!text.includes(lab.controlToken.reveal()));
  });

  test('sets faults of APIs, gateway, sessions and sign-in', async (t) => {
    const lab = await testLab(t);
    const api = [{ action: 'ssm:*', kind: 'throttle', times: 2 }];
    const answer = await control(lab, 'faults', {
      api,
      gateway: { refuseResumes: 'forever' },
      sessions: { 'alice-1': { pacing: false } },
      signIn: 'approve',
    });
    assert.deepEqual(await answer.json(), { ok: true });
    assert.deepEqual(lab.apiFaults.list(), api);
    assert.equal(lab.faults.plan().refuseResumes, 'forever');
    assert.equal(lab.faults.plan('alice-1').pacing, false);
    assert.equal(lab.desk.mode, 'approve');
    await control(lab, 'faults', { api: [], gateway: {}, sessions: { 'alice-1': null } });
    assert.deepEqual(lab.apiFaults.list(), []);
    assert.equal(lab.faults.plan('alice-1').pacing, true);
  });

  test('refuses what it does not understand, and says what', async (t) => {
    const lab = await testLab(t);
    for (const body of [
      'no json',
      [],
      { colour: 'red' },
      { api: {} },
      { api: [{ action: 'ssm:*', kind: 'explode' }] },
      { api: [{ kind: 'deny' }] },
      { api: [{ action: '*', kind: 'latency', delay: -1 }] },
      { gateway: { noSuchKnob: 1 } },
      { gateway: { input: { lossPercent: 101 } } },
      { sessions: { x: 3 } },
      { signIn: 'maybe' },
    ]) {
      const answer = await control(lab, 'faults', body);
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.ok(((await answer.json()) as { error: string }).error.length > 0);
    }
    assert.equal((await control(lab, 'nothing')).status, 404);
  });

  test('without the token, or with another, it does nothing', async (t) => {
    const lab = await testLab(t);
    for (const token of ['', 'x', lab.profiles.default?.secretAccessKey.reveal() ?? '']) {
      assert.equal((await control(lab, 'status', undefined, token)).status, 401);
      assert.equal((await control(lab, 'stop', {}, token)).status, 401);
    }
    assert.equal(lab.stopRequested.aborted, false);
    assert.equal((await control(lab, 'stop', {})).status, 200);
    if (!lab.stopRequested.aborted) {
      await new Promise((resolve) => lab.stopRequested.addEventListener('abort', resolve, { once: true }));
    }
  });
});

describe('the services on machines', () => {
  /** Everything that a service sends back until it ends, or until there is enough. */
  async function talk(
    services: NodeServices,
    service: 'echo' | 'discard' | 'chargen' | 'web',
    say: string,
    enough = Infinity,
  ) {
    const { host, port } = await services.address('web-1', service);
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.end(say);
    let heard = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      heard += chunk.toString('latin1');
      if (heard.length >= enough) break;
    }
    return heard;
  }

  test('echo, discard, chargen and web do what their names say', async () => {
    await using services = new NodeServices();
    assert.equal(await talk(services, 'echo', 'x'.repeat(100_000)), 'x'.repeat(100_000));
    assert.equal(await talk(services, 'discard', 'x'.repeat(100_000)), '');
    assert.match(await talk(services, 'web', 'GET /healthz HTTP/1.0\r\n\r\n'), /200 OK[\s\S]*ok\n$/);
    const { host, port } = await services.address('web-1', 'chargen');
    const socket = connect({ host, port });
    let heard = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      heard += chunk.toString('latin1');
      if (heard.length > 300_000) break;
    }
    const lines = heard.split('\r\n').slice(0, -1);
    assert.ok(lines.every((line) => line.length === 72));
    assert.equal(lines[96], lines[1]);
    assert.equal(lines[0]?.slice(1), lines[1]?.slice(0, 71));
  });

  test('one server for each machine and service, closed with what is connected', async () => {
    const services = new NodeServices();
    const first = await services.address('web-1', 'silent');
    assert.deepEqual(await services.address('web-1', 'silent'), first);
    assert.notEqual((await services.address('app', 'silent')).port, first.port);
    const socket = connect(first);
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    await services[Symbol.asyncDispose]();
    await closed;
  });
});
