import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openShell, type ShellTerminal } from '../../../src/ssh/open-shell.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { loggedIn } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { TestSshd } from '../../support/test-sshd.ts';
import { until } from '../../support/until.ts';

class FakeTerminal implements ShellTerminal {
  readonly type = 'xterm-256color';
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly errors = new PassThrough();
  readonly modes: boolean[] = [];
  columns = 100;
  changed: (() => void) | undefined;
  size() {
    return { columns: this.columns, rows: 40 };
  }
  onResize(changed: () => void) {
    this.changed = changed;
    return () => {
      this.changed = undefined;
    };
  }
  setRaw(isRaw: boolean) {
    this.modes.push(isRaw);
  }
  get text(): string {
    const said: unknown = this.output.read();
    return said === null ? '' : String(said);
  }
}

async function rig(t: TestContext) {
  const { world } = manualWorld({ home: await temporaryDirectory(t) });
  const typed: string[] = [];
  const sshd = await new TestSshd({
    shell: (channel) => {
      channel.write('$ ');
      channel.on('data', (chunk: Buffer) => {
        typed.push(chunk.toString());
        if (!typed.join('').includes('exit\r')) return;
        channel.exit(3);
        channel.end();
      });
    },
    commands: {
      top: (channel) => {
        channel.exit(0);
        channel.end('done');
      },
    },
  }).listen();
  const connection = await loggedIn(world, sshd);
  const terminal = new FakeTerminal();
  t.after(async () => {
    await connection[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });
  const calledOff = new AbortController();
  const open = (command?: string) =>
    openShell(connection, terminal, command === undefined ? {} : { command }, calledOff.signal);
  return { sshd, terminal, typed, calledOff, open };
}

function isRestored(terminal: FakeTerminal): void {
  assert.deepEqual(terminal.modes, [true, false]);
  assert.equal(terminal.changed, undefined);
  assert.equal(terminal.input.isPaused(), true);
}

test('a shell: size, its change, keys, exit code', async (t) => {
  const { sshd, terminal, typed, open } = await rig(t);
  const running = open();
  await until(() => terminal.output.readableLength > 0);
  assert.equal(terminal.text, '$ ');
  assert.deepEqual(sshd.sessions[0]?.pty, { term: 'xterm-256color', cols: 100, rows: 40 });
  terminal.columns = 132;
  terminal.changed?.();
  await until(() => sshd.sessions[0]?.sizes.length === 1);
  assert.deepEqual(sshd.sessions[0]?.sizes, ['132x40']);
  terminal.input.write('\x03ls\r');
  await until(() => typed.join('') === '\x03ls\r');
  terminal.input.write('exit\r');
  assert.deepEqual((await running).end, { code: 3 });
  isRestored(terminal);
});

test('a command in a terminal', async (t) => {
  const { sshd, terminal, open } = await rig(t);
  assert.deepEqual((await open('top')).end, { code: 0 });
  assert.equal(terminal.text, 'done');
  assert.equal(sshd.sessions[0]?.pty?.cols, 100);
  isRestored(terminal);
});

test('~? helps, ~. closes, and nothing of it is sent', async (t) => {
  const { terminal, typed, open } = await rig(t);
  const running = open();
  await until(() => terminal.output.readableLength > 0);
  terminal.input.write('a\r~?');
  await until(() => terminal.errors.readableLength > 0);
  assert.match(String(terminal.errors.read()), /~\. {2}close/);
  terminal.input.write('~.');
  await assert.rejects(running, { code: 'CT_INTERRUPTED', exitCode: 130 });
  assert.equal(typed.join(''), 'a\r');
  isRestored(terminal);
});

test('the terminal is restored when the connection breaks, and when it is called off', async (t) => {
  const broken = await rig(t);
  const running = broken.open();
  await until(() => broken.terminal.output.readableLength > 0);
  broken.sshd.cut();
  await assert.rejects(running, { code: 'CT_TUNNEL_LOST' });
  isRestored(broken.terminal);

  const { terminal, calledOff, open } = await rig(t);
  const other = open();
  await until(() => terminal.output.readableLength > 0);
  calledOff.abort(new Error('enough'));
  await assert.rejects(other, { message: 'enough' });
  isRestored(terminal);
});
