import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { suite, test } from 'node:test';
import { connect } from 'node:tls';
import type { RelayPatch } from '../../src/lab/gcp/relay/relay-faults.ts';
import { type After, echo, tcpTarget } from '../support/gateway-lab.ts';
import { manualWorld } from '../support/manual-world.ts';
import { type PeerOptions, type RelayLab, relayLab } from '../support/relay-lab.ts';
import { until } from '../support/until.ts';

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const pattern = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) % 251));

/** A relay before a backend that echoes, and a client with a session. */
async function echoing(test: After, faults: RelayPatch = {}, options: Partial<PeerOptions> = {}) {
  const lab = await relayLab(test, { backend: await tcpTarget(test, echo), faults });
  const peer = await lab.peer(options).start();
  return { lab, peer };
}

/** A backend that sends `bytes` when it hears anything. */
const giving = (test: After, bytes: Buffer) =>
  tcpTarget(test, (socket) => {
    socket.once('data', () => socket.end(bytes));
  });

const clean = (lab: RelayLab) => assert.deepEqual(lab.desk.violations(), []);

suite('a session', () => {
  test('carries bytes both ways, acknowledges each frame, and ends with the client', async (t) => {
    const { lab, peer } = await echoing(t);
    assert.match(peer.sid, /^[-\w]{64}$/);
    peer.send('hello');
    await peer.until(({ text, confirmed }) => text === 'hello' && confirmed === 5);
    const [session] = lab.desk.openSessions();
    assert.equal(session?.owner, 'alice@example.com');
    assert.deepEqual([session?.bytesUp, session?.bytesDown, session?.target], [5, 5, 'p/z/i:80']);
    peer.close();
    await until(() => lab.desk.openSessions().length === 0);
    assert.equal(lab.desk.sessions()[0]?.end, 'closed by the client');
    clean(lab);
    const frames = lab.desk.journal(peer.sid).map(({ way, frame, value }) => `${way} ${frame} ${value}`);
    assert.deepEqual(
      frames.filter((line) => !line.startsWith('up ACK')),
      ['down CONNECT_SUCCESS_SID 64', 'up DATA 5', 'down ACK 5', 'down DATA 5', 'up CLOSE 1000'],
    );
  });

  test('what the backend sends before its FIN comes whole, then 4010', async (t) => {
    const bytes = pattern(3_000_000);
    const lab = await relayLab(t, { backend: await giving(t, bytes) });
    const peer = await lab.peer().start();
    peer.send('go');
    await peer.until(({ closed }) => closed !== undefined);
    assert.deepEqual(peer.closed, { code: 4010, reason: 'destination read failed' });
    assert.equal(sha(peer.bytes), sha(bytes));
    assert.ok(peer.dataLengths.every((length) => length <= 16_384));
    clean(lab);
  });

  test('a backend that resets gives 4009; the end of one can be made to look like 1000', async (t) => {
    const resetting = await tcpTarget(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const lab = await relayLab(t, { backend: resetting });
    const peer = await lab.peer().start();
    peer.send('go');
    await peer.until(({ closed }) => closed?.code === 4009);
    const polite = await relayLab(t, { backend: await giving(t, pattern(9)), faults: { endCode: 1000 } });
    const other = await polite.peer().start();
    other.send('go');
    await other.until(({ closed }) => closed?.code === 1000);
  });

  test('without acks it stops at exactly the window; an ack lets it go on', async (t) => {
    const lab = await relayLab(t, { backend: await giving(t, pattern(2_000_000)) });
    const peer = await lab.peer({ acknowledges: false }).start();
    peer.send('go');
    await peer.until(({ received }) => received === 1_500_000);
    assert.equal(lab.desk.openSessions()[0]?.unacknowledgedDown, 1_500_000);
    peer.acknowledge(1_000_000);
    await peer.until(({ received, closed }) => received === 2_000_000 && closed?.code === 4010);
    assert.equal(lab.desk.counters().maxUnacknowledgedDown, 1_500_000);
    clean(lab);
  });

  test('30 MB to a backend that echoes come back, at once', async (t) => {
    const { lab, peer } = await echoing(t, { journalFrames: 0 });
    const block = pattern(1_000_000);
    for (let round = 0; round < 30; round++) {
      peer.send(block);
      await until(() => peer.sent - peer.confirmed < 8_000_000);
    }
    await peer.until(({ received }) => received === 30_000_000);
    assert.equal(sha(peer.bytes.subarray(-1_000_000)), sha(block));
    clean(lab);
  });

  test('an upload that the backend does not read is not read either', async (t) => {
    const stuck = await tcpTarget(t, (socket) => socket.pause());
    const lab = await relayLab(t, { backend: stuck });
    const peer = await lab.peer().start();
    for (let count = 0; count < 40; count++) peer.send(Buffer.alloc(1_000_000));
    await peer.until(({ confirmed }) => confirmed > 1_000_000);
    let before = -1;
    await until(() => {
      const still = peer.confirmed === before;
      before = peer.confirmed;
      return still && peer.ws!.bufferedAmount > 10_000_000;
    });
    assert.ok(peer.confirmed < 25_000_000, `${peer.confirmed}`);
  });
});

suite('the upgrade', () => {
  test('answers with the subprotocol and a single token in Connection', async (t) => {
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo) });
    const { port } = new URL(lab.root);
    const socket = connect({ host: '127.0.0.1', port: Number(port), ca: lab.authorityPem });
    t.after(() => void socket.destroy());
    socket.write(
      [
        'GET /v4/connect?project=p&port=22&newWebsocket=True&zone=z&instance=i&interface=nic0 HTTP/1.1',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Host: 127.0.0.1:${port}`,
        'Origin: bot:iap-tunneler',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Protocol: relay.tunnel.cloudproxy.app',
        'User-Agent: UA',
        'Authorization: Bearer good',
        '\r\n',
      ].join('\r\n'),
    );
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => void chunks.push(chunk));
    await until(() => Buffer.concat(chunks).includes('\r\n\r\n'));
    const [head = ''] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n');
    assert.deepEqual(head.split('\r\n').toSorted(), [
      'Connection: Upgrade',
      'HTTP/1.1 101 Switching Protocols',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: relay.tunnel.cloudproxy.app',
      'Upgrade: websocket',
    ]);
    clean(lab);
  });

  test('without Origin it is accepted, and nothing ever comes', async (t) => {
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo) });
    const peer = await lab.peer({ origin: null }).connect();
    peer.ws?.ping();
    await peer.until(({ pongs }) => pongs === 1);
    assert.equal(peer.sid, '');
    assert.deepEqual(lab.desk.violations(), ['upgrade: an upgrade without Origin']);
  });

  test('is refused for a wrong token, wrong parameters, a wrong path, and when told so', async (t) => {
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo) });
    const status = async (options: Partial<PeerOptions>) => (await lab.peer(options).connect()).status;
    assert.equal(await status({ token: 'bad' }), 401);
    assert.equal(await status({ query: 'project=p&port=1' }), 400);
    assert.equal(await status({ root: lab.root.replace('v4', 'v3') }), 404);
    lab.faults.set({ refuseConnects: { status: 503, times: 2 } });
    assert.deepEqual([await status({}), await status({}), await status({})], [503, 503, undefined]);
    lab.faults.set({ wrongToken: 'close-4033' });
    const peer = await lab.peer({ token: 'bad' }).start();
    assert.deepEqual(peer.closed, { code: 4033, reason: 'not authorized' });
    assert.equal(lab.desk.counters().refusedUpgrades, 5);
    const [first] = lab.desk.requests();
    assert.deepEqual([first?.outcome, first?.userAgent], ['401', 'test/1']);
  });

  test('answers nobody who does not trust its authority', async (t) => {
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo) });
    const other = await relayLab(t, { backend: 1 });
    const peer = await lab.peer({ authorityPem: other.authorityPem }).connect();
    assert.equal(peer.closed?.code, 1006);
    assert.equal(lab.desk.requests().length, 0);
  });

  test('what is behind a target shows as a Close', async (t) => {
    for (const [kind, code] of [
      ['denied', 4033],
      ['unknown', 4047],
      ['refused', 4003],
    ] as const) {
      const lab = await relayLab(t, { backend: { kind } });
      assert.equal((await lab.peer().start()).closed?.code, code);
    }
  });

  test('a silent backend is silence, until the service gives up', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, { backend: { kind: 'silent' }, world });
    const peer = await lab.peer().connect();
    await until(() => clock.pending > 0);
    await clock.advance(119_999);
    assert.equal(peer.closed, undefined);
    await clock.advance(1);
    await peer.until(({ closed }) => closed?.code === 4003);
  });
});

suite('a client that breaks a rule', () => {
  const breaches: readonly (readonly [
    string,
    (peer: Awaited<ReturnType<typeof echoing>>['peer']) => void,
    number,
    RegExp,
  ])[] = [
    ['an ack beyond what was sent', (peer) => peer.acknowledge(1), 4005, /ACK 1, of 0 bytes/],
    ['text', (peer) => peer.sendRaw('hello'), 4007, /a text message/],
    ['an unknown tag', (peer) => peer.sendRaw(Buffer.from('0063', 'hex')), 4008, /unknown tag 99/],
    ['an empty message', (peer) => peer.sendRaw(Buffer.alloc(0)), 4013, /0 bytes has no tag/],
    ['16 KiB and a byte', (peer) => peer.sendRaw(bigFrame()), 4013, /DATA of 16385 bytes/],
  ];
  const bigFrame = () => Buffer.concat([Buffer.from('000400004001', 'hex'), Buffer.alloc(16_385)]);
  for (const [name, act, code, violation] of breaches) {
    test(name, async (t) => {
      const { lab, peer } = await echoing(t);
      act(peer);
      await peer.until(({ closed }) => closed?.code === code);
      assert.match(lab.desk.violations().join(), violation);
      assert.equal(lab.desk.openSessions().length, 0);
    });
  }

  test('an ack that goes back', async (t) => {
    const { peer } = await echoing(t);
    peer.send('hello');
    await peer.until(({ text }) => text === 'hello');
    peer.acknowledge(4);
    await peer.until(({ closed }) => closed?.code === 4005);
  });

  test('data before tag 1', async (t) => {
    const lab = await relayLab(t, { backend: { kind: 'silent' } });
    const peer = await lab.peer().connect();
    peer.send('early');
    await until(() => lab.desk.violations().length === 1);
    assert.deepEqual(lab.desk.violations(), ['unattached: a message before tag 1 or 2']);
  });
});

suite('a lost websocket', () => {
  test('is resumed: both sides repeat what the other lacks', async (t) => {
    const { lab, peer } = await echoing(t);
    peer.send('one ');
    await peer.until(({ text }) => text === 'one ');
    peer.abort();
    await until(() => lab.desk.openSessions()[0]?.state === 'lost');
    peer.send('two ');
    await peer.resume();
    assert.equal(peer.resumedAt, 4);
    await peer.until(({ text }) => text === 'one two ');
    peer.send('three');
    await peer.until(({ text }) => text === 'one two three');
    assert.equal(lab.desk.openSessions()[0]?.websockets, 2);
    clean(lab);
  });

  test('what was sent to the old one and not acknowledged comes again', async (t) => {
    const { lab, peer } = await echoing(t, {}, { acknowledges: false });
    peer.send('hello');
    await peer.until(({ text }) => text === 'hello');
    peer.abort();
    await until(() => lab.desk.openSessions()[0]?.state === 'lost');
    const { sid } = peer;
    const again = lab.peer();
    again.sid = sid;
    await again.reconnect(2);
    await again.until(({ text }) => text === 'llo');
    assert.equal(lab.desk.counters().repeatedBytesDown, 3);
  });

  test('cannot be resumed: unknown, in use, rewound too far, a stranger, too late', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo), world });
    const peer = await lab.peer().start();
    const second = async (more: (other: typeof peer) => void, ack = 0) => {
      const other = lab.peer();
      other.sid = peer.sid;
      more(other);
      await other.reconnect(ack);
      await other.until(({ closed }) => closed !== undefined);
      return other.closed?.code;
    };
    assert.equal(await second((other) => Object.assign(other, { sid: 'nobody' })), 4001);
    assert.equal(await second(() => {}), 4002);
    lab.tokens.set('bobs', 'bob@example.com');
    assert.equal(await second((other) => Object.assign(other, { token: 'bobs' })), 4033);
    peer.send('hello');
    await peer.until(({ text }) => text === 'hello');
    await until(() => lab.desk.openSessions()[0]?.unacknowledgedDown === 0);
    peer.abort();
    await until(() => lab.desk.openSessions()[0]?.state === 'lost');
    assert.equal(await second(() => {}, 4), 4074);
    assert.equal(await second(() => {}, 6), 4074);
    await clock.advance(900_000);
    assert.equal(await second(() => {}, 5), 4001);
    assert.equal(lab.desk.sessions()[0]?.end, 'not resumed in time');
  });

  test('4004 asks for a new token; the client’s answer to it does not end the session', async (t) => {
    const { lab, peer } = await echoing(t);
    peer.send('x');
    await peer.until(({ text }) => text === 'x');
    lab.tokens.delete('good');
    lab.desk.recheckTokens();
    await peer.until(({ closed }) => closed?.code === 4004);
    await peer.reconnect();
    assert.equal(peer.status, 401);
    lab.tokens.set('fresh', 'alice@example.com');
    peer.token = 'fresh';
    await peer.resume();
    peer.send('y');
    await peer.until(({ text }) => text === 'xy');
    assert.equal(lab.desk.counters().reauthentications, 1);
    clean(lab);
  });
});

suite('limits', () => {
  test('an idle session ends after an hour, one with traffic does not', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo), world, faults: { reauthenticateAfterMs: 0 } });
    const peer = await lab.peer().start();
    await clock.advance(3_000_000);
    peer.send('x');
    await peer.until(({ text }) => text === 'x');
    await clock.advance(3_000_000);
    assert.equal(peer.closed, undefined);
    await clock.advance(600_000);
    await peer.until(({ closed }) => closed?.code === 1000);
  });

  test('each websocket is asked for a new token after an hour', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo), world, faults: { idleLimitMs: 1e9 } });
    const peer = await lab.peer().start();
    await clock.advance(3_600_000);
    await peer.until(({ closed }) => closed?.code === 4004);
    await peer.resume();
    assert.equal(peer.resumedAt, 0);
  });
});

suite('faults', () => {
  /** Up and down through cuts: every loss is resumed. */
  async function throughCuts(t: After, faults: RelayPatch, byteCount: number) {
    const bytes = pattern(byteCount);
    const { lab, peer } = await echoing(t, faults);
    peer.send(bytes);
    while (peer.received < byteCount) {
      await peer.until(({ received, closed }) => received === byteCount || closed !== undefined);
      if (peer.closed === undefined) break;
      await until(() => lab.desk.openSessions()[0]?.state !== 'open');
      await peer.resume();
    }
    assert.equal(sha(peer.bytes), sha(bytes));
    clean(lab);
    return lab;
  }

  test('20 resets of each direction in the middle of frames lose nothing', async (t) => {
    const lab = await throughCuts(
      t,
      {
        cutInput: { everyBytes: 100_001, atMost: 40 },
        cutOutput: { everyBytes: 90_007, atMost: 40 },
        takePartialInput: true,
      },
      2_500_000,
    );
    assert.equal(lab.desk.counters().cuts, 40);
  });

  test('a reset is a TCP reset, a FIN is none, a Close has its code', async (t) => {
    const cut = async (cutAs: 'reset' | 'fin' | 'close') => {
      const { peer } = await echoing(t, { cutOutput: { messages: [3] }, cutAs, cutCode: 1013 });
      peer.send('hello');
      await peer.until(({ closed }) => closed !== undefined);
      return [peer.closed?.code, peer.socketError];
    };
    assert.deepEqual(await cut('reset'), [1006, 'ECONNRESET']);
    assert.deepEqual(await cut('fin'), [1006, undefined]);
    assert.deepEqual(await cut('close'), [1013, undefined]);
  });

  test('nor do FINs and Closes between frames', async (t) => {
    await throughCuts(t, { cutOutput: { everyBytes: 50_000, atMost: 5 }, cutAs: 'fin' }, 500_000);
    await throughCuts(t, { cutOutput: { everyBytes: 50_000, atMost: 5 }, cutAs: 'close', cutCode: 1011 }, 500_000);
    await throughCuts(t, { reauthenticateEveryBytes: 100_000 }, 500_000);
  });

  test('odd frames, odd acks and latency lose nothing', async (t) => {
    const lab = await throughCuts(
      t,
      {
        splitPercent: 5,
        oneBytePercent: 5,
        trailingPercent: 5,
        unknownTagPercent: 5,
        emptyDataPercent: 5,
        ackEveryBytes: 50_000,
        ackShortOfBytes: 1_000,
        repeatAcks: true,
        inputLatencyMs: 2,
        outputLatencyMs: 2,
      },
      1_000_000,
    );
    assert.ok(lab.desk.counters().dataFramesDown > 62);
  });

  test('acks are delayed, withheld, and fall inside frames', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, { backend: await tcpTarget(t, echo), world, faults: { ackDelayMs: 500 } });
    const peer = await lab.peer().start();
    peer.send(pattern(100));
    await peer.until(({ received }) => received === 100);
    assert.deepEqual(peer.acks, []);
    await clock.advance(500);
    await peer.until(({ confirmed }) => confirmed === 100);
    lab.faults.set({ ackShortOfBytes: 30 });
    peer.send(pattern(100));
    await peer.until(({ confirmed }) => confirmed === 170);
    await clock.advance(200);
    await peer.until(({ confirmed }) => confirmed === 200);
    lab.faults.set({ withholdAcks: true });
    peer.send(pattern(100));
    await peer.until(({ received }) => received === 300);
    await clock.advance(60_000);
    assert.equal(peer.confirmed, 200);
    lab.faults.set({});
    await peer.until(({ confirmed }) => confirmed === 300);
  });

  test('a Close with a long reason after so many bytes', async (t) => {
    const faults = {
      closes: [{ afterBytes: 8, code: 4054, reason: 'short' }],
      longClose: true,
      longCloseReason: 'x'.repeat(500),
    };
    const { lab, peer } = await echoing(t, faults);
    peer.send('hello');
    await peer.until(({ closed }) => closed?.code === 4054);
    assert.deepEqual(peer.longClose, { code: 4054, reason: 'x'.repeat(500) });
    assert.equal(lab.desk.sessions()[0]?.end, '4054 short');
  });

  test('a frozen service neither reads nor writes; it thaws', async (t) => {
    const { lab, peer } = await echoing(t);
    lab.faults.set({ freeze: true });
    peer.ws?.ping();
    peer.send('hello');
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([peer.pongs, peer.received], [0, 0]);
    lab.faults.set({});
    await peer.until(({ text, pongs }) => text === 'hello' && pongs === 1);
  });

  test('tag 1 comes late, never, or a Close comes instead', async (t) => {
    const { world, clock } = manualWorld();
    const lab = await relayLab(t, {
      backend: await tcpTarget(t, echo),
      world,
      faults: { firstFrameDelayMs: 5_000, silentUpgrades: 1 },
    });
    const silent = await lab.peer().connect();
    const late = await lab.peer().connect();
    await clock.advance(4_999);
    assert.equal(late.sid, '');
    await clock.advance(1);
    await late.until(({ sid }) => sid !== '');
    assert.equal(silent.sid, '');
    lab.faults.set({ rejectConnects: { code: 4000, reason: 'unknown', times: 1 } });
    assert.deepEqual((await lab.peer().start()).closed, { code: 4000, reason: 'unknown' });
  });

  test('reconnects are refused, rejected, or find nothing', async (t) => {
    const { lab, peer } = await echoing(t, {
      refuseReconnects: { status: 503, times: 2 },
      rejectReconnects: { code: 4000, times: 1 },
    });
    peer.abort();
    await until(() => lab.desk.openSessions()[0]?.state === 'lost');
    assert.equal((await peer.resume()).status, 503);
    assert.equal((await peer.resume()).status, 503);
    assert.equal((await peer.resume()).closed?.code, 4000);
    assert.equal((await peer.resume()).resumedAt, 0);
    lab.faults.set({ forgetSessions: 1 });
    peer.abort();
    await until(() => lab.desk.openSessions()[0]?.state === 'lost');
    assert.equal((await peer.resume()).closed?.code, 4001);
    assert.equal(lab.desk.openSessions().length, 0);
  });

  test('a second websocket can be made to take over', async (t) => {
    const { lab, peer } = await echoing(t, { secondWebsocket: 'take-over' });
    const other = lab.peer();
    other.sid = peer.sid;
    await other.resume();
    assert.equal(other.resumedAt, 0);
    await peer.until(({ closed }) => closed?.code === 1006);
    other.send('mine');
    await other.until(({ text }) => text === 'mine');
  });

  test('injected messages, text and garbage go out as they are', async (t) => {
    const { peer } = await echoing(t, { injections: [{ afterOutput: 0, hex: '0063aabb' }] });
    await peer.until(({ unknown }) => unknown.length === 1);
    assert.equal(peer.unknown[0]?.toString('hex'), '0063aabb');
  });
});

test('a web page of a machine comes through', async (t) => {
  const server = createServer((_request, response) => response.end('page'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => void server.close());
  const address = server.address();
  const lab = await relayLab(t, { backend: typeof address === 'object' && address !== null ? address.port : 0 });
  const peer = await lab.peer().start();
  peer.send('GET / HTTP/1.0\r\n\r\n');
  await peer.until(({ closed }) => closed !== undefined);
  assert.match(peer.text, /^HTTP\/1\.1 200 OK[\s\S]*page$/);
});
