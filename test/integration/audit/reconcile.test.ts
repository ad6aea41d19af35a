/** The journal of tunnels that the command line opened, held against what the lab's clouds wrote down of them. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SSMClient, StartSessionCommand } from '@aws-sdk/client-ssm';
import { askPostgres } from '../../../src/lab/practice-postgres.ts';
import { PRACTICE_USER } from '../../../src/lab/practice-query.ts';
import { systemWorld, type World } from '../../../src/runtime/world.ts';
import { clientOptions } from '../../support/aws-lab.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';
import { BASTION } from '../../support/pinned-grant.ts';

const MINUTE = 60_000;

/** A world whose wall clock is behind by so much. */
function worldBehind(by: number): World {
  const world = systemWorld();
  const { clock } = world;
  return { ...world, clock: { ...clock, wall: () => clock.wall() - by } };
}

async function openAws({ run }: CliLab): Promise<void> {
  const opened = await run(['rds', 'prod', '--port', 'auto', '--ttl', '200ms']);
  assert.equal(opened.code, 0, opened.stderr);
}

/** A tunnel that two clients used. */
async function openGcp({ start }: CliLab): Promise<void> {
  const run = start(['sql', 'reports', '--port', 'auto']);
  const [, port] = await run.saw(/^ready 127\.0\.0\.1:(\d+)/m);
  for (const _ of ['the stream of the probe', 'one of its own'])
    await askPostgres({ host: '127.0.0.1', port: Number(port) }, PRACTICE_USER, 'SELECT 1');
  run.process.kill('SIGINT');
  await run.ended;
}

interface Told {
  readonly code: number | null;
  readonly kinds: readonly string[];
  readonly source: {
    readonly agreed: number;
    readonly duplicates: number;
    readonly persons: readonly string[];
    readonly tooEarly: readonly object[];
    readonly differences: readonly object[];
    readonly clock: { readonly aheadMs: number; readonly pairs: number } | null;
  };
}

async function reconciled({ run }: CliLab, commandLine: readonly string[]): Promise<Told> {
  const { code, stdout, stderr } = await run(['audit', 'reconcile', ...commandLine, '--json']);
  assert.equal(stderr, '');
  const { sources, agrees } = JSON.parse(stdout);
  assert.equal(agrees, code === 0);
  const [source] = sources;
  return { code, source, kinds: source.differences.map(({ kind }: { kind: string }) => kind) };
}

/** A session that was started by other means, as the same person. */
async function startElsewhere({ lab }: CliLab): Promise<string> {
  const { SessionId } = await new SSMClient(clientOptions(lab, 'alice')).send(
    new StartSessionCommand({ Target: BASTION }),
  );
  return SessionId ?? '';
}

/** A copy of the journal in which everything happened so much earlier. The chain does not hold any more, which is not asked here. */
function earlier({ home, journalPath }: CliLab, by: number): string {
  const copy = join(home, `copy-${by}`);
  cpSync(journalPath, copy, { recursive: true });
  for (const name of readdirSync(copy).filter((each) => /^\d.*\.jsonl$/.test(each))) {
    const text = readFileSync(join(copy, name), 'utf8');
    const moved = text.replaceAll(
      /"time":"([^"]+)"/g,
      (_, time: string) => `"time":"${new Date(Date.parse(time) - by).toISOString()}"`,
    );
    writeFileSync(join(copy, name), moved);
  }
  return copy;
}

/** What the lab's CloudTrail would have put into a bucket, everything so much earlier. */
function trailFile({ lab, home }: CliLab, by: number): string {
  const Records = lab.trail.events.visible(Number.POSITIVE_INFINITY).map(({ event }) => {
    const document = event.document as { readonly eventTime: string };
    return { ...document, eventTime: new Date(Date.parse(document.eventTime) - by).toISOString() };
  });
  const path = join(home, '111122223333_CloudTrail_ap-northeast-1.json.gz');
  writeFileSync(path, gzipSync(JSON.stringify({ Records })));
  return path;
}

