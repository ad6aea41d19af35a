import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../src/runtime/clock.ts';
import { pauseUnlessWoken, type Wake, WakeWatch } from '../../../src/runtime/wake-watch.ts';
import { ManualClock, settle } from '../../support/manual-world.ts';

/** A clock whose wall can jump, as it does where the monotonic one stands still in sleep. */
function watched() {
  const clock = new ManualClock();
  let slept = 0;
  let addresses = new Set(['192.0.2.1']);
  const seen: Wake[] = [];
  const ours: Clock = {
    now: () => clock.now(),
    wall: () => clock.wall() + slept,
    after: (delay, call) => clock.after(delay, call),
    soon: (call) => clock.soon(call),
    sleep: (delay, signal) => clock.sleep(delay, signal),
  };
  const watch = new WakeWatch(ours, () => addresses);
  return {
    clock,
    ours,
    watch,
    seen,
    sleep: (ms: number) => {
      slept += ms;
    },
    move: (...now: string[]) => {
      addresses = new Set(now);
    },
  };
}

test('nothing is looked at before somebody listens, and nothing after', () => {
  const { clock, watch, seen } = watched();
  assert.equal(clock.pending, 0);
  const stop = watch.onWake((wake) => seen.push(wake), 5_000);
  clock.tick(3_600_000);
  assert.deepEqual(seen, []);
  stop();
  assert.equal(clock.pending, 0);
});

test('a wall clock that jumped was a sleep, told once; one that is set back was none', () => {
  const { clock, watch, seen, sleep } = watched();
  watch.onWake((wake) => seen.push(wake), 5_000);
  clock.tick(12_000);
  sleep(8 * 3_600_000);
  clock.tick(10_000);
  assert.deepEqual(
    seen.map(({ sleptFor, isNetworkNew }) => [sleptFor, isNetworkNew]),
    [[8 * 3_600_000, false]],
  );
  sleep(-3_600_000);
  clock.tick(10_000);
  assert.equal(seen.length, 1);
});

test('a timer that comes hours late was a sleep too, where the monotonic clock goes on', () => {
  const { clock, watch, seen } = watched();
  watch.onWake((wake) => seen.push(wake), 5_000);
  // By the time the watch has its turn, an hour has passed.
  const late = clock.now() + 3_600_000;
  const now = clock.now.bind(clock);
  clock.now = () => Math.max(now(), late);
  clock.tick(5_000);
  assert.equal(seen.length, 1);
  assert.ok(seen[0]!.sleptFor > 3_500_000);
});

test('a changed network is told, also when somebody asks for a look because something broke', () => {
  const { watch, seen, move } = watched();
  watch.onWake((wake) => seen.push(wake), 5_000);
  move('198.51.100.7');
  watch.look();
  watch.look();
  assert.deepEqual(
    seen.map(({ isNetworkNew, addresses }) => [isNetworkNew, [...addresses]]),
    [[true, ['198.51.100.7']]],
  );
});

test('a pause ends when the machine wakes up, and leaves no timer', async () => {
  const { clock, ours, watch, sleep } = watched();
  const never = new AbortController().signal;
  const pause = pauseUnlessWoken(ours, 3_600_000, { watch, every: 5_000 }, never);
  await settle();
  sleep(60_000);
  await clock.advance(5_000);
  assert.equal(await pause, 'woken');
  assert.equal(clock.pending, 0);
});
