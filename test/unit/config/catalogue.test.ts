import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { completeTargets, resolveHops } from '../../../src/config/catalogue.ts';
import { loadCatalogue } from '../../../src/config/load.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { placeIn, tunnelSettings } from '../../../src/config/tunnel-settings.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { silentLog } from '../../../src/runtime/log.ts';

const SPEC_EXAMPLE = `version: 1
defaults: { ttl: 8h, idle: 30m, bind: 127.0.0.1 }

targets:
  bastion:  { aws: { instance: "tag:role=bastion", profile: prod, region: ap-northeast-1 } }
  prod:     { rds: orders-prod, via: bastion, port: 13306, user: app_reader, iamAuth: true }
  web:      { gcp: { instance: web-1, project: acme, zone: asia-northeast1-a } }
  admin:    { host: admin.internal, hostPort: 80, via: bastion, port: 8080 }
groups:
  dev: [prod, admin]
policy:
  maxTtl: 12h
`;

function errorOf(text: string): CloudtunError {
  try {
    parseCatalogue(text, 'cloudtun.yaml');
  } catch (thrown) {
    assert.ok(thrown instanceof CloudtunError);
    assert.equal(thrown.code, 'CT_CONFIG');
    return thrown;
  }
  assert.fail('was accepted');
}

suite('a catalogue file', () => {
  const refused: readonly { name: string; text: string; message: string; hint?: string }[] = [
    {
      name: 'unknown key at the top, with its neighbour',
      text: 'version: 1\ntarget:\n  a: {}\n',
      message: 'cloudtun.yaml:2:1: unknown key "target"',
      hint: 'did you mean: targets',
    },
    {
      name: 'unknown key of a target',
      text: 'version: 1\ntargets:\n  prod:\n    rds: orders\n    prot: 13306\n',
      message: 'cloudtun.yaml:5:5: unknown key "prot" in targets.prod',
      hint: 'did you mean: port',
    },
    {
      name: 'unknown key of a machine',
      text: 'version: 1\ntargets:\n  b: { aws: { instance: i-1, regin: x } }\n',
      message: 'cloudtun.yaml:3:30: unknown key "regin" in targets.b.aws',
      hint: 'did you mean: region',
    },
    {
      name: 'unknown key like no other',
      text: 'version: 1\ndefaults: { zzzzzzzz: 1 }\n',
      message: 'cloudtun.yaml:2:13: unknown key "zzzzzzzz" in defaults',
      hint: 'known here: ttl, idle, grace, bind, maxBytes, sessions, profile, region, project, zone, intervals',
    },
    {
      name: 'wrong type',
      text: 'version: 1\ntargets:\n  prod: { rds: orders, port: many }\n',
      message: 'cloudtun.yaml:3:30: targets.prod.port should be a number',
    },
    {
      name: 'port out of range',
      text: 'version: 1\ntargets:\n  prod: { rds: orders, port: 70000 }\n',
      message: 'cloudtun.yaml:3:30: targets.prod.port should be at most 65535',
    },
    {
      name: 'duration without a unit',
      text: 'version: 1\ndefaults: { ttl: 30 }\n',
      message: 'cloudtun.yaml:2:18: defaults.ttl should be a duration with its unit, such as 30s, 15m or 8h',
    },
    {
      name: 'duration in no unit we know',
      text: 'version: 1\ndefaults: { idle: 3 weeks }\n',
      message: 'cloudtun.yaml:2:19: defaults.idle should be a duration with its unit, such as 30s, 15m or 8h',
    },
    {
      name: 'no version',
      text: 'targets: {}\n',
      message: 'cloudtun.yaml:1:1: version is missing',
      hint: 'write: version: 1',
    },
    {
      name: 'another version',
      text: 'version: 2\n',
      message: 'cloudtun.yaml:1:10: version should be 1, the only version there is',
    },
    { name: 'not a mapping', text: '- a\n- b\n', message: 'cloudtun.yaml:1:1: is not a mapping of keys to values' },
    {
      name: 'two forms at once',
      text: 'version: 1\ntargets:\n  odd: { rds: a, host: b, hostPort: 1, via: c }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has rds and host; a target is one of them',
    },
    {
      name: 'no form',
      text: 'version: 1\ntargets:\n  odd: { port: 5 }\n',
      message: 'cloudtun.yaml:3:3: target "odd" needs one of aws, gcp, rds, sql or host',
    },
    {
      name: 'a host that nothing reaches',
      text: 'version: 1\ntargets:\n  odd: { host: a.internal, hostPort: 80 }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has a host but no via: name the machine that can reach it',
    },
    {
      name: 'unknown key of a machine on Google Cloud',
      text: 'version: 1\ntargets:\n  b: { gcp: { instance: web-1, zne: x } }\n',
      message: 'cloudtun.yaml:3:32: unknown key "zne" in targets.b.gcp',
      hint: 'did you mean: zone',
    },
    {
      name: 'a key that is needed and misspelt',
      text: 'version: 1\ntargets:\n  b: { gcp: { instnce: web-1 } }\n',
      message: 'cloudtun.yaml:3:15: unknown key "instnce" in targets.b.gcp',
      hint: 'did you mean: instance',
    },
    {
      name: 'a place of the other cloud',
      text: 'version: 1\ntargets:\n  odd: { rds: a, project: acme }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has a project, which rds does not know',
    },
    {
      name: 'a profile of Cloud SQL',
      text: 'version: 1\ntargets:\n  odd: { sql: a, profile: prod }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has a profile, which sql does not know',
    },
    {
      name: 'half a name of Cloud SQL',
      text: 'version: 1\ntargets:\n  odd: { sql: a, region: asia-northeast1 }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has a region but no project: name both, or neither',
    },
    {
      name: 'two databases at once',
      text: 'version: 1\ntargets:\n  odd: { rds: a, sql: b }\n',
      message: 'cloudtun.yaml:3:3: target "odd" has rds and sql; a target is one of them',
    },
  ];
  for (const { name, text, message, hint } of refused) {
    test(`is refused: ${name}`, () => {
      const error = errorOf(text);
      assert.equal(error.message, message);
      if (hint !== undefined) assert.deepEqual(error.hints, [hint]);
    });
  }

  test('is refused: broken YAML and repeated keys, with the line', () => {
    assert.match(errorOf('version: 1\ntargets: {a: [}\n').message, /^cloudtun\.yaml:2:\d+: /);
    assert.match(errorOf('version: 1\nversion: 1\n').message, /^cloudtun\.yaml:2:1: this key is there twice/);
  });

  test('of spec section 4 is read whole', () => {
    const parsed = parseCatalogue(SPEC_EXAMPLE, 'cloudtun.yaml');
    assert.deepEqual([...parsed.entries.keys()], ['bastion', 'prod', 'web', 'admin']);
    assert.deepEqual(parsed.data.groups, { dev: ['prod', 'admin'] });
    assert.deepEqual(parsed.data.policy, { maxTtl: '12h' });
    assert.deepEqual(parsed.entries.get('prod')?.place, { file: 'cloudtun.yaml', line: 6, column: 3 });
  });
});

