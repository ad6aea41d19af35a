import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, gatewayLab, tcpTarget } from '../../support/gateway-lab.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { SsmPeer, smux } from '../../support/ssm-peer.ts';

const BASIC_CLIENT = '1.1.0.0';

test('a stream echoes through the mux and the session ends with the terminate flag', async (t) => {
  const lab = await gatewayLab(t, { target: await tcpTarget(t, echo) });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  assert.equal(lab.sessions.get(grant.sessionId)?.status, 'Connected');
  peer.openStream(3, 'hello');
  await peer.until(() => peer.streams.get(3)?.data === 'hello');
  peer.input(1, smux('fin', 3));
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
  const last = peer.flag(2);
  await peer.until(() => peer.acknowledged.includes(last) && peer.channelClosed !== undefined);
  assert.equal(peer.channelClosed?.Output, '');
  assert.equal(lab.sessions.get(grant.sessionId)?.status, 'Terminated');
  assert.deepEqual(lab.gateway.violations(), []);
  assert.deepEqual(lab.gateway.openSessions(), []);
});

test('the service speaks its short form: start_publication first, channel_closed last', async (t) => {
  const lab = await gatewayLab(t);
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  assert.equal(lab.sessions.terminate(grant.sessionId), 'terminated');
  await peer.until(() => peer.closed !== undefined);
  const first = peer.seen[0]!;
  assert.deepEqual([first.type, first.headerLength, first.payload.length], ['start_publication', 112, 17]);
  const last = peer.seen.at(-1)!;
  assert.deepEqual([last.type, last.headerLength], ['channel_closed', 112]);
  assert.equal(peer.channelClosed?.SessionId, grant.sessionId);
  assert.match(String(peer.channelClosed?.CreatedDate), /^\d{4}-\d\d-\d\dT/);
  assert.equal(peer.closed?.code, 1000);
});

test('a refused stream: flag 3 without an id, then FIN of that stream', async (t) => {
  const lab = await gatewayLab(t, { target: () => ({ kind: 'refused' }) });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3, 'x');
  peer.openStream(5, 'y');
  await peer.until(() => peer.streams.get(5)?.isFinished === true);
  const after = peer.outputs.slice(2).map(({ payloadType, payload }) => `${payloadType} ${payload.toString('hex')}`);
  const fin = (id: number) => `1 ${smux('fin', id).toString('hex')}`;
  assert.deepEqual(after, ['10 00000003', fin(3), '10 00000003', fin(5)]);
  assert.equal(lab.gateway.counters().streamsRefused, 2);
});

test('basic mode: one connection, redialled after a disconnect flag and after its end', async (t) => {
  let connections = 0;
  const port = await tcpTarget(t, (socket) => {
    connections += 1;
    socket.on('data', (data) => (data.toString() === 'quit' ? socket.end('bye') : socket.write(data)));
  });
  const lab = await gatewayLab(t, { target: port });
  const grant = lab.start();
  const peer = new SsmPeer({ clientVersion: BASIC_CLIENT });
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  const heard = () =>
    peer.outputs
      .filter(({ payloadType }) => payloadType === 1)
      .map(({ payload }) => payload.toString())
      .join('');
  await settle();
  const say = async (text: string, expected: string) => {
    const number = peer.input(1, text);
    await peer.until(() => peer.acknowledged.includes(number) && heard().endsWith(expected));
  };
  await peer.until(() => connections === 1);
  await say('one', 'one');
  peer.flag(1);
  await say('two', 'two');
  assert.equal(connections, 2);
  await say('quit', 'bye');
  await say('three', 'three');
  assert.equal(connections, 3);
  assert.equal(heard(), 'onetwobyethree');
});

test('basic mode, refused port: the session ends right after Complete, with the reason', async (t) => {
  const lab = await gatewayLab(t, { target: () => ({ kind: 'refused' }) });
  const grant = lab.start();
  const peer = new SsmPeer({ clientVersion: BASIC_CLIENT });
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  await peer.until(() => peer.channelClosed !== undefined);
  assert.match(String(peer.channelClosed?.Output), /^Unable to connect to specified port: .*connection refused$/);
  assert.equal(lab.sessions.list('History')[0]?.output, peer.channelClosed?.Output);
});