suite('audit reconcile --from aws', () => {
  test('sessions of the command line agree with CloudTrail, page by page, some records twice', async (t) => {
    const cli = await cliLab(t, { pageLimit: 2 });
    cli.lab.trail.events.set({ duplicateEvery: 2 });
    for (const _ of [1, 2, 3]) await openAws(cli);
    const { code, kinds, source } = await reconciled(cli, ['--from', 'aws']);
    assert.deepEqual([code, kinds, source.agreed], [0, [], 3]);
    assert.ok(source.duplicates >= 1);
    assert.ok(cli.calls('cloudtrail:LookupEvents') >= 2);
  });

  test('a record that is not there yet is no difference; the line says so', async (t) => {
    const cli = await cliLab(t);
    cli.lab.trail.events.set({ delayMs: 15 * MINUTE });
    await openAws(cli);
    const { code, stdout } = await cli.run(['audit', 'reconcile', '--from', 'aws']);
    assert.equal(code, 0);
    assert.match(stdout, /too early to tell: 1 session of the last 15m/);
  });

  test('a session by another program is told with what it was, and others of other people are left out', async (t) => {
    const cli = await cliLab(t, {}, worldBehind(2 * MINUTE));
    const session = await startElsewhere(cli);
    await new SSMClient(clientOptions(cli.lab, 'bob')).send(new StartSessionCommand({ Target: BASTION }));
    const { code, stdout } = await cli.run(['audit', 'reconcile', '--from', 'aws']);
    assert.equal(code, 1);
    assert.match(stdout, /not in the journal +alice +i-\w+ +alice-/);
    assert.ok(stdout.includes(session));
    assert.match(stdout, /^ {4}SSM-SessionManagerRunShell, from 127\.0\.0\.1, aws-sdk-js/m);
    assert.match(stdout, /-> 1 session by another program than cloudtun/);
    assert.match(stdout, /1 of other people left out/);
    const everybody = await reconciled(cli, ['--from', 'aws', '--everybody']);
    assert.deepEqual(everybody.kinds, ['not-in-journal', 'not-in-journal']);
    const bob = await reconciled(cli, ['--from', 'aws', '--person', 'bob']);
    assert.deepEqual([bob.kinds, bob.source.persons], [['not-in-journal'], ['bob']]);
  });

  test('a line that the cloud knows nothing of, old enough, is told with its file and line', async (t) => {
    const cli = await cliLab(t);
    cli.lab.trail.events.set({ delayMs: 60 * MINUTE });
    await openAws(cli);
    const { code, stdout } = await cli.run(['audit', 'reconcile', earlier(cli, 20 * MINUTE), '--from', 'aws']);
    assert.equal(code, 1);
    assert.match(stdout, /not in the cloud +alice +i-\w+ +alice-\w+\n {4}\d{8}T\S+\.jsonl:\d+, \S+:3306, AWS-/);
    assert.match(stdout, /-> CloudTrail has no session of anybody here/);
  });

  test('a clock that is three minutes wrong is measured, and is a difference', async (t) => {
    const cli = await cliLab(t, {}, worldBehind(3 * MINUTE));
    for (const _ of [1, 2]) await openAws(cli);
    const { code, kinds, source } = await reconciled(cli, ['--from', 'aws']);
    assert.deepEqual([code, kinds, source.agreed], [1, ['clock'], 2]);
    const { aheadMs = 0, pairs } = source.clock ?? {};
    assert.ok(Math.abs(aheadMs - 3 * MINUTE) < 5_000, `${aheadMs}`);
    assert.equal(pairs, 2);
  });

  test('whoever may not look it up is told what is missing, exit code 4', async (t) => {
    const cli = await cliLab(t);
    cli.lab.iam.set({ enforce: true });
    const { code, stderr } = await cli.run(['audit', 'reconcile', '--from', 'aws']);
    assert.equal(code, 4);
    assert.match(stderr, /CT_DENIED: alice may not look up sessions in CloudTrail/);
    assert.match(stderr, /missing +cloudtrail:LookupEvents/);
  });
});

