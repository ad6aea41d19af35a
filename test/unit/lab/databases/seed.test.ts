import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { HostErrors } from '../../../../src/lab/databases/host-errors.ts';
import { postgresSeed, SEED_TABLES, sqliteSeed } from '../../../../src/lab/databases/seed.ts';

describe("what the lab's databases hold", () => {
  const [customers, orders, items] = SEED_TABLES.map(({ rows }) => rows) as [
    readonly (readonly (string | number)[])[],
    readonly (readonly (string | number)[])[],
    readonly (readonly (string | number)[])[],
  ];

  test('is the same everywhere and every day: guides and tests show these rows', () => {
    const digest = (sql: string) => createHash('sha256').update(sql).digest('hex').slice(0, 16);
    assert.deepEqual([digest(sqliteSeed()), digest(postgresSeed())], ['0d6fb5f6a2370f9a', 'c1274ac8f84bbb36']);
  });

  test('fits together', () => {
    assert.deepEqual([customers.length, orders.length, items.length], [20, 50, 125]);
    assert.equal(new Set(customers.map(([, , email]) => email)).size, 20);
    for (const [id, customer, , , total] of orders) {
      assert.ok(customers.some(([each]) => each === customer));
      const sum = items
        .filter(([, order]) => order === id)
        .reduce((before, [, , , quantity, price]) => before + Number(quantity) * Number(price), 0);
      assert.equal(Number(total).toFixed(2), sum.toFixed(2));
    }
  });
});

test('addresses are blocked at the limit, apart from each other', () => {
  const errors = new HostErrors(2);
  errors.brokenHandshake('a');
  assert.equal(errors.isBlocked('a'), false);
  errors.signedIn('a');
  errors.brokenHandshake('a');
  errors.brokenHandshake('a');
  assert.equal(errors.isBlocked('a'), true);
  assert.equal(errors.isBlocked('b'), false);
  errors.flush();
  assert.equal(errors.isBlocked('a'), false);
});
