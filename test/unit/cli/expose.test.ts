import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowedSources, exposeRule } from '../../../src/cli/expose-arguments.ts';
import { countdown } from '../../../src/cli/present/expose-events.ts';

test('two ends: a port there, a service here', () => {
  const rule = (remote: string, local: string, bind?: string) =>
    exposeRule({ remote, local, ...(bind !== undefined && { 'bind-remote': bind }) });
  assert.deepEqual(rule('8080', '3000'), {
    remote: { host: 'localhost', port: 8080 },
    local: { host: 'localhost', port: 3000 },
  });
  assert.deepEqual(rule('auto', '[::1]:3000', '*'), {
    remote: { host: '', port: 0 },
    local: { host: '::1', port: 3000 },
  });
  assert.deepEqual(rule('0', 'db.lan:5432', '10.0.0.5').local, { host: 'db.lan', port: 5432 });
  for (const [remote, local, bind] of [
    ['-1', '1'],
    ['65536', '1'],
    ['8080', ''],
    ['8080', '0'],
    ['8080', 'a b:1'],
    ['8080', '::1:80'],
    ['8080', '1', 'web.internal'],
  ] as const) {
    assert.throws(() => rule(remote, local, bind), { code: 'CT_USAGE' });
  }
  assert.throws(() => allowedSources(['10.0.0.0/8', 'everybody']), { code: 'CT_USAGE' });
});

test('the time left: by the minute, and by the second at the end; each text holds until the next', () => {
  assert.deepEqual(countdown(3_600_000), { text: '1h', holds: 60_000 });
  assert.deepEqual(countdown(3_599_000), { text: '1h', holds: 59_000 });
  assert.deepEqual(countdown(302_500), { text: '6m', holds: 2_500 });
  assert.deepEqual(countdown(300_000), { text: '5:00', holds: 1_000 });
  assert.deepEqual(countdown(61_400), { text: '1:02', holds: 400 });
  assert.deepEqual(countdown(900), { text: '0:01', holds: 900 });
  assert.equal(countdown(-5).text, '0:00');
  // From an hour to nothing in few steps, and never backwards.
  let steps = 0;
  for (let left = 3_600_000; left > 0; steps += 1) left -= countdown(left).holds;
  assert.ok(steps < 400, `${steps}`);
});
