import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';
import { journalRecords } from '../support/journal-records.ts';

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
      const opened = journalRecords(cli.journalPath).filter(({ event }) => event === 'open');
      assert.deepEqual(
        opened.map(({ use }) => use),
        [`ssh command of ${SCRIPT.length} characters`, `ssh command of ${SCRIPT.length} characters`],
      );
      const commands = journalRecords(cli.journalPath).filter(({ event }) => event === 'command');
      assert.deepEqual(
        commands.map(({ program, with: by, tunnel }) => [program, by, typeof tunnel]),
        [
          ['echo', 'ssh', 'string'],
          ['echo', 'ssh', 'string'],
        ],
      );
      assert.ok(!JSON.stringify(journalRecords(cli.journalPath)).includes('exit 7'), 'never what it is told');
    });
  }

  test('a host key that was another one before stops the login, until it is forgotten', async (t) => {
    const cli = await cliLab(t);
    const [{ target }] = CLOUDS;
    assert.equal((await cli.run(['ssh', target, 'true'])).code, 0);
    const file = join(cli.home, '.local/state/cloudtun/known_hosts');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    const neighbour = `aws:i-0abc ssh-ed25519 ${other}`;
    writeFileSync(file, `${neighbour}\naws:i-0a1b2c3d4e5f60003 ssh-ed25519 ${other}\n`);
    const stopped = await cli.run(['ssh', target, 'true']);
    assert.equal(stopped.code, 8);
    assert.match(stopped.stderr, /CT_HOST_KEY_CHANGED/);
    assert.match(stopped.stderr, /cloudtun ssh --forget-host-key i-0a1b2c3d4e5f60003/);
    assert.equal(stopped.stderr.match(/SHA256:/g)?.length, 2);
    const forgotten = await cli.run(['ssh', '--forget-host-key', target, 'echo in']);
    assert.deepEqual([forgotten.code, forgotten.stdout], [0, 'in\n'], forgotten.stderr);
    assert.match(forgotten.stderr, /seen for the first time, trusted from now on/);
    assert.equal((await cli.run(['ssh', target, 'true'])).code, 0);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    assert.equal(lines[0], neighbour);
    assert.equal(lines.length, 2);
    assert.ok(!lines[1]?.includes(other));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('afterwards the key is gone from the API; that it cannot be taken back is no error', async (t) => {
    const cli = await cliLab(t);
    const { osLogin, apiFaults } = cli.lab.gcp;
    assert.equal((await cli.run(['ssh', 'gcp:web-1', 'true'])).code, 0);
    assert.deepEqual(osLogin.keys('alice@example.com'), []);
    assert.equal((await cli.run(['ssh', 'gcp:bastion-g', 'true'])).code, 0);
    const bastion = cli.lab.gcp.inventory.instances.find(({ name }) => name === 'bastion-g');
    assert.doesNotMatch(bastion?.metadata['ssh-keys'] ?? '', /google-ssh/);
    apiFaults.set([{ action: 'oslogin.users.sshPublicKeys.delete', kind: 'deny' }]);
    const kept = await cli.run(['ssh', 'gcp:web-1', '-v', 'exit 3']);
    assert.equal(kept.code, 3, kept.stderr);
    assert.match(kept.stderr, /could not be taken back, and ends by itself/);
    assert.equal(osLogin.keys('alice@example.com').length, 1);
  });

  test('a denied key push is an error with the action, and a record of a denial', async (t) => {
    const cli = await cliLab(t);
    cli.lab.apiFaults.set([{ action: 'ec2-instance-connect:SendSSHPublicKey', kind: 'deny' }]);
    const denied = await cli.run(['ssh', CLOUDS[0].target, 'true']);
    assert.equal(denied.code, 4);
    assert.match(denied.stderr, /CT_DENIED.+\n(.+\n)*.*ec2-instance-connect:SendSSHPublicKey/);
    const records = journalRecords(cli.journalPath);
    const [record] = records.filter(({ event }) => event === 'denial');
    assert.deepEqual(
      [record?.code, record?.use, record?.node],
      ['CT_DENIED', 'ssh command of 4 characters', 'i-0a1b2c3d4e5f60003'],
    );
    assert.ok(!records.some(({ event }) => event === 'open'));
  });

  test('--explain names what a login asks of each cloud', async (t) => {
    const cli = await cliLab(t);
    const of = async (...words: readonly string[]) => (await cli.run(['ssh', '--explain', ...words])).stdout;
    const aws = await of(CLOUDS[0].target, '-l', 'deploy');
    assert.match(aws, /ec2-instance-connect:SendSSHPublicKey +arn:aws:ec2:.+ \(condition ec2:osuser = deploy\)/);
    assert.match(await of('gcp:web-1'), /compute\.instances\.osLogin +instance .+ \(or osAdminLogin, for sudo\)/);
    assert.match(await of('gcp:bastion-g'), /compute\.instances\.setMetadata/);
    assert.doesNotMatch(await of('gcp:web-1', '-o', 'IdentityFile=/dev/null'), /osLogin/);
    assert.equal(cli.calls('ec2-instance-connect:SendSSHPublicKey'), 0);
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
