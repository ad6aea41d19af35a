import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';
import { journalRecords } from '../support/journal-records.ts';
import { onTerminal, unlessTerminal } from '../support/on-terminal.ts';

const records = (path: string) => journalRecords(path);

function writePolicy(home: string, policy: string, rest = ''): void {
  writeFileSync(join(home, 'cloudtun.yaml'), `version: 1\npolicy: ${policy}\n${rest}`);
}

suite('the policy of the catalogue', () => {
  test('refuses every command that opens something, before a cloud is asked, and the journal has it', async (t) => {
    const { run, home, lab, journalPath } = await cliLab(t);
    writePolicy(home, '{ requireReason: true }');
    const commands = [
      ['rds', 'prod'],
      ['sql', 'reports'],
      ['forward', 'bastion-a', ':7'],
      ['socks', 'bastion-a', '--port', 'auto'],
      ['expose', 'web-1', '--remote', '0', '--local', '3000'],
      ['ssh', 'web-1', 'true'],
      ['cp', 'web-1:a', '.'],
      ['proxy', 'web-1', '22'],
    ];
    for (const command of commands) {
      const { code, stdout, stderr } = await run(command);
      assert.equal(code, 11, command.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /^error CT_POLICY: the policy wants a reason for /m);
      assert.match(stderr, /say why: --reason "INC-1234", or CLOUDTUN_REASON/);
    }
    assert.deepEqual(lab.calls.counts(), {});
    const denials = records(journalPath);
    assert.equal(denials.length, commands.length);
    for (const { event, rule, code } of denials)
      assert.deepEqual([event, rule, code], ['denial', 'requireReason', 'CT_POLICY']);
  });

  test('of journal: warn lets be opened what cannot be recorded, and says so once; otherwise nothing is', async (t) => {
    const { run, home, openSessions } = await cliLab(t);
    const words = ['exec', 'rds:prod', '--', 'true'];
    const options = { env: { CLOUDTUN_JOURNAL: '/dev/full' } };
    assert.equal((await run(words, options)).code, 125);
    writeFileSync(join(home, 'cloudtun.yaml'), 'version: 1\npolicy: { journal: warn }\n');
    const { code, stderr } = await run(words, options);
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/the journal \/dev\/full cannot be written: no space is left/g)?.length, 1, stderr);
    assert.deepEqual(openSessions(), []);
  });

  test('is content with a reason, also from the environment, and the journal keeps it', async (t) => {
    const { run, home, journalPath } = await cliLab(t);
    writePolicy(home, '{ requireReason: true }');
    const { code } = await run(['ssh', 'aws:web-1', 'true'], { env: { CLOUDTUN_REASON: 'INC-7' } });
    assert.equal(code, 0);
    assert.ok(records(journalPath).some(({ event, reason }) => event === 'open' && reason === 'INC-7'));
  });

  test('cannot be weakened by the file of the user', async (t) => {
    const { run, home, lab } = await cliLab(t);
    writePolicy(home, '{ requireReason: [], loopbackOnly: true, maxTtl: 1h }');
    mkdirSync(join(home, '.config/cloudtun'), { recursive: true });
    const user = 'version: 1\npolicy: { loopbackOnly: false, maxTtl: 24h }\ndefaults: { bind: 0.0.0.0 }\n';
    writeFileSync(join(home, '.config/cloudtun/config.yaml'), user);
    const wide = await run(['rds', 'prod', '--port', 'auto']);
    assert.equal(wide.code, 11);
    assert.match(wide.stderr, /allows loopback only, and the local address is 0\.0\.0\.0/);
    const long = await run(['rds', 'prod', '--port', 'auto', '--bind', '127.0.0.1'], { env: { CLOUDTUN_TTL: '2h' } });
    assert.equal(long.code, 11);
    assert.match(long.stderr, /allows 1h at most, and --ttl is 2h[\s\S]*open it for less: --ttl 1h/);
    assert.deepEqual(lab.calls.counts(), {});
  });

  test('loopback only holds for every address that a command takes', async (t) => {
    const { run, home, lab } = await cliLab(t);
    writePolicy(home, '{ loopbackOnly: true }');
    const commands = [
      ['rds', 'prod', '--bind', '*'],
      ['forward', 'bastion-a', '-L', '0.0.0.0:8080:localhost:7'],
      ['socks', 'bastion-a', '--bind', '10.0.0.5'],
      ['expose', 'web-1', '--remote', '8080', '--local', '3000', '--bind-remote', '10.0.1.20'],
      ['ssh', '-N', '-L', '*:8080:localhost:80', 'web-1'],
      ['ssh', '-N', '-D', '0.0.0.0:1080', 'web-1'],
      ['ssh', '-N', '-R', '*:9000:localhost:3000', 'web-1'],
    ];
    for (const command of commands) {
      const { code, stderr } = await run(command);
      assert.equal(code, 11, `${command.join(' ')}\n${stderr}`);
      assert.match(stderr, /the policy allows loopback only/);
    }
    assert.deepEqual(lab.calls.counts(), {});
  });

  test('a person is asked for the reason; who does not say one opens nothing', {
    skip: unlessTerminal(),
  }, async (t) => {
    const cli = await cliLab(t);
    writePolicy(cli.home, '{ requireReason: true }');
    const told = onTerminal(t, cli, 'ssh aws:web-1 true');
    await told.saw(/The policy wants a reason for aws:web-1:/);
    told.type('\r');
    await told.saw(/1 to 256 characters/);
    told.type('INC-9\r');
    assert.equal((await told.ended()).code, 0);
    assert.ok(records(cli.journalPath).some(({ event, reason }) => event === 'open' && reason === 'INC-9'));
    const before = cli.calls('ssm:StartSession');
    const silent = onTerminal(t, cli, 'rds prod');
    await silent.saw(/The policy wants a reason for prod:/);
    silent.type('\u0003');
    assert.equal((await silent.ended()).code, 130);
    const mute = onTerminal(t, cli, 'rds prod --no-input');
    assert.equal((await mute.ended()).code, 11);
    assert.equal(cli.calls('ssm:StartSession'), before);
  });

  test('--explain opens nothing, and says what would be refused', async (t) => {
    const { run, home } = await cliLab(t);
    writePolicy(home, '{ requireReason: true }');
    const { code, stderr } = await run(['rds', 'prod', '--explain']);
    assert.equal(code, 0);
    assert.match(stderr, /^the policy would refuse it: the policy wants a reason for prod$/m);
  });

  test('ends a session that has no limits of its own', async (t) => {
    const { run, home, openSessions } = await cliLab(t);
    writePolicy(home, '{ maxTtl: 3s }');
    // The lab waits for what runs on its machines: no longer than it takes to see the difference.
    const { code, stderr } = await run(['ssh', 'aws:web-1', 'sleep 8']);
    assert.equal(code, 11, stderr);
    assert.match(stderr, /closing in 0\.\ds: the time limit$/m);
    assert.match(stderr, /^error CT_POLICY: the time that the policy allows is over$/m);
    assert.deepEqual(openSessions(), []);
  });
});

