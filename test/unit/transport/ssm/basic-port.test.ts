import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { BasicPort } from '../../../../src/transport/ssm/basic-port.ts';
import { DataChannel } from '../../../../src/transport/ssm/core/data-channel.ts';
import { outputMessage } from '../../../support/agent-messages.ts';
import { seededRandom, settle } from '../../../support/manual-world.ts';

function bench() {
  const said: string[] = [];
  let roomAgain = () => {};
  const port = new BasicPort({
    outputWaiting: () => void said.push('output'),
    roomAgain: () => roomAgain(),
    closed: () => void said.push('closed'),
  });
  const pull = (maxBytes = 1_024) => {
    const target = Buffer.alloc(maxBytes);
    return target.toString('latin1', 0, port.pull(target, 0, maxBytes));
  };
  return {
    port,
    said,
    pull,
    whenRoom: (call: () => void) => {
      roomAgain = call;
    },
  };
}

test('one connection: raw bytes both ways, cut to the message size', async () => {
  const { port, pull } = bench();
  assert.ok(port.canOpen);
  assert.equal(port.openCount, 0);
  const stream = port.open();
  assert.ok(!port.canOpen, 'only one');
  assert.equal(port.openCount, 1);
  assert.equal(await stream.accepted, 'acknowledged');
  let calls = 0;
  stream.write('hello world', () => calls++);
  assert.equal(pull(5), 'hello');
  await settle();
  assert.equal(calls, 0);
  assert.equal(pull(100), ' world');
  assert.equal(pull(), '');
  await settle();
  assert.equal(calls, 1);
  const payload = Buffer.from('answer');
  assert.ok(port.deliver(payload));
  payload.fill('x');
  assert.equal(String(stream.read()), 'answer', 'a copy: the message is valid during the call only');
  assert.deepEqual([port.bytesUp, port.bytesDown], [11, 6]);
  stream.destroy();
});

test('a greeting that came before the client is kept for it, and counts as an answer', async () => {
  const { port } = bench();
  port.deliver(Buffer.from('SSH-2.0-x\r\n'));
  const stream = port.open();
  assert.equal(await stream.accepted, 'answered');
  assert.equal(String(stream.read()), 'SSH-2.0-x\r\n');
  stream.destroy();
});

for (const [how, error] of [
  ['quietly', undefined],
  ['with an error', new CloudtunError('CT_TUNNEL_LOST', 'gone')],
] as const) {
  test(`a session that ends ${how} calls a waiting write back once`, async () => {
    const { port, said, pull } = bench();
    const stream = port.open();
    stream.on('error', () => {});
    let calls = 0;
    stream.write(Buffer.alloc(3_000), () => calls++);
    pull();
    port.abort(error);
    await settle();
    assert.equal(calls, 1);
    assert.equal(pull(), '', 'nothing of it leaves any more');
    assert.deepEqual(said, ['output', 'closed']);
    assert.equal(port.openCount, 0);
    assert.ok(port.deliver(Buffer.from('late')), 'what still comes is taken and dropped');
  });
}

test('a reader that does not read: 4 MiB are held, the rest stays with the agent and is delivered later, in order', async () => {
  const { port, whenRoom } = bench();
  const channel = new DataChannel(
    { deliver: (_type, payload) => port.deliver(payload), serviceMessage: () => {} },
    { randomBytes: seededRandom().bytes, wall: () => 1 },
  );
  whenRoom(() => channel.roomAgain());
  const stream = port.open();
  const piece = (number: number) => Buffer.alloc(64 * 1024, number & 0xff);
  // Number 70 comes late: 71 to 80 wait for it, acknowledged already, so the agent will not send them again.
  for (let number = 0; number < 70; number++) channel.receive(outputMessage(number, piece(number)), 0);
  const held = stream.readableLength;
  assert.ok(held > 4 * 1024 * 1024 && held < 5 * 1024 * 1024, `${held} bytes`);
  const refusedFrom = channel.expectedNumber;
  for (let number = 71; number <= 80; number++) channel.receive(outputMessage(number, piece(number)), 0);
  for (let number = refusedFrom; number <= 70; number++) channel.receive(outputMessage(number, piece(number)), 0);
  let received = 0;
  let isInOrder = true;
  stream.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 8_192) isInOrder &&= bytes[at] === (((received + at) / 65_536) & 0xff);
    received += bytes.length;
  });
  await settle(20);
  for (let number = refusedFrom; number <= 70; number++) channel.receive(outputMessage(number, piece(number)), 0);
  await settle(20);
  assert.equal(channel.expectedNumber, 81, 'nothing that was acknowledged is left behind');
  assert.equal(received, 81 * 65_536);
  assert.ok(isInOrder);
  stream.destroy();
});

test('what was kept out of order is delivered when the reader catches up, without anything new from the agent', async () => {
  const { port, whenRoom } = bench();
  const channel = new DataChannel(
    { deliver: (_type, payload) => port.deliver(payload), serviceMessage: () => {} },
    { randomBytes: seededRandom().bytes, wall: () => 1 },
  );
  whenRoom(() => channel.roomAgain());
  const stream = port.open();
  channel.receive(outputMessage(1, Buffer.alloc(1_000, 1)), 0);
  channel.receive(outputMessage(0, Buffer.alloc(4 * 1024 * 1024 + 1)), 0);
  assert.equal(channel.expectedNumber, 1, 'message 1 waits: acknowledged, and not taken');
  stream.resume();
  await settle(20);
  assert.equal(channel.expectedNumber, 2);
  stream.destroy();
});