suite('targets of two clouds', () => {
  const complete = (text: string) => completeTargets(parseCatalogue(`version: 1\ntargets:\n${text}`, 'c.yaml').entries);

  test('each knows its cloud and its place, also by its via', () => {
    const targets = complete(`  web: { gcp: { instance: "gcp:web-1", project: acme, zone: asia-northeast1-a } }
  admin: { host: admin.internal, hostPort: 80, via: web }
  other: { host: admin.internal, hostPort: 80, via: "gcp:bastion" }
  plain: { host: admin.internal, hostPort: 80, via: bastion }
  reports: { sql: reports, project: acme, via: "@asia-northeast1/default/private-sql" }
`);
    const shown = [...targets.values()].map(({ name, kind, cloud, project, zone }) => [
      name,
      kind,
      cloud,
      project,
      zone,
    ]);
    assert.deepEqual(shown, [
      ['web', 'machine', 'gcp', 'acme', 'asia-northeast1-a'],
      ['admin', 'host', 'gcp', 'acme', 'asia-northeast1-a'],
      ['other', 'host', 'gcp', undefined, undefined],
      ['plain', 'host', undefined, undefined, undefined],
      ['reports', 'database', 'gcp', 'acme', undefined],
    ]);
    const web = targets.get('web');
    assert.equal(web?.kind === 'machine' && web.instance, 'web-1');
    const other = targets.get('other');
    assert.deepEqual(other?.via, [{ written: 'gcp:bastion', cloud: 'gcp', text: 'bastion' }]);
  });

  test('a machine on the way is named with its own zone, and its login is kept for when it is needed', () => {
    const targets = complete(
      `  gate: { gcp: { instance: gate-1, project: acme, zone: zone-a }, user: ops }
  inner: { gcp: { instance: inner-1, project: acme, zone: zone-c }, via: gate, user: app }
  far: { host: 10.0.0.5, hostPort: 80, via: inner }
`,
    );
    const gate = { written: 'acme/zone-a/gate-1', text: 'acme/zone-a/gate-1', cloud: 'gcp', usualUser: 'ops' } as const;
    assert.deepEqual(targets.get('inner')?.via, [gate]);
    const inner = { written: 'acme/zone-c/inner-1', text: 'acme/zone-c/inner-1', cloud: 'gcp', user: 'app' } as const;
    assert.deepEqual(targets.get('far')?.via, [gate, inner]);
    assert.deepEqual(resolveHops(['far'], { targets }).slice(0, 2), [gate, inner]);
  });

  test('a database and its via in different clouds are an error with its place', () => {
    assert.throws(() => complete('  web: { gcp: { instance: web-1 } }\n  prod: { rds: orders, via: web }\n'), {
      code: 'CT_CONFIG',
      message: 'c.yaml:4:3: target "prod" is in aws, its via in gcp',
    });
  });

  test('a cloud gets the part of the selection that it understands', () => {
    const selection = { profile: 'prod', region: 'eu-west-1', project: 'acme', zone: 'europe-west4-a' };
    assert.deepEqual(placeIn('aws', selection), { profile: 'prod', region: 'eu-west-1' });
    assert.deepEqual(placeIn('gcp', selection), { project: 'acme', zone: 'europe-west4-a' });
  });
});

