import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Turnstile } from '../../../src/supervisor/turnstile.ts';
import { turn } from '../../support/manual-world.ts';

const { signal } = new AbortController();

suite('a turnstile', () => {
  test('lets as many through as it is wide, and the others in their order', async () => {
    const turnstile = new Turnstile(2);
    const inside: number[] = [];
    const places = [0, 1, 2, 3].map(async (who) => {
      const place = await turnstile.enter(signal);
      inside.push(who);
      return place;
    });
    await turn();
    assert.deepEqual(inside, [0, 1]);
    (await places[1]!)[Symbol.dispose]();
    await turn();
    assert.deepEqual(inside, [0, 1, 2]);
    (await places[0]!)[Symbol.dispose]();
    await turn();
    assert.deepEqual(inside, [0, 1, 2, 3]);
  });

  test('forgets who does not wait any longer, and does not lose the place', async () => {
    const turnstile = new Turnstile(1);
    const first = await turnstile.enter(signal);
    const impatient = new AbortController();
    const left = turnstile.enter(impatient.signal);
    const last = turnstile.enter(signal);
    impatient.abort(new Error('enough'));
    await assert.rejects(left, /enough/);
    first[Symbol.dispose]();
    using _place = await last;
    await assert.rejects(turnstile.enter(impatient.signal), /enough/);
  });
});
