import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reconnectDelay } from '../../src/transport/ssm/core/reconnect-delay.ts';
import { OfficialRto } from '../../src/transport/ssm/core/rto.ts';
import { reportVectors, ssmVectors } from '../support/ssm-vectors.ts';

test('the official round-trip estimate, step by step', (t) => {
  const series = ssmVectors('retransmission');
  let run = 0;
  for (const { steps } of series) {
    const rto = new OfficialRto();
    for (const [index, step] of steps.entries()) {
      rto.sample(step.sampleMs);
      const at = `series ${run}, step ${index}`;
      // The official code keeps SRTT and VAR as floats of nanoseconds, and cuts the RTO to whole ones.
      assert.ok(Math.abs(rto.srtt * 1e6 - step.rttNs) < 0.01, `${at}: SRTT ${rto.srtt * 1e6} is ${step.rttNs} ns`);
      assert.ok(Math.abs(rto.variation * 1e6 - step.rttVarNs) < 0.01, `${at}: VAR`);
      assert.ok(Math.abs(rto.rto * 1e6 - step.rtoNs) <= 1, `${at}: RTO ${rto.rto * 1e6} is ${step.rtoNs} ns`);
    }
    run++;
  }
  reportVectors(t, 'retransmission', run, series.length);
});

/** A longer delay starts the official client over at its first one (docs/protocol/ssm.md, "Resumption"). */
const OFFICIAL_CAP_MS = 5_000;
/** The official client makes this many calls, then never again. */
const OFFICIAL_ATTEMPTS = 6;
const ALMOST_ONE = 1 - Number.EPSILON;

test('our delay before any attempt is never longer than the official one', (t) => {
  const growths = ssmVectors('reconnectDelays');
  let run = 0;
  for (const { initialDelayMs, delaysMs } of growths) {
    for (const [index, official] of delaysMs.entries()) {
      assert.equal(official, initialDelayMs * 2 ** index, 'the official growth is as documented');
      for (const fraction of [0, 0.5, ALMOST_ONE]) {
        const ours = reconnectDelay(index + 1, fraction);
        assert.ok(ours >= 0 && ours <= official, `attempt ${index + 1}: ours ${ours} ms, official ${official} ms`);
      }
    }
    const withinBudget = delaysMs.slice(0, OFFICIAL_ATTEMPTS);
    assert.ok(
      withinBudget.slice(0, -1).every((delay) => delay <= OFFICIAL_CAP_MS),
      'no start-over before the last',
    );
    run++;
  }
  reportVectors(t, 'reconnectDelays', run, growths.length);
});

test('our delays grow with jitter, and stop growing at 15 s', () => {
  assert.equal(reconnectDelay(1, 0), 0);
  assert.equal(reconnectDelay(2, 0), 100);
  assert.equal(reconnectDelay(3, 0), 200);
  for (let attempt = 2; attempt < 60; attempt++) {
    const [low, high] = [reconnectDelay(attempt, 0), reconnectDelay(attempt, ALMOST_ONE)];
    assert.ok(low < high && high <= 15_000 && low >= high / 2 - 1, `attempt ${attempt}: ${low} to ${high}`);
  }
});
