import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { type CliLab, cliLab } from '../support/cli-lab.ts';
import { journalRecords } from '../support/journal-records.ts';
import { startProxy } from '../support/start-proxy.ts';

const CLOUDS = [
  {
    name: 'Session Manager',
    host: 'i-0a1b2c3d4e5f60003',
    machine: 'i-0a1b2c3d4e5f60003',
    banner: 'SSH-2.0-OpenSSH_8.7\r\n',
  },
  {
    name: 'Identity-Aware Proxy',
    host: 'acme-practice/asia-northeast1-a/web-1',
    machine: 'web-1',
    banner: 'SSH-2.0-OpenSSH_9.2p1\r\n',
  },
] as const;
const PORT = 9100;
/** More than the pipes hold, so that each side has to wait for its taker. */
const BYTES = 400_000;

/** A server behind a port of the machines of both clouds: sends back the digest of so many bytes, then the bytes themselves. */
async function digestServer(test: TestContext, cli: CliLab): Promise<void> {
  const server = createServer((socket) => {
    const chunks: Buffer[] = [];
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      count += chunk.length;
      if (count !== BYTES) return;
      const all = Buffer.concat(chunks);
      socket.write(createHash('sha256').update(all).digest());
      socket.end(all);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => void server.close());
  const { port } = server.address() as AddressInfo;
  for (const { machine } of CLOUDS) {
    const network = machine.startsWith('i-') ? cli.lab.network : cli.lab.gcp.network;
    network.attach(machine, PORT, { host: '127.0.0.1', port });
  }
}

const records = (cli: CliLab) => journalRecords(cli.journalPath);

suite('cloudtun proxy, on the lab', () => {
  for (const { name, host, banner } of CLOUDS) {
    test(`${name}: what the server says and nothing else, until a signal; recorded, nothing left open`, async (t) => {
      const cli = await cliLab(t);
      for (const [signal, code] of [
        ['SIGHUP', 129],
        ['SIGTERM', 143],
      ] as const) {
        const run = startProxy(t, cli, [`alice@${host}`, '22']);
        assert.equal((await run.received(banner.length)).toString(), banner);
        run.child.kill(signal);
        assert.deepEqual(await run.ended, { code, signal: null });
        assert.deepEqual([run.stdout().toString(), run.stderr()], [banner, '']);
        assert.deepEqual(cli.openSessions(), []);
      }
      const [open] = records(cli);
      assert.deepEqual([open?.event, open?.use, open?.asked], ['open', 'proxy', host]);
      assert.equal(records(cli).filter(({ event }) => event === 'end').length, 2);
    });

    test(`${name}: ${BYTES} bytes each way, the answer after the end of the input`, async (t) => {
      const cli = await cliLab(t);
      await digestServer(t, cli);
      const run = startProxy(t, cli, [host, String(PORT)]);
      const bytes = randomBytes(BYTES);
      run.child.stdin.end(bytes);
      assert.deepEqual(await run.ended, { code: 0, signal: null }, run.stderr());
      const back = run.stdout();
      assert.equal(back.subarray(0, 32).toString('hex'), createHash('sha256').update(bytes).digest('hex'));
      assert.ok(back.subarray(32).equals(bytes));
      assert.equal(run.stderr(), '');
      const end = records(cli).find(({ event }) => event === 'end');
      assert.deepEqual([end?.bytesUp, end?.bytesDown], [BYTES, BYTES + 32]);
      assert.deepEqual(cli.openSessions(), []);
    });

    test(`${name}: nobody reads the output any more: a quiet end`, async (t) => {
      const cli = await cliLab(t);
      await digestServer(t, cli);
      const run = startProxy(t, cli, [host, String(PORT)]);
      run.child.stdout.destroy();
      run.child.stdin.write(randomBytes(BYTES));
      assert.deepEqual(await run.ended, { code: 0, signal: null }, run.stderr());
      assert.equal(run.stderr(), '');
      assert.deepEqual(cli.openSessions(), []);
    });
  }

  test('errors go to stderr with the exit code of their kind, and stdout stays empty', async (t) => {
    const cli = await cliLab(t);
    const cases = [
      { words: [], code: 2, says: /CT_USAGE: HOST is missing/ },
      { words: ['web-1'], code: 2, says: /CT_USAGE: PORT is missing/ },
      { words: ['web-1', '0'], code: 2, says: /CT_USAGE: "0" is not a port/ },
      { words: ['web-1', '22', '23'], code: 2, says: /CT_USAGE: unexpected argument "23"/ },
      { words: ['web-1', '22', '--prot', '7'], code: 2, says: /CT_USAGE: there is no flag --prot/ },
      { words: ['web-1', '22', '--profile'], code: 2, says: /CT_USAGE: --profile/ },
      { words: ['web-1', '22'], code: 5, says: /CT_TARGET_AMBIGUOUS.*\n.*\n.*\n.*say which: aws:web-1 or gcp:web-1/ },
      { words: ['nope.cloudtun', '22'], code: 5, says: /CT_TARGET_NOT_FOUND: no machine named "nope"/ },
      { words: ['web-1.gcp.cloudtun', '23'], code: 6, says: /CT_REMOTE_REFUSED/ },
      { words: ['i-0a1b2c3d4e5f60003', '22', '--profile', 'outsider'], code: 2, says: /CT_NO_PROFILE/ },
    ];
    for (const { words, code, says } of cases) {
      const run = startProxy(t, cli, words);
      assert.equal((await run.ended).code, code, `${words}: ${run.stderr()}`);
      assert.match(run.stderr(), says);
      assert.equal(run.stdout().length, 0);
    }
    const json = startProxy(t, cli, ['nope', '22', '--json']);
    assert.equal((await json.ended).code, 5);
    assert.equal(JSON.parse(json.stderr()).error.code, 'CT_TARGET_NOT_FOUND');
    assert.deepEqual(cli.openSessions(), []);
  });

  test('help and --explain are those of every command', async (t) => {
    const cli = await cliLab(t);
    assert.match((await cli.run(['proxy', '--help'])).stdout, /ProxyCommand/);
    const explained = await cli.run(['proxy', 'i-0a1b2c3d4e5f60003', '22', '--explain']);
    assert.equal(explained.code, 0, explained.stderr);
    assert.match(explained.stdout, /ssm:StartSession/);
    assert.equal(cli.calls('ssm:StartSession'), 0);
  });
});
