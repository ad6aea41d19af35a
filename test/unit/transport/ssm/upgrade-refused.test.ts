import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upgradeRefused } from '../../../../src/transport/ssm/upgrade-refused.ts';

test('the request id of the gateway is kept, and a 403 is explained', () => {
  const error = upgradeRefused('ssmmessages.eu-west-1.amazonaws.com', 403, { 'x-amzn-requestid': 'request-7' });
  assert.equal(error.code, 'CT_UPGRADE_REFUSED');
  assert.deepEqual(error.details, [['request', 'request-7']]);
  assert.match(error.hints.join(' '), /ssmmessages:OpenDataChannel/);
});

test('any other status is not', () => {
  assert.match(upgradeRefused('h', 302, {}).hints.join(' '), /proxy/);
  assert.equal(upgradeRefused('h', 407, {}).code, 'CT_PROXY');
});
