import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { suite, test } from 'node:test';
import type ssh2 from 'ssh2';
import type { Lab, LabOptions } from '../../src/lab/lab.ts';
import { testLab } from '../support/aws-lab.ts';
import type { After } from '../support/gateway-lab.ts';
import {
  awsSshSocket,
  exec,
  forwardOut,
  gcpSshSocket,
  logIn,
  type TestKey,
  testKey,
} from '../support/lab-ssh-client.ts';

const WEB = 'i-0a1b2c3d4e5f60003';
const BASTION = 'i-0a1b2c3d4e5f60001';
const INNER = 'i-0a1b2c3d4e5f6000a';
const BASTION_G = '4100000000000000002';
const INNER_G = '4100000000000000008';
const BIG = 20_000_000;

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function open(t: After, options: LabOptions = {}, instanceId = WEB, userName = 'ec2-user') {
  const lab = await testLab(t, options);
  const key = testKey();
  lab.sshKeys.add(`aws/${instanceId}`, userName, key.publicKey);
  const client = await logIn(await awsSshSocket(lab, instanceId), { userName, key });
  t.after(async () => void client.end());
  return { lab, key, client };
}

async function get(client: ssh2.Client, host: string, port = 80): Promise<string> {
  const stream = await forwardOut(client, host, port);
  stream.end(`GET / HTTP/1.0\r\nhost: ${host}\r\n\r\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

suite('commands on a practice machine', () => {
  test('output, errors and status apart; words, pipes and files', async (t) => {
    const { client } = await open(t);
    const say = async (command: string, input?: string) => {
      const { code, stdout, stderr } = await exec(client, command, input);
      return [code, stdout.toString(), stderr];
    };
    assert.deepEqual(await say('echo hi; echo no >&2; exit 7'), [7, 'hi\n', 'no\n']);
    assert.deepEqual(await say('whoami && hostname && pwd'), [0, 'ec2-user\nweb-1\n/home/ec2-user\n', '']);
    assert.deepEqual(await say('false || echo or; true && echo and; false && echo never'), [1, 'or\nand\n', '']);
    assert.deepEqual(await say(`A='x  y'; echo "$A" '$A' \${A} # nothing`), [0, 'x  y $A x  y\n', '']);
    assert.deepEqual(await say('echo one > f; echo two >> f; cat < f | wc -l; cat nope; echo $?'), [
      0,
      '2\n1\n',
      'cat: nope: No such file or directory\n',
    ]);
    assert.deepEqual(await say('cat - f', 'typed\n'), [0, 'typed\none\ntwo\n', '']);
    assert.deepEqual(await say("printf '%s-%d\\n' a 1 b 2; uname"), [0, 'a-1\nb-2\nLinux\n', '']);
    assert.deepEqual(await say('rm -rf /tmp/x; nosuch'), [127, '', 'bash: nosuch: command not found\n']);
    assert.deepEqual(await say('echo "'), [2, '', 'bash: unexpected EOF while looking for matching `"\'\n']);
    assert.deepEqual(await say('sleep 1 &'), [2, '', 'bash: &: not understood by this practice machine\n']);
    assert.deepEqual(await say('sh -c "exit 4"'), [4, '', '']);
  });

  test('20 MB each way, and a reader that stops early', async (t) => {
    const { client } = await open(t);
    const sent = Buffer.alloc(BIG, 'cloudtun');
    assert.equal((await exec(client, 'sha256sum', sent)).stdout.toString(), `${sha256(sent)}  -\n`);
    const { stdout } = await exec(client, `head -c ${BIG} /dev/zero`);
    assert.equal(sha256(stdout), sha256(Buffer.alloc(BIG)));
    assert.equal((await exec(client, 'cat /dev/urandom | head -c 5 | wc -c')).stdout.toString(), '5\n');
  });

  test('a signal ends a command', async (t) => {
    const { client } = await open(t);
    const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.exec('echo on; sleep 1000', (error, opened) => (error ? reject(error) : resolve(opened))),
    );
    await once(channel, 'data');
    const exit = once(channel, 'exit');
    channel.signal('TERM');
    assert.equal((await exit)[1], 'SIGTERM');
  });

  test('a terminal: prompt, echo, size, Ctrl-C', async (t) => {
    const { client } = await open(t);
    const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.shell({ cols: 100, rows: 30, term: 'xterm' }, (error, opened) =>
        error ? reject(error) : resolve(opened),
      ),
    );
    let screen = '';
    let looked = () => {};
    channel.on('data', (data: Buffer) => {
      screen += data.toString();
      looked();
    });
    const shows = async (text: string) => {
      while (!screen.endsWith(text)) {
        await new Promise<void>((resolve) => {
          looked = resolve;
        });
      }
    };
    const exit = once(channel, 'exit');
    await shows('[ec2-user@web-1 ~]$ ');
    channel.write('stty siz\x7fze; tty; echo $TERM\r');
    await shows('30 100\r\n/dev/pts/0\r\nxterm\r\n[ec2-user@web-1 ~]$ ');
    channel.setWindow(50, 132, 0, 0);
    channel.write('stty size\r');
    await shows('50 132\r\n[ec2-user@web-1 ~]$ ');
    channel.write('sleep 1000\r');
    await shows('sleep 1000\r\n');
    channel.write('\x03');
    await shows('^C\r\n[ec2-user@web-1 ~]$ ');
    channel.write('exit 3\r');
    assert.equal((await exit)[0], 3);
  });

  test('SFTP: there, back, over a name, into folders', async (t) => {
    const { client } = await open(t);
    const sftp = await new Promise<ssh2.SFTPWrapper>((resolve, reject) =>
      client.sftp((error, opened) => (error ? reject(error) : resolve(opened))),
    );
    const call = <Result = void>(run: (done: (error?: Error | null, result?: Result) => void) => void) =>
      new Promise<Result>((resolve, reject) =>
        run((error, result) => (error ? reject(error) : resolve(result as Result))),
      );
    const sent = Buffer.alloc(3_000_001, 'file');
    await call((done) => sftp.mkdir('d', done));
    await call((done) => sftp.writeFile('d/a', sent, done));
    await call((done) => sftp.chmod('d/a', 0o600, done));
    const { size, mode } = await call<ssh2.Stats>((done) => sftp.stat('d/a', done));
    assert.deepEqual([size, mode & 0o777], [sent.length, 0o600]);
    assert.equal(sha256(await call<Buffer>((done) => sftp.readFile('d/a', done))), sha256(sent));
    await call((done) => sftp.rename('d/a', 'd/b', done));
    const listed = await call<ssh2.FileEntryWithStats[]>((done) => sftp.readdir('d', done));
    assert.deepEqual(
      listed.map(({ filename }) => filename),
      ['b'],
    );
    assert.equal(await call<string>((done) => sftp.realpath('.', done)), '/home/ec2-user');
    await assert.rejects(
      call((done) => sftp.rmdir('d', done)),
      /not-empty/,
    );
    await assert.rejects(
      call((done) => sftp.readFile('nope', done)),
      /No such file/,
    );
    assert.equal((await exec(client, 'wc -c d/b')).stdout.toString(), '3000001\n');
  });
});

