/** What the real official client did on the wire, and what we do there: the same, or what the description recommends instead. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import type { CloudtunError } from '../../src/domain/errors.ts';
import { judgeClose } from '../../src/transport/iap/core/close-codes.ts';
import { backoffDelay, RECONNECT_LIMIT_MS } from '../../src/transport/iap/core/reconnect-delay.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { connectPump } from '../../src/transport/ws/message-pump.ts';
import { bytesOf, iapVectors, reportIapVectors } from '../support/iap-vectors.ts';
import { manualWorld } from '../support/manual-world.ts';
import { frames, type RelayEnd, scriptedRelay } from '../support/scripted-relay.ts';

test('a Close is read as the official client reads it', (t) => {
  const all = iapVectors('closeFrames');
  for (const { name, body, parsed, sessionEnded, resumable } of all) {
    const bytes = bytesOf(body);
    // `ws` gives 1005 for a Close without a code; one byte is against RFC 6455 and breaks the websocket.
    const [code, reason] = bytes.length < 2 ? [1005, ''] : [bytes.readUInt16BE(0), bytes.toString('utf8', 2)];
    if (parsed) assert.deepEqual([code, reason], parsed, name);
    const verdict = judgeClose({ code, reason }, 'open', 'x');
    assert.equal(['renew', 'again'].includes(verdict.do), resumable ?? false, name);
    assert.equal(['end', 'fail'].includes(verdict.do), sessionEnded ?? true, name);
  }
  reportIapVectors(t, 'closeFrames', all.length, all.length);
});

test('the delays between attempts are those that the official client plans', (t) => {
  const backoff = iapVectors('backoff');
  for (const [step, delay] of backoff.withoutJitterMs.entries()) {
    assert.ok(Math.abs(backoffDelay(step, 0) - delay) < 0.01, `step ${step}`);
    assert.ok(backoffDelay(step, 0.999) < delay + backoff.jitterMs, `step ${step}`);
    assert.ok(backoffDelay(step, 0.999) <= 20_000, `step ${step}`);
  }
  assert.equal(RECONNECT_LIMIT_MS, backoff.totalMs);
  reportIapVectors(t, 'backoff', 1, 1);
});

test('answers to the upgrade are judged as the official client judges them', async (t) => {
  const listed = {
    'connection with two tokens': 'RFC 6455 allows a list in Connection; the official client is stricter than that',
  };
  const { accept, requestLines } = iapVectors('handshake');
  let run = 0;
  const { world } = manualWorld();
  for (const { name, key, responseHeaders, accepted } of accept) {
    if (name in listed) continue;
    const server = await upgradeServer(key, responseHeaders);
    const options = { timeout: 15_000, protocols: ['relay.tunnel.cloudproxy.app'] };
    const opening = connectPump(world, server.url, options, new AbortController().signal);
    if (accepted) (await opening).terminate();
    else await assert.rejects(opening, (error: CloudtunError) => /^CT_(PROTO_HANDSHAKE|NETWORK)$/.test(error.code), name);
    run += 1;
  }
  const relay = await scriptedRelay(t);
  relay.source.ticket = { reason: 'why' };
  await using tunnel = await relay.tunnel(world);
  await tunnel.open(new AbortController().signal);
  // The same headers with the same values; the order among them means nothing, the agent's name is free.
  const { headers, url, method, httpVersion } = relay.requests[0]!;
  for (const line of requestLines.slice(1).filter((text) => text !== '')) {
    const [name = '', value = ''] = line.split(/: (.*)/);
    const ours = headers[name.toLowerCase()];
    if (name === 'Host') assert.equal(ours, new URL(relay.root).host);
    else if (name === 'User-Agent') assert.match(String(ours), /^cloudtun/);
    else if (name === 'Authorization') assert.equal(ours, 'Bearer token-0');
    else if (name === 'Sec-WebSocket-Key') assert.equal(Buffer.from(String(ours), 'base64').length, 16);
    else assert.equal(String(ours).toLowerCase(), value.toLowerCase(), name);
  }
  assert.equal(headers['sec-websocket-extensions'], undefined);
  assert.deepEqual([method, httpVersion, url?.split('?')[0]], ['GET', '1.1', '/v4/connect']);
  reportIapVectors(t, 'handshake', run, accept.length, listed);
});

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close().closeAllConnections();
});

/** Answers an upgrade with these headers; the accept value fits where the vector's fits its own key. */
async function upgradeServer(key: string, headers: Readonly<Record<string, string>>): Promise<{ url: string }> {
  const acceptOf = (nonce: string) =>
    createHash('sha1').update(`${nonce}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    const isRight = headers['sec-websocket-accept'] === acceptOf(key);
    const own = acceptOf(String(request.headers['sec-websocket-key']));
    const lines = Object.entries({ ...headers, ...(isRight && { 'sec-websocket-accept': own }) });
    socket.on('error', () => {});
    socket.write(`HTTP/1.1 101 Go\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** Where we do otherwise, with the reason. `works`: bytes go both ways afterwards. */
const OTHERWISE: Readonly<Record<string, { readonly works: boolean; readonly because: string }>> = {
  fragmented: { works: true, because: 'the websocket library joins fragments' },
  ping: { works: true, because: 'control frames are legal' },
  pong: { works: true, because: 'control frames are legal' },
  'close-after:300:1001:away': { works: true, because: 'resumed' },
  'close-after:300:1011:internal': { works: true, because: 'resumed' },
  'close-after:300:4000:x': { works: true, because: 'resumed, twice at most' },
  'fin-after:300': { works: true, because: 'resumed' },
};

/** Does on a new session what `serviceDid` names. */
function act(end: RelayEnd, did: string): void {
  const [what = '', ...rest] = did.split(':');
  const code = (at: number) => Number(rest[at]);
  const reason = (at: number) => rest.slice(at).join(':');
  const data = (length: number) => frames.data(Buffer.alloc(length, 'x'));
  switch (what) {
    case 'frame':
      return end.send(Buffer.from(rest[0] ?? '', 'hex'));
    case 'close':
      return end.ws.close(code(0), reason(1));
    case 'close-after':
      return end.ws.close(code(1), reason(2));
    case 'close-empty':
    case 'close-empty-after':
      return end.ws.close();
    case 'tcp-close':
    case 'fin-before-sid':
    case 'fin-after':
      return void end.socket.end();
    case 'rst-after':
      return end.reset();
    case 'data-before-sid':
      return end.send(frames.data('a'));
    case 'ack-before-sid':
    case 'ack-zero':
      return end.send(frames.ack(0));
    case 'reconnect-ack-first':
    case 'reconnect-ack-again':
      return end.send(frames.resumed(0));
    case 'unknown-first':
      return end.send(Buffer.from('006301', 'hex'), frames.sid());
    case 'short-sid':
      return end.send(Buffer.from('000100000003', 'hex'));
    case 'long-close':
      end.send(frames.longClose(code(0), reason(1)));
      return end.ws.close(1000);
    case 'extra-after-data':
      return end.send(Buffer.concat([frames.data('abc'), Buffer.from('zz')]));
    case 'sid-again':
      return end.send(frames.sid());
    case 'ack-too-high':
      return end.send(frames.ack(code(0)));
    case 'empty-data':
      return end.send(frames.data(''));
    case 'big-data':
      return end.send(data(code(0)));
    case 'two-in-one':
      return end.send(Buffer.concat([frames.data('first'), frames.data('second')]));
    case 'fragmented': {
      const whole = frames.data('ab');
      end.ws.send(whole.subarray(0, 3), { fin: false });
      return end.ws.send(whole.subarray(3), { fin: true });
    }
    case 'ping':
      return end.ws.ping();
    case 'pong':
      return end.ws.pong();
    case 'text':
      return end.ws.send('text');
    default:
      throw new Error(`the test does not know how a service does ${did}`);
  }
}

test('a service that does strange things finds the reaction that is recorded, or a better one', async (t) => {
  const all = iapVectors('observedReactions');
  const signal = AbortSignal.timeout(20_000);
  for (const { serviceDid: did, when, keptWorking } of all) {
    const isAfter = when === 'after the session id';
    const relay = await scriptedRelay(t);
    const answer = relay.onOpen;
    if (did.startsWith('http:')) for (const _ of [1, 2, 3]) relay.statuses.push(Number(did.slice(5)));
    else if (did.endsWith('-subprotocol')) relay.subprotocol = did === 'no-subprotocol' ? '' : 'ssh';
    else if (!isAfter) relay.onOpen = (end) => act(end, did);
    // Delays between attempts are of no interest here.
    const world = systemWorld({ env: {}, clock: { ...systemClock, sleep: async () => {} } });
    await using tunnel = await relay.tunnel(world);
    const expected = OTHERWISE[did]?.works ?? keptWorking;
    let works: boolean;
    try {
      const stream = await tunnel.open(signal);
      const ended = Promise.withResolvers<boolean>();
      const heard: Buffer[] = [];
      stream.on('data', (bytes: Buffer) => {
        heard.push(bytes);
        if (Buffer.concat(heard).includes('onetwothree')) ended.resolve(true);
      });
      stream.on('error', () => ended.resolve(false));
      stream.on('close', () => ended.resolve(false));
      const echoing = (end: RelayEnd) =>
        end.ws.on('message', (message: Buffer) => {
          if (end.isOpen && message.readUInt16BE(0) === 4) end.send(frames.ack(total()), message);
        });
      const total = () => relay.ends.reduce((sum, { received }) => sum + received, 0);
      relay.onOpen = (end) => {
        echoing(end);
        answer(end);
      };
      const first = relay.ends.at(-1)!;
      echoing(first);
      if (isAfter) act(first, did);
      stream.write('onetwothree');
      works = await ended.promise;
    } catch (error) {
      signal.throwIfAborted();
      assert.ok((error as CloudtunError).code.startsWith('CT_'), `${did}: ${String(error)}`);
      works = false;
    }
    assert.equal(works, expected, `${did} ${when}`);
  }
  for (const [did, { because }] of Object.entries(OTHERWISE)) t.diagnostic(`otherwise: ${did}: ${because}`);
  reportIapVectors(t, 'observedReactions', all.length, all.length);
});
