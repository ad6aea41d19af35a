import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const RUN_JS = join(import.meta.dirname, '../../bin/run.js');
const CATALOGUE =
  'version: 1\ntargets: { prod: { rds: x }, reports: { sql: y }, "we ird": { rds: z } }\ngroups: { dev: [prod] }\n';

/** A directory with a catalogue, and `cloudtun` on the path of shells. */
async function place(t: TestContext) {
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'cloudtun.yaml'), CATALOGUE);
  await mkdir(join(folder, 'bin'));
  const program = join(folder, 'bin/cloudtun');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${RUN_JS}' "$@"\n`);
  await chmod(program, 0o755);
  const env = { HOME: folder, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`, TERM: 'dumb' };
  return (shell: string, ...args: string[]) =>
    spawnSync(shell, args, { cwd: folder, env, encoding: 'utf8', timeout: 20_000 });
}

const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

test('bash completes names of the catalogue', async (t) => {
  const run = await place(t);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is bash
  const show = 'printf "<%s>" "${COMPREPLY[@]}"';
  const { stdout, stderr } = run(
    'bash',
    '--norc',
    '-c',
    `eval "$(cloudtun completion bash)"; COMP_LINE="cloudtun rds p"; COMP_POINT=14; _cloudtun; ${show}`,
  );
  assert.equal(stdout, '<prod>', stderr);
});

test('fish completes names with what they are', { skip: !has('fish') && 'fish is not installed' }, async (t) => {
  const run = await place(t);
  const { stdout, stderr } = run(
    'fish',
    '--no-config',
    '-c',
    'cloudtun completion fish | source; complete -C "cloudtun up "',
  );
  assert.equal(stdout, 'dev\tgroup\nprod\trds\nreports\tsql\n', stderr);
});

test('zsh takes the script', { skip: !has('zsh') && 'zsh is not installed' }, async (t) => {
  const run = await place(t);
  const { stdout, stderr } = run(
    'zsh',
    '-f',
    '-c',
    'autoload -U compinit; compinit -D; eval "$(cloudtun completion zsh)"; _describe() { print -l -- $found }; words=(cloudtun sql r); CURRENT=3; _cloudtun',
  );
  assert.equal(stdout, 'reports:sql\n', stderr);
});

test('what cannot be read completes nothing and says nothing', async (t) => {
  const run = await place(t);
  await writeFile(join(run('pwd').stdout.trim(), 'cloudtun.yaml'), 'targets: [');
  const { stdout, stderr, status } = run('cloudtun', '__complete', 'bash', 'cloudtun rds ');
  assert.deepEqual([stdout, stderr, status], ['', '', 0]);
});

test('completing loads nothing that can reach a network', async (t) => {
  const run = await place(t);
  const folder = run('pwd').stdout.trim();
  const probe = join(folder, 'probe.cjs');
  await writeFile(
    probe,
    "process.on('exit', () => require('node:fs').writeFileSync(process.env.PROBE_OUT, JSON.stringify(process.moduleLoadList)));",
  );
  const loaded = join(folder, 'loaded.json');
  const line = (words: string) => `PROBE_OUT='${loaded}' NODE_OPTIONS='--require=${probe}' ${words}`;
  // A pipe on stdout is a socket to Node, so `net` alone says nothing.
  const networks = async () =>
    (JSON.parse(await readFile(loaded, 'utf8')) as string[])
      .map((each) => each.replace(/^NativeModule /, ''))
      .filter((name) => ['_http_client', '_tls_wrap', 'tls', 'http', 'https', 'http2', 'dns', 'dgram'].includes(name));
  assert.equal(run('sh', '-c', line("cloudtun __complete bash 'cloudtun rds p'")).stdout, 'prod\n');
  assert.deepEqual(await networks(), []);
  run('sh', '-c', line('cloudtun version'));
  assert.notDeepEqual(await networks(), [], 'the probe sees what other commands load');
});
