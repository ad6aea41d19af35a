import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { callFarPort, FAR_MACHINES } from '../../support/far-port.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { readAll } from '../../support/transfers.ts';
import { until } from '../../support/until.ts';

const REQUEST = 'GET /hook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** A web server as a developer has one. */
async function webServer(t: { after(call: () => Promise<void>): void }): Promise<number> {
  const server: Server = createServer((request, response) => response.end(`laptop says ${request.url}\n`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

function journal(path: string): Record<string, unknown>[] {
  return journalRecords(path);
}

suite('cloudtun expose, on the lab', () => {
  for (const machine of FAR_MACHINES) {
    test(`${machine.target}: a request on its loopback reaches the server here; at expiry the port is closed`, async (t) => {
      const cli = await cliLab(t);
      const port = await webServer(t);
      const run = cli.start([
        'expose',
        machine.target,
        '--remote',
        '8080',
        '--local',
        `127.0.0.1:${port}`,
        '--ttl',
        '3s',
      ]);
      await run.saw(/^ready web-1:8080 -> 127\.0\.0\.1:\d+ \(.+, from itself only, expires \d\d:\d\d\)$/m);
      const socket = await callFarPort(cli.lab, machine, 8080);
      socket.write(REQUEST);
      assert.match((await readAll(socket)).toString(), /laptop says \/hook/);
      const { code, stdout, stderr } = await run.ended;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^closed after .+, 1 connection, .+, time limit reached$/m);
      assert.match(stderr, /closing in .+: the time limit$/m);
      assert.equal(machine.port(cli.lab, 8080), undefined);
      assert.deepEqual(cli.openSessions(), []);
      const records = journal(cli.journalPath);
      const [open] = records.filter(({ event }) => event === 'open');
      assert.equal(open?.use, `expose 8080 -> 127.0.0.1:${port}`);
      const clients = records.filter(({ event }) => event === 'client');
      assert.deepEqual(
        clients.map(({ change, to }) => [change, to]),
        [
          ['connected', `127.0.0.1:${port}`],
          ['closed', `127.0.0.1:${port}`],
        ],
      );
      assert.equal(records.find(({ event }) => event === 'end')?.why, 'ttl');
    });
  }

  test('after a cut the same port answers again, also where 0 was asked for; events in order', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const port = await webServer(t);
    cli.lab.sshFaults.set({ endAfterMs: 300 });
    const run = cli.start(['expose', '--json', machine!.target, '--remote', '0', '--local', String(port)]);
    const given = Number((await run.saw(/"remote":\{"host":"localhost","port":(\d+)\}/))[1]);
    cli.lab.sshFaults.set({});
    await run.saw(/"event":"renewed"/);
    const socket = await callFarPort(cli.lab, machine!, given);
    socket.write(REQUEST);
    assert.match((await readAll(socket)).toString(), /laptop says/);
    run.process.kill('SIGINT');
    const { code, stdout } = await run.ended;
    assert.equal(code, 130);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    const told = events.filter((event) => ['ready', 'reconnecting', 'renewed', 'client', 'closed'].includes(event));
    assert.deepEqual(told, ['ready', 'reconnecting', 'renewed', 'client', 'client', 'closed']);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('a port that somebody holds after a cut is waited for', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const port = await webServer(t);
    const run = cli.start(['expose', '-v', machine!.target, '--remote', '8080', '--local', String(port)]);
    await run.saw(/^ready/m);
    cli.lab.sshd.cut();
    await until(() => machine!.port(cli.lab, 8080) === undefined);
    // As the sshd of the login that was cut would, until it hears of it.
    const release = cli.lab.network.ports.bind('i-0a1b2c3d4e5f60003', 8080, {
      address: { host: '127.0.0.1', port: 1 },
      loopbackOnly: true,
    });
    assert.ok(release);
    await run.saw(/port 8080 of web-1 is taken/);
    release();
    await run.saw(/listening again after/);
    const socket = await callFarPort(cli.lab, machine!, 8080);
    socket.write(REQUEST);
    assert.match((await readAll(socket)).toString(), /laptop says/);
    run.process.kill('SIGINT');
    await run.ended;
  });

  test('an sshd that dies: tried again until Ctrl-C, or until it is clear that no waiting helps', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const start = async () => {
      cli.lab.sshFaults.set({});
      const run = cli.start(['expose', '-v', machine!.target, '--remote', '8080', '--local', '1']);
      await run.saw(/^ready/m);
      return run;
    };
    const waiting = await start();
    cli.lab.sshFaults.set({ answer: 'refuse' });
    cli.lab.sshd.cut();
    await waiting.saw(/logging in again, attempt 3/);
    waiting.process.kill('SIGINT');
    const interrupted = await waiting.ended;
    assert.equal(interrupted.code, 130, interrupted.stderr);
    // Who and how is said once, and the same trouble is.
    assert.equal(interrupted.stderr.match(/another with -l/g)?.length, 1);

    const denied = await start();
    cli.lab.apiFaults.set([{ action: 'ec2-instance-connect:SendSSHPublicKey', kind: 'deny' }]);
    cli.lab.sshd.cut();
    const lost = await denied.ended;
    assert.equal(lost.code, 4, lost.stderr);
    assert.match(lost.stdout, /^closed after .+, tunnel lost$/m);
    assert.match(lost.stderr, /error CT_DENIED/);
    cli.lab.apiFaults.set([]);

    const changed = await start();
    cli.lab.sshd.replaceHostKey('aws/i-0a1b2c3d4e5f60003');
    cli.lab.sshd.cut();
    const stopped = await changed.ended;
    assert.equal(stopped.code, 8, stopped.stderr);
    assert.match(stopped.stderr, /CT_HOST_KEY_CHANGED/);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('Ctrl-C closes the far port and lets an open connection end; once more cuts it', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const server = createTcpServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const run = cli.start(['expose', machine!.target, '--remote', '8080', '--local', String(port)]);
    await run.saw(/^ready/m);
    const socket = await callFarPort(cli.lab, machine!, 8080);
    socket.on('error', () => {});
    // Never quiet for two seconds: a drain alone does not end it.
    const talk = setInterval(() => socket.write('still here\n'), 200);
    t.after(() => clearInterval(talk));
    await once(socket, 'data');
    run.process.kill('SIGINT');
    await run.saw(/draining 1 connection \(again to cut\)/);
    await until(() => machine!.port(cli.lab, 8080) === undefined);
    assert.match(String((await once(socket, 'data'))[0]), /still here/);
    run.process.kill('SIGINT');
    await new Promise((resolve) => socket.once('close', resolve));
    const { code, stdout } = await run.ended;
    assert.equal(code, 130);
    assert.match(stdout, /^closed after .+, 1 connection, /m);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('a source that is not allowed is refused and counted; a service that is down is one line and not the end', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const run = cli.start(['expose', machine!.target, '--remote', '8080', '--local', '1', '--allow', '127.0.0.2/32']);
    await run.saw(/^ready/m);
    const stranger = await callFarPort(cli.lab, machine!, 8080);
    assert.equal((await readAll(stranger)).length, 0);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const allowed = await callFarPort(cli.lab, machine!, 8080, '127.0.0.2');
      assert.equal((await readAll(allowed)).length, 0);
    }
    run.process.kill('SIGINT');
    const { code, stderr, stdout } = await run.ended;
    assert.equal(code, 130);
    assert.match(stderr, /a connection from 127\.0\.0\.1:\d+ was refused: 127\.0\.0\.1 is not among the addresses/);
    assert.equal(stderr.match(/CT_LOCAL_SERVICE/g)?.length, 1, stderr);
    assert.match(stderr, /^ {2}1 connection refused$/m);
    assert.match(stdout, /closed after .+, 3 connections/);
  });

  test('a server that refuses is explained: prohibited, taken, privileged; open to others, and GatewayPorts', async (t) => {
    const [machine] = FAR_MACHINES;
    const cli = await cliLab(t);
    const expose = (...words: readonly string[]) => cli.run(['expose', machine!.target, '--local', '1', ...words]);
    const privileged = await expose('--remote', '443');
    assert.equal(privileged.code, 4);
    assert.match(privileged.stderr, /CT_FORWARD_PROHIBITED: web-1 does not let \S+ listen on port 443\n.+below 1024/);
    const run = cli.start(['expose', machine!.target, '--remote', '8080', '--local', '1', '--bind-remote', '*']);
    await run.saw(/^ready web-1:8080 -> localhost:1 \(.+on all addresses/m);
    assert.match(run.stderr(), /everybody who reaches the machine can connect to localhost:1 on this side/);
    await run.saw(/port 8080 is open on the loopback of web-1 only: GatewayPorts/);
    const taken = await expose('--remote', '8080');
    assert.equal(taken.code, 6);
    assert.match(taken.stderr, /CT_REMOTE_PORT_BUSY: port 8080 of web-1 is taken/);
    run.process.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
    await until(() => machine!.port(cli.lab, 8080) === undefined);
    cli.lab.sshFaults.set({ remoteForwarding: false });
    const prohibited = await expose('--remote', '8080');
    assert.equal(prohibited.code, 4);
    assert.match(prohibited.stderr, /CT_FORWARD_PROHIBITED: .+\n(.+\n)*.+AllowTcpForwarding/);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('nonsense is told before anything is asked', async (t) => {
    const cli = await cliLab(t);
    for (const [words, said] of [
      [['--remote', '70000', '--local', '1'], /--remote "70000" is not a port/],
      [['--remote', '8080', '--local', 'x:y'], /--local "x:y" is not a service/],
      [['--remote', '8080', '--local', '0'], /--local "0" is not a service/],
      [['--remote', '8080', '--local', '[1.2.3.4]:5'], /is not a service/],
      [['--remote', '8080', '--local', '1', '--allow', '10.0.0.0/33'], /--allow "10\.0\.0\.0\/33"/],
      [['--remote', '8080', '--local', '1', '--ttl', 'none'], /always has an end/],
      [['--remote', '8080', '--local', '1', '--bind-remote', 'web.internal'], /not an address of the far machine/],
    ] as const) {
      const { code, stderr } = await cli.run(['expose', 'web-1', ...words]);
      assert.equal(code, 2);
      assert.match(stderr, said);
    }
  });
});
