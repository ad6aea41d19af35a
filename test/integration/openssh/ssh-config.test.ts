import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { runProgram, unlessPrograms } from '../../support/openssh-client.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';
import { until } from '../../support/until.ts';

const AWS_WEB = 'i-0a1b2c3d4e5f60003';
const SCRIPT = 'echo hi; echo no >&2; exit 7';
const CATALOGUE = `version: 1
targets:
  web: { aws: { instance: ${AWS_WEB} }, user: ${opensshUser} }
  app: { gcp: { instance: web-1, project: acme-practice, zone: asia-northeast1-a }, user: ${opensshUser} }
`;

interface Practice {
  readonly cli: CliLab;
  readonly config: string;
  readonly folder: string;
  ssh(args: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<typeof runProgram>;
}

/** A lab with real servers, a catalogue, and the config that `ssh-config` wrote for it. OpenSSH takes no HOME, so it is named. */
async function practice(t: TestContext, onlyOf?: readonly string[]): Promise<Practice> {
  const cli = await cliLab(t);
  opensshLab(t, cli.lab, { ...(onlyOf && { onlyOf }) });
  writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE);
  const installed = await cli.run(['ssh-config', '--install']);
  assert.equal(installed.code, 0, installed.stderr);
  const config = join(cli.home, '.ssh/config');
  const folder = join(cli.home, '.local/state/cloudtun/ssh');
  return { cli, config, folder, ssh: (args, env) => runProgram(cli, 'ssh', ['-F', config, ...args], env) };
}

const skip = unlessOpenssh() || unlessPrograms('ssh', 'scp', 'sftp');

