/** Many streams, slow readers, clients that vanish: order, fairness and memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { MAX_HELD_PER_STREAM } from '../../src/transport/smux/mux.ts';
import { transportLab } from '../support/lab-transport.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { download, echo } from '../support/transfers.ts';
import { patternChunk, patternDigest } from '../support/workload-server.ts';

const signal = new AbortController().signal;

suite('many streams', () => {
  test('1,000 streams at once, each echoing 64 KiB', async () => {
    await using lab = await transportLab({ pacing: false });
    const tunnel = await lab.open();
    const one = async (seed: number) => {
      const stream = await tunnel.open(signal);
      const bytes = patternChunk(seed, 0);
      stream.write('ECHO\n');
      assert.ok((await echo(stream, bytes)).equals(bytes), `stream ${seed}`);
      stream.destroy();
    };
    await Promise.all(Array.from({ length: 1_000 }, (_, seed) => one(seed)));
    await tunnel[Symbol.asyncDispose]();
    assert.equal(lab.lab.status().counters.streams, 1_000);
    assert.deepEqual(lab.lab.status().violations, []);
  });

  test('a reader that never reads holds 4 MiB, then new connections go to another session', async () => {
    await using lab = await transportLab({ pacing: false });
    const tunnel = await lab.open();
    const greedy = await tunnel.open(signal);
    greedy.write('SEND 60000000 1\n');
    // Nobody reads: the session must stop by itself.
    await waitFor(() => lab.events.some(({ type }) => type === 'session-stalled'));
    assert.ok(greedy.readableLength < MAX_HELD_PER_STREAM + 2 * 1024 * 1024, `${greedy.readableLength} bytes held`);
    const other = await tunnel.open(signal);
    assert.equal(await download(other, 300_000, 2), patternDigest(2, 300_000));
    assert.equal(tunnel.stats().sessions, 2);
    // And when it reads at last, everything comes.
    let received = 0;
    greedy.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await once(greedy, 'end');
    assert.equal(received, 60_000_000);
  });

  test('a stalled stream is reset when it blocks a sibling for more than 60 s', async () => {
    await using lab = await transportLab({ pacing: false }, { ...systemWorld(), clock: scaledClock(40) });
    const tunnel = await lab.open();
    const sibling = await tunnel.open(signal);
    sibling.write('ECHO\n');
    await echo(sibling, Buffer.from('before'));
    const greedy = await tunnel.open(signal);
    const errored = once(greedy, 'error');
    greedy.write('SEND 60000000 1\n');
    const [error] = (await errored) as [CloudtunError];
    assert.ok(error instanceof CloudtunError);
    assert.equal(error.code, 'CT_STREAM_STALLED');
    assert.equal((await echo(sibling, Buffer.from('after'))).toString(), 'after');
  });

  test('a client that is cut in the middle frees its stream, its siblings go on', async () => {
    await using lab = await transportLab({ pacing: false, verifyInput: true });
    const tunnel = await lab.open();
    const sibling = await tunnel.open(signal);
    sibling.write('ECHO\n');
    for (let round = 0; round < 20; round++) {
      const stream = await tunnel.open(signal);
      stream.write('SEND 5000000 1\n');
      stream.write(Buffer.alloc(100_000));
      await once(stream, 'data');
      stream.destroy();
      assert.equal((await echo(sibling, Buffer.from(`round ${round}`))).toString(), `round ${round}`);
    }
    assert.equal(tunnel.stats().openStreams, 1);
    sibling.destroy();
    await tunnel[Symbol.asyncDispose]();
    assert.deepEqual(lab.lab.status().violations, []);
  });
});

/** Resolves when `isTrue`, looking after every turn of the event loop; fails after 10 s. */
async function waitFor(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'it did not become true within 10 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
