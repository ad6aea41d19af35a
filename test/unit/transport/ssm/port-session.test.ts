import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelStream } from '../../../../src/domain/dialer.ts';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { SMUX_COMMAND, smuxFrame } from '../../../../src/transport/smux/core/frame.ts';
import { PortSession } from '../../../../src/transport/ssm/port-session.ts';
import {
  acknowledgeMessage,
  handshakeRequest,
  outputMessage,
  serviceMessage,
} from '../../../support/agent-messages.ts';
import { settle } from '../../../support/manual-world.ts';
import { type GatewayConnection, ScriptedGateway, until } from '../../../support/scripted-gateway.ts';

const TO = { host: 'db.internal', port: 3306 };
const { signal: never } = new AbortController();
const { syn, psh, fin } = SMUX_COMMAND;

const start = (gateway: ScriptedGateway, signal = never, more: object = {}) =>
  PortSession.start(gateway.hand.world, gateway.tickets, TO, { ...gateway.options, ...more }, signal);

/** Its sockets are closed and no timer is left. */
const quiet = (gateway: ScriptedGateway) => until(() => gateway.hand.clock.pending === 0, 'no timer is left');

/** A session with its handshake done. */
async function ready(gateway: ScriptedGateway): Promise<{ session: PortSession; connection: GatewayConnection }> {
  const starting = start(gateway);
  const connection = await gateway.connection();
  await gateway.handshake(connection);
  return { session: await starting, connection };
}

const inputTexts = (connection: GatewayConnection) =>
  connection.inputs.map(
    ({ sequenceNumber, payloadType, payload }) =>
      `${sequenceNumber}/${payloadType} ${Buffer.from(payload).toString('hex')}`,
  );

function reading(stream: TunnelStream) {
  const seen = { text: '', error: '' };
  stream.on('data', (bytes: Buffer) => {
    seen.text += bytes.toString();
  });
  stream.on('error', (error: Error & { code?: string }) => {
    seen.error = error.code ?? error.message;
  });
  return seen;
}

async function closed(gateway: ScriptedGateway, session: PortSession): Promise<void> {
  await session.close();
  await until(() => gateway.connections.at(-1)!.closeCode !== undefined, 'the websocket is closed');
}

test('start, a stream, close: the flag is sent, the session terminated once, a close frame last', async () => {
  await using gateway = await ScriptedGateway.open();
  const starting = start(gateway);
  const connection = await gateway.connection();
  assert.equal(connection.opening!.TokenValue, 'token-1');
  assert.equal(connection.opening!.ClientVersion, '1.2.764.0');
  const response = await gateway.handshake(connection);
  assert.equal(
    response,
    '{"ClientVersion":"1.2.764.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}],"Errors":null}',
  );
  const session = await starting;
  assert.deepEqual([session.mode, session.agentVersion], ['mux', '3.3.4121.0']);
  assert.deepEqual(
    gateway.eventsOf('phase').map(({ phase }) => phase),
    ['StartSession', 'websocket', 'handshake'],
  );
  const stream = session.carrier.open();
  const seen = reading(stream);
  stream.write('hello');
  await until(() => connection.inputs.length === 2, 'SYN and data in one message');
  connection.send(outputMessage(2, smuxFrame(psh, 3, Buffer.from('world'))));
  await until(() => seen.text === 'world', 'the answer');
  await closed(gateway, session);
  assert.deepEqual(inputTexts(connection).slice(1), [
    `1/1 ${smuxFrame(syn, 3).toString('hex')}${smuxFrame(psh, 3, Buffer.from('hello')).toString('hex')}`,
    `2/1 ${smuxFrame(fin, 3).toString('hex')}`,
    '3/10 00000002',
  ]);
  assert.equal(connection.closeCode, 1000);
  assert.deepEqual(gateway.calls, ['issue', 'release']);
  assert.deepEqual(await session.ended, { reason: 'closed' });
  await session.close();
  assert.deepEqual(gateway.calls, ['issue', 'release'], 'once');
  await quiet(gateway);
});

test('streams that open before HandshakeComplete wait for it: the agent would throw their bytes away', async () => {
  await using gateway = await ScriptedGateway.open();
  const starting = start(gateway);
  const connection = await gateway.connection();
  connection.send(outputMessage(0, handshakeRequest(), 5), outputMessage(0, handshakeRequest(), 5));
  await until(() => connection.inputs.length === 1, 'the response');
  await gateway.hand.clock.advance(100);
  assert.equal(connection.inputs.length, 1, 'and nothing else');
  connection.send(outputMessage(1, '{}', 7));
  await closed(gateway, await starting);
});

