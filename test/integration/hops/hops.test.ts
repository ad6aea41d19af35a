import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { askPostgres } from '../../../src/lab/practice-postgres.ts';
import { PRACTICE_USER } from '../../../src/lab/practice-query.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { eventIn } from '../../support/json-events.ts';
import { download, upload } from '../../support/transfers.ts';
import { until } from '../../support/until.ts';
import { patternDigest, WorkloadServer } from '../../support/workload-server.ts';

const SCRIPT = 'echo hi; echo no >&2; exit 7';
const LOCAL = String.raw`127\.0\.0\.1:(\d+)`;

const records = ({ journalPath }: CliLab): Record<string, unknown>[] => journalRecords(journalPath);

/** One page over a local port, as the host behind it would be asked. */
async function page(port: number, host: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { host, connection: 'close' } });
  return answer.text();
}

const WAYS = [
  {
    cloud: 'aws',
    target: 'deploy@inner-1',
    via: 'aws:bastion-a',
    inner: 'inner-1',
    secret: 'vault.internal',
    first: 'bastion-a',
    attach: (lab: CliLab['lab']) => lab.network,
  },
  {
    cloud: 'gcp',
    target: 'inner-g',
    via: 'gcp:bastion-g',
    inner: 'inner-g',
    secret: 'vault.practice.internal',
    first: 'bastion-g',
    attach: (lab: CliLab['lab']) => lab.gcp.network,
  },
] as const;

