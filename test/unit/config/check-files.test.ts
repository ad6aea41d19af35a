import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { checkFiles } from '../../../src/config/check-files.ts';
import { catalogueJsonSchema } from '../../../src/config/json-schema.ts';
import { settingOrigins } from '../../../src/config/origin.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';

const file = (text: string, label = 'cloudtun.yaml') => ({ path: label, label, text });
const messages = (...texts: string[]) =>
  checkFiles(texts.map((text) => file(text))).problems.map((problem) => {
    const place = 'place' in problem ? `${problem.place.line}:${problem.place.column} ` : '';
    return `${place}${problem.message}`;
  });

suite('all problems of a catalogue', () => {
  test('are told at once, misspelt keys first', () => {
    assert.deepEqual(messages('version: 1\ndefaults: { tll: 3h, idle: 5, xdle: 1 }\n'), [
      '2:13 unknown key "tll" in defaults',
      '2:31 unknown key "xdle" in defaults',
      '2:28 defaults.idle should be a duration with its unit, such as 30s, 15m or 8h',
    ]);
  });

  test('are those of broken YAML, and of aliases without end', () => {
    assert.match(messages('version: 1\n\ttargets: 1\n')[0]!, /^2:1 /);
    const row = (name: string, of: string) => `${name}: &${name} [${Array(9).fill(`*${of}`).join(', ')}]\n`;
    const bomb = `a: &a [${Array(9).fill('x').join(', ')}]\n${row('b', 'a')}${row('c', 'b')}${row('d', 'c')}`;
    assert.match(messages(bomb)[0]!, /alias/i);
  });

  test('include targets that share a local port, where the file says where they are', () => {
    const [problem, ...others] = messages(`version: 1
targets:
  one: { rds: orders, region: eu-west-1 }
  two: { rds: orders, region: eu-west-1 }
  here: { rds: orders }
`);
    assert.match(problem!, /^targets "two" and "one" both have local port \d+$/);
    assert.deepEqual(others, []);
  });

  test('include ports of machines, and those by hand that a group opens together', () => {
    const text = (groups: string) => `version: 1
targets:
  one: { aws: { instance: web, region: eu-west-1 }, hostPort: 80 }
  two: { aws: { instance: web, region: eu-west-1 }, hostPort: 81 }
  a: { rds: x, port: 5432 }
  b: { rds: y, port: 5432 }
${groups}`;
    assert.deepEqual(messages(text('')), []);
    assert.deepEqual(messages(text('groups: { dev: [a, one], all: [a, one, b] }\n')), [
      'group "all" opens "b" and "a", which both have local port 5432',
    ]);
    const [problem] = messages(text('').replace('hostPort: 81', 'hostPort: 80'));
    assert.match(problem!, /^targets "two" and "one" both have local port \d+$/);
    assert.deepEqual(
      messages(text('groups: { dev: [a, a], none: [] }\n'))[0],
      '7:30 groups.none should be a list that is not empty',
    );
    assert.deepEqual(messages(text('groups: { dev: [a, a] }\n')), ['7:20 groups.dev names "a" twice']);
  });

  test('include names that stand for nothing, in every file', () => {
    const found = checkFiles([
      file('version: 1\ntargets: { a: { rds: x } }\ngroups: { g: [b] }\n'),
      file('version: 1\ngroups: { h: [a, c] }\n', 'config.yaml'),
    ]).problems;
    assert.deepEqual(
      found.map((problem) => 'place' in problem && problem.place.file),
      ['cloudtun.yaml', 'config.yaml'],
    );
  });
});

test('the JSON Schema takes what the program takes, and refuses what it refuses', () => {
  const validate = new Ajv({ strict: false }).compile(catalogueJsonSchema());
  for (const [text, isValid] of [
    ['version: 1\ntargets: { a: { rds: x, via: [b, c], ttl: 8h }, b: { aws: { instance: i-1 } } }', true],
    ['version: 1\nteams: { t: { aws: { permissionSet: r }, may: { connect: [a] }, until: 2027-03-31 } }', true],
    ['version: 2', false],
    ['version: 1\ntargets: { a: { rsd: x } }', false],
    ['version: 1\npolicy: { hours: { from: 8, to: "18:00", zone: UTC } }', false],
  ] as const) {
    assert.equal(validate(parse(text)), isValid, text);
  }
});

test('a value says where it comes from: environment over project over user over default', () => {
  const project = parseCatalogue(
    'version: 1\ndefaults: { ttl: 4h }\ntargets: { prod: { rds: x, idle: 5m } }\n',
    'cloudtun.yaml',
  );
  const user = parseCatalogue(
    'version: 1\ndefaults: { ttl: 6h, grace: 1m }\ntargets: { prod: { rds: y, port: 1 } }\n',
    'config.yaml',
  );
  const files = [
    { path: 'cloudtun.yaml', parsed: project },
    { path: 'config.yaml', parsed: user },
  ];
  const said = (env: Record<string, string>, target?: string) =>
    Object.fromEntries(settingOrigins(files, env, target).map(({ key, value, origin }) => [key, `${value} ${origin}`]));
  assert.deepEqual(said({}), {
    ttl: '4h cloudtun.yaml:2:13',
    idle: 'none default',
    grace: '1m config.yaml:2:22',
    bind: '127.0.0.1, ::1 default',
    maxBytes: 'none default',
    sessions: '1 default',
  });
  assert.equal(said({ CLOUDTUN_TTL: '1h' }).ttl, '1h CLOUDTUN_TTL');
  assert.equal(said({}, 'prod').rds, 'x cloudtun.yaml:3:20');
  assert.equal(said({}, 'prod').idle, '5m cloudtun.yaml:3:28');
  // An entry is replaced whole, so the port of the weaker file is not this target's.
  assert.equal(said({}, 'prod').port, undefined);
});
