import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateWindow } from '../../../src/domain/rate-window.ts';

test('a steady flow has its rate, from its first quarter of a second on', () => {
  const window = new RateWindow();
  for (let now = 10_000; now <= 20_000; now += 10) {
    window.sample(now - 10_000, now);
    if (now < 10_500) continue;
    const rate = window.rate(now - 10_000, now);
    assert.ok(Math.abs(rate - 1_000) < 50, `${rate} at ${now}`);
  }
});

test('two seconds after the last byte the rate is nothing, whoever asked in between', () => {
  for (const asks of [[], [5_700, 6_400, 6_900]]) {
    const window = new RateWindow();
    window.sample(0, 5_000);
    window.sample(800_000, 5_100);
    for (const now of asks) assert.ok(window.rate(800_000, now) > 0);
    assert.equal(window.rate(800_000, 7_300), 0);
  }
});

test('what moved since the last sample counts as moved now, also after an hour of silence', () => {
  const window = new RateWindow();
  window.sample(0, 0);
  assert.equal(window.rate(0, 1_000), 0);
  const rate = window.rate(1_750_000, 3_600_000);
  assert.ok(Math.abs(rate - 1_000_000) < 1, `${rate}`);
});