suite('--max-bytes', () => {
  test('is told, drains, and ends with an exit code of its own', async (t) => {
    const { start, openSessions, journalPath } = await cliLab(t);
    const run = start(['forward', 'bastion-a', ':7', '--max-bytes', '100kB', '--bind', '127.0.0.1']);
    const [, port] = await run.saw(/^open 127\.0\.0\.1:(\d+) -> bastion-a:7 /m);
    const socket = connect(Number(port), '127.0.0.1');
    // It comes back: both directions count.
    socket.write(Buffer.alloc(45_000));
    let came = 0;
    socket.on('data', (data) => {
      came += data.length;
      if (came === 45_000) socket.write(Buffer.alloc(5_000));
    });
    await run.saw(/closing after \S+ \S+ more: the byte limit$/m);
    await run.saw(/^draining 1 connection/m);
    await once(socket, 'close');
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 11);
    assert.match(stdout, /^closed after .*, byte limit reached$/m);
    assert.match(stderr, /^error CT_MAX_BYTES: 0\.1 MB went through, the most that may$/m);
    assert.deepEqual(openSessions(), []);
    assert.ok(records(journalPath).some(({ event, why }) => event === 'end' && why === 'max-bytes'));
  });

  test('what is no size is refused', async (t) => {
    const { run } = await cliLab(t);
    for (const size of ['500', '-1MB', '0B', 'lots']) {
      const { code, stderr } = await run(['forward', 'bastion-a', ':7', `--max-bytes=${size}`]);
      assert.equal(code, 2, size);
      assert.match(stderr, /--max-bytes ".*" is not a size/);
    }
  });
});
