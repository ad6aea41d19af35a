import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';

const SCRIPT = 'echo hi; echo no >&2; exit 7';
/** Every way in which a key gets in. */
const CLOUDS = [
  { target: 'aws:i-0a1b2c3d4e5f60003', machine: 'web-1', by: 'Session Manager and EC2 Instance Connect' },
  { target: 'gcp:web-1', machine: 'web-1', by: 'Identity-Aware Proxy and OS Login' },
  { target: 'gcp:bastion-g', machine: 'bastion-g', by: 'Identity-Aware Proxy and metadata of the instance' },
] as const;

suite('cloudtun ssh, on the OpenSSH server', { skip: unlessOpenssh() }, () => {
  for (const { target, machine, by } of CLOUDS) {
    test(`one command through ${by}: exit code, streams apart`, async (t) => {
      const cli = await cliLab(t);
      const sshd = opensshLab(t, cli.lab);
      const run = await cli.run(['ssh', '-q', '-l', opensshUser, target, '--', SCRIPT]);
      assert.deepEqual([run.code, run.stdout, run.stderr], [7, 'hi\n', 'no\n']);
      await (await sshd.of(machine)).logged(new RegExp(`^Accepted publickey for ${opensshUser} `));
      assert.deepEqual(cli.openSessions(), []);
    });
  }
});
