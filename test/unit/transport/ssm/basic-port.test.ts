import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { BasicPort } from '../../../../src/transport/ssm/basic-port.ts';
import { settle } from '../../../support/manual-world.ts';

function bench() {
  const said: string[] = [];
  const port = new BasicPort({
    outputWaiting: () => void said.push('output'),
    pause: () => void said.push('pause'),
    resume: () => void said.push('resume'),
    closed: () => void said.push('closed'),
  });
  const pull = (maxBytes = 1_024) => {
    const target = Buffer.alloc(maxBytes);
    return target.toString('latin1', 0, port.pull(target, 0, maxBytes));
  };
  return { port, said, pull };
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

test('a reader that does not read: at 4 MiB the session stops reading, and goes on when all was read', async () => {
  const { port, said } = bench();
  const stream = port.open();
  for (let fed = 0; fed < 4 * 1024 * 1024; fed += 64 * 1024) {
    assert.ok(!port.isStalled);
    port.deliver(Buffer.alloc(64 * 1024));
    port.batchEnd();
  }
  assert.ok(port.isStalled);
  assert.deepEqual(said, ['pause']);
  // What was on its way still comes, and is kept.
  port.deliver(Buffer.from('last'));
  let received = 0;
  stream.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  await settle(20);
  assert.deepEqual(said, ['pause', 'resume']);
  assert.equal(received, 4 * 1024 * 1024 + 4);
  stream.destroy();
});