test('raw mode: the server speaks first, and the session ends with its connection', async (t) => {
  const port = await tcpTarget(t, (socket) => {
    socket.write('SSH-2.0-x\r\n');
    socket.on('data', () => socket.end('bye'));
  });
  const lab = await gatewayLab(t, { target: port });
  const grant = lab.start({}, { properties: { portNumber: '22' }, documentName: 'AWS-StartSSHSession' });
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  await peer.until(() => peer.outputs.some(({ payload }) => payload.toString() === 'SSH-2.0-x\r\n'));
  peer.input(1, 'x');
  await peer.until(() => peer.channelClosed !== undefined);
  assert.equal(peer.outputs.at(-1)?.payload.toString(), 'bye');
  assert.equal(peer.channelClosed?.Output, '');
});

test('a second handshake response wedges the session, and pings are answered all the same', async (t) => {
  const lab = await gatewayLab(t, { target: await tcpTarget(t, echo) });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.respond();
  peer.openStream(3, 'never');
  const pong = new Promise<Buffer>((resolve) => peer.ws.once('pong', resolve));
  peer.ws.ping('still there');
  assert.equal((await pong).toString(), 'still there');
  assert.deepEqual(peer.acknowledged, [0]);
  assert.match(lab.gateway.violations().join(), /a second handshake response/);
  assert.equal(lab.gateway.counters(grant.sessionId).secondHandshakeResponses, 1);
});

test('the name is resolved once per session, however many streams are dialled', async (t) => {
  const port = await tcpTarget(t, echo);
  const asked: unknown[] = [];
  const lab = await gatewayLab(t, {
    target: (query) => {
      asked.push(query);
      return { kind: 'address', host: '127.0.0.1', port };
    },
  });
  const grant = lab.start({ host: 'orders.internal', portNumber: '3306' });
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  for (const id of [3, 5, 7]) peer.openStream(id, `stream ${id}`);
  await peer.until(() => [3, 5, 7].every((id) => peer.streams.get(id)?.data === `stream ${id}`));
  assert.deepEqual(asked, [{ targetId: 'i-1', host: 'orders.internal', port: 3306 }]);
});

for (const [host, target, output] of [
  ['169.254.169.254', { kind: 'refused' }, 'Forwarding to IP address 169.254.169.254 is forbidden.'],
  [
    'db.internal',
    { kind: 'address', host: '127.0.0.1', port: 1, privateIp: '10.0.0.2' },
    'Forwarding to IP address db.internal is forbidden.',
  ],
  ['nowhere.internal', { kind: 'unknown-name' }, 'lookup nowhere.internal: no such host'],
] as const) {
  test(`host ${host}: the session ends with "${output}"`, async (t) => {
    const lab = await gatewayLab(t, { target: () => target, gateway: { vpcCidrs: () => ['10.0.0.0/16'] } });
    const grant = lab.start({ host });
    const peer = new SsmPeer();
    await peer.connect(grant.streamUrl, grant.tokenValue);
    await peer.handshake();
    await peer.until(() => peer.channelClosed !== undefined);
    assert.equal(peer.channelClosed?.Output, output);
  });
}

test('a silent destination holds up every later stream, for as long as the system tries', async (t) => {
  const { world, clock } = manualWorld();
  const lab = await gatewayLab(t, { world, target: () => ({ kind: 'silent' }) });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3);
  peer.openStream(5);
  await peer.until(() => peer.acknowledged.includes(2));
  await clock.advance(126_000);
  assert.equal(peer.streams.get(3)?.isFinished, false);
  await clock.advance(2_000);
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
  assert.equal(peer.streams.get(5)?.isFinished, false);
});

test('a target that closes its writing half is closed whole, after its output; later data is acknowledged and dropped', async (t) => {
  const port = await tcpTarget(t, (socket) => socket.once('data', () => socket.end('bye')));
  const lab = await gatewayLab(t, { target: port });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3, 'req');
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
  assert.equal(peer.streams.get(3)?.data, 'bye');
  const late = peer.input(1, Buffer.concat([smux('psh', 3, 'late'), smux('fin', 3)]));
  await peer.until(() => peer.acknowledged.includes(late));
  assert.deepEqual(lab.gateway.violations(), []);
});

test('after FIN of the client nothing of the stream follows the FIN of the agent, however much the target says', async (t) => {
  const port = await tcpTarget(t, (socket) => {
    const say = () => {
      while (!socket.destroyed && socket.writable && socket.write(Buffer.alloc(16_384, 'x')));
    };
    socket.on('drain', say);
    socket.resume();
    say();
  });
  // Paced, so that the target has always more to read than there is room for.
  const lab = await gatewayLab(t, { target: port, faults: { messagePayload: 8_192 } });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3);
  await peer.until(() => (peer.streams.get(3)?.data.length ?? 0) > 500_000);
  peer.input(1, smux('fin', 3));
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
  peer.openStream(5);
  await peer.until(() => (peer.streams.get(5)?.data.length ?? 0) > 100_000);
  assert.equal(peer.streams.get(3)?.lateBytes, undefined);
});