test('an agent that acknowledges nothing does not hold up the close for more than a second', async () => {
  await using gateway = await ScriptedGateway.open({ acknowledges: false });
  const { session, connection } = await ready(gateway);
  const closing = session.close();
  await until(() => connection.inputs.length === 2, 'the flag');
  gateway.hand.clock.tick(1_000);
  await closing;
  assert.deepEqual(gateway.calls, ['issue', 'release']);
});

for (const [what, request, code] of [
  ['a shell', { sessionType: 'Standard_Stream' }, 'CT_DOCUMENT_INVALID'],
  ['an encrypted session', { kmsKeyId: 'arn:aws:kms:x' }, 'CT_PROTO_HANDSHAKE'],
] as const) {
  test(`${what} is refused with ${code}, and terminated`, async () => {
    await using gateway = await ScriptedGateway.open();
    const starting = assert.rejects(start(gateway), { code });
    const connection = await gateway.connection();
    connection.send(outputMessage(0, handshakeRequest(request), 5));
    await starting;
    assert.deepEqual(gateway.calls, ['issue', 'release']);
    await quiet(gateway);
  });
}

for (const [output, code] of [
  ['Forwarding to IP address 169.254.169.254 is forbidden.', 'CT_REMOTE_FORBIDDEN'],
  ['Unable to connect to specified port: dial tcp 127.0.0.1:81: connect: connection refused', 'CT_REMOTE_REFUSED'],
  ['Handshake timed out. Please ensure that you have the latest version of the session manager plugin.', 'CT_TIMEOUT'],
  ['', 'CT_SESSION_ENDED'],
] as const) {
  test(`channel_closed "${output.slice(0, 20)}" before the session is ready is ${code}`, async () => {
    await using gateway = await ScriptedGateway.open();
    const starting = assert.rejects(start(gateway), { code });
    const connection = await gateway.connection();
    connection.send(serviceMessage('channel_closed', JSON.stringify({ Output: output })));
    await starting;
    assert.ok(!gateway.calls.includes('renew'), 'it is an end, not a resume');
    await quiet(gateway);
  });
}

test('channel_closed ends streams with the reason, and nothing is resumed', async () => {
  await using gateway = await ScriptedGateway.open();
  const { session, connection } = await ready(gateway);
  const seen = reading(session.carrier.open());
  connection.send(serviceMessage('channel_closed', '{"Output":"terminated\\u001b[2J by bob"}'));
  const end = await session.ended;
  await settle();
  assert.equal(end.error?.code, 'CT_SESSION_ENDED');
  assert.equal(end.error?.message, 'the cloud ended the session: terminated [2J by bob', 'without what moves a cursor');
  assert.equal(seen.error, 'CT_SESSION_ENDED');
  assert.ok(!gateway.calls.includes('renew'));
});

test('a lost websocket is resumed: numbers go on, nothing twice, nothing lost, no second response', async () => {
  await using gateway = await ScriptedGateway.open();
  const { session, connection: first } = await ready(gateway);
  const stream = session.carrier.open();
  const seen = reading(stream);
  stream.write('one');
  await until(() => first.inputs.length === 2, 'the first bytes');
  first.send(outputMessage(2, smuxFrame(psh, 3, Buffer.from('down one '))));
  await until(() => seen.text !== '', 'the first answer');
  first.cut();
  await until(() => gateway.eventsOf('reconnecting').length === 1, 'the loss is seen');
  // Written in between.
  stream.write('two');
  await gateway.hand.clock.advance(200);
  const second = await gateway.connection(1);
  assert.equal(second.opening!.TokenValue, 'token-2');
  assert.equal(second.opening!.ClientId, first.opening!.ClientId);
  assert.notEqual(second.opening!.RequestId, first.opening!.RequestId);
  // The agent repeats what it does not know to be here, the handshake included.
  second.send(
    outputMessage(0, handshakeRequest(), 5),
    outputMessage(2, smuxFrame(psh, 3, Buffer.from('down one '))),
    outputMessage(3, smuxFrame(psh, 3, Buffer.from('down two'))),
  );
  await until(() => seen.text === 'down one down two', 'the rest of the answer');
  await until(() => second.inputs.some(({ payload }) => Buffer.from(payload).includes('two')), 'the second bytes');
  const numbers = new Set([...first.inputs, ...second.inputs].map(({ sequenceNumber }) => Number(sequenceNumber)));
  assert.deepEqual([...numbers].sort(), [0, 1, 2]);
  assert.ok(second.inputs.every(({ payloadType }) => payloadType !== 6));
  assert.deepEqual(gateway.eventsOf('renewed').length, 1);
  assert.deepEqual(seen.error, '');
  await closed(gateway, session);
  assert.deepEqual(gateway.calls, ['issue', 'renew', 'release']);
});

