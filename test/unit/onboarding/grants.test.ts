import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { checkFiles } from '../../../src/config/check-files.ts';
import { catalogueGrants, endOf } from '../../../src/onboarding/grants.ts';
import { grantGroups } from '../../../src/onboarding/team-plan.ts';

function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: "tag:role=bastion", profile: prod, region: eu-west-1 } }
  prod: { rds: orders-prod, via: bastion, user: reader, iamAuth: true }
  staging: { rds: orders-staging, profile: test, region: eu-west-1 }
  admin: { host: admin.internal, hostPort: 80, via: bastion }
  web: { gcp: { instance: web-1, project: acme, zone: z } }
  inner: { host: inner, hostPort: 22, via: [bastion, middle] }
groups: { dev: [prod, admin] }
logs: { app: { target: web, file: /var/log/app.log } }
`;
const lines = (catalogue: Catalogue) =>
  catalogueGrants(catalogue).grants.map(
    ({ principal, verb, subject }) => `${principal.cloud} ${principal.kind} ${principal.name} ${verb} ${subject.name}`,
  );
const problems = (catalogue: Catalogue) =>
  catalogueGrants(catalogue).problems.map(({ team, text }) => `${team}: ${text}`);

suite('what a catalogue gives', () => {
  test('groups are opened up, the same thing twice is one grant, each cloud has its own principal', () => {
    const catalogue = catalogueOf(
      `${TARGETS}teams: { r: { aws: { role: readers }, gcp: { group: r@example.com }, may: { connect: [dev, prod], logs: [app] } } }`,
    );
    assert.deepEqual(lines(catalogue), [
      'aws role readers connect prod',
      'aws role readers connect admin',
      'gcp group r@example.com logs app',
    ]);
    assert.deepEqual(problems(catalogue), []);
  });

  test('a subject has what the catalogue says: machine, database, host, user', () => {
    const catalogue = catalogueOf(
      `${TARGETS}teams: { r: { aws: { user: u }, may: { connect: [prod, admin, inner] } } }`,
    );
    const [prod, admin, inner] = catalogueGrants(catalogue).grants.map(({ subject }) => subject);
    assert.deepEqual(prod, {
      name: 'prod',
      cloud: 'aws',
      place: { profile: 'prod', region: 'eu-west-1' },
      machine: 'tag:role=bastion',
      user: 'reader',
      iamAuth: true,
      database: 'orders-prod',
    });
    assert.deepEqual([admin?.host, admin?.port, admin?.machine], ['admin.internal', 80, 'tag:role=bastion']);
    assert.deepEqual([inner?.host, inner?.hops], ['inner', ['middle']]);
  });

  test('to nobody, nothing, and in a cloud where the team is nobody', () => {
    const catalogue = catalogueOf(
      `${TARGETS}teams: { nobody: { may: { connect: [prod] } }, nothing: { aws: { user: u } }, here: { aws: { user: u }, may: { ssh: [web] } } }`,
    );
    assert.deepEqual(lines(catalogue), []);
    assert.deepEqual(problems(catalogue), [
      'nobody: it names nobody in any cloud: add aws: or gcp:',
      'nothing: it is given nothing: name targets under may',
      'here: web is in gcp, where the team names nobody: add gcp:',
    ]);
  });

  test('verbs that a target cannot have', () => {
    const catalogue = catalogueOf(
      `${TARGETS}teams: { r: { aws: { user: u }, gcp: { user: u@example.com }, may: { connect: [web], ssh: [prod], socks: [admin] } } }`,
    );
    assert.deepEqual(problems(catalogue), [
      'r: which port of web? add hostPort to it, or give ssh or socks',
      'r: prod is a database, and ssh needs a machine',
      'r: admin is a host that no cloud knows, and socks needs a machine',
    ]);
  });

  test('a day lasts to its end in UTC, an instant does not', () => {
    assert.equal(endOf('2027-03-31'), Date.parse('2027-04-01T00:00:00Z'));
    assert.equal(endOf('2027-03-31T18:00+02:00'), Date.parse('2027-03-31T16:00:00Z'));
  });
});

suite('what is written together', () => {
  const keysOf = (cloud: string) => (cloud === 'aws' ? (['profile'] as const) : (['project'] as const));
  const groups = (text: string, said = {}) =>
    grantGroups({ catalogue: catalogueOf(TARGETS + text), said }, keysOf).groups.map(
      ({ cloud, selection, grants }) => `${cloud} ${JSON.stringify(selection)} ${grants.length}`,
    );

  test('one account is one group; places that are given nothing any more are there with nothing', () => {
    assert.deepEqual(groups('teams: { r: { aws: { user: u }, may: { connect: [prod, admin] } } }'), [
      'aws {"region":"eu-west-1","profile":"prod"} 2',
      'aws {"region":"eu-west-1","profile":"test"} 0',
      'gcp {"project":"acme","zone":"z"} 0',
    ]);
  });

  test('a flag stands over what the targets say', () => {
    assert.deepEqual(
      groups('teams: { r: { aws: { user: u }, may: { connect: [prod, staging] } } }', { profile: 'admin' }),
      ['aws {"region":"eu-west-1","profile":"admin"} 2', 'gcp {"project":"acme","zone":"z"} 0'],
    );
  });

  test('a catalogue without teams is nobody’s business', () => assert.deepEqual(groups(''), []));
});
