import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { type CliLab, cliLab } from '../support/cli-lab.ts';
import { callFarPort, FAR_MACHINES } from '../support/far-port.ts';
import { journalRecords } from '../support/journal-records.ts';
import { download, echo, readAll, upload } from '../support/transfers.ts';
import { until } from '../support/until.ts';
import { patternDigest, WorkloadServer } from '../support/workload-server.ts';

const BYTES = 20_000_000;

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** However it ends. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.on('error', () => {}).once('close', () => resolve()));
}

/** A conversation with the SOCKS port up to the answer. */
async function socksTo(port: number, host: string, far: number): Promise<Socket> {
  const socket = await connected(port);
  await echoes(socket, Buffer.from([5, 1, 0]), 2);
  const request = Buffer.concat([
    Buffer.from([5, 1, 0, 3, host.length]),
    Buffer.from(host),
    Buffer.from([far >> 8, far & 255]),
  ]);
  const answer = await echoes(socket, request, 10);
  assert.equal(answer[1], 0);
  return socket;
}

async function echoes(socket: Socket, sent: Buffer, byteCount: number): Promise<Buffer> {
  socket.write(sent);
  for (;;) {
    const bytes = socket.read(byteCount) as Buffer | null;
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

/** A machine of each cloud with a workload service on port 9999, which stands on this machine. */
const MACHINES = FAR_MACHINES;

async function withWorkload(t: {
  after(call: () => Promise<void>): void;
}): Promise<{ cli: CliLab; server: WorkloadServer }> {
  const server = await WorkloadServer.start();
  t.after(() => server[Symbol.asyncDispose]());
  // A paced agent sends 0.7 MB a second.
  return { cli: await cliLab(t, { faults: { pacing: false } }), server };
}

suite('ssh -L, -R and -D on the lab', () => {
  for (const machine of MACHINES) {
    test(`${machine.target}: 20 MB each way through each of them, byte-exact`, async (t) => {
      const { cli, server } = await withWorkload(t);
      // The far port is ours by -R; -L and -D reach it from there, so bytes go through the login four times.
      const rules = ['-R', `9999:127.0.0.1:${server.address.port}`, '-L', '0:localhost:9999', '-D', '0'];
      const run = cli.start(['ssh', '-N', ...rules, machine.target]);
      const local = Number((await run.saw(/^open 127\.0\.0\.1:(\d+) -> web-1:9999 /m))[1]);
      const socks = Number((await run.saw(/^open 127\.0\.0\.1:(\d+) -> web-1 \(SOCKS/m))[1]);
      await run.saw(/^ready web-1:9999 -> localhost:\d+ /m);
      const expected = patternDigest(7, BYTES);
      const far = () => callFarPort(cli.lab, machine, 9999);
      for (const open of [far, () => connected(local), () => socksTo(socks, 'localhost', 9999)]) {
        assert.equal(await download(await open(), BYTES, 7), expected);
        assert.equal(await upload(await open(), BYTES, 7), expected);
      }
      run.process.kill('SIGINT');
      const { code, stdout } = await run.ended;
      assert.equal(code, 130);
      assert.match(stdout, /^closed after .+, 10 connections, /m);
      assert.equal(machine.port(cli.lab, 9999), undefined);
      assert.deepEqual(cli.openSessions(), []);
      const journal = JSON.stringify(journalRecords(cli.journalPath));
      assert.match(journal, /"use":"ssh -N -L 0:localhost:9999 -R 9999:127\.0\.0\.1:\d+ -D 0"/);
    });
  }

  test('beside a session: stdout is the session’s, and what still runs when it is over is waited for', async (t) => {
    const { cli, server } = await withWorkload(t);
    const run = cli.start([
      'ssh',
      '-L',
      '0:localhost:9999',
      '-R',
      `9999:127.0.0.1:${server.address.port}`,
      'aws:web-1',
      'sleep 1; echo done',
    ]);
    const local = Number((await run.saw(/^open 127\.0\.0\.1:(\d+) -> web-1:9999/m))[1]);
    await run.saw(/^ready web-1:9999/m);
    const socket = await connected(local);
    socket.write('ECHO\n');
    assert.equal((await echo(socket, Buffer.from('hello'))).toString(), 'hello');
    await run.saw(/^done$/m);
    await run.saw(/draining \d connections? /);
    socket.end();
    await readAll(socket);
    const { code, stdout } = await run.ended;
    assert.deepEqual([code, stdout], [0, 'done\n']);
  });

  test('a port that is taken: the end, or with ExitOnForwardFailure=no one warning', async (t) => {
    const { cli, server } = await withWorkload(t);
    const taken = `${server.address.port}:localhost:80`;
    const strict = await cli.run(['ssh', '-L', taken, 'aws:web-1', 'echo hi']);
    assert.equal(strict.code, 7);
    assert.match(strict.stderr, /CT_PORT_BUSY/);
    assert.equal(cli.calls('ssm:StartSession'), 0);
    const rules = ['-L', taken, '-R', '443:localhost:1', '-R', '9998:localhost:1'];
    const lenient = await cli.run(['ssh', '-o', 'ExitOnForwardFailure=no', ...rules, 'aws:web-1', 'echo hi']);
    assert.deepEqual([lenient.code, lenient.stdout], [0, 'hi\n'], lenient.stderr);
    assert.match(lenient.stderr, /-L \d+:localhost:80: .+\(CT_PORT_BUSY\)/);
    assert.match(lenient.stderr, /does not let ec2-user listen on port 443 \(CT_FORWARD_PROHIBITED\)/);
    cli.lab.sshFaults.set({ remoteForwarding: false });
    const refused = await cli.run(['ssh', '-R', '9998:localhost:1', 'aws:web-1', 'echo hi']);
    assert.deepEqual([refused.code, refused.stdout], [4, '']);
    assert.match(refused.stderr, /CT_FORWARD_PROHIBITED/);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('-L where the sshd forbids it: the client is reset and told why; the connection’s end is the end', async (t) => {
    const { cli } = await withWorkload(t);
    cli.lab.sshFaults.set({ localForwarding: false });
    const run = cli.start(['ssh', '-N', '-L', '0:localhost:80', 'aws:web-1']);
    const local = Number((await run.saw(/^open 127\.0\.0\.1:(\d+)/m))[1]);
    const socket = await connected(local);
    await closed(socket);
    await run.saw(/connection 1 from .+ failed: .+ \(CT_FORWARD_PROHIBITED\)/);
    run.process.kill('SIGINT');
    await run.ended;
    cli.lab.sshFaults.set({ endAfterMs: 200 });
    const lost = await cli.run(['ssh', '-N', '-L', '0:localhost:80', 'aws:web-1']);
    assert.equal(lost.code, 9);
    assert.match(lost.stderr, /CT_TUNNEL_LOST/);
    assert.match(lost.stdout, /^closed after .+, tunnel lost$/m);
    await until(() => cli.openSessions().length === 0);
  });

  test('what ssh has and this client has not is told with the way out', async (t) => {
    const cli = await cliLab(t);
    for (const [words, said] of [
      [['-f', '-N', '-L', '8080:x:80'], /-f of ssh.+\n.+cloudtun ssh -N/],
      [['-fN', '-L', '8080:x:80'], /-f of ssh/],
      [['-N'], /nothing to forward/],
      [['-N', '-L', '8080:x:80', 'true'], /a command wants one/],
      [['-X'], /-X of ssh.+\n.+ProxyCommand/],
      [['-o', 'CertificateFile=~/.ssh/id-cert.pub'], /OpenSSH certificate.+\n.+cloudtun proxy %h %p/],
      [['-o', 'ControlMaster=auto'], /ControlMaster.+\n.+ProxyCommand/],
      [['-o', 'Foo=1'], /no option Foo/],
      [['-o', 'StrictHostKeyChecking=no'], /would log in to whoever answers/],
      [['-R', '8080'], /names no service/],
      [['-D', 'x:1'], /-D "x:1"/],
      [['-L', '8080:a:1', '-D', '8080'], /two rules listen on local port 8080/],
    ] as const) {
      const [first, ...rest] = words[0] === '-N' && words.at(-1) === 'true' ? [words.slice(0, -1), 'true'] : [words];
      const { code, stderr } = await cli.run(['ssh', ...(first as readonly string[]), 'web-1', ...(rest as string[])]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, said);
    }
  });

  test('options that have a meaning here', async (t) => {
    const cli = await cliLab(t);
    const options = [
      'User=nobody',
      'ConnectTimeout=10',
      'SetEnv=LC_NAME=yes',
      'ServerAliveInterval 15',
      'BatchMode=yes',
    ];
    const named = options.flatMap((option) => ['-o', option]);
    const { code, stdout, stderr } = await cli.run(['ssh', ...named, '-l', 'ec2-user', 'aws:web-1', 'env']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^LC_NAME=yes$/m);
    assert.match(stdout, /^USER=ec2-user$/m);
    cli.lab.sshFaults.set({ answer: 'silent' });
    const late = await cli.run(['ssh', '-o', 'ConnectTimeout=1', 'aws:web-1', 'true']);
    assert.equal(late.code, 10);
    assert.match(late.stderr, /no login within 1 s \(ConnectTimeout\)/);
    cli.lab.sshFaults.set({});
    const strict = await cli.run(['ssh', '-o', 'StrictHostKeyChecking=yes', 'aws:bastion-a', 'true']);
    assert.equal(strict.code, 8);
    assert.match(strict.stderr, /host key of bastion-a is not known/);
  });
});
