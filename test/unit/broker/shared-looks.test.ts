import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLooks } from '../../../src/broker/shared-looks.ts';
import { ManualClock } from '../../support/manual-world.ts';

test('one look serves all who ask for the same thing since then, and no older one', async () => {
  const clock = new ManualClock();
  const looks = new SharedLooks(clock);
  let count = 0;
  const look = async () => ++count;
  assert.deepEqual(
    await Promise.all([looks.ask('a', 0, look), looks.ask('a', 0, look), looks.ask('b', 0, look)]),
    [1, 1, 2],
  );
  await clock.advance(5_000);
  assert.equal(await looks.ask('a', clock.now() - 6_000, look), 1);
  assert.equal(await looks.ask('a', clock.now() - 4_000, look), 3);
});

test('a failure is told to everybody who shares it, and is asked for again later', async () => {
  const clock = new ManualClock();
  const looks = new SharedLooks(clock);
  const failing = async () => {
    throw new Error('no network');
  };
  const shared = [looks.ask('a', 0, failing), looks.ask('a', 0, failing)];
  for (const each of shared) await assert.rejects(each, /no network/);
  await clock.advance(1);
  assert.equal(await looks.ask('a', clock.now(), async () => 'there'), 'there');
});
