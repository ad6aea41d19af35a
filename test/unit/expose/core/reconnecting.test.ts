import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { Reconnecting } from '../../../../src/expose/core/reconnecting.ts';

const error = (code: ConstructorParameters<typeof CloudtunError>[0]) => new CloudtunError(code, 'no');

test('waits longer each time, 30 s at most, and starts anew after a login that lived', () => {
  const reconnecting = new Reconnecting();
  reconnecting.opened(0);
  const delays = [reconnecting.closed(20_000, 1)];
  for (let attempt = 0; attempt < 8; attempt += 1) delays.push(reconnecting.failed(error('CT_NETWORK'), 1));
  assert.deepEqual(
    delays.map((step) => step.do === 'wait' && step.for),
    [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000],
  );
  reconnecting.opened(100_000);
  assert.deepEqual(reconnecting.closed(110_000, 0), { do: 'wait', for: 250, attempt: 1 });
  // One that is cut at once, again and again, is no reason to hurry.
  reconnecting.opened(110_300);
  assert.deepEqual(reconnecting.closed(110_400, 1), { do: 'wait', for: 1_000, attempt: 2 });
});

test('a port that is taken and a machine that is away are waited for; what no waiting mends is the end', () => {
  for (const code of ['CT_REMOTE_PORT_BUSY', 'CT_TARGET_STOPPED', 'CT_CREDENTIALS_EXPIRED', 'CT_TIMEOUT'] as const) {
    assert.equal(new Reconnecting().failed(error(code), 0).do, 'wait', code);
  }
  for (const code of ['CT_DENIED', 'CT_FORWARD_PROHIBITED', 'CT_HOST_KEY_CHANGED', 'CT_POLICY', 'CT_USAGE'] as const) {
    assert.equal(new Reconnecting().failed(error(code), 0).do, 'lost', code);
  }
});