suite('audit reconcile --from FILE', () => {
  test('a file of a trail, without asking any cloud', async (t) => {
    const cli = await cliLab(t);
    await openAws(cli);
    const session = await startElsewhere(cli);
    const journal = earlier(cli, 60 * MINUTE);
    const path = trailFile(cli, 60 * MINUTE);
    const before = cli.calls('cloudtrail:LookupEvents') + cli.calls('sts:GetCallerIdentity');
    const { code, source, kinds } = await reconciled(cli, [journal, '--from', path]);
    assert.deepEqual([code, kinds, source.agreed], [1, ['not-in-journal'], 1]);
    assert.ok(JSON.stringify(source.differences).includes(session));
    assert.equal(cli.calls('cloudtrail:LookupEvents') + cli.calls('sts:GetCallerIdentity'), before);
  });

  test('what is neither a cloud nor a file, and a file of something else', async (t) => {
    const cli = await cliLab(t);
    const said = async (commandLine: readonly string[]) => {
      const { code, stderr } = await cli.run(['audit', 'reconcile', ...commandLine]);
      return `${code} ${stderr}`;
    };
    assert.match(await said(['--from', 'azure']), /^2 .*CT_USAGE: --from \S+azure is neither a cloud nor a file/s);
    assert.match(await said([]), /^2 .*CT_USAGE/s);
    writeFileSync(join(cli.home, 'list.json'), '[1, 2]');
    assert.match(await said(['--from', 'list.json']), /^7 .*CT_STATE: no record of any cloud/s);
    writeFileSync(join(cli.home, 'cut.json'), '{"Records": [');
    assert.match(await said(['--from', 'cut.json']), /^7 .*CT_STATE: \S+cut\.json:1 is no JSON/s);
    const trail = trailFile(cli, 0);
    assert.match(await said(['--from', trail, '--since', 'soon']), /^2 /);
    await startElsewhere(cli);
    assert.match(await said(['--from', trailFile(cli, 0)]), /^2 .*the journal names nobody/s);
  });
});

suite('audit reconcile --from gcp', () => {
  async function tunnels(t: TestContext, world?: World): Promise<CliLab> {
    const cli = await cliLab(t, {}, world);
    await openGcp(cli);
    return cli;
  }

  test('connections to a group and to a machine agree with the Data Access log', async (t) => {
    const cli = await tunnels(t);
    const ran = await cli.run(['forward', 'gcp:bastion-g', '-L', '0:22', '--ttl', '300ms']);
    assert.equal(ran.code, 0, ran.stderr);
    const { code, kinds, source } = await reconciled(cli, ['--from', 'gcp']);
    assert.deepEqual([code, kinds, source.agreed], [0, [], 2]);
    assert.deepEqual(source.persons, ['alice@example.com']);
  });

  test('without Data Access logs each used tunnel is missed, and the reason is said', async (t) => {
    const cli = await tunnels(t);
    cli.lab.gcp.audit.events.set({ delayMs: 60 * MINUTE });
    const fresh = await reconciled(cli, ['--from', 'gcp']);
    assert.deepEqual([fresh.code, fresh.source.tooEarly.length], [0, 1]);
    const { code, stdout } = await cli.run(['audit', 'reconcile', earlier(cli, 10 * MINUTE), '--from', 'gcp']);
    assert.equal(code, 1);
    assert.match(stdout, /not in the cloud +alice@example\.com +10\.40\.32\.5@/);
    assert.match(stdout, /-> the project has no AuthorizeUser entry of anybody: its Data Access log is off unless/);
  });

  test('a connection that the journal lacks', async (t) => {
    const cli = await tunnels(t, worldBehind(2 * MINUTE));
    const { code, kinds } = await reconciled(cli, [join(cli.home, 'nothing'), '--from', 'gcp']);
    assert.equal(code, 1);
    assert.deepEqual([...new Set(kinds)], ['not-in-journal']);
  });

  test('whoever may not read private logs is told so, exit code 4', async (t) => {
    const cli = await cliLab(t);
    cli.lab.gcp.iam.enforce = true;
    const { code, stderr } = await cli.run(['audit', 'reconcile', '--from', 'gcp']);
    assert.equal(code, 4);
    assert.match(stderr, /CT_DENIED: .*may not read the Data Access log/);
    assert.match(stderr, /logging\.privateLogEntries\.list/);
  });
});
