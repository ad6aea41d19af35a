import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainStep, LifeLimits, type LimitStep, warningLeads } from '../../../src/forward/core/limits.ts';

const MINUTE = 60_000;

/** Everything that is said within a time, as `because@elapsed`, the driver being woken exactly when it asked to be. */
function play(limits: LifeLimits, from: number, until: number): string[] {
  const said: string[] = [];
  for (let now = from; now <= until; ) {
    const at = { now, wall: now };
    for (let step: LimitStep | undefined = limits.next(at); step; step = limits.next(at)) {
      said.push(step.do === 'tell' ? `${step.because} in ${step.left}@${now}` : `${step.because} end@${now}`);
      if (step.do === 'end') return said;
    }
    const wait = limits.wait(at);
    if (wait === undefined) return said;
    assert.ok(wait > 0 && wait <= 30_000);
    now += wait;
  }
  return said;
}

test('the end of the time is told five minutes and one minute before, and comes to the millisecond', () => {
  const limits = new LifeLimits({ ttl: 8 * 60 * MINUTE, idle: undefined }, { now: 0, wall: 0 });
  assert.deepEqual(play(limits, 0, Number.POSITIVE_INFINITY), [
    `ttl in ${5 * MINUTE}@${475 * MINUTE}`,
    `ttl in ${MINUTE}@${479 * MINUTE}`,
    `ttl end@${480 * MINUTE}`,
  ]);
});

test('a short time is told of once, in its second half', () => {
  assert.deepEqual(warningLeads('ttl', 10 * MINUTE), [5 * MINUTE, MINUTE]);
  assert.deepEqual(warningLeads('ttl', 4 * MINUTE), [MINUTE]);
  assert.deepEqual(warningLeads('ttl', MINUTE), [MINUTE / 4]);
  assert.deepEqual(warningLeads('idle', 30 * MINUTE), [MINUTE]);
  assert.deepEqual(warningLeads('idle', 2_000), [500]);
});

test('idle counts from the last stream, starts again with each, and never while one is open', () => {
  const limits = new LifeLimits({ ttl: undefined, idle: 10 * MINUTE }, { now: 0, wall: 0 });
  assert.deepEqual(play(limits, 0, 9 * MINUTE), [`idle in ${MINUTE}@${9 * MINUTE}`]);
  limits.busy(true, { now: 9.5 * MINUTE, wall: 9.5 * MINUTE });
  assert.equal(limits.wait({ now: 9.5 * MINUTE, wall: 9.5 * MINUTE }), undefined);
  assert.equal(limits.next({ now: 500 * MINUTE, wall: 500 * MINUTE }), undefined);
  limits.busy(true, { now: 501 * MINUTE, wall: 501 * MINUTE });
  limits.busy(false, { now: 600 * MINUTE, wall: 600 * MINUTE });
  assert.deepEqual(play(limits, 600 * MINUTE, 700 * MINUTE), [
    `idle in ${MINUTE}@${609 * MINUTE}`,
    `idle end@${610 * MINUTE}`,
  ]);
});

test('hours end on the wall clock; one that is set back makes no day longer, one that jumps ends it', () => {
  const start = { now: 0, wall: 1_000_000 };
  const hours = () => new LifeLimits({ ttl: undefined, idle: undefined, hoursEnd: start.wall + 60 * MINUTE }, start);
  const setBack = hours();
  assert.deepEqual(setBack.next({ now: 55 * MINUTE, wall: start.wall - 600 * MINUTE }), {
    do: 'tell',
    because: 'hours',
    left: 5 * MINUTE,
  });
  assert.deepEqual(setBack.next({ now: 60 * MINUTE, wall: start.wall }), { do: 'end', because: 'hours' });
  assert.deepEqual(hours().next({ now: MINUTE, wall: start.wall + 61 * MINUTE }), { do: 'end', because: 'hours' });
  // Asleep over the end: the monotonic clock stood still.
  assert.deepEqual(hours().next({ now: 1, wall: start.wall + 900 * MINUTE }), { do: 'end', because: 'hours' });
});

test('a machine that slept finds the time gone, and a clock that is set back gives none', () => {
  const limits = new LifeLimits({ ttl: 60 * MINUTE, idle: undefined }, { now: 0, wall: 1_000_000 });
  assert.equal(limits.next({ now: MINUTE, wall: 1_000_000 + MINUTE }), undefined);
  assert.deepEqual(limits.next({ now: MINUTE, wall: 1_000_000 + 59.5 * MINUTE }), {
    do: 'tell',
    because: 'ttl',
    left: MINUTE / 2,
  });
  assert.equal(
    limits.next({ now: MINUTE, wall: 1_000_000 + 59.5 * MINUTE }),
    undefined,
    'two warnings at once are one',
  );
  assert.deepEqual(limits.next({ now: 2 * MINUTE, wall: 1_000_000 + 300 * MINUTE }), { do: 'end', because: 'ttl' });
  assert.deepEqual(limits.next({ now: 60 * MINUTE, wall: 0 }), { do: 'end', because: 'ttl' });
});

test('without limits there is nothing to wait for', () => {
  const limits = new LifeLimits({ ttl: undefined, idle: undefined }, { now: 0, wall: 0 });
  assert.equal(limits.next({ now: 1e12, wall: 1e12 }), undefined);
  assert.equal(limits.wait({ now: 0, wall: 0 }), undefined);
});

test('a drain is over when nothing is open, when all is quiet for 2 s, or after the grace time', () => {
  assert.deepEqual(drainStep(0, 30_000, []), { do: 'close' });
  assert.deepEqual(drainStep(0, 30_000, [2_000, 5_000]), { do: 'close' });
  assert.deepEqual(drainStep(0, 30_000, [500, 5_000]), { do: 'wait', for: 1_500 });
  assert.deepEqual(drainStep(29_500, 30_000, [0]), { do: 'wait', for: 500 });
  assert.deepEqual(drainStep(30_000, 30_000, [0]), { do: 'close' });
  assert.deepEqual(drainStep(0, 0, [0]), { do: 'close' });
});