test('what was not acknowledged is sent again right after the text frame, oldest first', async () => {
  await using gateway = await ScriptedGateway.open({ acknowledges: false });
  const { session, connection: first } = await ready(gateway);
  first.send(acknowledgeMessage(0));
  const stream = session.carrier.open();
  for (const text of ['a', 'b', 'c']) {
    stream.write(text);
    await settle();
  }
  await until(() => first.inputs.length === 4, 'three messages');
  first.send(acknowledgeMessage(2));
  await settle();
  first.close(1000, 'Bye');
  await until(() => gateway.eventsOf('reconnecting').length === 1, 'the loss is seen');
  assert.match(gateway.eventsOf('reconnecting')[0]!.reason, /1000 "Bye"/);
  await gateway.hand.clock.advance(200);
  const second = await gateway.connection(1);
  await until(() => second.inputs.length === 2, 'what is missing');
  assert.deepEqual(
    // Time went on by hand meanwhile, so that more repeats follow.
    second.messages
      .filter(({ messageType }) => messageType === 'input_stream_data')
      .map(({ sequenceNumber }) => sequenceNumber)
      .slice(0, 2),
    [1n, 3n],
  );
  const closing = session.close();
  await settle(50);
  gateway.hand.clock.tick(1_000);
  await closing;
});

test('a session that the cloud does not resume is over', async () => {
  await using gateway = await ScriptedGateway.open();
  const { session, connection } = await ready(gateway);
  const seen = reading(session.carrier.open());
  gateway.renewal = 'over';
  connection.cut();
  await until(() => gateway.eventsOf('reconnecting').length === 1, 'the loss is seen');
  await gateway.hand.clock.advance(100);
  const end = await session.ended;
  await settle();
  assert.equal(end.error?.code, 'CT_SESSION_ENDED');
  assert.equal(seen.error, 'CT_SESSION_ENDED');
  await quiet(gateway);
});

test('renewal is tried for five minutes where that may help, for two and seldom where a person has to sign in, and not at all where it cannot', async () => {
  for (const [code, tries] of [
    ['CT_NETWORK', 20],
    ['CT_CREDENTIALS_EXPIRED', 15],
    ['CT_DENIED', 1],
  ] as const) {
    await using gateway = await ScriptedGateway.open();
    const { session, connection } = await ready(gateway);
    gateway.renewal = new CloudtunError(code, 'no');
    connection.cut();
    await until(() => gateway.eventsOf('reconnecting').length === 1, 'the loss is seen');
    await gateway.hand.clock.advance(330_000);
    const end = await session.ended;
    assert.equal(end.error?.code, code === 'CT_NETWORK' ? 'CT_TUNNEL_LOST' : code);
    const renewals = gateway.calls.filter((call) => call === 'renew').length;
    assert.ok(tries === 1 ? renewals === 1 : renewals >= tries && renewals < 60, `${renewals} calls`);
    const isSignIn = code === 'CT_CREDENTIALS_EXPIRED';
    assert.equal(gateway.eventsOf('sign-in-needed').length, isSignIn ? 1 : 0);
    const cause = { CT_NETWORK: 'unreachable', CT_CREDENTIALS_EXPIRED: 'signed-out', CT_DENIED: 'denied' }[code];
    assert.equal(gateway.eventsOf('session-ended')[0]?.ending?.cause, cause);
    await session.close();
    assert.equal(gateway.calls.filter((call) => call === 'release').length, 1, 'terminated');
    await quiet(gateway);
  }
});

test('a websocket that opens and closes at once does not start the delays anew', async () => {
  await using gateway = await ScriptedGateway.open();
  const { session, connection } = await ready(gateway);
  connection.cut();
  for (let count = 1; count <= 5; count++) {
    await until(() => gateway.eventsOf('reconnecting').length === count, `loss ${count}`);
    assert.equal(gateway.eventsOf('reconnecting').at(-1)!.attempt, count);
    // Every attempt waits longer than the one before.
    const next = gateway.hand.clock.next!;
    assert.ok(count === 1 || next >= 50 * 2 ** (count - 1), `attempt ${count} after ${next} ms`);
    await gateway.hand.clock.advance(next + 1);
    (await gateway.connection(count)).cut();
  }
  await until(() => gateway.eventsOf('reconnecting').length === 6, 'the last loss');
  await session.close();
});

