/** The command of a pinned log, run by a real shell: what is the caller's is never a command. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CloudtunError } from '../../../../../src/domain/errors.ts';
import type { Grant } from '../../../../../src/domain/grant.ts';
import { documentContent } from '../../../../../src/providers/aws/policy/documents.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';

interface LogDocument {
  readonly parameters: Readonly<Record<string, { readonly allowedPattern: string; readonly default: string }>>;
  readonly properties: { readonly linux: { readonly commands: string } };
}

function documentOf(kind: 'file' | 'unit' | 'container', name: string): LogDocument {
  const grant: Grant = {
    team: 'readers',
    principal: { cloud: 'aws', kind: 'user', name: 'alice' },
    verb: 'logs',
    subject: { name: 'app', cloud: 'aws', place: {}, log: { kind, name } },
    members: [],
  };
  const facts = { region: 'eu-west-1', machine: { kind: 'id', id: 'i-0' }, machineLabel: 'web' } as const;
  return documentContent(grant, facts) as unknown as LogDocument;
}

/** What the agent runs: parameters are put in as Session Manager does, and refused where their pattern is. */
function run({ parameters, properties }: LogDocument, given: Readonly<Record<string, string>> = {}) {
  const commands = properties.linux.commands.replaceAll(/\{\{ (\w+) \}\}/g, (_, name: string) => {
    const { allowedPattern, default: fallback } = parameters[name]!;
    const value = given[name] ?? fallback;
    assert.match(value, new RegExp(allowedPattern), `${name} would be refused`);
    return value;
  });
  // It splits the line as a shell would, and starts the first word: here a shell does both.
  const { stdout, stderr } = spawnSync('sh', ['-c', commands], { encoding: 'utf8', timeout: 10_000 });
  return { stdout, stderr };
}

async function logFile(t: TestContext, name: string): Promise<string> {
  const path = join(await temporaryDirectory(t), name);
  writeFileSync(path, Array.from({ length: 300 }, (_, index) => `line ${index} -e a.b\n`).join(''));
  return path;
}

test('the last lines, as many as are asked for, and those with a word', async (t) => {
  const document = documentOf('file', await logFile(t, 'app.log'));
  assert.equal(run(document).stdout.split('\n').length, 201);
  assert.equal(run(document, { lines: '2' }).stdout, 'line 298 -e a.b\nline 299 -e a.b\n');
  assert.equal(run(document, { word: 'line 29' }).stdout.split('\n').length, 11);
  assert.equal(run(document, { word: '-e a' }).stdout.split('\n').length, 201, 'a word is no option');
  assert.equal(run(document, { word: 'a.c' }).stdout, '', 'and no expression');
});

for (const name of [
  'with space.log',
  '$(touch hacked).log',
  '`touch hacked`.log',
  'a;touch hacked;.log',
  'a"b\\c.log',
  '*?.log',
]) {
  test(`a file called ${name} is a file`, async (t) => {
    const path = await logFile(t, name);
    const { stdout, stderr } = run(documentOf('file', path), { lines: '1' });
    assert.deepEqual([stdout, stderr], ['line 299 -e a.b\n', '']);
    assert.ok(!existsSync('hacked'));
  });
}

test('what would end the quotes is refused: by the pattern for the caller, by an error for the catalogue', () => {
  const { parameters } = documentOf('unit', 'app.service');
  for (const value of ["'", '$(id)', '`id`', 'a\nb', ';', '|', '&', '"', '\\', '{{ lines }}'])
    for (const name of ['word', 'lines', 'follow'])
      assert.doesNotMatch(value, new RegExp(parameters[name]!.allowedPattern));
  for (const name of ["it's", 'a\nb', '{{ lines }}', '-rf']) {
    assert.throws(
      () => documentOf('file', name),
      (error) => error instanceof CloudtunError && error.code === 'CT_CONFIG',
      name,
    );
  }
});
