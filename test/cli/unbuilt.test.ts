import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = join(import.meta.dirname, '../..');

test('a clone that is not built runs its sources, with the same help as the manifest promises', async (t) => {
  const clone = await temporaryDirectory(t);
  mkdirSync(join(clone, 'bin'));
  for (const file of ['bin/run.js', 'package.json', 'oclif.manifest.json'])
    copyFileSync(join(ROOT, file), join(clone, file));
  for (const folder of ['src', 'node_modules']) symlinkSync(join(ROOT, folder), join(clone, folder));
  const run = (...commandLine: readonly string[]) =>
    spawnSync(process.execPath, [join(clone, 'bin/run.js'), ...commandLine], {
      encoding: 'utf8',
      // Some frameworks set it for their own tests; oclif would look for a TypeScript runner then.
      env: { PATH: process.env.PATH, HOME: clone, NODE_ENV: 'development' },
    });
  const help = run('rds', '--help');
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /EXAMPLES\n {2}\$ cloudtun rds prod --port 13306/);
  const status = run('lab', 'status');
  assert.deepEqual([status.status, status.stdout], [0, 'no lab is running; start it with: cloudtun lab up\n']);
  const unknown = run('rsd');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /^error CT_USAGE: there is no command "rsd"\n {2}did you mean: cloudtun rds, /);
});
