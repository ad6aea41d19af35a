import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Renewal, type RenewalStep } from '../../../../src/broker/core/renewal.ts';
import type { ErrorCode } from '../../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../../src/domain/errors.ts';

const failure = (code: ErrorCode) => new CloudtunError(code, 'no');

/** Plays one round of trying in which every attempt fails with `code`; gives the attempts' times and how it ended. */
function round(renewal: Renewal, code: ErrorCode, startedAt: number) {
  const attempts: { at: number; route: string }[] = [];
  let now = startedAt;
  renewal.begin();
  for (;;) {
    const step: RenewalStep = renewal.next(now, startedAt);
    if (step.do === 'wait') {
      assert.ok(step.until > now);
      now = step.until;
    } else if (step.do === 'open') {
      attempts.push({ at: now - startedAt, route: step.route });
      renewal.failed(failure(code), now, 1);
    } else return { attempts, end: step, now };
  }
}

function opened(at = 0): Renewal {
  const renewal = new Renewal();
  renewal.opened(at);
  renewal.closed(at + 3_600_000, 0);
  return renewal;
}

test('before it ever opened, the first failure is the answer', () => {
  const { attempts, end } = round(new Renewal(), 'CT_NETWORK', 0);
  assert.deepEqual(attempts, [{ at: 0, route: 'same' }]);
  assert.equal(end.do, 'refuse');
});

test('a session that ended after a while is opened again at once, on the same route', () => {
  assert.deepEqual(opened().next(3_600_000, 3_600_000), { do: 'open', route: 'same' });
});

test('after failures it waits longer each time, for 20 s in all, and asks for the route on every third', () => {
  const { attempts, end, now } = round(opened(), 'CT_NETWORK', 4_000_000);
  assert.deepEqual(
    attempts.map(({ at }) => at),
    [0, 500, 1_500, 3_500, 7_500, 15_500],
  );
  assert.deepEqual(
    attempts.map(({ route }) => route),
    ['same', 'same', 'same', 'resolve', 'same', 'same'],
  );
  assert.equal(end.do, 'refuse');
  assert.ok(now - 4_000_000 <= 20_000);
});

test('a machine that is gone is resolved again', () => {
  const { attempts } = round(opened(), 'CT_TARGET_OFFLINE', 4_000_000);
  assert.deepEqual(new Set(attempts.slice(1).map(({ route }) => route)), new Set(['resolve']));
});

test('a target that stays away for ten minutes and twenty attempts is lost; a network never is', () => {
  for (const [code, expected] of [
    ['CT_TARGET_NOT_FOUND', 'lost'],
    ['CT_NETWORK', 'refuse'],
  ] as const) {
    const renewal = opened();
    let now = 4_000_000;
    let last = 'refuse';
    for (let rounds = 0; rounds < 40 && last !== 'lost'; rounds += 1) {
      const played = round(renewal, code, now);
      last = played.end.do;
      now = played.now + 15_000;
    }
    assert.equal(last, expected, code);
    if (expected === 'lost') assert.ok(now - 4_000_000 >= 600_000);
  }
});

test('one failure, a night of sleep and another failure are not ten minutes of trying', () => {
  const renewal = opened();
  const { now } = round(renewal, 'CT_TARGET_OFFLINE', 4_000_000);
  assert.equal(round(renewal, 'CT_TARGET_OFFLINE', now + 8 * 3_600_000).end.do, 'refuse');
});

test('a denial ends it at once', () => {
  assert.equal(round(opened(), 'CT_DENIED', 4_000_000).end.do, 'lost');
});

test('expired credentials wait for a person, for two minutes, asked for ever more seldom', () => {
  const renewal = opened();
  const { attempts, end, now } = round(renewal, 'CT_CREDENTIALS_EXPIRED', 4_000_000);
  assert.deepEqual(
    attempts.map(({ at }) => at),
    [0, 5_000, 12_500, 23_750, 40_625, 60_625, 80_625, 100_625],
  );
  assert.equal(end.do, 'refuse');
  // Who comes next is not made to wait for what the last one waited for, and does not hammer either.
  const later = now + 1_000;
  renewal.begin();
  assert.deepEqual(renewal.next(later, later), { do: 'open', route: 'same' });
  renewal.failed(failure('CT_CREDENTIALS_EXPIRED'), later, 1);
  renewal.begin();
  assert.deepEqual(renewal.next(later, later), { do: 'wait', until: later + 1_000 });
});

test('a target that moved gets a new session at once, on a way that is asked for again', () => {
  const renewal = opened();
  renewal.failed(failure('CT_NETWORK'), 4_000_000, 1);
  renewal.moved();
  renewal.begin();
  assert.deepEqual(renewal.next(4_000_001, 4_000_001), { do: 'open', route: 'resolve' });
  renewal.opened(4_000_002);
  renewal.closed(5_000_000, 1);
  assert.deepEqual(renewal.next(5_000_000, 5_000_000), { do: 'open', route: 'same' });
});

test('tunnels that die as soon as they are open slow down like failures, and one that lives makes up for it', () => {
  const renewal = opened();
  const waits: number[] = [];
  let now = 4_000_000;
  for (let count = 0; count < 6; count += 1) {
    renewal.opened(now);
    renewal.closed(now + 100, 1);
    renewal.begin();
    const step = renewal.next(now + 100, now + 100);
    assert.equal(step.do, 'wait');
    waits.push(step.do === 'wait' ? step.until - now - 100 : 0);
    now += 20_000;
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
  renewal.opened(now);
  renewal.closed(now + 10_000, 1);
  assert.equal(renewal.next(now + 10_000, now + 10_000).do, 'open');
});

test('jitter halves a delay at most', () => {
  const renewal = opened();
  renewal.failed(failure('CT_NETWORK'), 1_000, 0);
  renewal.begin();
  assert.deepEqual(renewal.next(1_000, 1_000), { do: 'wait', until: 1_250 });
});

test('a far side that refuses gets a new session ever more seldom, until it answers', () => {
  const renewal = new Renewal();
  const tries: number[] = [];
  renewal.opened(0);
  for (let now = 0; now < 3_600_000; now += 1_000) {
    if (!renewal.refused(now)) continue;
    tries.push(now);
    renewal.opened(now);
  }
  assert.deepEqual(tries.slice(0, 6), [10_000, 30_000, 70_000, 150_000, 310_000, 610_000]);
  renewal.answered();
  assert.equal(renewal.refused(3_600_000 + 300_000), true);
  renewal.opened(4_000_000);
  assert.equal(renewal.refused(4_019_999), false);
  assert.equal(renewal.refused(4_020_000), true);
});
