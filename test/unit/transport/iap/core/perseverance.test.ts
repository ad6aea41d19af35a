import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../../src/domain/errors.ts';
import type { Trouble } from '../../../../../src/transport/iap/core/close-codes.ts';
import { Perseverance } from '../../../../../src/transport/iap/core/perseverance.ts';

const trouble = (what: Trouble['do']): Trouble => ({ do: what, error: new CloudtunError('CT_SERVICE', what) });

test('the first attempt is at once, the others are ever further apart, and all end with the limit', () => {
  const perseverance = new Perseverance(60_000);
  let now = 0;
  perseverance.opened(now);
  now = 100_000;
  perseverance.lost(now);
  const delays: number[] = [];
  for (;;) {
    const next = perseverance.next(trouble('again'), 'resume', now, 0);
    if (next.do === 'give-up') {
      assert.equal(next.error.code, 'CT_TUNNEL_LOST');
      break;
    }
    delays.push(Math.round(next.delay));
    now += next.delay;
  }
  assert.deepEqual(delays.slice(0, 4), [0, 1_500, 1_650, 1_815]);
  assert.ok(now > 160_000 && now < 185_000);
});

test('a websocket that breaks at once does not start the delays anew; one that moved or stood does', () => {
  const perseverance = new Perseverance();
  const delayAfter = (now: number) => {
    perseverance.lost(now);
    const next = perseverance.next(trouble('again'), 'resume', now, 0);
    return next.do === 'try' ? next.delay : Number.NaN;
  };
  assert.equal(delayAfter(0), 0);
  perseverance.opened(100);
  assert.equal(delayAfter(200), 1_500);
  perseverance.opened(2_000);
  perseverance.moved();
  assert.equal(delayAfter(2_100), 0);
  perseverance.opened(3_000);
  assert.equal(delayAfter(3_100), 1_500);
  perseverance.opened(10_000);
  assert.equal(delayAfter(20_000), 0);
});

test('what is followed only so often', () => {
  for (const [what, how, times] of [
    ['again', 'connect', 1],
    ['again-briefly', 'connect', 2],
    ['again-briefly', 'resume', 2],
    ['wait', 'connect', 0],
    ['wait', 'resume', 20],
    ['renew', 'connect', 1],
    ['renew', 'resume', 1],
    ['fail', 'resume', 0],
  ] as const) {
    const perseverance = new Perseverance();
    perseverance.lost(0);
    let tried = 0;
    while (perseverance.next(trouble(what), how, 0, 0).do === 'try') tried += 1;
    assert.equal(tried, times, `${what} on ${how}`);
  }
});
