import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { FaultPatch } from '../../../src/lab/aws/faults.ts';
import {
  type After,
  echo,
  type GatewayLab,
  type GatewayLabOptions,
  gatewayLab,
  tcpTarget,
} from '../../support/gateway-lab.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { encode, SsmPeer, smux } from '../../support/ssm-peer.ts';

interface Opened {
  readonly lab: GatewayLab;
  readonly peer: SsmPeer;
  readonly sessionId: string;
}

/** A lab with a target that echoes, and a peer that has done the handshake. */
async function opened(test: After, faults: FaultPatch = {}, options: GatewayLabOptions = {}): Promise<Opened> {
  const lab = await gatewayLab(test, { target: await tcpTarget(test, echo), faults, ...options });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  return { lab, peer, sessionId: grant.sessionId };
}

async function resumed({ lab, peer, sessionId }: Opened): Promise<void> {
  const grant = lab.resume(sessionId);
  await peer.connect(grant.streamUrl, grant.tokenValue);
}

test('a lost websocket: numbers go on, what was not acknowledged comes again, one token for each', async (t) => {
  const all = await opened(t);
  const { lab, peer, sessionId } = all;
  peer.openStream(3, 'before');
  await peer.until(() => peer.streams.get(3)?.data === 'before');
  peer.disconnect();
  await peer.until(() => peer.closed !== undefined);
  while (lab.sessions.get(sessionId)?.status !== 'Disconnected') await settle();
  const { streamUrl, tokenValue } = lab.resume(sessionId);
  await peer.connect(streamUrl, tokenValue);
  peer.input(1, smux('psh', 3, ' after'));
  await peer.until(() => peer.streams.get(3)?.data === 'before after');
  assert.deepEqual(
    peer.outputs.map(({ number }) => number),
    peer.outputs.map((_output, index) => index),
  );
  assert.equal(peer.outputs.filter(({ payloadType }) => payloadType === 5).length, 1);

  const thief = new SsmPeer({ clientId: peer.clientId });
  await thief.connect(streamUrl, tokenValue);
  await thief.until(() => thief.closed !== undefined);
  assert.match(lab.gateway.violations().join(), /a token was used twice/);
  assert.equal(lab.sessions.get(sessionId)?.status, 'Connected');
  assert.equal(lab.gateway.counters(sessionId).websockets, 2);
});

test('a new websocket takes the place of one that is still open', async (t) => {
  const all = await opened(t);
  const { lab, peer, sessionId } = all;
  const first = peer.ws;
  const firstClosed = new Promise<number>((resolve) => first.once('close', resolve));
  await resumed(all);
  assert.equal(await firstClosed, 1000);
  peer.openStream(3, 'x');
  await peer.until(() => peer.streams.get(3)?.data === 'x');
  assert.equal(lab.sessions.get(sessionId)?.status, 'Connected');
  assert.deepEqual(lab.gateway.violations(), []);
});

test('another ClientId after a resume is seen', async (t) => {
  const { lab, sessionId } = await opened(t);
  const stranger = new SsmPeer();
  const grant = lab.resume(sessionId);
  await stranger.connect(grant.streamUrl, grant.tokenValue);
  await stranger.until(() => stranger.seen.length > 0);
  assert.match(lab.gateway.violations().join(), /another ClientId/);
});

test('the service says "Bye" after an hour, and the session goes on', async (t) => {
  const { world, clock } = manualWorld();
  const all = await opened(t, { idleLimitMs: 7_200_000 }, { world });
  const { lab } = all;
  // Until its acknowledge is there, HandshakeComplete would be repeated for an hour.
  while (lab.gateway.counters().acknowledgesSeen < 2) await settle();
  clock.tick(3_599_999);
  await settle();
  assert.equal(all.peer.closed, undefined);
  clock.tick(1);
  await all.peer.until(() => all.peer.closed !== undefined);
  assert.deepEqual(all.peer.closed, { code: 1000, reason: 'Bye' });
  await resumed(all);
  all.peer.openStream(3, 'x');
  await all.peer.until(() => all.peer.acknowledged.includes(1));
});

