import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { onTerminal, unlessTerminal } from '../../support/on-terminal.ts';
import { opensshLab, opensshUser, unlessOpenssh } from '../../support/openssh-sshd.ts';
import { until } from '../../support/until.ts';

const CLOUDS = [
  { target: 'aws:i-0a1b2c3d4e5f60003', by: 'Session Manager' },
  { target: 'gcp:web-1', by: 'Identity-Aware Proxy' },
] as const;
const GCP = 'gcp:web-1';
const BYTES = 20_000_000;
/** Long enough to be met in the middle. */
const LONG = 60_000_000;

async function setUp(t: Parameters<typeof opensshLab>[0], byteCount: number) {
  const cli = await cliLab(t, { faults: { pacing: false } });
  const sshd = opensshLab(t, cli.lab);
  const far = join(cli.home, 'far');
  mkdirSync(far);
  const bytes = randomBytes(byteCount);
  writeFileSync(join(cli.home, 'here.bin'), bytes);
  const cp = (...words: string[]) => ['cp', '-l', opensshUser, ...words];
  return { cli, sshd, far, bytes, cp };
}

const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

suite('cloudtun cp, with the OpenSSH server', { skip: unlessOpenssh() }, () => {
  for (const { target, by } of CLOUDS) {
    test(`20 MB there and back through ${by}, compared, a line for each file`, async (t) => {
      const { cli, far, bytes, cp } = await setUp(t, BYTES);
      const up = await cli.run(cp('--checksum', 'here.bin', `${target}:${far}/`));
      assert.equal(up.code, 0, up.stderr);
      assert.match(up.stderr, /^here\.bin -> \S+\/far\/here\.bin {2}20\.0 MB in .*\/s, SHA-256 is right$/m);
      assert.equal(up.stdout, '');
      const down = await cli.run(cp('-q', '--json', `${target}:${far}/here.bin`, 'back.bin'));
      assert.deepEqual([down.code, down.stderr], [0, '']);
      const [file, closed, ...rest] = down.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.deepEqual([file.event, file.outcome, file.bytes, file.movedBytes], ['file', 'copied', BYTES, BYTES]);
      assert.deepEqual(closed.files, { copied: 1, there: 0, failed: 0 });
      assert.deepEqual([closed.bytesDown, closed.bytesUp, rest.length], [BYTES, 0, 0]);
      assert.ok(readFileSync(join(cli.home, 'back.bin')).equals(bytes));
      assert.deepEqual(readdirSync(far), ['here.bin']);
      assert.deepEqual(cli.openSessions(), []);
    });
  }

  for (const direction of ['up', 'down'] as const) {
    test(`cut in the middle, ${direction}: no half file, and --resume goes on with what is there`, async (t) => {
      const { cli, sshd, far, bytes, cp } = await setUp(t, LONG);
      const away = join(far, 'there.bin');
      if (direction === 'down') writeFileSync(away, bytes);
      const sides = direction === 'up' ? ['here.bin', `${GCP}:${away}`] : [`${GCP}:${away}`, 'back.bin'];
      const place = direction === 'up' ? away : join(cli.home, 'back.bin');
      const part =
        direction === 'up' ? join(far, '.there.bin.cloudtun-part') : join(cli.home, '.back.bin.cloudtun-part');
      const first = cli.start(cp(...sides));
      await until(() => sizeOf(part) > 5_000_000);
      (await sshd.of('web-1')).cut();
      const cut = await first.ended;
      assert.equal(cut.code, 9, cut.stderr);
      assert.match(cut.stderr, /^error CT_TUNNEL_LOST: /m);
      assert.match(cut.stderr, /^ {2}stopped at +[\d.]+ MB of 60\.0 MB of /m);
      const [, command = ''] = /go on where it stopped: cloudtun (cp --resume .*)$/m.exec(cut.stderr) ?? [];
      assert.equal(existsSync(place), false);
      const left = sizeOf(part);
      assert.ok(left > 0 && left < LONG, `${left}`);

      const second = await cli.run([...command.split(' '), '--json']);
      assert.equal(second.code, 0, second.stdout);
      const { movedBytes, remarks } = JSON.parse(second.stdout.split('\n')[0]!);
      assert.deepEqual([movedBytes, remarks], [LONG - left, []]);
      assert.ok(readFileSync(place).equals(bytes));
      assert.equal(existsSync(part), false);
      const third = await cli.run([...command.split(' '), '--json']);
      assert.equal(JSON.parse(third.stdout.split('\n')[0]!).outcome, 'there');
    });
  }

  test('Ctrl-C says how to go on; the bar stands on a terminal only', { skip: unlessTerminal() }, async (t) => {
    const { cli, far } = await setUp(t, LONG);
    const session = onTerminal(t, cli, `cp -l ${opensshUser} here.bin ${GCP}:${far}/`);
    await session.saw(/here\.bin {2}\[#+-+\] +\d+% {2}[\d.]+ MB of 60\.0 MB/);
    session.signal('SIGINT');
    const { code } = await session.ended();
    assert.equal(code, 130);
    assert.match(session.text(), /stopped at [\d.]+ MB of 60\.0 MB of here\.bin/);
    assert.match(session.text(), /go on with: cloudtun cp --resume /);
    assert.deepEqual(readdirSync(far), ['.here.bin.cloudtun-part']);
    assert.deepEqual(cli.openSessions(), []);
  });

  test('what cannot be meant is refused before anything is opened', async (t) => {
    const { cli, cp } = await setUp(t, 1);
    for (const words of [['here.bin'], ['here.bin', 'there.bin'], [`${GCP}:a`, `${GCP}:b`], ['here.bin', GCP]]) {
      const run = await cli.run(cp(...words));
      assert.deepEqual([run.code, /^error CT_USAGE: /.test(run.stderr)], [2, true], run.stderr);
    }
    const explained = await cli.run(cp('--explain', 'here.bin', `${GCP}:x`));
    assert.equal(explained.code, 0);
    assert.deepEqual(cli.lab.gcp.relay.sessions(), []);
    const folder = await cli.run(cp('-q', '.', `${GCP}:/tmp`));
    assert.deepEqual(
      [folder.code, folder.stderr.split('\n')[0]],
      [1, 'error CT_FILE_KIND: . cannot be copied: it is a folder'],
    );
  });
});
