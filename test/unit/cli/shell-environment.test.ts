import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { environmentLines, usualShell } from '../../../src/cli/present/shell-environment.ts';

const AWKWARD = String.raw`it's $HOME "x" \ ${'`'}id${'`'} & ; é`;

suite('variables for a shell', () => {
  test('a POSIX shell has them as they are, and has not those that would win over them', () => {
    const lines = environmentLines({ set: { ONE: AWKWARD }, unset: ['TWO'] }, 'posix');
    const script = 'eval "$1"; printf "%s|%s" "$ONE" "$' + '{TWO-gone}"';
    const { stdout } = spawnSync('sh', ['-c', script, 'sh', lines.join('\n')], {
      encoding: 'utf8',
      env: { TWO: 'there' },
    });
    assert.equal(stdout, `${AWKWARD}|gone`);
  });

  test('fish and PowerShell have their own quoting', () => {
    const change = { set: { ONE: String.raw`a'b\c` }, unset: ['TWO'] };
    assert.deepEqual(environmentLines(change, 'fish'), ['set -e TWO', String.raw`set -gx ONE 'a\'b\\c'`]);
    assert.deepEqual(environmentLines(change, 'powershell'), [
      'Remove-Item Env:TWO -ErrorAction SilentlyContinue',
      String.raw`$env:ONE = 'a''b\c'`,
    ]);
  });

  test('the login shell tells which', () => {
    assert.equal(usualShell({ SHELL: '/usr/bin/fish' }, 'linux'), 'fish');
    assert.equal(usualShell({ SHELL: '/bin/zsh' }, 'darwin'), 'posix');
    assert.equal(usualShell({}, 'linux'), 'posix');
    assert.equal(usualShell({}, 'win32'), 'powershell');
  });
});