test('a session without input ends after the idle limit; input puts it off', async (t) => {
  const { world, clock } = manualWorld();
  const { lab, peer, sessionId } = await opened(t, {}, { world });
  clock.tick(1_000_000);
  const last = peer.input(1, smux('nop', 0));
  await peer.until(() => peer.acknowledged.includes(last));
  clock.tick(1_199_000);
  assert.notEqual(lab.sessions.get(sessionId)?.status, 'Terminated');
  clock.tick(1_000);
  await peer.until(() => peer.channelClosed !== undefined);
  assert.match(String(peer.channelClosed?.Output), /idle/);
});

for (const [what, cutCode, seen] of [
  ['destroyed', 1006, 1006],
  ['closed with 1011', 1011, 1011],
] as const) {
  test(`cut at a message of the agent: ${what}, and the message comes by the timer after a resume`, async (t) => {
    // Output carries: request, ack of the response, Complete, ack of SYN+PSH, then the echo.
    const all = await opened(t, { cutOutput: { messages: [5] }, cutCode, cutReason: 'cut' });
    const { lab, peer } = all;
    peer.openStream(3, 'echo');
    await peer.until(() => peer.closed !== undefined);
    assert.equal(peer.closed?.code, seen);
    assert.equal(peer.streams.get(3)?.data, '');
    await resumed(all);
    await peer.until(() => peer.streams.get(3)?.data === 'echo');
    assert.equal(lab.gateway.counters().cuts, 1);
    assert.ok(lab.gateway.counters().outputResends >= 1);
    assert.deepEqual(lab.gateway.violations(), []);
  });
}

test('cut at a message of the client: it does not arrive, and is taken when it comes again', async (t) => {
  // Input carries: ack of the request, response, ack of Complete, then SYN+PSH.
  const all = await opened(t, { cutInput: { messages: [4] } });
  const { peer } = all;
  peer.openStream(3, 'echo');
  await peer.until(() => peer.closed !== undefined);
  assert.deepEqual(peer.acknowledged, [0]);
  await resumed(all);
  peer.raw(encode('input_stream_data', 1, 0, 1, Buffer.concat([smux('syn', 3), smux('psh', 3, 'echo')])));
  await peer.until(() => peer.streams.get(3)?.data === 'echo');
});

