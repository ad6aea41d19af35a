import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { SMUX_COMMAND, smuxFrame } from '../../../../src/transport/smux/core/frame.ts';
import { SessionPool } from '../../../../src/transport/ssm/session-pool.ts';
import { outputMessage, serviceMessage } from '../../../support/agent-messages.ts';
import { settle } from '../../../support/manual-world.ts';
import { type GatewayConnection, ScriptedGateway, until } from '../../../support/scripted-gateway.ts';

const TO = { port: 5432 };
const { signal: never } = new AbortController();

const open = (gateway: ScriptedGateway, sessions: number | 'auto') =>
  SessionPool.open(gateway.hand.world, gateway.tickets, TO, { ...gateway.options, sessions }, never);

const streamsOf = (pool: SessionPool) => pool.stats().each.map(({ openStreams }) => openStreams);
const furtherOf = (gateway: ScriptedGateway) =>
  gateway.eventsOf('session-started').flatMap(({ further }) => (further ? [[further.because, further.count]] : []));

/** Lets time pass in steps that leave sockets their turn. */
async function pass(gateway: ScriptedGateway, duration: number): Promise<void> {
  for (let left = duration; left > 0; left -= 5_000) {
    gateway.hand.clock.tick(Math.min(left, 5_000));
    await settle(20);
  }
}

/** What an agent sends in two seconds at its full pace, in messages of a byte. @returns the number of the next message */
async function fill(gateway: ScriptedGateway, connection: GatewayConnection, firstNumber: number): Promise<number> {
  let number = firstNumber;
  for (let tick = 0; tick < 8; tick += 1) {
    const frames = Array.from({ length: 160 }, () =>
      outputMessage(number++, smuxFrame(SMUX_COMMAND.psh, 3, Buffer.alloc(1))),
    );
    connection.send(...frames);
    await settle(20);
    gateway.hand.clock.tick(250);
  }
  return number;
}

test('connections that come together get a session each, up to the number that was asked for, and share them evenly then', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 4);
  assert.equal(gateway.connections.length, 1, 'nothing ahead of need');
  await Promise.all(Array.from({ length: 4 }, () => pool.open(never)));
  assert.deepEqual(streamsOf(pool), [1, 1, 1, 1]);
  assert.deepEqual(furtherOf(gateway), [
    ['asked', 2],
    ['asked', 3],
    ['asked', 4],
  ]);
  await Promise.all(Array.from({ length: 4 }, () => pool.open(never)));
  assert.deepEqual(streamsOf(pool), [2, 2, 2, 2]);
  await pool[Symbol.asyncDispose]();
  assert.equal(gateway.calls.filter((call) => call === 'release').length, 4);
});

test('many that come at once are shared evenly with the sessions that are still being started', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 8);
  await Promise.all(Array.from({ length: 24 }, () => pool.open(never)));
  assert.deepEqual(streamsOf(pool), [3, 3, 3, 3, 3, 3, 3, 3]);
  await pool[Symbol.asyncDispose]();
});

test('a refusal of the second session does not hurt the first one: told once, tried again later', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 3);
  const warnings = () => gateway.eventsOf('warning').map(({ message }) => message);
  gateway.refusal = new CloudtunError('CT_DENIED', 'no more than one');
  await Promise.all(Array.from({ length: 6 }, () => pool.open(never)));
  assert.deepEqual(streamsOf(pool), [6]);
  assert.deepEqual(warnings(), [
    'no further session for now, connections share what there is: no more than one (CT_DENIED)',
  ]);
  const asked = gateway.calls.length;
  await pool.open(never);
  assert.equal(gateway.calls.length, asked, 'not with every connection');
  await pass(gateway, 8_000);
  gateway.refusal = undefined;
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [7, 1]);
  assert.equal(warnings().length, 1);
  await pool[Symbol.asyncDispose]();
});

test('a connection does not wait for ever: after three seconds it shares, and the session that comes late serves the next', async () => {
  await using gateway = await ScriptedGateway.open();
  const opening = open(gateway, 2);
  await gateway.handshake(await gateway.connection());
  const pool = await opening;
  await pool.open(never);
  const patient = pool.open(never);
  const late = await gateway.connection(1);
  gateway.hand.clock.tick(2_999);
  await settle();
  assert.deepEqual(streamsOf(pool), [1]);
  gateway.hand.clock.tick(1);
  await patient;
  assert.deepEqual(streamsOf(pool), [2]);
  await gateway.handshake(late);
  await until(() => pool.stats().sessions === 2, 'the late one');
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [2, 1]);
  await pool[Symbol.asyncDispose]();
});

