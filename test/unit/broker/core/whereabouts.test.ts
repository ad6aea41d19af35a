import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Whereabouts } from '../../../../src/broker/core/whereabouts.ts';
import type { DatabaseTarget } from '../../../../src/domain/target.ts';

const then: DatabaseTarget = {
  kind: 'database',
  provider: 'aws',
  id: 'ledger',
  flavour: 'cluster',
  member: 'ledger-1',
  engine: 'postgres',
  engineLabel: 'PostgreSQL 15.8',
  endpoint: { host: 'ledger.internal', port: 5432 },
  available: true,
  status: 'available',
  zone: 'a',
  subnetIds: [],
  securityGroupIds: [],
};

test('another endpoint, writer or zone is a move; another state, or what is not told, is none', () => {
  const { member: _, zone: __, ...untold } = then;
  const cases: readonly (readonly [DatabaseTarget, RegExp | undefined])[] = [
    [then, undefined],
    [{ ...then, status: 'backing-up' }, undefined],
    [untold, undefined],
    [{ ...then, member: 'ledger-2' }, /its writer is ledger-2 now, and was ledger-1/],
    [{ ...then, zone: 'c' }, /its zone is c now/],
    [{ ...then, endpoint: { host: '10.0.0.9', port: 5432 } }, /its endpoint is 10\.0\.0\.9 now/],
  ];
  for (const [now, expected] of cases) {
    const what = new Whereabouts(then).database(now);
    if (expected === undefined) assert.equal(what, undefined);
    else assert.match(what ?? '', expected);
  }
});

test('a name has moved when none of its addresses was seen before; addresses that take turns have not', () => {
  const known = new Whereabouts();
  assert.equal(known.addresses('db', ['10.0.0.1', '10.0.0.2']), undefined);
  assert.equal(known.addresses('db', ['10.0.0.2', '10.0.0.3']), undefined);
  assert.equal(known.addresses('db', ['10.0.0.3']), undefined);
  assert.equal(known.addresses('db', []), undefined);
  assert.equal(known.addresses('db', ['10.0.0.1']), undefined);
  assert.match(known.addresses('db', ['10.0.9.9']) ?? '', /db moved: it is 10\.0\.9\.9 now/);
});
