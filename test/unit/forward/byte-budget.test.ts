import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBudget } from '../../../src/forward/core/byte-budget.ts';

const said = (budget: ByteBudget, ...chunks: readonly number[]) =>
  chunks.map((chunk) => {
    const step = budget.add(chunk);
    return step?.do === 'tell' ? `tell ${step.leftBytes}` : (step?.do ?? '-');
  });

test('bytes are told at 80 and 95 percent, end at the limit, and are cut a tenth beyond it; each once', () => {
  const budget = new ByteBudget(1_000);
  assert.deepEqual(said(budget, 799, 1, 1, 148, 1, 1, 48, 1, 1, 98, 1, 1, 5_000), [
    ...['-', 'tell 200', '-', '-', 'tell 50', '-', '-', 'end', '-', '-', 'cut', '-', '-'],
  ]);
});

test('a leap over several marks says the last one, and the end comes before the cut', () => {
  assert.deepEqual(said(new ByteBudget(100), 96, 3, 2), ['tell 4', '-', 'end']);
  assert.deepEqual(said(new ByteBudget(100), 1_000_000, 1, 1), ['end', 'cut', '-']);
  assert.deepEqual(said(new ByteBudget(1), 1), ['end']);
});
