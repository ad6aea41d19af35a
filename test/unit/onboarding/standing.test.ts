import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { checkFiles } from '../../../src/config/check-files.ts';
import { accessRequest } from '../../../src/onboarding/access-request.ts';
import { standingOf } from '../../../src/onboarding/standing.ts';
import { principalsFromArn } from '../../../src/providers/aws/gatekeeper.ts';
import type { Identity } from '../../../src/providers/provider.ts';

function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

const CATALOGUE = catalogueOf(`version: 1
contact: platform@example.com
targets:
  bastion: { aws: { instance: b } }
  prod: { rds: prod, via: bastion }
  orders: { rds: orders, via: bastion }
  web: { gcp: { instance: web-1 }, hostPort: 80 }
teams:
  readers: { aws: { permissionSet: readers }, members: [Alice@example.com], may: { connect: [prod] }, until: 2027-03-31 }
  writers: { aws: { role: writers }, may: { connect: [prod, orders], ssh: [bastion] } }
  web: { gcp: { user: alice@example.com }, may: { connect: [web] }, until: 2020-01-01 }
`);
const NOW = Date.parse('2026-11-22T00:00:00Z');

const aws = (arn: string): { cloud: 'aws'; identity: Identity } => ({
  cloud: 'aws',
  identity: { id: arn, account: '1', name: arn.split('/').at(-1)!, source: 'test', principals: principalsFromArn(arn) },
});
const given = (who: Parameters<typeof standingOf>[1]) =>
  standingOf(CATALOGUE, who, NOW).given.map(
    ({ verb, name, until }) => `${verb} ${name}${until === undefined ? '' : ' *'}`,
  );

suite('what somebody is given', () => {
  test('by being a member, by the role they are, and by both: the later end counts', () => {
    assert.deepEqual(
      given([aws('arn:aws:sts::1:assumed-role/AWSReservedSSO_readers_0a1b2c3d4e5f6071/alice@example.com')]),
      ['connect prod *'],
    );
    assert.deepEqual(given([aws('arn:aws:sts::1:assumed-role/writers/ci')]), [
      'connect prod',
      'connect orders',
      'ssh bastion',
    ]);
    const both = [aws('arn:aws:sts::1:assumed-role/writers/alice@example.com')];
    assert.deepEqual(given(both), ['connect prod', 'connect orders', 'ssh bastion']);
    assert.deepEqual(
      standingOf(CATALOGUE, both, NOW).teams.map(({ team, because }) => `${team}: ${because}`),
      ['readers: its member Alice@example.com', 'writers: role writers'],
    );
  });

  test('is nothing for a stranger, and not what is over', () => {
    assert.deepEqual(given([aws('arn:aws:iam::1:user/mallory')]), []);
    const principals = [{ cloud: 'gcp' as const, kind: 'user', name: 'alice@example.com' }];
    const identity = { id: 'alice@example.com', account: 'p', name: 'alice', source: 'test', principals };
    assert.deepEqual(given([{ cloud: 'gcp', identity }]), ['connect prod *'], 'web ended in 2020');
  });

  test('a role of another name that begins like a permission set is none', () => {
    assert.deepEqual(principalsFromArn('arn:aws:sts::1:assumed-role/AWSReservedSSO_readers/x'), [
      { cloud: 'aws', kind: 'role', name: 'AWSReservedSSO_readers' },
    ]);
    assert.deepEqual(principalsFromArn('arn:aws:iam::1:root'), []);
    assert.deepEqual(principalsFromArn('arn:aws:iam::1:user/path/alice'), [
      { cloud: 'aws', kind: 'user', name: 'alice' },
    ]);
  });

  test('without teams is everything that has a name', () => {
    const open = catalogueOf('version: 1\ntargets: { b: { aws: { instance: b } }, p: { rds: p, via: b } }\n');
    assert.deepEqual(
      standingOf(open, [], NOW).given.map(({ verb, name }) => `${verb} ${name}`),
      ['ssh b', 'connect p'],
    );
  });
});

suite('the text to send', () => {
  const { identity } = aws('arn:aws:iam::1:user/mallory');
  const last = (name: string, teams: readonly string[]) =>
    accessRequest(
      CATALOGUE,
      [identity],
      [{ verb: 'connect', name, missing: 'ssm:StartSession on document/x' }],
      teams,
    ).at(-1);

  test('says whom, who, what, what was missing', () => {
    assert.deepEqual(
      accessRequest(CATALOGUE, [identity], [{ verb: 'ssh', name: 'bastion', missing: 'x' }], []).slice(0, 4),
      [
        'to: platform@example.com',
        'mallory needs ssh bastion.',
        'identity: arn:aws:iam::1:user/mallory (test)',
        'bastion: missing x',
      ],
    );
  });

  test('and what would give it: application, membership, or a new line', () => {
    assert.match(last('prod', ['readers'])!, /gives it already \(team readers\): please run cloudtun team apply/);
    assert.match(last('prod', [])!, /teams\.readers\.members: add mallory/);
    assert.match(last('nothing', [])!, /teams\.NAME\.may: add nothing/);
  });
});
