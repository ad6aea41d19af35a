import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { systemClock } from '../../../src/runtime/clock.ts';

test('a delay longer than a Node timer can hold still takes its time', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const sixtyDays = 60 * 86_400_000;
    const longest = 2 ** 31 - 1;
    let calls = 0;
    systemClock.after(sixtyDays, () => {
      calls += 1;
    });
    const cancelled = systemClock.after(sixtyDays, () => {
      calls += 100;
    });
    mock.timers.tick(longest);
    cancelled.cancel();
    mock.timers.tick(longest);
    mock.timers.tick(sixtyDays - 2 * longest - 1);
    assert.equal(calls, 0);
    mock.timers.tick(1);
    assert.equal(calls, 1);
  } finally {
    mock.timers.reset();
  }
});