suite('hops', () => {
  for (const { cloud, target, via, inner, secret, first, attach } of WAYS) {
    test(`ssh -J: a command on a machine that only another one reaches (${cloud})`, async (t) => {
      const cli = await cliLab(t);
      const { code, stdout, stderr } = await cli.run(['ssh', '-J', via, target, SCRIPT]);
      assert.deepEqual([code, stdout], [7, 'hi\n'], stderr);
      assert.match(stderr, /^no$/m);
      assert.deepEqual(cli.openSessions(), []);
      await until(() => cli.lab.gcp.relay.openSessions().length === 0);
    });

    test(`forward: two hops, 20 MB each way byte-exact; what only the inner machine reaches (${cloud})`, async (t) => {
      const cli = await cliLab(t);
      await using workload = await WorkloadServer.start();
      attach(cli.lab).attach(secret, 9000, workload.address);
      cli.lab.faults.set({ pacing: false });
      const run = cli.start(['forward', target, '--via', via, `0:${secret}:9000`, `0:${secret}:80`, '--json']);
      const ports: number[] = [];
      await until(() => {
        const events = run
          .stdout()
          .trim()
          .split('\n')
          .filter(Boolean)
          .map((line) => eventIn(line));
        ports.length = 0;
        for (const event of events)
          if (event.event === 'ready' && event.local[0]) ports[event.rule - 0] = event.local[0].port;
        return ports.filter(Boolean).length === 2 || run.process.exitCode !== null;
      });
      assert.equal(ports.length, 2, run.stdout() + run.stderr());
      const up = connect(ports[0]!, '127.0.0.1');
      assert.equal(await upload(up, 20_000_000, 3), patternDigest(3, 20_000_000));
      const down = connect(ports[0]!, '127.0.0.1');
      assert.equal(await download(down, 20_000_000, 4), patternDigest(4, 20_000_000));
      assert.match(await page(ports[1]!, secret), /vault/);
      run.process.kill('SIGINT');
      assert.equal((await run.ended).code, 130);
      assert.deepEqual(cli.openSessions(), []);
      await until(() => cli.lab.gcp.relay.openSessions().length === 0);
      const opened = records(cli).filter(({ event }) => event === 'open');
      assert.ok(
        opened.some(({ to, hops }) => to === `${secret}:9000` && hops === inner),
        JSON.stringify(opened),
      );
      assert.ok(opened.some(({ target: node, use }) => node === first && /^on the way to/.test(String(use))));
    });
  }

  test('a machine of Google Cloud reaches other hosts by a login to it, with and without being asked', async (t) => {
    const cli = await cliLab(t);
    const forward = cli.start(['forward', 'gcp:bastion-g', '0:wiki.practice.internal:80']);
    const [, port] = await forward.saw(new RegExp(`^(?:open|ready) ${LOCAL} -> wiki`, 'm'));
    assert.match(await page(Number(port), 'wiki.practice.internal'), /wiki/);
    const socks = cli.start(['socks', 'gcp:bastion-g', '--port', 'auto']);
    const [, proxy] = await socks.saw(new RegExp(`^open ${LOCAL} -> bastion-g`, 'm'));
    const socket = connect(Number(proxy), '127.0.0.1');
    socket.write('CONNECT wiki.practice.internal:80 HTTP/1.1\r\nHost: wiki.practice.internal:80\r\n\r\n');
    const [granted] = await once(socket, 'data');
    assert.match(String(granted), /^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  test('sql through the sshd of a machine that no destination group is needed for', async (t) => {
    const cli = await cliLab(t);
    const run = cli.start(['sql', 'reports', '--via', 'bastion-g', '--port', 'auto']);
    const [, port] = await run.saw(
      new RegExp(`^ready ${LOCAL} -> reports \\(PostgreSQL 15, .*via bastion-g, expires`, 'm'),
    );
    const local = { host: '127.0.0.1', port: Number(port) };
    assert.deepEqual((await askPostgres(local, PRACTICE_USER, 'SELECT count(*) AS n FROM orders')).rows, [['50']]);
    run.process.kill('SIGINT');
    assert.equal((await run.ended).code, 130);
  });

  test('a chain of the catalogue is the same way, by one name', async (t) => {
    const cli = await cliLab(t);
    const file = join(cli.home, 'cloudtun.yaml');
    writeFileSync(
      file,
      [
        'version: 1',
        'targets:',
        '  bastion: { aws: { instance: bastion-a } }',
        '  inner: { aws: { instance: inner-1 }, via: bastion, user: deploy }',
        '  vault: { host: vault.internal, hostPort: 80, via: inner }',
        '',
      ].join('\n'),
    );
    assert.equal((await cli.run(['ssh', 'inner', SCRIPT])).code, 7);
    const run = cli.start(['forward', 'vault', '--port', 'auto']);
    const [line, port] = await run.saw(new RegExp(`^(?:open|ready) ${LOCAL} -> vault.*$`, 'm'));
    assert.match(line, /via bastion-a, then inner-1/);
    assert.match(await page(Number(port), 'vault.internal'), /vault/);
    writeFileSync(
      file,
      'version: 1\ntargets:\n  a: { host: a, hostPort: 22, via: b }\n  b: { host: b, hostPort: 22, via: a }\n',
    );
    const refused = await cli.run(['ssh', 'a', 'true']);
    assert.deepEqual([refused.code, /leads back to itself/.test(refused.stderr)], [2, true], refused.stderr);
  });

  for (const [what, sshFaults] of [
    ['go through a login', {}],
    ['are refused with the reason where there is no sshd', { answer: 'absent' }],
  ] as const) {
    test(`destinations beyond 16 ${what}`, async (t) => {
      const cli = await cliLab(t, { sshFaults });
      await using workload = await WorkloadServer.start();
      for (let port = 9_000; port <= 9_016; port++) cli.lab.network.attach('admin.internal', port, workload.address);
      const run = cli.start(['socks', 'aws:bastion-a', '--port', 'auto']);
      const [, proxy] = await run.saw(new RegExp(`^open ${LOCAL} -> bastion-a`, 'm'));
      const open = async (port: number) => {
        const socket = connect(Number(proxy), '127.0.0.1');
        socket.write(`CONNECT admin.internal:${port} HTTP/1.1\r\n\r\n`);
        const [answer] = await once(socket, 'data');
        return { socket, answer: String(answer) };
      };
      const all = await Promise.all(Array.from({ length: 16 }, (_, index) => open(9_000 + index)));
      for (const { answer } of all) assert.match(answer, /^HTTP\/1\.1 200 /);
      const beyond = await open(9_016);
      if ('answer' in sshFaults) {
        assert.match(beyond.answer, /X-Cloudtun-Error: CT_DESTINATION_LIMIT/);
      } else {
        assert.match(beyond.answer, /^HTTP\/1\.1 200 /);
        assert.equal(cli.openSessions().length, 17, 'sixteen, and the one of the login');
      }
      for (const { socket } of [...all, beyond]) socket.destroy();
    });
  }

  test('a hop that dies: its streams end, the next connection logs in again', async (t) => {
    const cli = await cliLab(t);
    await using workload = await WorkloadServer.start();
    cli.lab.network.attach('vault.internal', 9000, workload.address);
    const run = cli.start([
      'forward',
      'deploy@inner-1',
      '--via',
      'aws:bastion-a',
      '0:vault.internal:9000',
      '--no-probe',
    ]);
    const [, port] = await run.saw(new RegExp(`^open ${LOCAL} -> vault`, 'm'));
    const echo = async () => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write('ECHO\nstill here');
      const [answer] = await once(socket, 'data');
      return { socket, answer: String(answer) };
    };
    const first = await echo();
    assert.equal(first.answer, 'still here');
    const gone = new Promise((resolve) => first.socket.on('close', resolve));
    cli.lab.sshd.disconnect();
    await gone;
    const second = await echo();
    assert.equal(second.answer, 'still here');
    second.socket.destroy();
  });

  test('another host key on the way stops everything behind it, with both fingerprints', async (t) => {
    const cli = await cliLab(t);
    assert.equal((await cli.run(['ssh', '-J', 'gcp:bastion-g', 'inner-g', 'true'])).code, 0);
    cli.lab.sshFaults.set({ machines: { 'inner-g': { wrongHostKey: true } } });
    const stopped = await cli.run(['forward', 'inner-g', '--via', 'gcp:bastion-g', '0:vault.practice.internal:80']);
    assert.equal(stopped.code, 8, stopped.stderr);
    assert.match(stopped.stderr, /CT_HOST_KEY_CHANGED/);
    assert.equal(stopped.stderr.match(/SHA256:/g)?.length, 2);
  });

  test('a hop that nobody knows and that the one before it cannot find', async (t) => {
    const cli = await cliLab(t);
    const { code, stderr } = await cli.run(['ssh', '-J', 'gcp:bastion-g', 'nobody.example', 'true']);
    assert.notEqual(code, 0);
    assert.match(stderr, /CT_LOGIN_REFUSED: no cloud knows nobody\.example/);
    const explained = await cli.run(['ssh', '-J', 'gcp:bastion-g', 'inner-g', '--explain']);
    assert.equal(explained.code, 0, explained.stderr);
    assert.match(explained.stdout, /bastion-g by the tunnel/);
    const chain = await cli.run([
      'forward',
      'deploy@inner-1',
      '--via',
      'aws:bastion-a',
      '0:vault.internal:80',
      '--explain',
    ]);
    assert.match(chain.stdout, /SendSSHPublicKey .*instance\/i-0a1b2c3d4e5f6000a \(condition ec2:osuser = deploy\)/);
    assert.deepEqual(cli.openSessions(), []);
  });
});
