import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { nearestNames } from '../../../src/domain/nearest.ts';

suite('nearest names', () => {
  const cases: readonly [word: string, known: readonly string[], near: readonly string[]][] = [
    ['prdo', ['prod', 'prod-replica', 'staging'], ['prod']],
    ['prod', ['orders-prod', 'prod', 'x'], ['prod', 'orders-prod']],
    ['PROD', ['prod'], ['prod']],
    ['ab', ['ba'], ['ba']],
    ['zzzzzz', ['prod', 'web'], []],
    ['', ['prod'], []],
    ['web', ['web-1', 'web-2', 'web-3', 'web-4'], ['web-1', 'web-2', 'web-3']],
  ];
  for (const [word, known, near] of cases) {
    test(`${JSON.stringify(word)} among ${known.join(', ')}`, () => assert.deepEqual(nearestNames(word, known), near));
  }

  test('stays quick for absurd names', () => {
    assert.deepEqual(nearestNames('a'.repeat(100_000), ['b'.repeat(100_000)]), []);
  });
});
