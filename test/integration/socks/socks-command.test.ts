import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { gitHost } from '../../support/git-host.ts';
import { journalRecords } from '../../support/journal-records.ts';

const noCurl = spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed';
const noGit = spawnSync('git', ['--version']).status === 0 ? false : 'git is not installed';

interface Fetched {
  readonly code: number;
  readonly body: string;
  readonly stderr: string;
}

function run(program: string, commandLine: readonly string[]): Promise<Fetched> {
  // Nothing of this machine's own proxies.
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', GIT_TERMINAL_PROMPT: '0' };
  return new Promise((resolve) => {
    execFile(program, commandLine, { env, timeout: 20_000 }, (error, body, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, body, stderr });
    });
  });
}

const curl = (...commandLine: readonly string[]) =>
  run('curl', ['--silent', '--show-error', '--max-time', '15', ...commandLine]);

/** Says something to the port and gives what came back, once that is enough. */
function firstAnswer(port: number, text: string, enough: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1').on('data', (piece: string) => {
      said += piece;
      if (!enough.test(said)) return;
      socket.destroy();
      resolve(said);
    });
    socket.on('error', reject).on('end', () => resolve(said));
  });
}

suite('socks', () => {
  test('curl over SOCKS5, SOCKS4a, HTTP CONNECT and plain HTTP; names of the far side', { skip: noCurl }, async (t) => {
    const { start, openSessions, journalPath } = await cliLab(t);
    const cli = start(['socks', 'bastion-a', '--port', 'auto']);
    const [, port, pac] = await cli.saw(
      /^open 127\.0\.0\.1:(\d+) -> bastion-a \(SOCKS and HTTP, aws ap-northeast-1, expires .*\), PAC (http\S+)$/m,
    );
    assert.deepEqual(openSessions(), [], 'nothing is opened before a client names a host');
    for (const way of [
      ['--socks5-hostname', `127.0.0.1:${port}`],
      ['--socks4a', `127.0.0.1:${port}`],
      ['--proxy', `http://127.0.0.1:${port}`, '--proxytunnel'],
      ['--proxy', `http://127.0.0.1:${port}`],
    ]) {
      const { code, body, stderr } = await curl(...way, 'http://admin.internal/');
      assert.equal(code, 0, `${way.join(' ')}: ${stderr}`);
      assert.match(body, /admin\.internal/);
    }
    assert.equal(openSessions().length, 1, 'one session for one destination');
    const web = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://10.20.10.21/');
    assert.match(web.body, /web-1/);
    assert.equal(openSessions().length, 2);
    assert.match((await curl('--noproxy', '*', pac!)).body, /function FindProxyForURL/);
    cli.process.kill('SIGINT');
    const { code, stdout, stderr } = await cli.ended;
    assert.equal(code, 130);
    assert.match(stdout, /^closed after .*, 5 connections, /m);
    assert.match(stderr, /^ {2}admin\.internal:80 {2}4 connections, .* down, .* up$/m);
    assert.deepEqual(openSessions(), []);
    const records = journalRecords(journalPath);
    const opens = records.filter(({ event }) => event === 'open').map(({ to }) => to);
    assert.deepEqual(opens, ['admin.internal:80', '10.20.10.21:80'], 'each destination once');
    assert.equal(records.filter(({ event, change }) => event === 'client' && change === 'closed').length, 5);
  });

  test('a denied rule, a refused port and a forbidden address are told to the client, with the reason', {
    skip: noCurl,
  }, async (t) => {
    const { start, calls } = await cliLab(t);
    const cli = start([
      'socks',
      'bastion-a',
      '--port',
      'auto',
      '--only',
      '*.internal',
      '--only',
      '10.0.0.0/8',
      '--only',
      '169.254.0.0/16',
      '--only',
      'localhost',
      '--json',
    ]);
    const [line] = await cli.saw(/^\{"event":"ready".*$/m);
    const ready = JSON.parse(line);
    assert.deepEqual([ready.readiness, ready.to, ready.target.name], ['open', undefined, 'bastion-a']);
    const { port } = ready.local[0];
    const proxy = ['--proxy', `http://127.0.0.1:${port}`, '--proxytunnel', '--verbose'];
    const denied = await curl(...proxy, 'http://example.com/');
    assert.match(denied.stderr, /< HTTP\/1\.1 403 Forbidden/);
    assert.match(denied.stderr, /< X-Cloudtun-Error: CT_POLICY/);
    const plain = await curl('--proxy', `http://127.0.0.1:${port}`, 'http://example.com/');
    assert.match(plain.body, /^example\.com is not among --only \*\.internal, 10\.0\.0\.0\/8, .*\(CT_POLICY\)$/m);
    const socks = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://example.com/');
    assert.equal(socks.code, 97);
    assert.match(socks.stderr, /\(2\)/);
    assert.equal(calls('ssm:StartSession'), 0);
    const refused = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://localhost:7777/');
    assert.match(refused.stderr, /\(5\)/);
    const forbidden = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://169.254.169.254/');
    assert.match(forbidden.stderr, /\(2\)/);
    const still = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://admin.internal/');
    assert.equal(still.code, 0, 'what one destination is refused says nothing of the others');
    cli.process.kill('SIGTERM');
    const { code, stdout } = await cli.ended;
    assert.equal(code, 143);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((text): Record<string, unknown> => JSON.parse(text));
    assert.equal(events.filter(({ event }) => event === 'refused').length, 3);
    const last = events.at(-1)!;
    assert.equal(last.event, 'closed');
    assert.equal((last.destinations as { to: string }[])[0]?.to, 'admin.internal:80');
  });

  for (const [cloud, target, attach] of [
    ['aws', 'aws:bastion-a', ({ lab }: CliLab) => lab.network],
    ['gcp', 'gcp:bastion-g', ({ lab }: CliLab) => lab.gcp.network],
  ] as const) {
    test(`git clone over the port, from a host that only the machine reaches (${cloud})`, {
      skip: noGit,
    }, async (t) => {
      const cli = await cliLab(t);
      const blob = randomBytes(3_000_000);
      await using git = await gitHost(join(cli.home, 'git-host'), { 'blob.bin': blob, README: Buffer.from('hello\n') });
      const host = cloud === 'aws' ? 'admin.internal' : 'wiki.practice.internal';
      attach(cli).attach(host, 8_080, git);
      const socks = cli.start(['socks', target, '--port', 'auto']);
      const [, port] = await socks.saw(/^open 127\.0\.0\.1:(\d+) -> bastion-/m);
      const into = join(cli.home, 'clone');
      const proxy = `http.proxy=socks5h://127.0.0.1:${port}`;
      const { code, stderr } = await run('git', ['-c', proxy, 'clone', `http://${host}:8080/app.git`, into]);
      assert.equal(code, 0, stderr);
      assert.ok(readFileSync(join(into, 'blob.bin')).equals(blob));
    });
  }

  test('through Identity-Aware Proxy: ports of the machine by itself, other hosts by a login to it', {
    skip: noCurl,
  }, async (t) => {
    const { start } = await cliLab(t);
    const cli = start(['socks', 'gcp:web-1', '--port', 'auto']);
    const [, port] = await cli.saw(/^open 127\.0\.0\.1:(\d+) -> web-1 \(SOCKS and HTTP, gcp /m);
    const own = await curl('--socks5-hostname', `127.0.0.1:${port}`, 'http://localhost/');
    assert.equal(own.code, 0, own.stderr);
    const behind = await curl('--proxy', `http://127.0.0.1:${port}`, 'http://wiki.practice.internal/');
    assert.match(behind.body, /wiki/);
    const nowhere = await curl('--proxy', `http://127.0.0.1:${port}`, 'http://admin.internal/');
    assert.match(nowhere.body, /\(CT_REMOTE_REFUSED\)/);
    cli.process.kill('SIGINT');
    await cli.ended;
  });

  test('through a destination group: the host that was named, its siblings, and no others', async (t) => {
    const { start } = await cliLab(t);
    const cli = start(['socks', '10.40.32.5@asia-northeast1/practice-vpc/private-sql', '--port', 'auto']);
    const [, port] = await cli.saw(/^open 127\.0\.0\.1:(\d+) -> private-sql \(SOCKS and HTTP, gcp /m);
    const mysql = await firstAnswer(
      Number(port),
      'CONNECT 10.40.32.6:3306 HTTP/1.1\r\n\r\n',
      /mysql_native_password|caching_sha2/,
    );
    assert.match(mysql, /^HTTP\/1\.1 200 /);
    const other = await firstAnswer(Number(port), 'CONNECT 10.50.0.1:80 HTTP/1.1\r\n\r\n', /\n$/);
    // Whether the cloud says "denied" or "not of this group" depends on what it lets the caller see.
    assert.match(other, /^HTTP\/1\.1 (403|502) [\s\S]*\(CT_(DENIED|TARGET_NOT_FOUND)\)\n$/);
    cli.process.kill('SIGINT');
    await cli.ended;
  });

  test('--explain opens nothing; wrong rules and names, and a busy port, are told before anything is asked', async (t) => {
    const lab = await cliLab(t);
    const explained = await lab.run(['socks', 'bastion-a', '--explain']);
    assert.equal(explained.code, 0, explained.stderr);
    assert.match(explained.stdout, /127\.0\.0\.1:1080/);
    assert.match(explained.stdout, /AWS-StartPortForwardingSessionToRemoteHost/);
    const wrong = await lab.run(['socks', 'bastion-a', '--only', 'http://x']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^error CT_USAGE: --only "http:\/\/x" is neither a name nor a block of addresses/);
    const unknown = await lab.run(['socks', 'aws:nothing-of-this-name', '--port', 'auto']);
    assert.equal(unknown.code, 5);
    const holder = createServer().listen(0, '127.0.0.1');
    t.after(() => void holder.close());
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    const busy = await lab.run(['socks', 'bastion-a', '--port', port]);
    assert.equal(busy.code, 7);
    assert.equal(lab.calls('ssm:StartSession'), 0);
  });
});
