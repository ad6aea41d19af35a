import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type CliLab, cliLab } from '../support/cli-lab.ts';
import { until } from '../support/until.ts';

suite('audit', { timeout: 120_000 }, () => {
  let cli: CliLab;

  const closers: (() => Promise<void>)[] = [];

  after(async () => {
    for (const close of closers.reverse()) await close();
  });

  before(async () => {
    cli = await cliLab({ after: (call) => void closers.push(call) });
    const env = { MYSQL_PWD: 'hunter2' };
    const command = ['exec', 'rds:prod', '--reason', 'INC-7', '--', process.execPath, '-e', '"hunter2"'];
    const done = await cli.run(command, { env });
    assert.equal(done.code, 0, done.stderr);
  });

  test('show: who opened what, when and why; a tunnel is recognized by its second column', async () => {
    const { code, stdout, stderr } = await cli.run(['audit', 'show']);
    assert.deepEqual([code, stderr], [0, '']);
    const [day, ...lines] = stdout.trimEnd().split('\n');
    assert.match(day!, /^-- \d{4}-\d\d-\d\d$/);
    const [opened] = lines;
    assert.match(opened!, /^\d\d:\d\d:\d\d [0-9a-f]{8} open {5}alice -> prod via i-\w+ \(.*:3306, .*\): INC-7$/);
    const tunnel = opened!.slice(9, 17);
    assert.ok(lines.some((line) => line.includes(`${tunnel} end      ended after`)));
    assert.ok(lines.some((line) => /command {2}node with exec$/.test(line)));
    const one = await cli.run(['audit', 'show', '--tunnel', tunnel, '--event', 'end']);
    assert.match(one.stdout, new RegExp(`^-- .*\n.* ${tunnel} end .*\n$`));
    const bobs = await cli.run(['audit', 'show', '--person', 'bob']);
    assert.deepEqual(
      [bobs.stdout, bobs.stderr],
      ['', 'nothing of that kind in the last day; all there is: --since none\n'],
    );
  });

  test('show --json is one document, and says where each line stands; -f goes on until Ctrl-C', async () => {
    const { stdout } = await cli.run(['audit', 'show', '--json', '--event', 'open', '--target', 'prod']);
    const { entries, journal } = JSON.parse(stdout);
    assert.equal(entries.length, 1);
    const [{ file, line, reason, event, seq }] = entries;
    assert.deepEqual([reason, event, seq, line], ['INC-7', 'open', 1, 2]);
    assert.ok(readFileSync(join(journal, file), 'utf8').includes('INC-7'));
    const following = cli.start(['audit', 'show', '-f', '--json', '--event', 'command']);
    await until(() => following.stdout().split('\n').length === 2);
    assert.equal((await cli.run(['exec', 'rds:prod', '--', 'true'])).code, 0);
    await until(() => following.stdout().split('\n').length === 3);
    following.process.kill('SIGINT');
    assert.equal((await following.ended).code, 130);
    const told = following.stdout().trimEnd().split('\n');
    assert.deepEqual(
      told.map((each) => JSON.parse(each).program),
      ['node', 'true'],
    );
  });

  test('no secret, and no argument of a command, is in any file of it', async () => {
    for (const name of readdirSync(cli.journalPath)) {
      assert.doesNotMatch(readFileSync(join(cli.journalPath, name), 'utf8'), /hunter2|PRIVATE/, name);
    }
  });

  test('verify: 0 when it is whole, 1 with file and line when it was edited; a copy by its public key', async () => {
    const whole = await cli.run(['audit', 'verify', '--strict']);
    assert.equal(whole.code, 0, whole.stdout);
    assert.match(
      whole.stdout,
      /^journal .*: \d+ segments, \d+ lines, \d+ signed checkpoints\n {2}key [0-9a-f]{16}, of this machine\n/,
    );
    const [, noted] = /^newest checkpoint (\d+:[0-9a-f]{12}) /m.exec(whole.stdout)!;
    assert.equal((await cli.run(['audit', 'verify', '--expect', noted!])).code, 0);
    const copy = join(cli.home, 'evidence');
    cpSync(cli.journalPath, copy, { recursive: true });
    const key = join(cli.home, 'laptop.pub');
    cpSync(join(copy, 'audit.pub'), key);
    assert.equal((await cli.run(['audit', 'verify', copy, '--key', key, '--strict'])).code, 0);
    const name = readdirSync(copy).find((each) => readFileSync(join(copy, each), 'utf8').includes('INC-7'))!;
    const path = join(copy, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace('INC-7', 'INC-8'));
    const edited = await cli.run(['audit', 'verify', copy, '--key', key]);
    assert.equal(edited.code, 1);
    assert.match(
      edited.stdout,
      new RegExp(`^  FAIL ${name}:2: line 2 was changed, or line 1 with a hash of its own`, 'm'),
    );
    assert.match(edited.stdout, /^1 edit found$/m);
    const json = JSON.parse((await cli.run(['audit', 'verify', copy, '--key', key, '--json'])).stdout);
    assert.deepEqual([json.proved, json.findings[0].kind, json.findings[0].line], [false, 'changed', 2]);
    rmSync(copy, { recursive: true });
  });

  test('export: each format, a line for each event', async () => {
    const jsonl = await cli.run(['audit', 'export', '--event', 'open']);
    assert.equal(JSON.parse(jsonl.stdout.split('\n')[0]!).reason, 'INC-7');
    const csv = await cli.run(['audit', 'export', '--format', 'csv', '--person', 'alice', '--event', 'end']);
    assert.match(csv.stdout, /^time,event,.*\r\n.*,end,.*\r\n/);
    const cef = await cli.run(['audit', 'export', '--format', 'cef', '--since', '1h', '--event', 'open']);
    assert.match(cef.stdout, /^CEF:0\|cloudtun\|/);
    const ocsf = await cli.run(['audit', 'export', '--format', 'ocsf', '--event', 'end']);
    assert.equal(JSON.parse(ocsf.stdout.split('\n')[0]!).class_uid, 4014);
  });

  test('nonsense is told with its code', async () => {
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['audit', 'show', '--since', 'yesterday'], 2, /^error CT_USAGE: --since "yesterday" is not a duration\n/],
      [['audit', 'show', '--since', '2026-13-01'], 2, /^error CT_USAGE: --since "2026-13-01" is no date\n/],
      [['audit', 'verify', '/nonexistent'], 7, /^error CT_STATE: there is no journal at \/nonexistent\n/],
      [['audit', 'verify', '--key', '/nonexistent'], 7, /^error CT_STATE: the key file \/nonexistent does not exist\n/],
      [['audit', 'verify', '--expect', 'x'], 2, /^error CT_USAGE: --expect "x" is no checkpoint\n/],
      [['audit', 'export', '--format', 'xml'], 2, /^error CT_USAGE: /],
    ];
    for (const [words, exitCode, message] of cases) {
      const { code, stderr } = await cli.run(words);
      assert.equal(code, exitCode, stderr);
      assert.match(stderr, message);
    }
  });
});