for (const [what, frame, code] of [
  ['a broken frame', Buffer.alloc(200), 'CT_PROTO_FRAME'],
  ['a wrong digest', Buffer.concat([outputMessage(2, 'x').subarray(0, 120), Buffer.from('y')]), 'CT_PROTO_DIGEST'],
  ['a broken smux frame', outputMessage(2, Buffer.from('0200000003000000', 'hex')), 'CT_PROTO_MUX'],
  ['an acknowledge of what was not sent', acknowledgeMessage(99), 'CT_PROTO_FRAME'],
] as const) {
  test(`${what} ends the session with ${code}: streams reset, session terminated, nothing resumed`, async () => {
    await using gateway = await ScriptedGateway.open();
    const { session, connection } = await ready(gateway);
    const seen = reading(session.carrier.open());
    connection.send(frame);
    const end = await session.ended;
    await session.close();
    await settle();
    assert.equal(end.error?.code, code);
    assert.equal(seen.error, code);
    assert.deepEqual(gateway.calls, ['issue', 'release']);
    await until(() => connection.closeCode !== undefined, 'the websocket is cut');
    await quiet(gateway);
  });
}

test('an agent that says nothing: CT_TIMEOUT after 20 s, and the session is terminated', async () => {
  await using gateway = await ScriptedGateway.open();
  const starting = assert.rejects(start(gateway), { code: 'CT_TIMEOUT' });
  await gateway.connection();
  await settle();
  gateway.hand.clock.tick(20_000);
  await starting;
  assert.deepEqual(gateway.calls, ['issue', 'release']);
  await quiet(gateway);
});

test('whoever gives up while it starts gets his reason; the session is terminated', async () => {
  for (const isConnected of [false, true]) {
    await using gateway = await ScriptedGateway.open();
    const giveUp = new AbortController();
    const reason = new Error('enough');
    const starting = assert.rejects(start(gateway, giveUp.signal), reason);
    if (isConnected) await gateway.connection();
    else await until(() => gateway.calls.includes('issue'), 'the ticket');
    await settle();
    giveUp.abort(reason);
    await starting;
    assert.deepEqual(gateway.calls, ['issue', 'release']);
    await quiet(gateway);
  }
});

test('basic mode: forced by the caller, by an old agent, or by a document without a type', async () => {
  for (const [request, more] of [
    [{}, { forceBasic: true }],
    [{ agentVersion: '3.0.196.0' }, {}],
    [{ properties: { portNumber: '22' } }, {}],
  ] as const) {
    await using gateway = await ScriptedGateway.open();
    const starting = start(gateway, never, more);
    const connection = await gateway.connection();
    assert.equal(connection.opening!.ClientVersion, 'forceBasic' in more ? '1.1.0.0' : '1.2.764.0');
    const response = await gateway.handshake(connection, request);
    assert.match(response, new RegExp(`"ClientVersion":"${connection.opening!.ClientVersion}"`));
    const session = await starting;
    assert.equal(session.mode, 'basic');
    const stream = session.carrier.open();
    const seen = reading(stream);
    stream.write('raw');
    await until(() => connection.inputs.length === 2, 'raw bytes');
    assert.equal(inputTexts(connection)[1], `1/1 ${Buffer.from('raw').toString('hex')}`);
    connection.send(outputMessage(2, 'answer'));
    await until(() => seen.text === 'answer', 'the answer');
    // Its one connection is over, so is the session.
    stream.destroy();
    assert.equal((await session.ended).error, undefined);
    await session.close();
    assert.deepEqual(gateway.calls, ['issue', 'release']);
  }
});

test('a refused connect destroys its stream only', async () => {
  await using gateway = await ScriptedGateway.open();
  const { session, connection } = await ready(gateway);
  const seen = reading(session.carrier.open());
  connection.send(outputMessage(2, Buffer.from([0, 0, 0, 3]), 10), outputMessage(3, smuxFrame(fin, 3)));
  await until(() => seen.error !== '', 'the refusal');
  assert.equal(seen.error, 'CT_REMOTE_REFUSED');
  assert.ok(!session.isOver);
  await closed(gateway, session);
});
