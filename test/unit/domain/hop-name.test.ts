import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHopName } from '../../../src/domain/hop-name.ts';

const READINGS = [
  ['bastion', { text: 'bastion' }],
  ['deploy@inner', { user: 'deploy', text: 'inner' }],
  ['deploy@inner:2222', { user: 'deploy', text: 'inner', port: 2222 }],
  ['gcp:web-1:2222', { cloud: 'gcp', text: 'web-1', port: 2222 }],
  ['u@aws:i-0abc', { cloud: 'aws', user: 'u', text: 'i-0abc' }],
  ['tag:role=bastion', { text: 'tag:role=bastion' }],
  ['tag:role=bastion:2222', { text: 'tag:role=bastion', port: 2222 }],
  ['10.0.0.1:22', { text: '10.0.0.1', port: 22 }],
  ['fd00::1', { text: 'fd00::1' }],
  ['[fd00::1]:2222', { text: 'fd00::1', port: 2222 }],
  ['acme/zone/web', { text: 'acme/zone/web' }],
  ['host@region/network/group', { text: 'host@region/network/group' }],
  ['@region/network/group', { text: '@region/network/group' }],
] as const;

for (const [written, expected] of READINGS) {
  test(`the hop ${written}`, () => assert.deepEqual(parseHopName(written), { written, ...expected }));
}

for (const written of ['', 'deploy@aws:', ':22', 'web:0', 'web:65536', '[fd00::1]:99999']) {
  test(`no hop: "${written}"`, () => assert.throws(() => parseHopName(written), { code: 'CT_USAGE' }));
}