test('auto: a further session when the first is full, ended a minute after its last connection', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 'auto');
  const first = await pool.open(never);
  first.resume();
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [2], 'nothing moves yet');
  await fill(gateway, gateway.connections[0]!, 2);
  const [figures] = pool.stats().each;
  assert.ok(figures!.rateDown > 500 && figures!.rateDown < 800, `${figures!.rateDown} bytes a second`);
  const third = await pool.open(never);
  assert.deepEqual(streamsOf(pool), [2, 1]);
  assert.deepEqual(furtherOf(gateway), [['load', 2]]);
  third.destroy();
  await settle();
  await pass(gateway, 59_000);
  assert.equal(pool.stats().sessions, 2);
  await pass(gateway, 2_000);
  await until(() => pool.stats().sessions === 1, 'the spare one ends');
  assert.deepEqual(streamsOf(pool), [2]);
  assert.ok(gateway.eventsOf('session-ended').some(({ reason }) => reason === 'not needed any more'));
  await pool[Symbol.asyncDispose]();
});

test('one connection at the pace of its session: told once, calmly', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 1);
  (await pool.open(never)).resume();
  let number = 2;
  for (let count = 0; count < 8; count += 1) number = await fill(gateway, gateway.connections[0]!, number);
  assert.deepEqual(
    gateway.eventsOf('hint').map(({ message }) => message),
    ['one connection goes through one session, about 0.7 MB/s; several connections can use --sessions'],
  );
  await pool[Symbol.asyncDispose]();
});

test('a session that lost its websocket keeps its streams, and gets no new one while another is well', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 2);
  const kept = await pool.open(never);
  await Promise.all([pool.open(never), pool.open(never)]);
  assert.deepEqual(streamsOf(pool), [2, 1]);
  gateway.connections[1]!.cut();
  await until(() => pool.stats().each[1]!.health === 'reconnecting', 'the cut is noticed');
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [3, 1], 'the fuller one, which is well');
  await until(() => gateway.eventsOf('reconnecting').length === 1, 'it is tried');
  await gateway.hand.clock.advance(200);
  await until(() => pool.stats().each[1]!.health === 'healthy', 'resumed');
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [3, 2]);
  assert.ok(!kept.destroyed);
  await pool[Symbol.asyncDispose]();
});

test('a session that ends takes its own streams along, and the next connection gets another one', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 2);
  const streams = await Promise.all([1, 2, 3, 4].map(() => pool.open(never)));
  const errors: string[] = [];
  for (const stream of streams) stream.on('error', (error) => errors.push((error as CloudtunError).code));
  gateway.connections[1]!.send(serviceMessage('channel_closed', '{"Output":"terminated by an administrator"}'));
  await until(() => pool.stats().sessions === 1, 'its end');
  await settle();
  assert.deepEqual(errors, ['CT_SESSION_ENDED', 'CT_SESSION_ENDED']);
  assert.equal(streams.filter(({ destroyed }) => !destroyed).length, 2);
  await pool.open(never);
  assert.deepEqual(streamsOf(pool), [2, 1]);
  await pool[Symbol.asyncDispose]();
});

test('the end of the last session ends the tunnel, also when it comes while another one is refused', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, 2);
  (await pool.open(never)).on('error', () => {});
  let refuse: (error: Error) => void = () => {};
  gateway.hold = new Promise((_, reject) => {
    refuse = reject;
  });
  const waiting = assert.rejects(pool.open(never), { code: 'CT_THROTTLED' });
  await until(() => gateway.calls.length === 2, 'the second is asked for');
  gateway.connections[0]!.send(serviceMessage('channel_closed', '{"Output":"gone"}'));
  await until(() => pool.stats().sessions === 0, 'the end of the first');
  refuse(new CloudtunError('CT_THROTTLED', 'not now'));
  await waiting;
  assert.equal((await pool.closed).reason, 'ended-by-service');
  await pool[Symbol.asyncDispose]();
});
