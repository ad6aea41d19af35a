import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upgradeRefused } from '../../../../src/transport/ssm/upgrade-refused.ts';

const HOST = 'ssmmessages.eu-west-1.amazonaws.com';

test('a 403 of the gateway is a denial, with what is missing and the request id', () => {
  const error = upgradeRefused(HOST, 403, { 'x-amzn-requestid': 'request-7' }, 'alice-1');
  assert.deepEqual([error.code, error.exitCode], ['CT_DENIED', 4]);
  assert.deepEqual(error.details, [
    ['missing', 'ssmmessages:OpenDataChannel on session/alice-1'],
    ['request', 'request-7'],
  ]);
});

test('a 403 of somebody else may be a proxy', () => {
  const error = upgradeRefused(HOST, 403, {}, 'alice-1');
  assert.deepEqual([error.code, error.details], ['CT_UPGRADE_REFUSED', []]);
  assert.match(error.hints.join(' '), /proxy .*ssmmessages:OpenDataChannel/);
});

test('any other status is not explained, but its request id is kept', () => {
  assert.match(upgradeRefused('h', 302, {}, 'alice-1').hints.join(' '), /proxy/);
  assert.deepEqual(upgradeRefused('h', 503, { 'x-amzn-requestid': 'request-8' }, 'alice-1').details, [
    ['request', 'request-8'],
  ]);
  assert.equal(upgradeRefused('h', 407, {}, 'alice-1').code, 'CT_PROXY');
});
