import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { loadCatalogue } from '../../../src/config/load.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: i-0abc0abc } }
  prod: { rds: orders-prod, via: bastion }
`;

type Context = Parameters<typeof temporaryDirectory>[0];

async function load(t: Context, project: string, user?: string): Promise<Catalogue> {
  const folder = await temporaryDirectory(t);
  const paths = { config: join(folder, 'config'), home: folder };
  await mkdir(paths.config);
  await writeFile(join(folder, 'cloudtun.yaml'), project);
  if (user !== undefined) await writeFile(join(paths.config, 'config.yaml'), user);
  return loadCatalogue({ cwd: folder, log: silentLog, paths: paths as Parameters<typeof loadCatalogue>[0]['paths'] });
}

async function refused(t: Context, text: string): Promise<CloudtunError> {
  const error: unknown = await load(t, text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CloudtunError);
  assert.equal(error.code, 'CT_CONFIG');
  return error;
}

suite('names in the catalogue', () => {
  test('a group of what is not there names its place and the nearest target', async (t) => {
    const error = await refused(t, `${TARGETS}groups:\n  dev: [prod, bastoin]\n`);
    assert.equal(error.message, 'cloudtun.yaml:6:15: groups.dev names "bastoin", which is no target');
    assert.deepEqual(error.hints, ['did you mean: bastion']);
  });

  test('a group that is called like a target is refused', async (t) => {
    const error = await refused(t, `${TARGETS}groups:\n  prod: [bastion]\n`);
    assert.match(error.message, /^cloudtun\.yaml:6:3: "prod" is a group and a target/);
  });

  test('a log has one source, and a target that is there', async (t) => {
    const several = await refused(t, `${TARGETS}logs:\n  app: { target: bastion, file: /a, unit: b }\n`);
    assert.match(several.message, /^cloudtun\.yaml:6:3: log "app" has several sources/);
    const none = await refused(t, `${TARGETS}logs:\n  app: { target: bastion }\n`);
    assert.match(none.message, /has no source/);
    const unknown = await refused(t, `${TARGETS}logs:\n  app: { target: web, file: /a }\n`);
    assert.match(unknown.message, /logs\.app\.target names "web", which is no target/);
  });

  test('teams and policy name targets, groups and logs', async (t) => {
    const team = await refused(t, `${TARGETS}teams:\n  readers:\n    may: { connect: [prod, prdo] }\n`);
    assert.equal(
      team.message,
      'cloudtun.yaml:7:28: teams.readers.may.connect names "prdo", which is no target or group',
    );
    const log = await refused(t, `${TARGETS}teams:\n  readers:\n    may: { logs: [prod] }\n`);
    assert.match(log.message, /which is no log$/);
    const policy = await refused(t, `${TARGETS}policy: { requireReason: [prdo] }\n`);
    assert.match(policy.message, /policy\.requireReason names "prdo"/);
  });

  test("a user's group may hold a target of the project", async (t) => {
    const { groups } = await load(t, TARGETS, 'version: 1\ngroups: { mine: [prod] }\n');
    assert.deepEqual(groups.get('mine'), ['prod']);
  });
});

suite('policy of two files', () => {
  test('the stricter word of each rule stands, whichever file has it', async (t) => {
    const { policy } = await load(
      t,
      `${TARGETS}policy: { requireReason: [prod], maxTtl: 12h, loopbackOnly: false, allowKeepActive: false, journal: warn }\n`,
      'version: 1\npolicy: { requireReason: [bastion], maxTtl: 24h, loopbackOnly: true, allowKeepActive: true, journal: required }\n',
    );
    assert.deepEqual(policy, {
      requireReason: ['prod', 'bastion'],
      maxTtl: '12h',
      loopbackOnly: true,
      allowKeepActive: false,
      journal: 'required',
    });
  });

  for (const [text, message] of [
    ['hours: { from: "8:00", to: "18:00", zone: UTC }', 'policy.hours.from should be a time of day, such as 08:00'],
    ['hours: { from: "08:00", to: "18:00", zone: Mars/Crater }', 'policy.hours.zone should be a time zone'],
    ['maxTtl: 12', 'policy.maxTtl should be a duration'],
    ['maxTTL: 12h', 'unknown key "maxTTL" in policy'],
    ['requireReason: prod', 'policy.requireReason should be true, or a list of targets'],
  ] as const) {
    test(`is refused: ${text}`, async (t) => {
      assert.ok((await refused(t, `${TARGETS}policy: { ${text} }\n`)).message.includes(message));
    });
  }
});
