import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelStream } from '../../../../src/domain/dialer.ts';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { SMUX_COMMAND, smuxFrame } from '../../../../src/transport/smux/core/frame.ts';
import { MAX_HELD_PER_STREAM } from '../../../../src/transport/smux/mux.ts';
import { SessionPool } from '../../../../src/transport/ssm/session-pool.ts';
import { outputMessage, serviceMessage } from '../../../support/agent-messages.ts';
import { settle } from '../../../support/manual-world.ts';
import { type GatewayConnection, ScriptedGateway, until } from '../../../support/scripted-gateway.ts';

const TO = { port: 5432 };
const { signal: never } = new AbortController();

const open = (gateway: ScriptedGateway, more: object = {}) =>
  SessionPool.open(gateway.hand.world, gateway.tickets, TO, { ...gateway.options, ...more }, never);

const quiet = (gateway: ScriptedGateway) => until(() => gateway.hand.clock.pending === 0, 'no timer is left');

const count = (gateway: ScriptedGateway, call: string) => gateway.calls.filter((made) => made === call).length;

/** Fills a stream whose client does not read, until its session stops reading. */
function flood(connection: GatewayConnection, streamId: number, firstNumber: number): void {
  for (let index = 0; index * 32_768 <= MAX_HELD_PER_STREAM; index++) {
    connection.send(outputMessage(firstNumber + index, smuxFrame(SMUX_COMMAND.psh, streamId, Buffer.alloc(32_768))));
  }
}

test('streams share one session; closing the tunnel terminates it', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway);
  const streams = await Promise.all([1, 2, 3].map(() => pool.open(never)));
  assert.equal(gateway.connections.length, 1);
  assert.deepEqual([pool.stats().sessions, pool.stats().openStreams], [1, 3]);
  streams[0]!.write('12345');
  await until(() => pool.stats().bytesUp === 5, 'counted');
  await pool[Symbol.asyncDispose]();
  assert.deepEqual(await pool.closed, { reason: 'closed-by-us' });
  assert.ok(streams.every(({ destroyed }) => destroyed));
  assert.deepEqual(gateway.calls, ['issue', 'release']);
  assert.equal(pool.stats().bytesUp, 5, 'figures outlive the sessions');
  await assert.rejects(pool.open(never), { code: 'CT_TUNNEL_LOST' });
  await quiet(gateway);
});

test('a stalled session gets no new streams: they go to another one', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway);
  await pool.open(never);
  flood(gateway.connections[0]!, 3, 2);
  await until(() => gateway.eventsOf('session-stalled').length === 1, 'the stall');
  const both = await Promise.all([pool.open(never), pool.open(never)]);
  assert.equal(both.length, 2);
  assert.equal(gateway.connections.length, 2, 'one more for both');
  assert.equal(pool.stats().sessions, 2);
  await pool[Symbol.asyncDispose]();
  assert.equal(count(gateway, 'release'), 2);
  await quiet(gateway);
});

test('where the cloud gives no further session, a stalled one is better than none', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway);
  await pool.open(never);
  flood(gateway.connections[0]!, 3, 2);
  await until(() => gateway.eventsOf('session-stalled').length === 1, 'the stall');
  gateway.refusal = new CloudtunError('CT_THROTTLED', 'too many sessions');
  assert.ok(await pool.open(never));
  assert.deepEqual([pool.stats().sessions, pool.stats().openStreams], [1, 2]);
  await pool[Symbol.asyncDispose]();
  await quiet(gateway);
});

test('basic mode: a session for each connection, eight at most; the ninth waits for a place', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, { forceBasic: true });
  const streams = await Promise.all(Array.from({ length: 8 }, () => pool.open(never)));
  assert.equal(gateway.connections.length, 8);
  let ninth: TunnelStream | undefined;
  const waiting = pool.open(never).then((stream) => {
    ninth = stream;
  });
  const giveUp = new AbortController();
  const reason = new Error('enough');
  const tenth = assert.rejects(pool.open(giveUp.signal), reason);
  await settle(30);
  assert.equal(ninth, undefined);
  giveUp.abort(reason);
  await tenth;
  streams[3]!.destroy();
  await waiting;
  assert.equal(count(gateway, 'issue'), 9);
  assert.equal(pool.stats().sessions, 8);
  await pool[Symbol.asyncDispose]();
  assert.equal(count(gateway, 'release'), 9, 'every session is terminated, once');
  for (const { inputs } of gateway.connections) {
    assert.equal(inputs.filter(({ payloadType }) => payloadType === 10).length, 1, 'one flag, or the agent may hang');
  }
  await quiet(gateway);
});

test('a basic session that ends with its connection does not end the tunnel', async () => {
  await using gateway = await ScriptedGateway.open({ handshake: {} });
  const pool = await open(gateway, { forceBasic: true });
  let isClosed = false;
  void pool.closed.then(() => {
    isClosed = true;
  });
  (await pool.open(never)).destroy();
  await until(() => count(gateway, 'release') === 1, 'its end');
  await settle();
  assert.ok(!isClosed);
  await pool.open(never);
  assert.equal(gateway.connections.length, 2);
  await pool[Symbol.asyncDispose]();
});

test('the last session ending with a reason ends the tunnel, and its ticket is released whoever ended it', async () => {
  for (const [frame, reason, code] of [
    [serviceMessage('channel_closed', '{"Output":"idle"}'), 'ended-by-service', 'CT_SESSION_ENDED'],
    [Buffer.alloc(300), 'lost', 'CT_PROTO_FRAME'],
  ] as const) {
    await using gateway = await ScriptedGateway.open({ handshake: {} });
    const pool = await open(gateway);
    const stream = await pool.open(never);
    stream.on('error', () => {});
    gateway.connections[0]!.send(frame);
    const end = await pool.closed;
    assert.equal(end.reason, reason);
    assert.equal((end.error as { code?: string }).code, code);
    await pool[Symbol.asyncDispose]();
    assert.equal(count(gateway, 'release'), 1);
    await quiet(gateway);
  }
});

test('closing while another session starts ends that one too, and whoever waits for it', async () => {
  await using gateway = await ScriptedGateway.open();
  const opening = open(gateway);
  await gateway.handshake(await gateway.connection());
  const pool = await opening;
  const stream = await pool.open(never);
  stream.on('error', () => {});
  flood(gateway.connections[0]!, 3, 2);
  await until(() => gateway.eventsOf('session-stalled').length === 1, 'the stall');
  const late = assert.rejects(pool.open(never), { code: 'CT_TUNNEL_LOST' });
  await gateway.connection(1);
  const disposed = pool[Symbol.asyncDispose]();
  await late;
  // The first session is stalled: its flag is not acknowledged in time.
  await settle(50);
  gateway.hand.clock.tick(1_000);
  await disposed;
  assert.equal(count(gateway, 'issue'), 2);
  assert.equal(count(gateway, 'release'), 2);
  await quiet(gateway);
});

test('a first session that cannot be had is the error of whoever opens the tunnel', async () => {
  await using gateway = await ScriptedGateway.open();
  const opening = assert.rejects(open(gateway), { code: 'CT_SESSION_ENDED' });
  (await gateway.connection()).send(serviceMessage('channel_closed', '{}'));
  await opening;
  await quiet(gateway);
});
