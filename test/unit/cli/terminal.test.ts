import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Terminal, type TerminalOptions } from '../../../src/cli/terminal.ts';

const CLEAR = '\r\u001b[2K';

function terminal(tty: { stdout: boolean; stderr: boolean }, more: Partial<TerminalOptions> = {}) {
  const written: string[] = [];
  const stream = (name: string, isTTY: boolean) => ({
    isTTY,
    columns: 40,
    write: (text: string) => {
      written.push(`${name}:${text}`);
      return true;
    },
  });
  const instance = new Terminal({
    stdout: stream('out', tty.stdout),
    stderr: stream('err', tty.stderr),
    stdin: { isTTY: tty.stderr },
    env: { TERM: 'xterm' },
    isQuiet: false,
    mayAsk: true,
    ...more,
  });
  return { instance, written };
}

const BOTH = { stdout: true, stderr: true };
const NONE = { stdout: false, stderr: false };

suite('terminal', () => {
  test('progress is erased by what comes next, on either stream', () => {
    const { instance, written } = terminal(BOTH, { env: { NO_COLOR: '1' } });
    instance.progress('asking ...');
    instance.result('ready');
    instance.progress('asking ...');
    instance.note('hm');
    assert.deepEqual(written, [
      `err:${CLEAR}asking ...`,
      `err:${CLEAR}`,
      'out:ready\n',
      `err:${CLEAR}asking ...`,
      `err:${CLEAR}`,
      'err:hm\n',
    ]);
  });

  test('progress is cut to one line, and never shown where nobody watches', () => {
    const { instance, written } = terminal(BOTH, { env: { NO_COLOR: '1' } });
    instance.progress('x'.repeat(100));
    assert.deepEqual(written, [`err:${CLEAR}${'x'.repeat(39)}`]);
    const piped = terminal(NONE);
    piped.instance.progress('asking ...');
    assert.deepEqual(piped.written, []);
  });

  test('a result ends a partial note on a shared terminal, elsewhere each has its line', () => {
    const shared = terminal(BOTH);
    shared.instance.partialNote('draining 1 connection ...');
    shared.instance.result('closed after 1s');
    assert.deepEqual(shared.written, ['err:draining 1 connection ... ', 'out:closed after 1s\n']);
    const piped = terminal({ stdout: false, stderr: true });
    piped.instance.partialNote('draining 1 connection ...');
    piped.instance.result('closed after 1s');
    assert.deepEqual(piped.written, ['err:draining 1 connection ...\n', 'out:closed after 1s\n']);
  });

  test('a note in between ends the partial line', () => {
    const { instance, written } = terminal(BOTH);
    instance.partialNote('draining ...');
    instance.note('hm');
    instance.result('closed');
    assert.deepEqual(written, ['err:draining ... ', 'err:\n', 'err:hm\n', 'out:closed\n']);
  });

  test('quiet: errors and results only', () => {
    const { instance, written } = terminal(BOTH, { isQuiet: true });
    instance.note('hm');
    instance.progress('...');
    instance.partialNote('draining ...');
    instance.complain('error');
    instance.result('ready');
    assert.deepEqual(written, ['err:error\n', 'out:ready\n']);
  });

  test('colour only on a terminal, never with NO_COLOR or TERM=dumb', () => {
    const painted = (tty: boolean, env: Record<string, string>) =>
      terminal({ stdout: tty, stderr: tty }, { env }).instance.paint('red', 'x') !== 'x';
    assert.equal(painted(true, { TERM: 'xterm' }), true);
    assert.equal(painted(true, { TERM: 'xterm', NO_COLOR: '' }), true);
    assert.equal(painted(true, { TERM: 'xterm', NO_COLOR: '1' }), false);
    assert.equal(painted(true, { TERM: 'dumb' }), false);
    assert.equal(painted(false, { TERM: 'xterm', FORCE_COLOR: '1' }), false);
  });

  test('asks only where somebody can answer', () => {
    assert.equal(terminal(BOTH).instance.canAsk, true);
    assert.equal(terminal(BOTH, { mayAsk: false }).instance.canAsk, false);
    assert.equal(terminal(BOTH, { env: { CI: 'true' } }).instance.canAsk, false);
    assert.equal(terminal(BOTH, { env: { CI: 'false' } }).instance.canAsk, true);
    assert.equal(terminal({ stdout: true, stderr: false }).instance.canAsk, false);
    assert.equal(terminal(BOTH, { stdin: { isTTY: false } }).instance.canAsk, false);
  });
});
