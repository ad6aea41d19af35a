/** Whole transfers while messages are lost, repeated and reordered, and websockets are cut: bytes exact, buffers bounded. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { MAX_REORDERED_BYTES } from '../../src/transport/ssm/core/reorder-buffer.ts';
import { transportLab } from '../support/lab-transport.ts';
import { download, upload } from '../support/transfers.ts';
import { patternDigest } from '../support/workload-server.ts';

const signal = new AbortController().signal;
/** A data message of 1,024 payload bytes carries a little less of the stream. */
const MESSAGE_BYTES = 1_016;

const evenly = (count: number, byteCount: number): number[] =>
  Array.from({ length: count }, (_, index) => Math.floor(((index + 1) * byteCount) / MESSAGE_BYTES / (count + 1)));

suite('transfers through a bad link', () => {
  test('200 MB up with 20 cuts, and 5 % of messages lost, repeated or reordered each way', async (t: TestContext) => {
    const byteCount = 200e6;
    const faults = { lossPercent: 5 / 3, duplicatePercent: 5 / 3, reorderPercent: 5 / 3 };
    await using lab = await transportLab({
      pacing: false,
      verifyInput: true,
      input: faults,
      output: faults,
      cutInput: { messages: evenly(20, byteCount) },
    });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    const began = performance.now();
    assert.equal(await upload(stream, byteCount, 1), patternDigest(1, byteCount));
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    const { counters, violations, sessions } = lab.lab.status();
    t.diagnostic(`${(byteCount / 1e3 / (performance.now() - began)).toFixed(1)} MB/s, ${JSON.stringify(counters)}`);
    assert.equal(counters.cuts, 20);
    assert.equal(lab.events.filter(({ type }) => type === 'renewed').length, 20);
    assert.ok(counters.inputLost > 1_000 && counters.duplicated > 1_000 && counters.reordered > 1_000);
    assert.deepEqual(violations, []);
    assert.deepEqual(sessions, []);
  });

  test('20 MB down from the paced agent with 5 cuts, 0.2 % lost, 5 % repeated or reordered', async (t: TestContext) => {
    const byteCount = 20e6;
    const faults = { lossPercent: 0.2, duplicatePercent: 2.5, reorderPercent: 2.5 };
    await using lab = await transportLab({
      input: faults,
      output: faults,
      cutOutput: { messages: evenly(5, byteCount) },
    });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    const began = performance.now();
    assert.equal(await download(stream, byteCount, 2), patternDigest(2, byteCount));
    const elapsed = performance.now() - began;
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    const { counters, violations, gatewayFaults } = lab.lab.status();
    const paceTime = counters.outputMessages * gatewayFaults.paceMs;
    t.diagnostic(
      `${(elapsed / 1e3).toFixed(1)} s, pace alone ${(paceTime / 1e3).toFixed(1)} s, ${JSON.stringify(counters)}`,
    );
    assert.equal(counters.cuts, 5);
    assert.ok(counters.outputLost > 5 && counters.reordered > 100);
    // The bound itself is a figure of `npm run bench`; here only that nothing waited for minutes.
    const bound = 1.5 * (paceTime + 100 * (counters.outputLost + counters.inputLost));
    t.diagnostic(`${(elapsed / bound).toFixed(2)} of the bound`);
    assert.ok(elapsed < 3 * bound, `${elapsed} ms`);
    assert.deepEqual(violations, []);
    t.diagnostic(`the reorder buffer is bounded at ${MAX_REORDERED_BYTES} bytes`);
  });

  for (const kind of ['lossPercent', 'duplicatePercent', 'reorderPercent'] as const) {
    test(`5 MB up with ${kind} 20 both ways`, async () => {
      const faults = { [kind]: 20 };
      await using lab = await transportLab({ pacing: false, verifyInput: true, input: faults, output: faults });
      const tunnel = await lab.open();
      const stream = await tunnel.open(signal);
      assert.equal(await upload(stream, 5e6, 3), patternDigest(3, 5e6));
      stream.destroy();
      await tunnel[Symbol.asyncDispose]();
      assert.deepEqual(lab.lab.status().violations, []);
    });
  }

  for (const direction of ['cutInput', 'cutOutput'] as const) {
    test(`a transfer survives a cut at every single message (${direction})`, async () => {
      const byteCount = 24_000;
      await using lab = await transportLab({ pacing: false, verifyInput: true });
      // Handshake and acknowledges count too; the last positions lie behind the end of the transfer.
      for (let position = 1; position <= 64; position++) {
        const tunnel = await openCut(lab, direction, position);
        const up = await tunnel.open(signal);
        assert.equal(
          await upload(up, byteCount, position),
          patternDigest(position, byteCount),
          `up, cut at ${position}`,
        );
        up.destroy();
        const down = await tunnel.open(signal);
        assert.equal(
          await download(down, byteCount, position),
          patternDigest(position, byteCount),
          `down, cut at ${position}`,
        );
        down.destroy();
        await tunnel[Symbol.asyncDispose]();
      }
      const { counters, violations, sessions } = lab.lab.status();
      assert.ok(counters.cuts >= 50, `${counters.cuts} cuts`);
      assert.deepEqual(violations, []);
      assert.deepEqual(sessions, []);
    });
  }
});

async function openCut(
  lab: Awaited<ReturnType<typeof transportLab>>,
  direction: 'cutInput' | 'cutOutput',
  position: number,
): ReturnType<(typeof lab)['open']> {
  lab.lab.faults.set({ [direction]: { messages: [position] } });
  return lab.open();
}