suite('finding and merging', () => {
  let root: string;
  const world = (cwd: string) => ({
    cwd,
    log: silentLog,
    paths: { home: join(root, 'home'), config: join(root, 'xdg/cloudtun'), state: '', cache: '' },
  });

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'cloudtun-config-'));
    await mkdir(join(root, 'home/project/deep'), { recursive: true });
    await mkdir(join(root, 'xdg/cloudtun'), { recursive: true });
    // Above the home directory: never read from inside of it.
    await writeFile(join(root, 'cloudtun.yaml'), 'nonsense: [');
    await writeFile(join(root, 'home/project/cloudtun.yaml'), SPEC_EXAMPLE);
    await writeFile(
      join(root, 'xdg/cloudtun/config.yaml'),
      'version: 1\ndefaults: { idle: 5m, grace: 9s }\ntargets:\n  prod: { rds: weaker }\n  own: { rds: mine }\n',
    );
  });
  after(() => rm(root, { recursive: true }));

  test('the project file is found above, and stands over the user file', async () => {
    const catalogue = await loadCatalogue(world(join(root, 'home/project/deep')));
    assert.deepEqual(catalogue.files, [
      join(root, 'home/project/cloudtun.yaml'),
      join(root, 'xdg/cloudtun/config.yaml'),
    ]);
    assert.deepEqual(catalogue.defaults, { ttl: '8h', idle: '30m', bind: '127.0.0.1', grace: '9s' });
    const prod = catalogue.targets.get('prod');
    assert.equal(prod?.kind === 'database' && prod.database, 'orders-prod');
    assert.equal(catalogue.targets.get('own')?.kind, 'database');
  });

  test('the walk ends at the home directory', async () => {
    const catalogue = await loadCatalogue(world(join(root, 'home')));
    assert.deepEqual(catalogue.files, [join(root, 'xdg/cloudtun/config.yaml')]);
  });

  test('a target takes machine, profile and region from its via', async () => {
    const { targets } = await loadCatalogue(world(join(root, 'home/project')));
    const admin = targets.get('admin');
    assert.ok(admin?.kind === 'host');
    assert.deepEqual(
      [admin.via.map(({ cloud, text }) => [cloud, text]), admin.profile, admin.region, admin.port],
      [[['aws', 'tag:role=bastion']], 'prod', 'ap-northeast-1', 8080],
    );
  });

  test('flags stand over target, defaults and built-in values', async () => {
    const catalogue = await loadCatalogue(world(join(root, 'home/project')));
    const target = catalogue.targets.get('prod');
    const { policy, ...plain } = tunnelSettings({}, catalogue, target);
    assert.equal(policy.maxTtl, '12h');
    assert.deepEqual(plain, {
      ttl: 28_800_000,
      idle: 1_800_000,
      saidTtl: undefined,
      grace: 9_000,
      maxBytes: undefined,
      journal: { isRequired: true },
      keepActive: false,
      sessions: 1,
      bind: ['127.0.0.1'],
      selection: { profile: 'prod', region: 'ap-northeast-1' },
      said: { profile: 'prod', region: 'ap-northeast-1' },
    });
    const told = tunnelSettings({ ttl: 'none', bind: ['::1'], region: 'eu-west-1' }, catalogue, target);
    assert.deepEqual(
      [told.ttl, told.bind, told.selection],
      [undefined, ['::1'], { profile: 'prod', region: 'eu-west-1' }],
    );
    assert.throws(() => tunnelSettings({ idle: '5' }, catalogue), { code: 'CT_USAGE' });
  });
});

test('a via with its cloud in front is no entry of the catalogue, also where one is called the same', () => {
  const text = `version: 1
targets:
  web: { aws: { instance: i-1 }, via: "aws:web" }
  inner: { aws: { instance: i-2 }, via: "aws:web" }
`;
  const targets = completeTargets(parseCatalogue(text, 'cloudtun.yaml').entries);
  assert.deepEqual(targets.get('web')?.via, [{ written: 'aws:web', cloud: 'aws', text: 'web' }]);
  assert.equal(targets.get('inner')?.profile, undefined);
});
