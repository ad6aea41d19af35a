/** Patterns against a slow and plain reference, and both evaluators against whatever text they are given. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { evaluateCel } from '../../src/onboarding/core/cel-condition.ts';
import { evaluateIam } from '../../src/onboarding/core/iam-evaluator.ts';
import { compileArnPattern, compilePattern, matchesTokens } from '../../src/onboarding/core/iam-pattern.ts';
import { readIamPolicy } from '../../src/onboarding/core/iam-policy.ts';
import { isInRange } from '../../src/onboarding/core/ip-range.ts';

const few = fc.string({ unit: fc.constantFrom('a', 'b', ':', '/', '.'), maxLength: 12 });
const pattern = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*', '?', '.'), maxLength: 8 });

/** Backtracks, as the definition reads. */
function fits(glob: string, text: string): boolean {
  if (glob === '') return text === '';
  if (glob[0] === '*') return fits(glob.slice(1), text) || (text !== '' && fits(glob, text.slice(1)));
  return text !== '' && (glob[0] === '?' || glob[0] === text[0]) && fits(glob.slice(1), text.slice(1));
}

describe('patterns', () => {
  test('a pattern fits what its definition says', () => {
    fc.assert(
      fc.property(pattern, few, (glob, text) => {
        const { tokens } = compilePattern(glob, { variables: undefined, wildcards: true });
        assert.equal(matchesTokens(tokens, text), fits(glob, text));
      }),
      { numRuns: 3_000 },
    );
  });

  test('an ARN pattern fits nothing that the plain pattern does not', () => {
    fc.assert(
      fc.property(pattern, few, (glob, text) => {
        if (matchesTokens(compileArnPattern(glob, undefined).tokens, text)) assert.ok(fits(glob, text));
      }),
      { numRuns: 3_000 },
    );
  });

  test('the value of a variable is never a pattern', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (value, text) => {
        const { tokens } = compilePattern(`x\${k}`, { variables: () => value, wildcards: true });
        assert.equal(matchesTokens(tokens, `x${text}`), value === text);
      }),
    );
  });
});

test('an address is in the blocks that it begins with', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.nat(32), fc.ipV4(), (base, length, one) => {
      const bits = (ip: string) =>
        ip
          .split('.')
          .map((part) => Number(part).toString(2).padStart(8, '0'))
          .join('');
      const expected = bits(base).slice(0, length) === bits(one).slice(0, length);
      assert.equal(isInRange(`${base}/${length}`, one), expected);
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), (one) =>
      assert.equal(isInRange(one.includes('.') ? '::/0' : one, one), one.includes('.') ? undefined : true),
    ),
  );
});

describe('any text', () => {
  test('a policy document is read or refused in words', () => {
    const values = fc.oneof(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(values, (document) => {
        const found = readIamPolicy('x', document);
        if (!found.ok) assert.ok(found.problem.length > 0);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a condition of any operator and value gives a verdict, and no allow that it does not know', () => {
    const statement = (operator: string, key: string, value: string) => ({
      Statement: { Effect: 'Allow', Action: '*', Resource: '*', Condition: { [operator]: { [key]: value } } },
      Version: '2012-10-17',
    });
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), fc.string(), (operator, key, value) => {
        const found = readIamPolicy('x', statement(operator, key, value));
        assert.ok(found.ok);
        const request = { action: 'a:b', resource: '*', context: { [key]: value } };
        assert.notEqual(evaluateIam({ identity: [found.policy] }, request).decision, 'allowed');
      }),
      { numRuns: 1_000 },
    );
  });

  test('an expression gives a verdict', () => {
    const parts = [
      'destination',
      '.',
      'port',
      '==',
      '5432',
      '(',
      ')',
      '&&',
      '!',
      '"x"',
      'in',
      '[',
      ']',
      '?',
      ':',
      'true',
      ' ',
      'request.time',
      'timestamp',
      '{',
      '}',
    ];
    const expression = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(expression, (text) => {
        assert.ok(['yes', 'no', 'unknown'].includes(evaluateCel(text, { destinationPort: 5432 }).holds));
      }),
      { numRuns: 3_000 },
    );
  });
});
