import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { readText } from '../../../src/config/load.ts';
import { checkCatalogue } from '../../../src/config/parse.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const messages = (text: string) =>
  checkCatalogue(text, 'cloudtun.yaml').problems.map(
    ({ place, message }) => `${place.line}:${place.column} ${message}`,
  );

suite('a catalogue that is no catalogue', () => {
  for (const [what, text, expected] of [
    ['the same key twice', 'version: 1\ntargets:\n  a: { rds: x }\n  a: { rds: y }\n', /^4:3 this key is there twice$/],
    ['a tab', 'version: 1\ntargets:\n\ta: { rds: x }\n', /^3:1 a tab at the start of a line$/],
    [
      'a line that stands too far left',
      'version: 1\ntargets:\n  a: { rds: x }\n b: { rds: y }\n',
      /^4:1 All mapping items/,
    ],
    ['two documents', 'version: 1\n---\nversion: 1\n', /^2:1 a second document begins here/],
    ['a word', 'hello\n', /^1:1 is not a mapping/],
    ['zero bytes', '\0\u0001\0\n', /^1:1 /],
    ['a text that never ends', 'version: 1\ntargets: { a: { rds: "x', /^\d+:\d+ /],
    ['itself', 'version: 1\ntargets: &all\n  rds: *all\n', /^\d+:\d+ /],
    [
      'depth without end',
      `version: 1\ntargets: ${'['.repeat(200_000)}`,
      /^\d+:\d+ is nested deeper than it can be read$/,
    ],
  ] as const) {
    test(`${what}: has a place and words`, () => {
      const found = messages(text);
      assert.match(found[0] ?? '', expected);
    });
  }
});

suite('a name', () => {
  for (const [name, problem] of [
    ['"a\\e[31mb"', /"a\\u001b\[31mb" has a character that does not show$/],
    ['"a\\u202eb"', /has a character that does not show$/],
    ['--json', /"--json" begins with -, like a flag$/],
    ['" a"', /begins or ends with a space$/],
    ['""', /is empty$/],
    ['__proto__', /"__proto__" is a word of the language/],
    ['aws:prod', /begins with aws:, which says the name that a machine has there$/],
    ['[a, b]', /a name in targets should be a text$/],
    ['null', /a name in targets should be a text$/],
  ] as const) {
    test(`${name} is refused in every section`, () => {
      const [found, ...others] = messages(`version: 1\ntargets:\n  ? ${name}\n  : { rds: x }\n`);
      assert.match(found ?? '', /^3:5 /);
      assert.match(found ?? '', problem);
      assert.deepEqual(others, []);
    });
  }

  test('of a group, log or team is judged alike', () => {
    const found = messages(
      'version: 1\ntargets: { a: { rds: x } }\ngroups: { -g: [a] }\nlogs: { "": { target: a, unit: u } }\nteams: { gcp:x: {} }\n',
    );
    assert.deepEqual(
      found.map((line) => line.replace(/ .*/, '')),
      ['3:11', '4:9', '5:10'],
    );
  });

  test('that is a number, a dot or words of another script is one', () => {
    assert.deepEqual(
      messages('version: 1\ntargets: { 5: { rds: x }, a.b: { rds: y }, 本番: { rds: z }, we ird: { rds: v } }\n'),
      [],
    );
  });
});

test('what several targets have in common can be an anchor', () => {
  const { parsed, problems } = checkCatalogue(
    'version: 1\ntargets:\n  a: &both { rds: x, region: eu-west-1 }\n  b: { <<: *both, rds: y }\n',
    'cloudtun.yaml',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(parsed?.entries.get('b')?.entry, { rds: 'y', region: 'eu-west-1' });
});

suite('a file', () => {
  test('of more than a megabyte is not read', async (t) => {
    const folder = await temporaryDirectory(t);
    await writeFile(join(folder, 'a.yaml'), `# ${'x'.repeat(1_048_576)}`);
    await assert.rejects(
      readText(join(folder, 'a.yaml'), folder),
      /a\.yaml has 1048578 bytes; at most 1048576 are read/,
    );
  });

  test('that is a folder, or that nobody may read, is told; one that is not there is none', async (t) => {
    const folder = await temporaryDirectory(t);
    await mkdir(join(folder, 'a.yaml'));
    await assert.rejects(readText(join(folder, 'a.yaml'), folder), /a\.yaml cannot be read \(EISDIR\)/);
    assert.equal(await readText(join(folder, 'b.yaml'), folder), undefined);
  });

  test('of names without end is judged in a bounded time', () => {
    const entries = Array.from({ length: 4_000 }, (_, index) => `  t${index}: { rsd: x, region: r${index} }`).join(
      '\n',
    );
    const { problems } = checkCatalogue(`version: 1\ntargets:\n${entries}\n`, 'cloudtun.yaml');
    assert.equal(problems.length, 100);
    const valid = checkCatalogue(`version: 1\ntargets:\n${entries.replaceAll('rsd', 'rds')}\n`, 'cloudtun.yaml');
    assert.equal(valid.parsed?.entries.get('t3999')?.place.line, 4_002);
  });
});
