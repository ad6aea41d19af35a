import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { readInto, startReading, stopReading } from '../../../src/runtime/socket-reading.ts';
import { socketPair } from '../../support/socket-pair.ts';
import { until } from '../../support/until.ts';

test('a socket is read into the shared buffer, and its end is still told', async (t) => {
  const { client, accepted } = await socketPair();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  const pieces: string[] = [];
  const buffers = new Set<ArrayBufferLike>();
  assert.ok(
    readInto(accepted, (bytes) => {
      pieces.push(bytes.toString());
      buffers.add(bytes.buffer);
      return true;
    }),
  );
  accepted.on('data', () => assert.fail('nothing goes through the stream'));
  client.write('one');
  await until(() => pieces.join('') === 'one');
  client.end('two');
  await once(accepted, 'end');
  assert.equal(pieces.join(''), 'onetwo');
  assert.equal(buffers.size, 1);
});

test('what waits in the stream comes before what is read later, in whichever state the socket is', async (t) => {
  const { client, accepted } = await socketPair();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  stopReading(accepted);
  accepted.unshift(Buffer.from('0'));
  let read = '';
  assert.ok(
    readInto(accepted, (bytes) => {
      read += bytes.toString();
      return true;
    }),
  );
  // The handle reads although the stream is paused, as it does for a client that waits for its stream.
  accepted.read(0);
  client.write('1');
  await until(() => accepted.readableLength === 2);
  client.write('2');
  await until(() => accepted.readableLength === 3);
  assert.equal(read, '');
  accepted.on('data', (chunk: Buffer) => {
    read += chunk.toString();
  });
  startReading(accepted);
  await until(() => read === '012');
  client.write('3');
  await until(() => read === '0123');
});

test('a socket that is stopped inside the call is read no further', async (t) => {
  const { client, accepted } = await socketPair();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  let byteCount = 0;
  assert.ok(
    readInto(accepted, (bytes) => {
      byteCount += bytes.length;
      stopReading(accepted);
      return true;
    }),
  );
  accepted.on('data', () => {});
  client.write(Buffer.alloc(1_000_000));
  await until(() => byteCount > 0);
  const before = byteCount;
  assert.ok(before <= 65_536);
  startReading(accepted);
  await until(() => byteCount > before);
  assert.ok(byteCount <= 2 * 65_536);
});

test('it is not done twice to a socket, nor to one that is closed', async (t) => {
  const { client, accepted } = await socketPair();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  assert.equal(
    readInto(accepted, () => true),
    true,
  );
  assert.equal(
    readInto(accepted, () => true),
    false,
  );
  client.destroy();
  assert.equal(
    readInto(client, () => true),
    false,
  );
});
