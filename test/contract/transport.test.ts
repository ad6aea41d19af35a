import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, type TestContext, test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { download, echo, echoPattern, readAll, upload } from '../support/transfers.ts';
import { openTransport, TRANSPORT_ROWS, type TransportRow } from '../support/transport-rows.ts';
import { until } from '../support/until.ts';
import { patternDigest } from '../support/workload-server.ts';

/* What broker and front ends rely on, of every transport: one suite, a row for each. */

const signal = new AbortController().signal;
const MB = 1_000_000;
/** Loopback moves something every few milliseconds; a far side that is silent for so long is held back. */
const QUIET_MS = 400;
/** Of one test: a transport that hangs must not hang the others. */
const timeout = 30_000;

for (const row of TRANSPORT_ROWS) suite(row.kind, () => checkTransport(row));

function checkTransport(row: TransportRow): void {
  const started = async (t: TestContext, everyBytes = 0) => {
    const parts = await openTransport(row, await temporaryDirectory(t), everyBytes);
    t.after(async () => parts[Symbol.asyncDispose]());
    return parts;
  };

  test('a stream carries bytes both ways, and knows that it was accepted', { timeout }, async (t) => {
    const { toDatabase, lab, workload } = await started(t);
    await using tunnel = await toDatabase();
    const stream = await tunnel.open(signal);
    stream.write('ECHO\n');
    assert.equal((await echo(stream, Buffer.from('hello'))).toString(), 'hello');
    assert.match(await stream.accepted, /^(acknowledged|connected|answered)$/);
    assert.equal(workload.connections, 1);
    assert.equal(tunnel.stats().openStreams, 1);
    stream.destroy();
    await until(() => tunnel.stats().openStreams === 0);
    assert.deepEqual(row.violations(lab), []);
  });

  test('several streams at once, each whole', { timeout }, async (t) => {
    const { toDatabase } = await started(t);
    await using tunnel = await toDatabase();
    const digests = await Promise.all([
      ...[1, 2, 3].map(async (seed) => upload(await tunnel.open(signal), MB, seed)),
      ...[4, 5, 6].map(async (seed) => download(await tunnel.open(signal), MB, seed)),
    ]);
    assert.deepEqual(
      digests,
      [1, 2, 3, 4, 5, 6].map((seed) => patternDigest(seed, MB)),
    );
  });

  test('5 MB both ways at once on one stream', { timeout }, async (t) => {
    const { toDatabase, lab } = await started(t);
    await using tunnel = await toDatabase();
    await echoPattern(await tunnel.open(signal), 5 * MB, 7);
    assert.deepEqual(row.violations(lab), []);
  });

  test('whoever has said everything still hears the answer', { timeout }, async (t) => {
    const { toDatabase } = await started(t);
    await using tunnel = await toDatabase();
    const stream = await tunnel.open(signal);
    stream.write('SEND 100000 8\n');
    stream.end();
    assert.equal((await readAll(stream)).length, 100_000);
  });

  test('the end of the far side is an end, and not an error', { timeout }, async (t) => {
    const { toDatabase } = await started(t);
    await using tunnel = await toDatabase();
    const stream = await tunnel.open(signal);
    assert.equal(await download(stream, 1_000, 9), patternDigest(9, 1_000));
    stream.end();
    if (!stream.closed) await once(stream, 'close');
    assert.equal(stream.errored, null);
  });

  test('a port that refuses is CT_REMOTE_REFUSED, told by the opening or by the stream, and the tunnel goes on', {
    timeout,
  }, async (t) => {
    const { toMachine } = await started(t);
    await using tunnel = await toMachine(81);
    for (const _ of ['once', 'again']) {
      const error = await tunnel.open(signal).then(
        async (stream) => {
          stream.accepted.catch(() => {});
          stream.on('error', () => {});
          if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
          return stream.errored;
        },
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof CloudtunError, String(error));
      assert.equal(error.code, 'CT_REMOTE_REFUSED', error.message);
    }
  });

  test('who never reads holds the far side back, and nobody else', { timeout }, async (t) => {
    const { toDatabase } = await started(t);
    await using tunnel = await toDatabase();
    const stuck = await tunnel.open(signal);
    stuck.on('error', () => {});
    const offered = 200 * MB;
    stuck.write(`SEND ${offered} 10\n`);
    await once(stuck, 'readable');
    const other = await tunnel.open(signal);
    other.write('ECHO\n');
    assert.equal((await echo(other, Buffer.from('meanwhile'))).toString(), 'meanwhile');
    // What is held is bounded: no more comes however long the reader waits.
    let held = -1;
    let since = performance.now();
    await until(() => {
      const { bytesDown } = tunnel.stats();
      if (bytesDown !== held) since = performance.now();
      held = bytesDown;
      return performance.now() - since > QUIET_MS;
    });
    assert.ok(held < 80 * MB, `${held} bytes are held`);
    stuck.destroy();
  });

  test('cut every 400 kB, both ways: byte-exact, and told', { timeout }, async (t) => {
    const { toDatabase, lab, events } = await started(t, 0.4 * MB);
    await using tunnel = await toDatabase();
    assert.equal(await upload(await tunnel.open(signal), 2 * MB, 11), patternDigest(11, 2 * MB));
    assert.equal(await download(await tunnel.open(signal), 2 * MB, 12), patternDigest(12, 2 * MB));
    assert.ok(row.cutCount(lab) >= 6, `${row.cutCount(lab)} cuts`);
    const renewed = events.filter(({ type }) => type === 'renewed');
    // A cut in the middle of a renewal is part of it.
    assert.ok(renewed.length >= 2 && renewed.length <= row.cutCount(lab), `${renewed.length} renewals told`);
    assert.deepEqual(row.violations(lab), []);
  });

  test('disposing ends streams and sessions, is told by `closed`, and may be done twice', { timeout }, async (t) => {
    const { toDatabase, lab } = await started(t);
    const tunnel = await toDatabase();
    const stream = await tunnel.open(signal);
    stream.on('error', () => {});
    stream.write('MUTE\n');
    await stream.accepted;
    await Promise.all([tunnel[Symbol.asyncDispose](), tunnel[Symbol.asyncDispose]()]);
    assert.equal(stream.destroyed, true);
    assert.equal((await tunnel.closed).reason, 'closed-by-us');
    await until(() => row.openSessions(lab) === 0);
    await assert.rejects(tunnel.open(signal), (error) => error instanceof CloudtunError);
  });

  test('an opening that is called off ends with the reason and leaves nothing', { timeout }, async (t) => {
    const { toDatabase, lab } = await started(t);
    const tunnel = await toDatabase();
    const stop = new AbortController();
    const opening = tunnel.open(stop.signal);
    stop.abort(new Error('called off'));
    await opening.then(
      (stream) => stream.destroy(),
      (error: unknown) => assert.match(String(error), /called off/),
    );
    await tunnel[Symbol.asyncDispose]();
    await until(() => row.openSessions(lab) === 0);
  });
}
