import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { freePort } from '../../bench/cloudtun-process.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';
import { download, readAll, upload } from '../../support/transfers.ts';
import { until } from '../../support/until.ts';
import { patternDigest, WorkloadServer } from '../../support/workload-server.ts';

const TARGET = 'aws:web-1';
const LOGIN = ['-l', opensshUser];
const BYTES = 20_000_000;

/** On Debian's sshd, the far loopback is this machine's own. */
async function call(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

suite('forwards, on the OpenSSH server', { skip: unlessOpenssh() }, () => {
  for (const target of [TARGET, 'gcp:web-1']) {
    test(`${target}: -L and -R, 20 MB each way, byte-exact`, async (t) => {
      const cli = await cliLab(t, { faults: { pacing: false } });
      opensshLab(t, cli.lab);
      await using server = await WorkloadServer.start();
      const far = await freePort();
      const { port } = server.address;
      const rules = ['-L', `0:127.0.0.1:${port}`, '-R', `${far}:127.0.0.1:${port}`];
      const run = cli.start(['ssh', '-N', ...LOGIN, ...rules, target]);
      const local = Number((await run.saw(/^open 127\.0\.0\.1:(\d+) -> /m))[1]);
      await run.saw(/^ready web-1:\d+ -> /m);
      const expected = patternDigest(7, BYTES);
      for (const each of [local, far]) {
        assert.equal(await download(await call(each), BYTES, 7), expected);
        assert.equal(await upload(await call(each), BYTES, 7), expected);
      }
      run.process.kill('SIGINT');
      assert.equal((await run.ended).code, 130);
      assert.equal(await isListening(far), false);
    });
  }

  test('expose: the sshd’s processes are killed, and the same port answers again; at expiry it is closed', async (t) => {
    const cli = await cliLab(t);
    const sshd = opensshLab(t, cli.lab);
    const server = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('from here'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const run = cli.start(['expose', ...LOGIN, TARGET, '--remote', '0', '--local', String(port), '--ttl', '6s']);
    const far = Number((await run.saw(/^ready web-1:(\d+) -> /m))[1]);
    assert.equal((await readAll(await call(far))).toString(), 'from here');
    (await sshd.of('web-1')).cut();
    await run.saw(/logging in again, attempt 1/);
    await run.saw(/listening again after/);
    assert.equal((await readAll(await call(far))).toString(), 'from here');
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^closed after .+, 2 connections, .+, time limit reached$/m);
    assert.equal(await isListening(far), false);
  });

  test('refusals of OpenSSH are explained', async (t) => {
    for (const [config, far, said] of [
      [{ AllowTcpForwarding: 'no' }, '8080', /CT_FORWARD_PROHIBITED: .+ listens on no port/],
      [{ AllowTcpForwarding: 'local' }, '8080', /CT_FORWARD_PROHIBITED/],
      [{ PermitListen: '9999' }, '8080', /CT_FORWARD_PROHIBITED.+\n(.+\n)*.+PermitListen/],
      [{}, undefined, /CT_REMOTE_PORT_BUSY/],
    ] as const) {
      const cli = await cliLab(t);
      opensshLab(t, cli.lab, { config });
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      // On ::1 it is free, and of its two loopbacks sshd is content with one.
      const taken = String((holder.address() as { port: number }).port);
      const { stderr } = await cli.run(['expose', ...LOGIN, TARGET, '--remote', far ?? taken, '--local', '1']);
      holder.close();
      assert.match(stderr, said);
    }
  });

  test('-A: a program there uses the agent here, and only with -A', async (t) => {
    const cli = await cliLab(t);
    opensshLab(t, cli.lab);
    const socket = join(cli.home, 'agent');
    const agent: ChildProcess = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    t.after(() => void agent.kill());
    const key = join(cli.home, 'id_test');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'mine@laptop', '-f', key]);
    const env = { SSH_AUTH_SOCK: socket };
    const add = () => {
      try {
        execFileSync('ssh-add', ['-q', key], { env: { ...process.env, ...env }, stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    };
    await until(add);
    const listed = await cli.run(['ssh', '-q', '-A', ...LOGIN, TARGET, 'ssh-add -L'], { env });
    assert.equal(listed.code, 0, listed.stderr);
    assert.match(listed.stdout, /^ssh-ed25519 \S+ mine@laptop$/m);
    // A signature over there, by the key that is only here.
    const signed = await cli.run(
      ['ssh', '-q', '-o', 'ForwardAgent=yes', ...LOGIN, TARGET, `echo hi | ssh-keygen -Y sign -n file -f ${key}.pub`],
      { env },
    );
    assert.match(signed.stdout, /BEGIN SSH SIGNATURE/, signed.stderr);
    const without = await cli.run(['ssh', '-q', ...LOGIN, TARGET, 'ssh-add -L'], { env });
    assert.notEqual(without.code, 0);
  });
});
