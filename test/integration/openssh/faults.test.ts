import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { systemClock } from '../../../src/runtime/clock.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { opensshLab, opensshUser, startOpenssh, unlessOpenssh } from '../../support/openssh-sshd.ts';

const AWS_WEB = 'i-0a1b2c3d4e5f60003';
const TARGET = `aws:${AWS_WEB}`;
const RUN = ['ssh', '-q', '-l', opensshUser, TARGET, 'echo in'];

/** Puts a server of the test's own in front of the sshd: it decides about each connection, given how to go on to the sshd. */
async function between(
  t: { after(call: () => Promise<void>): void },
  { lab }: CliLab,
  decide: (client: Socket, goOn: () => Socket) => void,
): Promise<void> {
  const machineId = `aws/${AWS_WEB}`;
  const { privateKey } = lab.sshd.hostKey(machineId);
  const admits = (_user: string, blob: Buffer) => lab.sshKeys.has(machineId, opensshUser, blob);
  const sshd = await startOpenssh(t, { hostKey: privateKey, admits });
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client.on('error', () => {}));
    decide(client, () => {
      const far = connect(sshd.port, sshd.host).on('error', () => {});
      sockets.add(far);
      client.pipe(far).pipe(client);
      client.on('close', () => far.destroy());
      return far;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  lab.network.attach(AWS_WEB, 22, { host: '127.0.0.1', port: (server.address() as AddressInfo).port });
}

suite('faults of an OpenSSH server', { skip: unlessOpenssh() }, () => {
  test('a host key that was another one, or is none of the published ones, stops the login with both fingerprints', async (t) => {
    const cli = await cliLab(t);
    opensshLab(t, cli.lab);
    assert.equal((await cli.run(RUN)).code, 0);
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    writeFileSync(join(cli.home, '.local/state/cloudtun/known_hosts'), `aws:${AWS_WEB} ssh-ed25519 ${other}\n`);
    const known = await cli.run(RUN);
    const toBastion = ['ssh', '-q', '-l', opensshUser, 'gcp:bastion-g', 'true'];
    assert.equal((await cli.run(toBastion)).code, 0);
    const bastion = cli.lab.gcp.inventory.instances.find(({ name }) => name === 'bastion-g');
    // The cloud publishes another one from now on; the sshd shows what it has.
    cli.lab.sshd.replaceHostKey(`gcp/${bastion?.id}`);
    const published = await cli.run(toBastion);
    for (const { code, stderr, stdout } of [known, published]) {
      assert.deepEqual([code, stdout], [8, '']);
      assert.match(stderr, /CT_HOST_KEY_CHANGED/);
      assert.equal(new Set(stderr.match(/SHA256:\S+/g)).size, 2, stderr);
    }
    assert.deepEqual(cli.openSessions(), []);
  });

  test('nobody listens any more; too many are waiting to log in (MaxStartups)', async (t) => {
    const cli = await cliLab(t);
    const sshd = opensshLab(t, cli.lab, { config: { MaxStartups: '1:100:1' } });
    assert.equal((await cli.run(RUN)).code, 0);
    const { port, host, stop } = await sshd.of('web-1');
    const waiting = connect(port, host);
    t.after(async () => void waiting.destroy());
    await once(waiting, 'data');
    const full = await cli.run(RUN);
    assert.equal(full.code, 8, full.stderr);
    assert.match(full.stderr, /CT_PROTO_SSH: .*\n.*MaxStartups/);
    waiting.destroy();
    await stop();
    const absent = await cli.run(RUN);
    assert.equal(absent.code, 6);
    assert.match(absent.stderr, /CT_REMOTE_REFUSED/);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('a server that says nothing for a second is waited for', async (t) => {
    const cli = await cliLab(t);
    await between(t, cli, (_client, goOn) => setTimeout(goOn, 1_000));
    const run = await cli.run(RUN);
    assert.deepEqual([run.code, run.stdout], [0, 'in\n'], run.stderr);
  });

  test('a server that closes in the key exchange', async (t) => {
    const cli = await cliLab(t);
    await between(t, cli, (client, goOn) => {
      let received = 0;
      goOn();
      client.on('data', ({ length }) => {
        received += length;
        // More than a banner: the key exchange has begun.
        if (received > 255) client.destroy();
      });
    });
    const run = await cli.run(RUN);
    assert.equal(run.code, 8);
    assert.match(run.stderr, /CT_PROTO_SSH: the key exchange with .* failed/);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('a key that expires between push and login', async (t) => {
    let offset = 0;
    const clock = { ...systemClock, wall: () => Date.now() + offset };
    const cli = await cliLab(t, {}, systemWorld({ clock }));
    await between(t, cli, (_client, goOn) => {
      // EC2 Instance Connect keeps a key for a minute.
      offset = 61_000;
      goOn();
    });
    const run = await cli.run(RUN);
    assert.match(run.stderr, /CT_LOGIN_REFUSED: .*\n.*\n.*tried .*EC2 Instance Connect/);
    assert.equal(run.code, 4, run.stderr);
    assert.deepEqual(cli.openSessions(), []);
  });
});
