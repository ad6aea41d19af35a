import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerState, SocketEnds } from '../../../src/runtime/peer-socket.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { manualWorld } from '../../support/manual-world.ts';

const ends = (remotePort: number): SocketEnds => ({
  localAddress: '127.0.0.1',
  localPort: 13_306,
  remoteAddress: '127.0.0.1',
  remotePort,
});

function watching(answer: (connection: SocketEnds) => PeerState) {
  const { world, clock } = manualWorld();
  const reads: number[] = [];
  const start = clock.now();
  const peers = new PeerWatch(world, async (connections) => {
    reads.push(clock.now() - start);
    return connections.map(answer);
  });
  return { peers, clock, reads };
}

test('looks come after 20 ms and then ever more seldom, at most every 2 s', async () => {
  const { peers, clock, reads } = watching(() => 'held');
  const watch = peers.watch(ends(1), { released: () => assert.fail('it is held') });
  await clock.advance(10_000);
  assert.deepEqual(reads, [20, 40, 80, 160, 320, 640, 1280, 2560, 4560, 6560, 8560]);
  watch.cancel();
  watch.cancel();
  assert.equal(clock.pending, 0);
});

test('five thousand connections cost one read a look', async () => {
  const { peers, clock, reads } = watching((connection) => (connection.remotePort % 2 === 0 ? 'released' : 'held'));
  let released = 0;
  for (let port = 1; port <= 5_000; port += 1) peers.watch(ends(port), { released: () => (released += 1) });
  await clock.advance(20);
  assert.equal(released, 2_500);
  assert.equal(reads.length, 1);
});

test('a socket that is absent once is not gone: the list may have missed its row', async () => {
  let looks = 0;
  const { peers, clock } = watching(() => {
    looks += 1;
    return looks % 2 === 0 ? 'absent' : 'held';
  });
  const watch = peers.watch(ends(1), { released: () => assert.fail('it was never missing twice in a row') });
  await clock.advance(60_000);
  assert.ok(looks > 100);
  watch.cancel();
});

test('a socket that is absent twice in a row is gone', async () => {
  const { peers, clock, reads } = watching(() => 'absent');
  let released = 0;
  peers.watch(ends(1), { released: () => (released += 1) });
  await clock.advance(40);
  assert.equal(released, 1);
  assert.deepEqual(reads, [20, 40]);
  assert.equal(clock.pending, 0);
});

test('unknown, and a read that fails, end the watch with `untold`', async () => {
  const { peers, clock } = watching(() => 'unknown');
  let untold = 0;
  const calls = { released: () => assert.fail('nobody knows'), untold: () => (untold += 1) };
  peers.watch(ends(1), calls);
  await clock.advance(100);
  assert.equal(untold, 1);
  const { world, clock: other } = manualWorld();
  new PeerWatch(world, () => Promise.reject(new Error('no table'))).watch(ends(1), calls);
  await other.advance(100);
  assert.equal(untold, 2);
  assert.equal(clock.pending + other.pending, 0);
});

test('a list that takes long to read is read seldom', async () => {
  const { world, clock } = manualWorld();
  let reads = 0;
  const peers = new PeerWatch(world, async (connections) => {
    reads += 1;
    clock.tick(10);
    return connections.map(() => 'held' as const);
  });
  // A newcomer every 20 ms would otherwise mean a read every 20 ms.
  for (let port = 1; port <= 100; port += 1) {
    peers.watch(ends(port), { released: () => {} });
    await clock.advance(20);
  }
  assert.ok(reads <= 25, `${reads} reads`);
});
