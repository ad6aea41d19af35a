import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { opensshLab, opensshUser, startOpenssh, unlessOpenssh } from '../../support/openssh-sshd.ts';
import { download, upload } from '../../support/transfers.ts';
import { patternDigest, WorkloadServer } from '../../support/workload-server.ts';

const BYTES = 20_000_000;
const TARGETS = ['aws:i-0a1b2c3d4e5f60003', 'gcp:web-1'];

/** A connection by SOCKS5 (RFC 1928) to a port of the far loopback. */
async function throughSocks(proxyPort: number, port: number) {
  const socket = connect({ port: proxyPort, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'readable');
  assert.deepEqual([...socket.read(2)], [5, 0]);
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  await once(socket, 'readable');
  assert.deepEqual([...socket.read(10)].slice(0, 2), [5, 0]);
  return socket;
}

suite('-D and -J, on OpenSSH servers', { skip: unlessOpenssh() }, () => {
  for (const target of TARGETS) {
    test(`${target}: 20 MB each way through -D`, async (t) => {
      const cli = await cliLab(t, { faults: { pacing: false } });
      opensshLab(t, cli.lab);
      await using server = await WorkloadServer.start();
      const run = cli.start(['ssh', '-N', '-l', opensshUser, '-D', '0', target]);
      const proxy = Number((await run.saw(/^open (?:127\.0\.0\.1|\[::1\]):(\d+) -> /m))[1]);
      const { port } = server.address;
      assert.equal(await download(await throughSocks(proxy, port), BYTES, 7), patternDigest(7, BYTES));
      assert.equal(await upload(await throughSocks(proxy, port), BYTES, 7), patternDigest(7, BYTES));
      run.process.kill('SIGINT');
      assert.equal((await run.ended).code, 130);
      assert.deepEqual(cli.openSessions(), []);
    });

    test(`${target}: 20 MB each way through -J to another sshd behind it, by ssh and by cp`, async (t) => {
      const cli = await cliLab(t, { faults: { pacing: false } });
      opensshLab(t, cli.lab);
      // A machine that no cloud knows takes the key that its user has.
      const key = ephemeralKey();
      mkdirSync(join(cli.home, '.ssh'), { mode: 0o700 });
      writeFileSync(join(cli.home, '.ssh/id_ed25519'), key.privateKey.reveal(), { mode: 0o600 });
      const blob = Buffer.from(key.publicKey.split(' ')[1] ?? '', 'base64');
      const hostKey = ephemeralKey('host').privateKey.reveal();
      const inner = await startOpenssh(t, { hostKey, admits: (_user, offered) => offered.equals(blob) });
      const bytes = randomBytes(BYTES);
      const [here, far, back] = ['here', 'far', 'back'].map((name) => join(cli.home, name)) as [string, string, string];
      writeFileSync(here, bytes);
      const way = ['-q', '-J', `${opensshUser}@${target}`];
      const input = openSync(here, 'r');
      const login = [...way, '-p', `${inner.port}`, `${opensshUser}@127.0.0.1`];
      const up = await cli.run(['ssh', ...login, `cat > ${far}; sha256sum < ${far}`], { stdin: input });
      closeSync(input);
      assert.equal(up.code, 0, up.stderr);
      assert.equal(up.stdout.slice(0, 64), createHash('sha256').update(bytes).digest('hex'));
      const down = await cli.run(['cp', ...way, '-P', `${inner.port}`, `${opensshUser}@127.0.0.1:${far}`, back]);
      assert.equal(down.code, 0, down.stderr);
      assert.ok(readFileSync(back).equals(bytes));
      await inner.logged(/^Accepted publickey for /);
      assert.deepEqual(cli.openSessions(), []);
    });
  }
});
