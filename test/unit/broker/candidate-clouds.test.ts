import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type CloudQuestion, type CloudTable, candidateClouds } from '../../../src/broker/candidate-clouds.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';

const world = { env: {}, paths: { home: '/nowhere', config: '/nowhere', state: '/nowhere', cache: '/nowhere' } };

/** The real spellings of names, with what is set up as the test says. */
function clouds(...configured: readonly string[]): CloudTable {
  return {
    aws: { ...PROVIDERS.aws, isConfigured: () => configured.includes('aws') },
    gcp: { ...PROVIDERS.gcp, isConfigured: () => configured.includes('gcp') },
  };
}

const asked = (target: string, more: Partial<CloudQuestion> = {}): CloudQuestion => ({
  target,
  said: {},
  selection: more.said ?? {},
  ...more,
});

const ids = (table: CloudTable, question: CloudQuestion) => candidateClouds(table, question, world).ids;

suite('which clouds a target may be in', () => {
  test('what is said by command, catalogue or prefix stands over everything', () => {
    assert.deepEqual(ids(clouds('aws', 'gcp'), asked('i-0123456789abcdef0', { cloud: 'gcp' })), ['gcp']);
  });

  const spelled: readonly (readonly [string, readonly string[]])[] = [
    ['i-0123456789abcdef0', ['aws']],
    ['mi-0123456789abcdef0', ['aws']],
    ['tag:role=bastion', ['aws']],
    ['asg:app', ['aws']],
    ['ip-10-0-0-1.ap-northeast-1.compute.internal', ['aws']],
    ['acme/asia-northeast1-a/web-1', ['gcp']],
    ['label:role=bastion', ['gcp']],
    ['sql:acme:asia-northeast1:reports', ['gcp']],
    ['db.internal:5432@asia-northeast1/default/private-sql', ['gcp']],
    ['web-1.asia-northeast1-a.c.acme.internal', ['gcp']],
    ['web-1', ['aws', 'gcp']],
    ['10.0.0.5', ['aws', 'gcp']],
  ];
  for (const [target, expected] of spelled) {
    test(`${target}: ${expected.join(' or ')}`, () => {
      assert.deepEqual(ids(clouds('aws', 'gcp'), asked(target)), expected);
    });
  }

  test('of a bare name, the clouds that are set up; a sure spelling needs no set-up', () => {
    assert.deepEqual(ids(clouds('gcp'), asked('web-1')), ['gcp']);
    assert.deepEqual(ids(clouds('aws'), asked('web-1')), ['aws']);
    assert.deepEqual(ids(clouds('aws'), asked('label:role=web')), ['gcp']);
  });

  test('a setting that only one cloud has means that cloud, a region none', () => {
    const both = clouds('aws', 'gcp');
    assert.deepEqual(ids(both, asked('web-1', { said: { project: 'acme' } })), ['gcp']);
    assert.deepEqual(ids(both, asked('web-1', { said: { zone: 'asia-northeast1-a' } })), ['gcp']);
    assert.deepEqual(ids(both, asked('web-1', { said: { profile: 'prod' } })), ['aws']);
    assert.deepEqual(ids(both, asked('web-1', { said: { region: 'eu-west-1' } })), ['aws', 'gcp']);
    assert.deepEqual(ids(both, asked('web-1', { said: { profile: 'prod', project: 'acme' } })), ['aws', 'gcp']);
  });

  test('a default of the catalogue sets a cloud up, and hides no other', () => {
    assert.deepEqual(ids(clouds(), asked('web-1', { selection: { project: 'acme' } })), ['gcp']);
    assert.deepEqual(ids(clouds('aws'), asked('web-1', { selection: { project: 'acme' } })), ['aws', 'gcp']);
  });

  test('with nothing set up it is a guess, and said to be one', () => {
    assert.deepEqual(candidateClouds(clouds(), asked('web-1'), world), { ids: ['aws'], isGuess: true });
    assert.equal(candidateClouds(clouds('aws'), asked('web-1'), world).isGuess, false);
  });

  test('without a target, every cloud that is set up', () => {
    assert.deepEqual(ids(clouds('aws', 'gcp'), { said: {}, selection: {} }), ['aws', 'gcp']);
  });
});
