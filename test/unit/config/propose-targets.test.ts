import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { type FoundPlace, proposeTargets } from '../../../src/config/propose-targets.ts';
import { withTargets } from '../../../src/config/write-catalogue.ts';
import { BASTION, ORDERS } from '../../support/fake-provider.ts';

const PLACE: FoundPlace = {
  cloud: 'aws',
  region: 'eu-west-1',
  databases: [{ target: ORDERS, via: BASTION }],
  machines: [],
};

test('a database is proposed with the machine that reaches it, which stands before it', () => {
  const proposed = proposeTargets([PLACE], new Set());
  assert.deepEqual(
    proposed.map(({ entry }) => entry),
    [
      { aws: { instance: BASTION.name ?? BASTION.id, region: 'eu-west-1' } },
      { rds: ORDERS.id, region: 'eu-west-1', via: proposed[0]!.name },
    ],
  );
  const { entries } = parseCatalogue(withTargets(undefined, proposed), 'cloudtun.yaml');
  assert.deepEqual(
    [...entries.keys()],
    proposed.map(({ name }) => name),
  );
});

test('names are free ones, and one machine is proposed once', () => {
  const twice = { ...PLACE, databases: [...PLACE.databases, ...PLACE.databases] };
  const names = proposeTargets([twice, PLACE], new Set([proposeTargets([PLACE], new Set())[1]!.name])).map(
    ({ name }) => name,
  );
  assert.equal(new Set(names).size, names.length);
  assert.equal(names.length, 5);
});

test('a database that cannot be reached is left out; without any, machines are proposed', () => {
  const none = { ...PLACE, databases: [{ target: ORDERS, problem: 'stopped' }], machines: [BASTION] };
  assert.deepEqual(
    proposeTargets([none], new Set()).map(({ entry }) => Object.keys(entry)),
    [['aws']],
  );
});

test('what is in the file stays as it is, comments included', () => {
  const before = `# ours\nversion: 1 # the only one\ntargets:\n  # the big one\n  prod: { rds: prod, port: 13306 }\ngroups:\n  dev: [prod]\n`;
  const after = withTargets(before, [{ name: 'new', entry: { rds: 'new' }, comment: 'MySQL 8.0' }]);
  // The library writes flow lists of its own way; nothing else moves.
  assert.equal(
    after.replace('[ prod ]', '[prod]'),
    before.replace('groups:', '  new: { rds: new } # MySQL 8.0\ngroups:'),
  );
});