test('cut at a byte: the message that holds it ends in the middle', async (t) => {
  const lab = await gatewayLab(t, { target: await tcpTarget(t, echo), faults: { cutOutput: { bytes: [200] } } });
  const grant = lab.start();
  const peer = new SsmPeer();
  let bytes = 0;
  await peer.connect(grant.streamUrl, grant.tokenValue);
  const { _socket: socket } = peer.ws as unknown as { _socket: NodeJS.EventEmitter };
  socket.prependListener('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await peer.until(() => peer.closed !== undefined);
  assert.equal(peer.closed?.code, 1006);
  // start_publication whole (2 + 133 bytes behind a header of 4), then a header of 4 and 199 bytes of the request.
  assert.equal(peer.outputs.length, 0);
  assert.ok(bytes > 199 && bytes < 400, `${bytes} bytes`);
});

test('a cut every so many bytes: the upload is whole in the end', async (t) => {
  const all = await opened(t, { cutInput: { everyBytes: 3_000 } });
  const { peer, lab } = all;
  peer.streams.set(3, { data: '', isFinished: false });
  const texts = Array.from({ length: 20 }, (_value, index) => `${index}:${'x'.repeat(1_000)};`);
  const frames = [smux('syn', 3), ...texts.map((text) => smux('psh', 3, text))].map((payload, index) =>
    encode('input_stream_data', index + 1, 0, 1, payload),
  );
  for (let next = 0; next < frames.length; ) {
    if (peer.closed !== undefined) await resumed(all);
    peer.raw(frames[next]!);
    const number = next + 1;
    await peer.until(() => peer.closed !== undefined || peer.acknowledged.includes(number));
    if (peer.acknowledged.includes(number)) next += 1;
  }
  // Acknowledges of the echo count too.
  while (peer.streams.get(3)?.data !== texts.join('')) {
    if (peer.closed !== undefined) await resumed(all);
    await peer.until(() => peer.closed !== undefined || peer.streams.get(3)?.data === texts.join(''));
  }
  assert.ok(lab.gateway.counters().cuts >= 6);
  assert.deepEqual(lab.gateway.violations(), []);
});

test('loss, duplication and reordering of output are repaired by the agent', async (t) => {
  const faults = { lossPercent: 15, duplicatePercent: 10, reorderPercent: 20 };
  const { lab, peer } = await opened(t, { seed: 4 });
  lab.faults.set({ seed: 4, output: faults });
  peer.openStream(3, 'x'.repeat(30_000));
  await peer.until(() => peer.streams.get(3)?.data.length === 30_000);
  const { outputResends, duplicated, reordered } = lab.gateway.counters();
  assert.ok(outputResends > 0 && duplicated > 0 && reordered > 0);
});

test('latency is added each way', async (t) => {
  const { world, clock } = manualWorld();
  const { lab, peer } = await opened(t, {}, { world });
  lab.faults.set({ input: { latencyMs: 30 }, output: { latencyMs: 20 } });
  peer.openStream(3);
  while (clock.next === undefined || clock.next > 30) await settle();
  await clock.advance(30);
  assert.deepEqual(peer.acknowledged, [0]);
  await clock.advance(20);
  await peer.until(() => peer.acknowledged.includes(1));
});

test('channel_closed comes after what was under way', async (t) => {
  const { world } = manualWorld();
  const { lab, peer, sessionId } = await opened(t, {}, { world });
  lab.faults.set({ output: { latencyMs: 10_000 } });
  const last = peer.input(1, smux('nop', 0));
  while (lab.gateway.counters().acknowledgesSent <= last) await settle();
  lab.sessions.terminate(sessionId);
  await peer.until(() => peer.channelClosed !== undefined);
  assert.ok(peer.acknowledged.includes(last));
});

test('pacing: at most 1024 bytes a millisecond; the size and the pause can be set', async (t) => {
  const { world, clock } = manualWorld();
  const port = await tcpTarget(t, (socket) => socket.write(Buffer.alloc(10_000, 'x')));
  const { lab, peer } = await opened(t, {}, { world, target: port });
  peer.openStream(3);
  const data = () => peer.outputs.filter(({ payloadType }) => payloadType === 1);
  await peer.until(() => data().length === 1);
  await settle(20);
  assert.deepEqual(
    data().map(({ payload }) => payload.length),
    [1_024],
  );
  await clock.advance(1);
  await peer.until(() => data().length === 2);
  await settle(20);
  assert.equal(data().length, 2);
  lab.faults.set({ pacing: false, messagePayload: 3_000 });
  await clock.advance(1);
  await peer.until(() => peer.streams.get(3)?.data.length === 10_000);
  assert.deepEqual(
    data()
      .map(({ payload }) => payload.length)
      .slice(2),
    [3_000, 3_000, 1_960],
  );
});

test('while nobody is there the agent is paused; what it made meanwhile comes one by one', async (t) => {
  const { world, clock } = manualWorld();
  let say: (text: string) => void = () => {};
  const port = await tcpTarget(t, (socket) => {
    say = (text) => socket.write(text);
  });
  const all = await opened(t, {}, { world, target: port });
  const { lab, peer, sessionId } = all;
  peer.openStream(3);
  await peer.until(() => peer.acknowledged.includes(1));
  while (lab.gateway.counters().streams === 0) await settle();
  peer.disconnect();
  while (lab.sessions.get(sessionId)?.status !== 'Disconnected') await settle();
  for (const text of ['one ', 'two ', 'three']) {
    say(text);
    await clock.advance(5);
  }
  while (lab.gateway.counters().outputWhilePaused < 3) await clock.advance(5);
  await resumed(all);
  await peer.until(() => peer.seen.filter(({ type }) => type === 'start_publication').length === 2);
  assert.equal(peer.streams.get(3)?.data, '');
  const at: number[] = [];
  while (peer.streams.get(3)?.data !== 'one two three') {
    const before = peer.outputs.length;
    await clock.advance(10);
    await settle();
    if (peer.outputs.length > before) at.push(clock.now());
  }
  assert.ok(at.at(-1)! - at[0]! >= 200, `messages came at ${at.join(', ')}`);
});

test('not told to pause, the agent sends into the void', async (t) => {
  const { world, clock } = manualWorld();
  let say: (text: string) => void = () => {};
  const port = await tcpTarget(t, (socket) => {
    say = (text) => socket.write(text);
  });
  const { lab, peer, sessionId } = await opened(t, { pauseWhenAway: false }, { world, target: port });
  peer.openStream(3);
  await peer.until(() => peer.acknowledged.includes(1));
  await settle(20);
  peer.disconnect();
  while (lab.sessions.get(sessionId)?.status !== 'Disconnected') await settle();
  say('lost');
  while (lab.gateway.counters().outputDroppedAway === 0) await clock.advance(5);
});

test('a late first client finds the handshake request twice', async (t) => {
  const { world, clock } = manualWorld();
  const lab = await gatewayLab(t, { world });
  const grant = lab.start();
  await clock.advance(400);
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.until(() => peer.seen.filter(({ payloadType }) => payloadType === 5).length === 2);
  assert.equal(peer.outputs.length, 1);
});

test('a session that nobody opens dies of its handshake after 15 s', async (t) => {
  const { world, clock } = manualWorld();
  const lab = await gatewayLab(t, { world });
  const { sessionId } = lab.start();
  await clock.advance(17_000);
  assert.match(lab.sessions.get(sessionId)?.output ?? '', /^Handshake timed out/);
});

test('the agent dies: nothing comes any more, nothing is acknowledged, and the node is gone', async (t) => {
  const { lab, peer } = await opened(t);
  assert.equal(lab.faults.isNodeDead('i-1'), false);
  lab.faults.set({ deadNodes: ['i-1'] });
  assert.equal(lab.faults.isNodeDead('i-1'), true);
  peer.openStream(3, 'x');
  const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
  peer.ws.ping();
  await pong;
  assert.deepEqual(peer.acknowledged, [0]);
  const seen = peer.seen.length;
  await settle(20);
  assert.equal(peer.seen.length, seen);
});

test('the agent dies after so many messages', async (t) => {
  const { peer } = await opened(t, { agentDiesAfterOutput: 3, pacing: false });
  peer.openStream(3, 'x'.repeat(5_000));
  await peer.until(() => peer.outputs.length === 3);
  await settle(20);
  assert.equal(peer.outputs.length, 3);
});

test('right after Complete data may go unacknowledged; it has to be sent again', async (t) => {
  const { peer, lab } = await opened(t, { notReadyMs: 60 });
  const payload = Buffer.concat([smux('syn', 3), smux('psh', 3, 'x')]);
  peer.streams.set(3, { data: '', isFinished: false });
  const first = peer.input(1, payload);
  const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
  peer.ws.ping();
  await pong;
  assert.deepEqual(peer.acknowledged, [0]);
  while (!peer.acknowledged.includes(first)) {
    peer.raw(encode('input_stream_data', first, 0, 1, payload));
    await settle(100);
  }
  await peer.until(() => peer.streams.get(3)?.data === 'x');
  assert.deepEqual(lab.gateway.violations(), []);
});

test('pings may go unanswered', async (t) => {
  const { peer, lab } = await opened(t, { answerPings: false });
  let pongs = 0;
  peer.ws.on('pong', () => {
    pongs += 1;
  });
  peer.ws.ping();
  peer.openStream(3, 'x');
  await peer.until(() => peer.streams.get(3)?.data === 'x');
  assert.equal(pongs, 0);
  lab.faults.set({});
  peer.ws.ping();
  while (pongs === 0) await settle();
});

test('strange messages can be put in, and an output message be spoilt', async (t) => {
  const lab = await gatewayLab(t, {
    faults: {
      injections: [
        { afterOutput: 0, hex: 'c0ffee', repeat: 2 },
        { afterOutput: 1, hex: Buffer.from('hello').toString('hex'), as: 'text' },
      ],
      corruptOutput: [1],
    },
  });
  const grant = lab.start();
  const peer = new SsmPeer({ acknowledges: false });
  const frames: Buffer[] = [];
  await peer.connect(grant.streamUrl);
  peer.ws.removeAllListeners('message');
  peer.ws.on('message', (data: Buffer) => frames.push(data));
  peer.raw(
    JSON.stringify({
      MessageSchemaVersion: '1.0',
      RequestId: '12345678-9abc-4def-8123-456789abcdef',
      TokenValue: grant.tokenValue,
    }),
  );
  while (frames.length < 5) await settle();
  const digestOf = (frame: Buffer) => createHash('sha256').update(frame.subarray(120)).digest();
  const request = frames.find((frame) => frame.length > 200)!;
  assert.notDeepEqual(digestOf(request), Buffer.from(request.subarray(80, 112)));
  assert.equal(frames.filter((frame) => frame.toString('hex') === 'c0ffee').length, 2);
});

test('the client may be paused: its input waits at the service', async (t) => {
  const { peer, lab } = await opened(t);
  lab.faults.set({ pauseClient: true });
  await peer.until(() => peer.seen.some(({ type }) => type === 'pause_publication'));
  peer.openStream(3, 'patience');
  const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
  peer.ws.ping();
  await pong;
  assert.deepEqual(peer.acknowledged, [0]);
  lab.faults.set({});
  await peer.until(() => peer.streams.get(3)?.data === 'patience');
  assert.equal(peer.seen.filter(({ type }) => type === 'start_publication').length, 2);
});

test('a repeated handshake request after a resume is the old one', async (t) => {
  const lab = await gatewayLab(t, { faults: { handshakeRequestAfterResume: true } });
  const grant = lab.start();
  const peer = new SsmPeer({ acknowledges: false });
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.until(() => peer.seen.some(({ payloadType }) => payloadType === 5));
  peer.disconnect();
  await peer.until(() => peer.closed !== undefined);
  const again = lab.resume(grant.sessionId);
  const before = peer.seen.length;
  await peer.connect(again.streamUrl, again.tokenValue);
  await peer.until(() => peer.seen.slice(before).some(({ payloadType, number }) => payloadType === 5 && number === 0));
});

for (const [what, faults] of [
  ['unpaced', { pacing: false }],
  ['unpaced, 16 KiB messages', { pacing: false, messagePayload: 16_384 }],
] as const) {
  test(`8 MB down and 8 MB up, byte for byte, ${what}`, async (t) => {
    const bytes = Buffer.from(Array.from({ length: 65_536 }, (_value, index) => (index * 31 + (index >> 8)) & 255));
    const total = 8 * 1024 * 1024;
    let received = createHash('sha256');
    let receivedBytes = 0;
    const port = await tcpTarget(t, (socket) => {
      socket.on('data', (data: Buffer) => {
        if (receivedBytes === 0 && data.toString('latin1', 0, 4) === 'send') {
          for (let sent = 0; sent < total; sent += bytes.length) socket.write(bytes);
          return;
        }
        received.update(data);
        receivedBytes += data.length;
      });
    });
    const { lab, peer } = await opened(t, faults, { target: port });
    peer.openStream(3, 'send');
    await peer.until(() => (peer.streams.get(3)?.data.length ?? 0) === total);
    const whole = Buffer.concat(Array.from({ length: total / bytes.length }, () => bytes));
    const expected = createHash('sha256').update(whole).digest('hex');
    assert.equal(createHash('sha256').update(peer.streams.get(3)!.data, 'latin1').digest('hex'), expected);
    received = createHash('sha256');
    peer.openStream(5);
    let last = 0;
    for (let at = 0; at < total; at += 30_000) last = peer.input(1, smux('psh', 5, whole.subarray(at, at + 30_000)));
    await peer.until(() => peer.acknowledged.includes(last));
    while (receivedBytes < total) await settle();
    assert.equal(received.digest('hex'), expected);
    assert.deepEqual(lab.gateway.violations(), []);
  });
}