suite('who may log in', () => {
  test('only admitted keys, under names that the machine has', async (t) => {
    const lab = await testLab(t);
    const key = testKey();
    const tries = (userName: string) => awsSshSocket(lab, WEB).then((sock) => logIn(sock, { userName, key }));
    const refused = { level: 'client-authentication' };
    await assert.rejects(tries('ec2-user'), refused);
    lab.sshKeys.add(`aws/${WEB}`, 'ec2-user', key.publicKey);
    lab.sshKeys.add(`aws/${WEB}`, 'nobody', key.publicKey);
    (await tries('ec2-user')).end();
    await assert.rejects(tries('nobody'), refused);
    await assert.rejects(tries('root'), refused);
    assert.equal(lab.sshKeys.add(`aws/${WEB}`, 'ec2-user', 'ssh-ed25519 AAAA'), false);
  });

  test('the host key stays while the lab runs, and is another one when it is replaced or wrong', async (t) => {
    const { lab, key } = await open(t);
    const seen: string[] = [];
    const look = async () => {
      const onHostKey = (blob: Buffer) => void seen.push(blob.toString('base64'));
      (await logIn(await awsSshSocket(lab, WEB), { userName: 'ec2-user', key, onHostKey })).end();
    };
    await look();
    await look();
    lab.sshFaults.set({ machines: { 'web-1': { wrongHostKey: true } } });
    await look();
    lab.sshFaults.set({});
    lab.sshd.replaceHostKey(`aws/${WEB}`);
    await look();
    assert.equal(seen[0], seen[1]);
    assert.equal(new Set(seen).size, 3);
  });
});

