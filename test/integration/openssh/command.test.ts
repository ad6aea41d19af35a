import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { systemClock } from '../../../src/runtime/clock.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';

const SCRIPT = 'echo hi; echo no >&2; exit 7';
const AWS_WEB = 'i-0a1b2c3d4e5f60003';
/** Every way in which a key gets in. */
const CLOUDS = [
  { target: `aws:${AWS_WEB}`, machine: 'web-1', by: 'Session Manager and EC2 Instance Connect' },
  { target: 'gcp:web-1', machine: 'web-1', by: 'Identity-Aware Proxy and OS Login' },
  { target: 'gcp:bastion-g', machine: 'bastion-g', by: 'Identity-Aware Proxy and metadata of the instance' },
] as const;
const LOGIN = ['-q', '-l', opensshUser];
const PAYLOAD = 20_000_000;

suite('cloudtun ssh, on the OpenSSH server', { skip: unlessOpenssh() }, () => {
  for (const { target, machine, by } of CLOUDS) {
    test(`one command through ${by}: exit code, streams apart`, async (t) => {
      const cli = await cliLab(t);
      const sshd = opensshLab(t, cli.lab);
      const run = await cli.run(['ssh', ...LOGIN, target, '--', SCRIPT]);
      assert.deepEqual([run.code, run.stdout, run.stderr], [7, 'hi\n', 'no\n']);
      await (await sshd.of(machine)).logged(new RegExp(`^Accepted publickey for ${opensshUser} `));
      assert.deepEqual(cli.openSessions(), []);
    });
  }

  for (const { target, by } of CLOUDS.slice(0, 2)) {
    test(`20 MB in through standard input and out again, through ${by}`, async (t) => {
      const cli = await cliLab(t, { faults: { pacing: false } });
      opensshLab(t, cli.lab);
      const [input, far, back] = ['in', 'far', 'out'].map((name) => join(cli.home, name)) as [string, string, string];
      const bytes = randomBytes(PAYLOAD);
      writeFileSync(input, bytes);
      const digest = createHash('sha256').update(bytes).digest('hex');
      const from = openSync(input, 'r');
      const up = await cli.run(['ssh', ...LOGIN, target, `cat > ${far}; sha256sum ${far}`], { stdin: from });
      closeSync(from);
      assert.deepEqual([up.code, up.stdout.slice(0, 64)], [0, digest], up.stderr);
      const to = openSync(back, 'w');
      const down = await cli.run(['ssh', ...LOGIN, target, `cat ${far}`], { stdout: to });
      closeSync(to);
      assert.equal(down.code, 0, down.stderr);
      assert.ok(readFileSync(back).equals(bytes));
    });
  }

  test('no input, a script as input, and a command that a signal ends', async (t) => {
    const cli = await cliLab(t);
    opensshLab(t, cli.lab);
    const [, { target }] = CLOUDS;
    const silent = await cli.run(['ssh', ...LOGIN, target, 'cat; echo over']);
    assert.deepEqual([silent.code, silent.stdout], [0, 'over\n']);
    const script = cli.start(['ssh', ...LOGIN, target], { stdin: 'pipe' });
    script.process.stdin?.end('echo one; exit 3\n');
    const scripted = await script.ended;
    assert.equal(scripted.code, 3);
    assert.match(scripted.stdout, /^one$/m);
    for (const [name, code] of [
      ['TERM', 143],
      ['KILL', 137],
      ['SEGV', 139],
    ] as const) {
      assert.equal((await cli.run(['ssh', ...LOGIN, target, `kill -${name} $$`])).code, code, name);
    }
    const absent = await cli.run(['ssh', ...LOGIN, target, 'no-such-program-here']);
    assert.equal(absent.code, 127);
    assert.match(absent.stderr, /no-such-program-here/);
  });

  test('every key that was let in is gone afterwards, or a little later', async (t) => {
    let offset = 0;
    const clock = { ...systemClock, wall: () => Date.now() + offset };
    const cli = await cliLab(t, {}, systemWorld({ clock }));
    opensshLab(t, cli.lab);
    for (const { target } of CLOUDS) assert.equal((await cli.run(['ssh', ...LOGIN, target, 'true'])).code, 0, target);
    const { sshKeys, gcp } = cli.lab;
    const inMetadata = () => {
      const text = gcp.inventory.instances.find(({ name }) => name === 'bastion-g')?.metadata['ssh-keys'] ?? '';
      const ends = [...text.matchAll(/"expireOn":"([^"]+)"/g)].map(([, end]) => Date.parse(end!.replace('+0000', 'Z')));
      return ends.filter((end) => end > clock.wall()).length;
    };
    const inOsLogin = () => gcp.osLogin.keys('alice@example.com').length;
    assert.deepEqual(
      [sshKeys.count(`aws/${AWS_WEB}`), inOsLogin(), inMetadata()],
      [1, 0, 0],
      'what the cloud keeps was taken back',
    );
    offset = 61_000;
    assert.equal(sshKeys.count(`aws/${AWS_WEB}`), 0);
  });
});
