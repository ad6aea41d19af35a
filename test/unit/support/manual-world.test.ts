import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualWorld, seededRandom } from '../../support/manual-world.ts';

test('timers run in the order in which they are due, at their own time', () => {
  const { clock } = manualWorld();
  const start = clock.now();
  const ran: string[] = [];
  clock.after(20, () => ran.push(`b@${clock.now() - start}`));
  clock.after(10, () => {
    ran.push(`a@${clock.now() - start}`);
    clock.after(5, () => ran.push(`c@${clock.now() - start}`));
  });
  clock.after(30, () => ran.push('never')).cancel();
  clock.tick(25);
  assert.deepEqual(ran, ['a@10', 'c@15', 'b@20']);
  assert.equal(clock.now() - start, 25);
  assert.equal(clock.pending, 0);
});

test('advance lets a chain of sleeps go on, and abort ends a sleep', async () => {
  const { clock } = manualWorld();
  let steps = 0;
  const chain = (async () => {
    for (; steps < 3; steps += 1) await clock.sleep(100);
  })();
  await clock.advance(250);
  assert.equal(steps, 2);
  await clock.advance(50);
  await chain;
  const controller = new AbortController();
  const sleeping = clock.sleep(1_000, controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(sleeping, /enough/);
  assert.equal(clock.pending, 0);
});

test('the same seed gives the same run', () => {
  const [one, two, other] = [seededRandom(7), seededRandom(7), seededRandom(8)];
  assert.deepEqual(one.bytes(32), two.bytes(32));
  assert.notDeepEqual(one.bytes(32), other.bytes(32));
  assert.match(one.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
