import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseFilter } from '../../../../src/lab/gcp/api/list-filter.ts';

const item = {
  name: 'web-1',
  status: 'RUNNING',
  labels: { role: 'web', env: 'practice' },
  networkInterfaces: [{ networkIP: '10.40.10.21' }, { networkIP: '10.40.10.22' }],
};

suite('list filters', () => {
  const fitting = [
    '',
    'name=web-1',
    'name = "web-1"',
    "name = 'web-1'",
    'name eq web-.*',
    'name ne db-.*',
    'name != db',
    'name:WEB',
    'labels.role=web labels.env=practice',
    '(labels.role=web) (labels.env=practice)',
    'labels.role:*',
    'name=db OR name=web-1',
    'status=RUNNING AND (name=db OR name=web-1)',
    'NOT name=db',
    '-labels.owner:*',
    'networkInterfaces.networkIP=10.40.10.22',
    'networkInterfaces.networkIP="10.40.10.22" AND status = RUNNING',
  ];
  for (const filter of fitting) test(`fits: ${filter}`, () => assert.equal(parseFilter(filter)(item), true));

  for (const filter of ['name=web', 'labels.owner=x', 'name eq web', 'NOT status=RUNNING', 'name=db OR name=x']) {
    test(`does not fit: ${filter}`, () => assert.equal(parseFilter(filter)(item), false));
  }

  for (const filter of ['name', 'name=', '=x', '(name=x', 'name=x)', 'name > 3', 'name eq [', '('.repeat(100)]) {
    test(`is refused: ${filter.slice(0, 20)}`, () => assert.throws(() => parseFilter(filter), /filter/));
  }
});