test('an impossible port is a refused port', async (t) => {
  const lab = await gatewayLab(t);
  const grant = lab.start({ portNumber: 'eighty' });
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3);
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
});

test('a target that does not read stops acknowledges for everybody, until it reads', async (t) => {
  let resume = () => {};
  let received = 0;
  const stalled = await tcpTarget(t, (socket) => {
    socket.once('data', (first) => {
      received += first.length;
      if (first.toString().startsWith('echo')) {
        socket.write(first);
        socket.pipe(socket);
        return;
      }
      socket.pause();
      socket.on('data', (data) => {
        received += data.length;
      });
      socket.pause();
      resume = () => socket.resume();
    });
  });
  const lab = await gatewayLab(t, { target: stalled });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  peer.openStream(3, 'stall');
  peer.openStream(5, 'echo');
  await peer.until(() => peer.streams.get(5)?.data === 'echo');
  const before = received;
  const piece = Buffer.alloc(32_768, 'x');
  let last = 0;
  const count = 640;
  for (let index = 0; index < count; index++) last = peer.input(1, smux('psh', 3, piece));
  const onStream5 = peer.input(1, smux('psh', 5, 'anybody there?'));
  const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
  peer.ws.ping();
  // Acknowledges stop somewhere between the bucket and all that buffers may hold, so 20 MB cannot all be acknowledged.
  let acknowledged = -1;
  while (acknowledged !== peer.acknowledged.length) {
    acknowledged = peer.acknowledged.length;
    await settle(50);
  }
  assert.ok(!peer.acknowledged.includes(last), 'the last piece is not acknowledged');
  assert.ok(peer.acknowledged.length * piece.length > 4 * 1024 * 1024, 'at least the bucket is');
  assert.equal(peer.streams.get(5)?.data, 'echo');
  // The gateway keeps 4 MiB for an agent that does not read, then it does not read either.
  assert.ok(peer.ws.bufferedAmount > 4 * 1024 * 1024, `${peer.ws.bufferedAmount} bytes wait at the client`);
  resume();
  await peer.until(() => peer.acknowledged.includes(onStream5) && peer.streams.get(5)!.data.endsWith('there?'));
  await pong;
  while (received < before + count * piece.length) await settle();
  assert.deepEqual(lab.gateway.violations(), []);
});

test('a stalled target that goes away gives back what it held: the session goes on', async (t) => {
  let hangUp = () => {};
  const port = await tcpTarget(t, (socket) => {
    socket.once('data', (first) => {
      if (first.toString().startsWith('echo')) {
        socket.write(first);
        return;
      }
      socket.pause();
      hangUp = () => socket.destroy();
    });
  });
  const lab = await gatewayLab(t, { target: port });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  for (let id = 3; id < 9; id += 2) {
    peer.openStream(id, 'stall');
    await peer.until(() => peer.acknowledged.includes(peer.sent - 1));
    for (let index = 0; index < 500; index++) peer.input(1, smux('psh', id, Buffer.alloc(32_768)));
    await settle(200);
    hangUp();
    await peer.until(() => peer.streams.get(id)?.isFinished === true);
  }
  peer.openStream(9, 'echo');
  await peer.until(() => peer.streams.get(9)?.data === 'echo');
});

test('upgrades that are not ours, or wrong, get an HTTP status', async (t) => {
  const lab = await gatewayLab(t);
  const grant = lab.start();
  const statusOf = async (url: string) => {
    const peer = new SsmPeer();
    await peer.connect(url);
    peer.disconnect();
    return peer.refusedWith;
  };
  const base = `ws://127.0.0.1:${lab.port}`;
  assert.equal(await statusOf(grant.streamUrl.replace('publish_subscribe', 'subscribe')), 400);
  assert.equal(await statusOf(`${base}/v1/data-channel/nobody-1?role=publish_subscribe`), 404);
  assert.equal(await statusOf(`${base}/v1/data-channel/%E0%A4%A?role=publish_subscribe`), 404);
  assert.equal(await statusOf(`${base}/elsewhere`), undefined);
  lab.sessions.terminate(grant.sessionId);
  assert.equal(await statusOf(grant.streamUrl), 404);
});

