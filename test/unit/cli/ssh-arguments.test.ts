import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination, separateCommand } from '../../../src/cli/ssh-arguments.ts';
import Ssh from '../../../src/commands/ssh.ts';

const FLAGS = { ...Ssh.baseFlags, ...Ssh.flags };

const CASES: readonly (readonly [typed: string, separated: string])[] = [
  ['web-1', 'web-1'],
  ['web-1 uptime', 'web-1 -- uptime'],
  ['web-1 ls -l -p', 'web-1 -- ls -l -p'],
  ['web-1 -- ls -l', 'web-1 -- ls -l'],
  ['-p 2222 web-1 ls -l', '-p 2222 web-1 -- ls -l'],
  ['web-1 -p 2222 ls -l', 'web-1 -p 2222 -- ls -l'],
  ['-p2222 web-1 ls', '-p2222 web-1 -- ls'],
  ['--port=2222 web-1 ls', '--port=2222 web-1 -- ls'],
  ['--port 2222 web-1 ls', '--port 2222 web-1 -- ls'],
  ['-tl alice web-1 top -d 1', '-tl alice web-1 -- top -d 1'],
  ['-t web-1 top', '-t web-1 -- top'],
  ['--aws-profile prod -q web-1 aws --json', '--aws-profile prod -q web-1 -- aws --json'],
  ['web-1 sh -- x', 'web-1 -- sh -- x'],
];

for (const [typed, separated] of CASES) {
  test(`${typed}: the options of the command stay its own`, () => {
    assert.equal(separateCommand(typed.split(' '), FLAGS).join(' '), separated);
  });
}

test('USER@TARGET', () => {
  assert.deepEqual(parseDestination('web-1'), { user: undefined, target: 'web-1' });
  assert.deepEqual(parseDestination('alice@web-1'), { user: 'alice', target: 'web-1' });
  assert.deepEqual(parseDestination('a.b-c@aws:i-0abc'), { user: 'a.b-c', target: 'aws:i-0abc' });
  assert.deepEqual(parseDestination('10.0.0.5:22@r/n/g'), { user: undefined, target: '10.0.0.5:22@r/n/g' });
});
