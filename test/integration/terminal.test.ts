import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { type CliLab, cliLab } from '../support/cli-lab.ts';

/* What a person sees on a terminal; `script` of util-linux lends one. */

const SCRIPT = '/usr/bin/script';
const skip = process.platform === 'linux' && existsSync(SCRIPT) ? false : 'no script(1) of util-linux here';
const RUN_JS = join(import.meta.dirname, '../../bin/run.js');
const CTRL_C = '\u0003';

interface Session {
  readonly child: ChildProcess;
  /** Everything on the screen so far, without colours and cursor movements. */
  text(): string;
  /** Resolves when the text shows. */
  saw(pattern: RegExp): Promise<RegExpExecArray>;
  type(keys: string): void;
  readonly ended: Promise<number>;
}

function onTerminal(t: { after(call: () => void): void }, { lab, home }: CliLab, commandLine: string): Session {
  const env = { ...lab.env(), PATH: process.env.PATH, HOME: home, TERM: 'xterm', TZ: 'UTC' };
  // `stty`: a terminal from a pipe has no size, and prompts want one.
  const command = `stty cols 120 rows 30; exec '${process.execPath}' '${RUN_JS}' ${commandLine}`;
  const child = spawn(SCRIPT, ['-qefc', command, '/dev/null'], { cwd: home, env, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => void child.kill('SIGKILL'));
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    screen += chunk;
    child.emit('said');
  });
  const text = () => stripVTControlCharacters(screen).replaceAll('\r', '');
  const saw = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(text());
      if (match) return match;
      if (child.exitCode !== null) throw new Error(`ended without ${pattern}: ${text()}`);
      await Promise.race([once(child, 'said'), once(child, 'close')]);
    }
  };
  const ended = once(child, 'close').then(([code]) => Number(code));
  return { child, text, saw, ended, type: (keys) => void child.stdin.write(keys) };
}

suite('on a terminal', { skip }, () => {
  test('the ready line, the client to type, ^C and the closing line', async (t) => {
    const lab = await cliLab(t);
    const session = onTerminal(t, lab, 'rds prod --port auto');
    const [, port] = await session.saw(/^.*ready 127\.0\.0\.1:(\d+) -> prod /m);
    await session.saw(new RegExp(`^ {2}mysql -h 127\\.0\\.0\\.1 -P ${port} -u USER -p$`, 'm'));
    session.type(CTRL_C);
    assert.equal(await session.ended, 130);
    assert.match(session.text(), /^\^C closed after .*, 0 connections, 0 B down, 0 B up\n$/m);
  });

  test('draining stands between ^C and the closing line', async (t) => {
    const lab = await cliLab(t);
    const session = onTerminal(t, lab, 'rds prod --port auto');
    const [, port] = await session.saw(/ready 127\.0\.0\.1:(\d+) -> prod /);
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
    await once(socket, 'data');
    session.type(CTRL_C);
    await session.saw(/draining 1 connection/);
    session.type(CTRL_C);
    assert.equal(await session.ended, 130);
    assert.match(
      session.text(),
      /^\^C draining 1 connection \(again to cut\) \.\.\. (\^C)?closed after .*, 1 connection, /m,
    );
    assert.deepEqual(lab.openSessions(), []);
  });

  test('an ambiguous name is a choice, unless --no-input', async (t) => {
    const lab = await cliLab(t);
    const session = onTerminal(t, lab, 'forward aws:app :7');
    await session.saw(/which app\?[\s\S]*app {2}i-\w+[\s\S]*app {2}i-\w+/);
    session.type('\r');
    await session.saw(/open 127\.0\.0\.1:\d+ -> .*:7 /);
    session.type(CTRL_C);
    assert.equal(await session.ended, 130);

    const left = onTerminal(t, lab, 'forward aws:app :7');
    await left.saw(/which app\?/);
    left.type(CTRL_C);
    assert.equal(await left.ended, 130);

    const silent = onTerminal(t, lab, 'forward aws:app :7 --no-input');
    assert.equal(await silent.ended, 5);
    assert.match(silent.text(), /error CT_TARGET_AMBIGUOUS: /);
    assert.deepEqual(lab.openSessions(), []);
  });

  test('a name that two clouds have is a choice too', async (t) => {
    const lab = await cliLab(t);
    const session = onTerminal(t, lab, 'forward web-1 :80');
    await session.saw(/which web-1\?[\s\S]*web-1 {2}aws {2}i-\w+[\s\S]*web-1 {2}gcp {2}acme-practice\/\S+\/web-1/);
    session.type('\r');
    await session.saw(/open 127\.0\.0\.1:\d+ -> \S+:80 \(aws /);
    session.type(CTRL_C);
    assert.equal(await session.ended, 130);
    assert.deepEqual(lab.openSessions(), []);
  });

  test('a role that wants an MFA code asks for it', async (t) => {
    const lab = await cliLab(t);
    const role = lab.lab.inventory.roles.find(({ requireMfa }) => requireMfa);
    assert.ok(role);
    const session = onTerminal(t, lab, `targets prod --profile ${role.name}`);
    await session.saw(/MFA code of .*:/);
    session.type(`${lab.lab.mfaCode}\r`);
    assert.equal(await session.ended, 0);
    assert.match(session.text(), /^prod +- +MySQL 8\.0 /m);
  });

  test('errors are red, and not with NO_COLOR', async (t) => {
    const lab = await cliLab(t);
    const raw: string[] = [];
    for (const prefix of ['', 'env NO_COLOR=1 ']) {
      const command = `${prefix}'${process.execPath}' '${RUN_JS}' nonsense`;
      const env = { PATH: process.env.PATH, HOME: lab.home, TERM: 'xterm' };
      const child = spawn(SCRIPT, ['-qefc', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
      const chunks: string[] = [];
      child.stdout.on('data', (chunk) => chunks.push(String(chunk)));
      await once(child, 'close');
      raw.push(chunks.join(''));
    }
    assert.ok(raw[0]?.startsWith('\u001b[31merror CT_USAGE\u001b[39m: there is no command'), raw[0]);
    assert.ok(raw[1]?.startsWith('error CT_USAGE: there is no command'), raw[1]);
  });
});