suite('forwarding', () => {
  test('out of a machine, as its security groups say, and through another one', async (t) => {
    const { lab, key, client } = await open(t, {}, BASTION);
    assert.match(await get(client, 'wiki.internal'), /You reached the practice machine wiki.internal/);
    assert.match(await get(client, '10.20.30.11'), /inner-1/);
    await assert.rejects(forwardOut(client, 'localhost', 81), { reason: 2 });
    await assert.rejects(forwardOut(client, 'nobody.internal', 80), { reason: 2 });

    lab.sshKeys.add(`aws/${INNER}`, 'deploy', key.publicKey);
    const hop = await logIn(await forwardOut(client, '10.20.30.11', 22), { userName: 'deploy', key });
    assert.equal((await exec(hop, 'hostname')).stdout.toString(), 'inner-1\n');
    assert.match(await get(hop, 'vault.internal'), /vault.internal/);
    hop.end();
  });

  test('in Google Cloud, too', async (t) => {
    const lab = await testLab(t);
    const key = testKey();
    for (const id of [BASTION_G, INNER_G]) lab.sshKeys.add(`gcp/${id}`, 'alice', key.publicKey);
    const client = await logIn(await gcpSshSocket(lab, BASTION_G), { userName: 'alice', key });
    assert.match(await get(client, 'wiki.practice.internal'), /wiki/);
    const hop = await logIn(await forwardOut(client, 'inner-g.asia-northeast1-c.c.acme-practice.internal', 22), {
      userName: 'alice',
      key,
    });
    assert.match(await get(hop, 'vault.practice.internal'), /vault/);
    assert.equal((await lab.gcp.network.fromMachine(BASTION_G, 'vault.practice.internal', 80)).kind, 'silent');
    assert.equal((await lab.gcp.network.fromMachine('4100000000000000001', '10.41.0.11', 22)).kind, 'silent');
    client.end();
  });

  test('half closed, each direction by itself', async (t) => {
    const { client } = await open(t);
    const stream = await forwardOut(client, 'localhost', 7);
    const sent = Buffer.alloc(5_000_000, 'echo');
    stream.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(sha256(Buffer.concat(chunks)), sha256(sent));
  });

  test('into a machine: its port leads to the client, is taken once, and goes with the connection', async (t) => {
    const { lab, key, client } = await open(t);
    const bind = (port: number, of = client) =>
      new Promise<number>((resolve, reject) =>
        of.forwardIn('127.0.0.1', port, (error, chosen) => (error ? reject(error) : resolve(chosen || port))),
      );
    client.on('tcp connection', (_details, accept) => {
      accept().end('from the laptop');
    });
    assert.equal(await bind(8080), 8080);
    await assert.rejects(bind(8080));
    await assert.rejects(bind(80));
    assert.ok((await bind(0)) >= 40_000);

    const onNode = () => lab.network.resolve({ targetId: WEB, host: 'localhost', port: 8080 });
    const found = await onNode();
    assert.ok(found.kind === 'address');
    const socket = connect(found.port, found.host);
    assert.equal(String((await once(socket, 'data'))[0]), 'from the laptop');
    socket.destroy();

    client.end();
    await once(client, 'close');
    const other = await logIn(await awsSshSocket(lab, WEB), { userName: 'ec2-user', key });
    while ((await onNode()).kind !== 'refused') await exec(other, 'true');
    assert.equal(await bind(8080, other), 8080);
    other.end();
  });

  test('prohibited', async (t) => {
    const { client } = await open(t, { sshFaults: { localForwarding: false, remoteForwarding: false } });
    await assert.rejects(forwardOut(client, 'localhost', 80), { reason: 1 });
    await assert.rejects(
      new Promise((resolve, reject) => client.forwardIn('127.0.0.1', 8080, (e) => (e ? reject(e) : resolve(0)))),
    );
  });
});

suite('an sshd that misbehaves', () => {
  const tryIt = async (lab: Lab, key: TestKey) =>
    await logIn(await awsSshSocket(lab, WEB), { userName: 'ec2-user', key });

  test('absent, refusing, closing in the key exchange', async (t) => {
    const { lab, key } = await open(t);
    lab.sshFaults.set({ machines: { [WEB]: { answer: 'absent' } } });
    await assert.rejects(tryIt(lab, key), /port 22 is refused/);
    lab.sshFaults.set({ answer: 'refuse' });
    await assert.rejects(tryIt(lab, key));
    lab.sshFaults.set({ answer: 'close-in-key-exchange' });
    const socket = await awsSshSocket(lab, WEB);
    assert.match(String((await once(socket, 'data'))[0]), /^SSH-2\.0-/);
    socket.write('SSH-2.0-test\r\n');
    socket.write(Buffer.alloc(16));
    await new Promise((resolve) => socket.once('end', resolve).once('error', resolve));
    socket.destroy();
    await assert.rejects(tryIt(lab, key));
    assert.throws(() => lab.sshFaults.set({ answer: 'sometimes' } as never));
    lab.sshFaults.set({});
    (await tryIt(lab, key)).end();
  });

  test('slow, and one that ends a connection', async (t) => {
    const { lab, key } = await open(t);
    lab.sshFaults.set({ delayMs: 5, loginDelayMs: 5, endAfterMs: 20 });
    const client = await tryIt(lab, key);
    await once(client, 'close');
  });
});