test('a signed upgrade is checked by whoever was asked to; an unsigned one may be refused', async (t) => {
  const checked: (string | undefined)[] = [];
  const lab = await gatewayLab(t, {
    faults: { requireSignedUpgrade: true, cellNumber: 'cell/1==' },
    gateway: {
      verifyUpgrade: (request) => {
        checked.push(request.url);
        return request.headers.authorization === 'good'
          ? { accepted: true }
          : { accepted: false, status: 403, message: 'bad signature' };
      },
    },
  });
  const outcome = async (headers: Record<string, string>) => {
    const grant = lab.start();
    assert.match(grant.streamUrl, /&cell-number=cell%2F1%3D%3D$/);
    const peer = new SsmPeer({ headers });
    await peer.connect(grant.streamUrl, grant.tokenValue);
    if (peer.refusedWith === undefined) await peer.handshake();
    peer.disconnect();
    return peer.refusedWith ?? 'open';
  };
  assert.equal(await outcome({}), 403);
  assert.equal(await outcome({ authorization: 'bad' }), 403);
  assert.equal(await outcome({ authorization: 'good' }), 'open');
  assert.equal(checked.length, 2);
  lab.faults.set({ cellNumber: 'cell/1==' });
  assert.equal(await outcome({}), 'open');
});

test('the first frame has to be the right text, in time', async (t) => {
  const { world, clock } = manualWorld();
  const lab = await gatewayLab(t, { world });
  const grant = lab.start();
  for (const [what, act] of [
    ['a binary message before the text frame', (peer: SsmPeer) => peer.raw(Buffer.alloc(200))],
    ['the text frame is not JSON', (peer: SsmPeer) => peer.raw('hello')],
    ['a wrong token', (peer: SsmPeer) => peer.raw(opening('other'))],
    ['no text frame within the time limit', () => clock.tick(30_000)],
  ] as const) {
    const peer = new SsmPeer();
    await peer.connect(grant.streamUrl);
    const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
    peer.ws.ping();
    await pong;
    act(peer);
    await peer.until(() => peer.closed !== undefined);
    assert.equal(peer.closed?.code, 1008, what);
    assert.match(lab.gateway.violations().at(-1) ?? '', new RegExp(`: ${what}$`));
  }
  assert.equal(lab.gateway.counters().websockets, 0);
});

function opening(token: string): string {
  return JSON.stringify({
    MessageSchemaVersion: '1.0',
    RequestId: '12345678-9abc-4def-8123-456789abcdef',
    TokenValue: token,
  });
}

test('a client without ClientId and version may open, and a second text frame is a violation', async (t) => {
  const lab = await gatewayLab(t);
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl);
  peer.raw(opening(grant.tokenValue));
  await peer.handshake();
  peer.raw('more');
  peer.openStream(3);
  await peer.until(() => peer.acknowledged.includes(1));
  assert.match(lab.gateway.violations().join(), /a text frame after the first one/);
});

test('whoever breaks the websocket protocol is told so', async (t) => {
  const lab = await gatewayLab(t);
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  // An unmasked frame, past the library's own framing.
  const { _socket: socket } = peer.ws as unknown as { _socket: NodeJS.WritableStream };
  socket.write(Buffer.from([0x82, 0x01, 0x00]));
  await peer.until(() => peer.closed !== undefined);
  assert.equal(peer.closed?.code, 1002);
  assert.match(lab.gateway.violations().join(), /websocket: a frame without a mask/);
});

test('disposing leaves no timer behind', async (t) => {
  const { world, clock } = manualWorld();
  const lab = await gatewayLab(t, { world, target: await tcpTarget(t, echo) });
  const peers = await Promise.all(
    [1, 2].map(async () => {
      const grant = lab.start();
      const peer = new SsmPeer();
      await peer.connect(grant.streamUrl, grant.tokenValue);
      await peer.handshake();
      peer.openStream(3, 'x');
      return peer;
    }),
  );
  const idle = new SsmPeer();
  await idle.connect(lab.start().streamUrl);
  lab.sessions.terminate(lab.start().sessionId);
  assert.ok(clock.pending > 0);
  await lab.gateway[Symbol.asyncDispose]();
  await Promise.all([...peers, idle].map((peer) => peer.until(() => peer.closed !== undefined)));
  await settle();
  assert.equal(clock.pending, 0);
});
