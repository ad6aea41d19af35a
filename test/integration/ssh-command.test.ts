import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';

const SCRIPT = 'echo hi; echo no >&2; exit 7';
/** Every way in which a key gets in. */
const CLOUDS = [
  { target: 'aws:i-0a1b2c3d4e5f60003', by: 'Session Manager and EC2 Instance Connect' },
  { target: 'gcp:web-1', by: 'Identity-Aware Proxy and OS Login' },
  { target: 'gcp:bastion-g', by: 'Identity-Aware Proxy and metadata of the instance' },
] as const;

suite('cloudtun ssh, on the lab', () => {
  for (const { target, by } of CLOUDS) {
    test(`one command through ${by}: exit code, streams apart, host key remembered, no key on disk`, async (t) => {
      const cli = await cliLab(t);
      const first = await cli.run(['ssh', target, '--', SCRIPT]);
      assert.deepEqual([first.code, first.stdout], [7, 'hi\n'], first.stderr);
      assert.match(first.stderr, /^no$/m);
      assert.match(first.stderr, /^ {2}as \S+ \(.+; another with -l\)$/m);
      const again = await cli.run(['ssh', '-q', target, SCRIPT]);
      assert.deepEqual([again.code, again.stdout, again.stderr], [7, 'hi\n', 'no\n']);
      assert.deepEqual(cli.openSessions(), []);
      const opened = readFileSync(cli.journalPath, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter(({ event }) => event === 'open');
      assert.deepEqual(
        opened.map(({ use }) => use),
        [`ssh command of ${SCRIPT.length} characters`, `ssh command of ${SCRIPT.length} characters`],
      );
      assert.ok(!readFileSync(cli.journalPath, 'utf8').includes('echo'));
    });
  }

  test('a host key that was another one before stops the login', async (t) => {
    const cli = await cliLab(t);
    const [{ target }] = CLOUDS;
    assert.equal((await cli.run(['ssh', target, 'true'])).code, 0);
    const file = join(cli.home, '.local/state/cloudtun/known_hosts');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    writeFileSync(file, `aws:i-0a1b2c3d4e5f60003 ssh-ed25519 ${other}\n`);
    const stopped = await cli.run(['ssh', target, 'true']);
    assert.equal(stopped.code, 8);
    assert.match(stopped.stderr, /CT_HOST_KEY_CHANGED/);
    assert.equal(stopped.stderr.match(/SHA256:/g)?.length, 2);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('--explain opens nothing and says nothing of a local port; what answers there may be no SSH server', async (t) => {
    const cli = await cliLab(t);
    const [{ target }] = CLOUDS;
    const explained = await cli.run(['ssh', target, '--explain']);
    assert.equal(explained.code, 0);
    assert.doesNotMatch(explained.stdout, /^local/m);
    assert.equal(cli.calls('ssm:StartSession'), 0);
    const odd = await cli.run(['ssh', '--json', '-l', 'alice', '-p', '80', target, 'true']);
    assert.equal(odd.code, 6);
    assert.equal(JSON.parse(odd.stdout).error.code, 'CT_REMOTE_UNEXPECTED');
    assert.deepEqual(cli.openSessions(), []);
  });
});
