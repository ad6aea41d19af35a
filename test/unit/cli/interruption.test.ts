import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { suite, test } from 'node:test';
import { Interrupted, Interruption } from '../../../src/cli/interruption.ts';

function start() {
  const source = new EventEmitter();
  const exits: number[] = [];
  const calls: string[] = [];
  const interruption = new Interruption(source, (code) => exits.push(code));
  const drainable = { drain: () => calls.push('drain'), cut: () => calls.push('cut') };
  return { source, exits, calls, interruption, drainable, send: (name: string) => source.emit(name, name) };
}

suite('signals', () => {
  test('before anything is open the first one aborts, the second exits at once', () => {
    const { interruption, exits, send } = start();
    send('SIGINT');
    assert.equal(interruption.signal.aborted, true);
    assert.ok(interruption.signal.reason instanceof Interrupted);
    assert.equal(interruption.exitCode, 130);
    assert.deepEqual(exits, []);
    send('SIGINT');
    assert.deepEqual(exits, [130]);
  });

  test('while a forward is open: drain, then cut, then exit at once', () => {
    const { interruption, exits, calls, drainable, send } = start();
    interruption.drainFirst(drainable);
    send('SIGINT');
    assert.deepEqual(calls, ['drain']);
    send('SIGINT');
    assert.deepEqual(calls, ['drain', 'cut']);
    assert.equal(interruption.signal.aborted, false);
    assert.deepEqual(exits, []);
    send('SIGINT');
    assert.deepEqual(exits, [130]);
  });

  for (const [name, code] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`${name} drains like Ctrl-C and exits with ${code}`, () => {
      const { interruption, calls, drainable, send } = start();
      interruption.drainFirst(drainable);
      send(name);
      assert.deepEqual(calls, ['drain']);
      assert.equal(interruption.exitCode, code);
    });
  }

  test('the exit code is that of the first signal', () => {
    const { interruption, drainable, send } = start();
    interruption.drainFirst(drainable);
    send('SIGTERM');
    send('SIGINT');
    assert.equal(interruption.exitCode, 143);
  });

  test('after the forward is over a signal aborts again', () => {
    const { interruption, calls, drainable, send } = start();
    interruption.drainFirst(drainable)[Symbol.dispose]();
    send('SIGINT');
    assert.deepEqual(calls, []);
    assert.equal(interruption.signal.aborted, true);
  });

  test('a defect cuts, and is no signal', () => {
    const { interruption, calls, drainable } = start();
    interruption.drainFirst(drainable);
    interruption.end(new Error('defect'), 'cut');
    assert.deepEqual(calls, ['cut']);
    assert.equal(interruption.exitCode, undefined);
  });

  test('disposing it listens no more', () => {
    const { interruption, source } = start();
    interruption[Symbol.dispose]();
    assert.deepEqual(source.eventNames(), []);
  });
});
