import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemWorld } from '../../../../src/runtime/world.ts';
import { gatherReads } from '../../../../src/transport/ws/gathered-reading.ts';
import { socketPair } from '../../../support/socket-pair.ts';
import { patternDigest, patternPieces } from '../../../support/workload-server.ts';

const { clock } = systemWorld();

async function gathered() {
  const { client, accepted } = await socketPair();
  gatherReads(accepted, (call) => clock.soon(call));
  return { client, accepted };
}

test('every byte comes, in order, and the end behind it', async (t) => {
  const { client, accepted } = await gathered();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  const total = 20_000_000;
  const digest = createHash('sha256');
  let pieces = 0;
  accepted.on('data', (piece: Buffer) => {
    pieces += 1;
    digest.update(piece);
  });
  for (const piece of patternPieces(3, total)) client.write(piece);
  client.end();
  await once(accepted, 'end');
  assert.equal(digest.digest('hex'), patternDigest(3, total));
  t.diagnostic(`${Math.round(total / pieces)} bytes a piece`);
});

test('a whole read that is followed by the end at once is not lost behind it', async (t) => {
  for (const byteCount of [16_384, 65_536, 131_072]) {
    const { client, accepted } = await gathered();
    t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
    let received = 0;
    accepted.on('data', (piece: Buffer) => {
      received += piece.length;
    });
    client.end(Buffer.alloc(byteCount, 1));
    await once(accepted, 'end');
    assert.equal(received, byteCount);
  }
});

test('a paused socket keeps the order', async (t) => {
  const { client, accepted } = await gathered();
  t.after(() => [client, accepted].forEach((socket) => void socket.destroy()));
  const total = 5_000_000;
  const digest = createHash('sha256');
  let received = 0;
  accepted.on('data', (piece: Buffer) => {
    digest.update(piece);
    received += piece.length;
    if (received % 3 !== 0) return;
    accepted.pause();
    clock.soon(() => accepted.resume());
  });
  for (const piece of patternPieces(4, total)) client.write(piece);
  client.end();
  await once(accepted, 'end');
  assert.equal(digest.digest('hex'), patternDigest(4, total));
});
