import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartLimiter } from '../../../src/broker/start-limiter.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';

const { signal: never } = new AbortController();
const throttled = (retryAfter?: number) => new CloudtunError('CT_THROTTLED', 'slow down', { retryAfter });

test('two hundred tunnels at once: never more than ten starts under way, and all of them come', async () => {
  const limiter = new StartLimiter(manualWorld().world);
  let running = 0;
  let most = 0;
  const started = Array.from({ length: 200 }, () =>
    limiter.run(
      {},
      'acme',
      async () => {
        running += 1;
        most = Math.max(most, running);
        await settle(2);
        running -= 1;
      },
      never,
    ),
  );
  await Promise.all(started);
  assert.equal(most, 10);
});

test('a refusal for being too fast is tried again after the time that the service named', async () => {
  const { world, clock } = manualWorld();
  const limiter = new StartLimiter(world);
  const refusals = [throttled(3_000), throttled()];
  let calls = 0;
  const result = limiter.run(
    {},
    'acme',
    async () => {
      calls += 1;
      const refusal = refusals.shift();
      if (refusal) throw refusal;
      return 'a session';
    },
    never,
  );
  await settle();
  clock.tick(2_999);
  await settle();
  assert.equal(calls, 1);
  clock.tick(1);
  await settle();
  assert.equal(calls, 2);
  clock.tick(1_500);
  assert.equal(await result, 'a session');
  assert.equal(clock.pending, 0);
});

test('after 45 seconds of it the refusal is told; another error at once', async () => {
  const { world, clock } = manualWorld();
  const limiter = new StartLimiter(world);
  const refused = assert.rejects(
    limiter.run({}, 'acme', () => Promise.reject(throttled()), never),
    { code: 'CT_THROTTLED' },
  );
  for (let second = 0; second < 60; second += 1) {
    clock.tick(1_000);
    await settle();
  }
  await refused;
  const denied = new CloudtunError('CT_DENIED', 'no');
  await assert.rejects(
    limiter.run({}, 'other', () => Promise.reject(denied), never),
    denied,
  );
  assert.equal(clock.pending, 0);
});

test('whoever leaves while waiting is let go at once, and its turn is the next one of the next', async () => {
  const { world, clock } = manualWorld();
  const limiter = new StartLimiter(world);
  const ends: (() => void)[] = [];
  const busy = Array.from({ length: 10 }, () =>
    limiter.run({}, 'acme', () => new Promise<void>((resolve) => ends.push(resolve)), never),
  );
  await settle();
  const leaving = new AbortController();
  const reason = new Error('enough');
  const left = assert.rejects(
    limiter.run({}, 'acme', () => Promise.reject(new Error('was started')), leaving.signal),
    reason,
  );
  const next = limiter.run({}, 'acme', async () => 'came', never);
  leaving.abort(reason);
  await left;
  await assert.rejects(
    limiter.run({}, 'acme', async () => 'late', leaving.signal),
    reason,
  );
  ends.shift()!();
  assert.equal(await next, 'came');
  for (const end of ends) end();
  await Promise.all(busy);
  assert.equal(clock.pending, 0);
});
