import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { runCli } from '../support/run-cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

suite('help and version', () => {
  test('the root page has examples first, commands and exit codes, on stdout alone', async (t) => {
    const { code, stdout, stderr } = await runCli(['--help'], { home: await temporaryDirectory(t) });
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^EXAMPLES\n {2}\$ cloudtun demo/);
    assert.match(stdout, /\nCOMMANDS\n[\s\S]*\n {2}targets /);
    assert.match(stdout, /\nEXIT CODES\n[\s\S]*\n {2}128\+n +ended by signal n/);
  });

  test('a command page has examples before usage, and the variable of every flag', async (t) => {
    const { code, stdout } = await runCli(['targets', '--help'], { home: await temporaryDirectory(t) });
    assert.equal(code, 0);
    assert.ok(stdout.indexOf('EXAMPLES') < stdout.indexOf('USAGE'));
    for (const variable of ['PROFILE', 'REGION', 'KIND', 'JSON', 'QUIET', 'VERBOSE', 'NO_INPUT']) {
      assert.match(stdout, new RegExp(`\\[env: CLOUDTUN_${variable}\\]`));
    }
  });

  test('--version names the runtime', async (t) => {
    const { code, stdout } = await runCli(['--version'], { home: await temporaryDirectory(t) });
    assert.equal(code, 0);
    assert.match(stdout, /^cloudtun\/\d+\.\d+\.\d+ \S+ node-v\d+/);
  });
});

suite('usage errors', () => {
  const cases: readonly { typed: readonly string[]; stderr: readonly string[] }[] = [
    {
      typed: ['target'],
      stderr: [
        'error CT_USAGE: there is no command "target"',
        '  did you mean: cloudtun targets',
        '  see all: cloudtun --help',
      ],
    },
    {
      typed: ['targets', '--prfile', 'x'],
      stderr: [
        'error CT_USAGE: there is no flag --prfile',
        '  did you mean: --profile',
        '  see: cloudtun targets --help',
      ],
    },
    {
      typed: ['targets', 'one', 'two'],
      stderr: ['error CT_USAGE: unexpected argument "two"', '  see: cloudtun targets --help'],
    },
    {
      typed: ['audit', 'reconcile'],
      stderr: ['error CT_USAGE: --from is missing', '  see: cloudtun audit reconcile --help'],
    },
    {
      typed: ['targets', '--kind', 'bucket'],
      stderr: [
        'error CT_USAGE: expected --kind=bucket to be one of: machine, host, database',
        '  see: cloudtun targets --help',
      ],
    },
    {
      typed: ['targets', '--profile'],
      stderr: ['error CT_USAGE: flag --profile expects a value', '  see: cloudtun targets --help'],
    },
    { typed: ['help', 'nonsense'], stderr: ['error CT_USAGE: command nonsense not found', '  see: cloudtun --help'] },
  ];
  for (const { typed, stderr } of cases) {
    test(`cloudtun ${typed.join(' ')}`, async (t) => {
      const result = await runCli(typed, { home: await temporaryDirectory(t) });
      assert.deepEqual(result, { code: 2, signal: null, stdout: '', stderr: `${stderr.join('\n')}\n` });
    });
  }

  test('with --json, or CLOUDTUN_JSON, are a document on stdout with the same exit code', async (t) => {
    const home = await temporaryDirectory(t);
    const byFlag = await runCli(['targets', '--prfile', 'x', '--json'], { home });
    const byVariable = await runCli(['targets', '--prfile', 'x'], { home, env: { CLOUDTUN_JSON: '1' } });
    for (const { code, stdout, stderr } of [byFlag, byVariable]) {
      assert.equal(code, 2);
      assert.equal(stderr, '');
      assert.deepEqual(JSON.parse(stdout), {
        error: {
          code: 'CT_USAGE',
          message: 'there is no flag --prfile',
          kind: 'usage',
          exitCode: 2,
          retryable: false,
          details: [],
          hints: ['did you mean: --profile', 'see: cloudtun targets --help'],
          causes: [],
          page: 'docs/reference/errors.md#ct_usage',
        },
      });
    }
    const unknown = await runCli(['nonsense', '--json'], { home });
    assert.equal(unknown.code, 2);
    assert.equal(JSON.parse(unknown.stdout).error.code, 'CT_USAGE');
  });

  test('are never coloured away from a terminal', async (t) => {
    const { stderr } = await runCli(['nonsense'], {
      home: await temporaryDirectory(t),
      env: { FORCE_COLOR: '1', TERM: 'xterm-256color' },
    });
    assert.ok(!stderr.includes('\u001b'));
  });
});

suite('configuration errors', () => {
  test('name file, line, column and the nearest key, and end with 2', async (t) => {
    const home = await temporaryDirectory(t);
    mkdirSync(join(home, 'work/deep'), { recursive: true });
    writeFileSync(join(home, 'work/cloudtun.yaml'), 'version: 1\ntargets:\n  prod: { rsd: orders }\n');
    const { code, stdout, stderr } = await runCli(['targets'], { home, cwd: join(home, 'work') });
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      'error CT_CONFIG: cloudtun.yaml:3:11: unknown key "rsd" in targets.prod\n  did you mean: rds\n',
    );
    const deeper = await runCli(['targets'], { home, cwd: join(home, 'work/deep') });
    assert.match(deeper.stderr, /^error CT_CONFIG: \/.*\/work\/cloudtun\.yaml:3:11: /);
  });
});

test('with nothing set up for any cloud, an error says how to begin with each', async (t) => {
  const home = await temporaryDirectory(t);
  const { code, stderr } = await runCli(['forward', 'web-1', ':80'], { home });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^error CT_NO_REGION: .*\n[\s\S]* {2}AWS: .*\n {2}Google Cloud: .*\n {2}to try it without an account: cloudtun demo\n$/,
  );
  // Who has set up one of them is told about that one alone.
  const env = { AWS_PROFILE: 'default' };
  const { stderr: ofOne } = await runCli(['forward', 'web-1', ':80'], { home, env });
  assert.doesNotMatch(ofOne, /Google/);
});
