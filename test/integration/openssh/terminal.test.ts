import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { onTerminal, unlessTerminal } from '../../support/on-terminal.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';

const CTRL_C = '\u0003';
const TARGET = 'gcp:web-1';
const LOGIN = `ssh -l ${opensshUser} ${TARGET}`;
/** Says that it is there, and waits. */
const WAITING = `${LOGIN} -t -- 'echo the-far-side; exec sleep 60'`;

async function lab(t: Parameters<typeof opensshLab>[0]) {
  const cli = await cliLab(t);
  return { cli, sshd: opensshLab(t, cli.lab) };
}

suite('ssh on a terminal, on the OpenSSH server', { skip: unlessOpenssh() || unlessTerminal() }, () => {
  test('a shell: size, change of size, exit code', async (t) => {
    const { cli } = await lab(t);
    const session = onTerminal(t, cli, LOGIN);
    // Quotes, so that the echo of what is typed is not taken for the answer.
    session.type("echo si''ze=$(stty size)\r");
    await session.saw(/^size=30 120$/m);
    execFileSync('stty', ['-F', await session.device(), 'cols', '100', 'rows', '40']);
    session.type("until [ \"$(stty size)\" = '40 100' ]; do read -t 0.1 x; done; echo cha''nged; exit 5\r");
    await session.saw(/^changed$/m);
    const { code, before, after } = await session.ended();
    assert.equal(code, 5);
    // The size is not among the settings.
    assert.equal(after, before);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('Ctrl-C goes to the command of the far side, which may go on', async (t) => {
    const { cli } = await lab(t);
    const session = onTerminal(
      t,
      cli,
      `${LOGIN} -t -- 'trap "echo caught; exit 9" INT; echo waiting; while :; do sleep 0.1; done'`,
    );
    await session.saw(/waiting$/m);
    session.type(CTRL_C);
    await session.saw(/caught/);
    const { code, before, after } = await session.ended();
    assert.deepEqual([code, after], [9, before]);
  });

  test('~. closes, and the terminal is as it was', async (t) => {
    const { cli } = await lab(t);
    const session = onTerminal(t, cli, WAITING);
    await session.saw(/the-far-side$/m);
    session.type('\r~?');
    await session.saw(/Supported escape sequences/);
    session.type('\r~.');
    const { code, before, after } = await session.ended();
    assert.equal(after, before);
    assert.equal(code, 130);
    assert.match(session.text(), /CT_INTERRUPTED: .*~\./);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('the connection is lost: exit code 9, and the terminal is as it was', async (t) => {
    const { cli, sshd } = await lab(t);
    const session = onTerminal(t, cli, WAITING);
    await session.saw(/the-far-side$/m);
    (await sshd.of('web-1')).cut();
    const { code, before, after } = await session.ended();
    assert.deepEqual([code, after], [9, before]);
    assert.match(session.text(), /CT_TUNNEL_LOST/);
  });

  for (const [name, expected] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`${name} ends it, and the terminal is as it was`, async (t) => {
      const { cli } = await lab(t);
      const session = onTerminal(t, cli, WAITING);
      await session.saw(/the-far-side$/m);
      session.signal(name);
      const { code, before, after } = await session.ended();
      assert.deepEqual([code, after], [expected, before]);
      assert.deepEqual(cli.openSessions(), []);
    });
  }
});
