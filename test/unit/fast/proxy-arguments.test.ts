import assert from 'node:assert/strict';
import test from 'node:test';
import StdioProxy from '../../../src/commands/proxy.ts';
import { PROXY_OPTIONS, proxyArguments, targetOf } from '../../../src/fast/proxy-arguments.ts';

test('the short way takes the flags of the command', () => {
  const flags = { ...StdioProxy.baseFlags, ...StdioProxy.flags };
  const names = Object.entries(flags).flatMap(([name, flag]) => [name, ...(flag.aliases ?? [])]);
  assert.deepEqual([...PROXY_OPTIONS, 'explain'].sort(), names.sort());
});

test('what an SSH client calls a host is a TARGET', () => {
  const names = {
    'web-1': 'web-1',
    'alice@web-1': 'web-1',
    'web-1.cloudtun': 'web-1',
    'alice@web-1.CLOUDTUN': 'web-1',
    'web-1.gcp.cloudtun': 'gcp:web-1',
    'web-1.aws.cloudtun': 'aws:web-1',
    'aws.cloudtun': 'aws',
    '.cloudtun': '.cloudtun',
    'db.internal': 'db.internal',
    'tag:owner=alice@example.com': 'tag:owner=alice@example.com',
    'acme/asia-northeast1-a/web-1': 'acme/asia-northeast1-a/web-1',
  };
  for (const [host, target] of Object.entries(names)) assert.equal(targetOf(host), target, host);
});

test('flags come before variables, and an empty variable is none', () => {
  const env = { CLOUDTUN_PROFILE: 'prod', CLOUDTUN_REGION: 'eu-west-1', CLOUDTUN_ZONE: '' };
  const given = proxyArguments(['--aws-profile', 'dev', 'web', '22', '-vv', '-q'], env);
  assert.deepEqual([given.profile, given.region, given.zone, given.port], ['dev', 'eu-west-1', undefined, 22]);
  assert.equal(proxyArguments(['--', 'web', '22'], {}).host, 'web');
});