suite('OpenSSH through the config of ssh-config', { skip }, () => {
  test('ssh by the names of the catalogue, on both clouds: exit code, streams apart, nothing left behind', async (t) => {
    const { cli, folder, ssh } = await practice(t);
    for (const name of ['web', 'app', 'web.cloudtun']) {
      const run = await ssh([name, SCRIPT]);
      assert.deepEqual([run.code, run.stdout], [7, 'hi\n'], `${name}: ${run.stderr}`);
      assert.match(run.stderr, /^no$/m);
    }
    const again = await ssh(['web', SCRIPT]);
    assert.deepEqual([again.code, again.stdout, again.stderr], [7, 'hi\n', 'no\n']);
    // Nobody but the person's own name on this machine: ssh's default, so the proxy says who the image rather knows.
    const plain = await ssh([AWS_WEB, SCRIPT]);
    assert.deepEqual([plain.code, plain.stdout], [7, 'hi\n']);
    assert.match(plain.stderr, /^logging in as \S+, and \S+ rather knows ec2-user: ssh -l ec2-user …\nno\n$/);
    assert.deepEqual(cli.openSessions(), []);
    const left = readdirSync(folder).filter((name) => !name.endsWith('.keys'));
    assert.deepEqual(left, []);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  });

  test('nobody says a user: those of the images, and errors in words that ssh takes', {
    skip: unlessPrograms('ssh'),
  }, async (t) => {
    const cli = await cliLab(t);
    writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE.replaceAll(`, user: ${opensshUser}`, ''));
    assert.equal((await cli.run(['ssh-config', '--install'])).code, 0);
    const config = join(cli.home, '.ssh/config');
    const ssh = (host: string) => runProgram(cli, 'ssh', ['-F', config, host, SCRIPT]);
    for (const name of ['web', 'app']) {
      const run = await ssh(name);
      assert.deepEqual([run.code, run.stdout], [7, 'hi\n'], `${name}: ${run.stderr}`);
    }
    const both = await ssh('web-1.cloudtun');
    assert.equal(both.code, 255);
    assert.match(both.stderr, /CT_TARGET_AMBIGUOUS.*say which: web-1\.aws\.cloudtun or web-1\.gcp\.cloudtun/s);
    cli.lab.apiFaults.set([{ action: 'ec2-instance-connect:SendSSHPublicKey', kind: 'deny' }]);
    const denied = await ssh('web');
    assert.equal(denied.code, 255);
    assert.match(
      denied.stderr,
      /^warning: no key was let in: .* \(CT_DENIED\)$.*SendSSHPublicKey.*Permission denied/ms,
    );
    cli.lab.apiFaults.clear();
    assert.deepEqual(cli.openSessions(), []);
  });

  test('machines behind others, and one that takes keys from its metadata, by name', async (t) => {
    // An sshd of this machine would look for the addresses of the lab in the networks of this machine.
    const { cli, ssh } = await practice(t, ['inner-1', 'inner-g']);
    writeFileSync(
      join(cli.home, 'cloudtun.yaml'),
      `${CATALOGUE}  hop: { aws: { instance: bastion-a } }
  inner: { aws: { instance: inner-1 }, via: hop, user: ${opensshUser} }
  gate: { gcp: { instance: bastion-g, project: acme-practice, zone: asia-northeast1-a }, user: alice_example_com }
  innerg: { gcp: { instance: inner-g, project: acme-practice, zone: asia-northeast1-c }, via: gate, user: ${opensshUser} }
`,
    );
    const installed = await cli.run(['ssh-config', '--install']);
    assert.equal(installed.code, 0, installed.stderr);
    for (const name of ['gate', 'inner', 'innerg']) {
      const run = await ssh([name, SCRIPT]);
      assert.deepEqual([run.code, run.stdout], [7, 'hi\n'], `${name}: ${run.stderr}`);
    }
    assert.deepEqual(cli.openSessions(), []);
  });

  test('several connections to one host at a time, each with its own key; a shared one as well', async (t) => {
    const { cli, folder, ssh } = await practice(t);
    assert.equal((await ssh(['web', 'true'])).code, 0);
    const runs = await Promise.all(['1', '2', '3', '4'].map((word) => ssh(['web', `echo ${word}`])));
    assert.deepEqual(
      runs.map(({ code, stdout, stderr }) => [code, stdout, stderr]),
      ['1', '2', '3', '4'].map((word) => [0, `${word}\n`, '']),
    );
    const control = ['-o', `ControlPath=${join(cli.home, 'mux')}`];
    assert.equal(
      (await ssh([...control, '-o', 'ControlMaster=yes', '-o', 'ControlPersist=20', '-f', '-n', 'web', 'true'])).code,
      0,
    );
    const before = cli.calls('ssm:StartSession');
    assert.equal((await ssh([...control, 'web', 'echo shared'])).stdout, 'shared\n');
    assert.equal(cli.calls('ssm:StartSession'), before);
    assert.equal((await ssh([...control, '-O', 'exit', 'web'])).code, 0);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.new')),
      [],
    );
  });

  test('a host key that was another one before stops ssh', async (t) => {
    const { cli, ssh } = await practice(t);
    assert.equal((await ssh(['web', 'true'])).code, 0);
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    writeFileSync(join(cli.home, '.local/state/cloudtun/known_hosts'), `aws:${AWS_WEB} ssh-ed25519 ${other}\n`);
    const stopped = await ssh(['web', 'true']);
    assert.equal(stopped.code, 255);
    assert.match(stopped.stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/);
  });

  test("the person's own agent is there too, and alone on the far side", async (t) => {
    const { cli, ssh } = await practice(t);
    if (unlessPrograms('ssh-agent', 'ssh-keygen', 'ssh-add')) return t.skip('ssh-agent is not installed');
    const socket = join(cli.home, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(agent, 'exit');
    t.after(async () => {
      agent.kill('SIGTERM');
      await ended;
    });
    await once(agent.stdout, 'data');
    const key = join(cli.home, 'id');
    assert.equal(
      (await runProgram(cli, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'mine', '-f', key])).code,
      0,
    );
    const env = { SSH_AUTH_SOCK: socket };
    assert.equal((await runProgram(cli, 'ssh-add', ['-q', key], env)).code, 0);
    const forwarded = await ssh(['-A', 'web', 'ssh-add -l'], env);
    assert.equal(forwarded.code, 0, forwarded.stderr);
    assert.match(forwarded.stdout, /^256 SHA256:\S+ mine \(ED25519\)\n$/);
  });

  test('an ssh that is killed leaves nothing behind', async (t) => {
    const { cli, config, folder } = await practice(t);
    const child = spawn('ssh', ['-F', config, 'web', 'echo in; sleep 60'], {
      env: { PATH: process.env.PATH, HOME: cli.home, ...cli.lab.env() },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    assert.equal(cli.openSessions().length, 1);
    child.kill('SIGKILL');
    await until(() => cli.openSessions().length === 0);
    await until(() => readdirSync(folder).every((name) => name.endsWith('.keys')));
  });

  test('scp and sftp', async (t) => {
    const { cli, config } = await practice(t);
    const [from, far, back] = ['from', 'far', 'back'].map((name) => join(cli.home, name)) as [string, string, string];
    writeFileSync(from, Buffer.alloc(200_000, 'scp'));
    assert.equal((await runProgram(cli, 'scp', ['-q', '-F', config, from, `app:${far}`])).code, 0);
    const batch = await runProgram(cli, 'sftp', ['-q', '-F', config, '-b', '-', 'web'], {}, `get ${far} ${back}\n`);
    assert.equal(batch.code, 0, batch.stderr);
    assert.ok(readFileSync(back).equals(readFileSync(from)));
  });

  test('rsync of a tree of 500 files', { skip: unlessPrograms('rsync') }, async (t) => {
    const { cli, config } = await practice(t);
    const [from, to] = [join(cli.home, 'tree'), join(cli.home, 'copy')];
    for (let folder = 0; folder < 10; folder += 1) {
      mkdirSync(join(from, `${folder}`), { recursive: true });
      for (let file = 0; file < 50; file += 1)
        writeFileSync(join(from, `${folder}/${file}`), `${folder} ${file}\n`.repeat(40));
    }
    const copied = await runProgram(cli, 'rsync', ['-a', '-e', `ssh -F ${config}`, `${from}/`, `app:${to}/`]);
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal((await runProgram(cli, 'diff', ['-r', from, to])).code, 0);
    const checked = await runProgram(cli, 'rsync', [
      '-ain',
      '--delete',
      '-e',
      `ssh -F ${config}`,
      `${from}/`,
      `app:${to}/`,
    ]);
    assert.deepEqual([checked.code, checked.stdout], [0, '']);
  });

  test('ansible -m ping', { skip: unlessPrograms('ansible') }, async (t) => {
    const { cli, config } = await practice(t);
    const inventory = join(cli.home, 'hosts');
    writeFileSync(inventory, 'web\napp\n');
    const args = ['all', '-i', inventory, '-m', 'ping', '--ssh-common-args', `-F ${config}`];
    const pinged = await runProgram(cli, 'ansible', args, {
      ANSIBLE_NOCOLOR: '1',
      ANSIBLE_PYTHON_INTERPRETER: 'auto_silent',
      // As it does by itself, but that its masters, and with them our proxies, end with the test.
      ANSIBLE_SSH_ARGS: '-C -o ControlMaster=auto -o ControlPersist=1s',
    });
    assert.equal(pinged.code, 0, `${pinged.stdout}${pinged.stderr}`);
    assert.equal(pinged.stdout.match(/"ping": "pong"/g)?.length, 2);
  });

  test('the line comes and goes, and every other byte of the config stays; a link stays a link', async (t) => {
    const cli = await cliLab(t);
    writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE);
    const [real, link] = [join(cli.home, 'dotfiles-config'), join(cli.home, '.ssh/config')];
    const own = Buffer.from('Host web\r\n  HostName 192.0.2.1\r\nHost *\n\tUser caf\xe9\n', 'latin1');
    writeFileSync(real, own, { mode: 0o640 });
    mkdirSync(join(cli.home, '.ssh'), { mode: 0o700 });
    symlinkSync(real, link);
    const told = await cli.run(['ssh-config']);
    assert.deepEqual([told.code, readFileSync(real).equals(own)], [0, true]);
    assert.match(told.stderr, /--install:\n {2}Include ".*\/\.config\/cloudtun\/ssh_config"\n/);
    for (let round = 0; round < 2; round += 1) {
      assert.equal((await cli.run(['ssh-config', '--install'])).code, 0);
      const text = readFileSync(real);
      assert.match(text.toString('latin1'), /^# cloudtun ssh-config; .*\nInclude "[^"]+"\n\nHost web\r\n/);
      assert.ok(text.subarray(-own.length).equals(own));
      assert.equal(text.length, readFileSync(link).length);
    }
    assert.deepEqual([lstatSync(link).isSymbolicLink(), statSync(real).mode & 0o777], [true, 0o640]);
    const file = join(cli.home, '.config/cloudtun/ssh_config');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    // The block of the person's own wins whole: only the name with the suffix is ours.
    assert.match(readFileSync(file, 'utf8'), /^Host web\.cloudtun$/m);
    const json = JSON.parse((await cli.run(['ssh-config', '--json'])).stdout);
    assert.deepEqual(
      json.hosts.map(({ names }: { names: string[] }) => names),
      [['web.cloudtun'], ['app', 'app.cloudtun']],
    );
    assert.equal(json.included, true);
    assert.equal((await cli.run(['ssh-config', '--uninstall'])).code, 0);
    assert.ok(readFileSync(real).equals(own));
    assert.equal((await cli.run(['ssh-config', '--print', '--install'])).code, 2);
  });
});
