import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventIn, wrongEvent } from '../../support/json-events.ts';

const DRAINING = { event: 'draining', at: '2027-01-01T00:00:00Z', clients: 0, because: 'ttl' };

test('a line that is no event of the published schema is found, whatever else is said', () => {
  const right = JSON.stringify(DRAINING);
  assert.equal(eventIn(right).event, 'draining');
  assert.equal(wrongEvent(`${right}\n{\n  "document": 1\n}\nready 127.0.0.1\n{"event":"drai`), undefined);
  for (const change of [
    { clients: -1 },
    { because: 'boredom' },
    { event: 'drained' },
    { clients: undefined },
    { more: 1 },
  ]) {
    const wrong = JSON.stringify({ ...DRAINING, ...change });
    assert.equal(wrongEvent(`${right}\n${wrong}\n`), wrong);
    assert.throws(() => eventIn(wrong), /no event of the published schema/);
  }
});
