import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { suite, test } from 'node:test';
import { runCli } from '../support/run-cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const PERMISSIONS = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*'];

suite('demo', () => {
  test('tells the whole story without terminal, account, child process, add-on or worker, and leaves nothing', async (t) => {
    const home = await temporaryDirectory(t);
    const started = performance.now();
    // Settings of the user must not change the story.
    const env = { TMPDIR: home, CLOUDTUN_JOURNAL: '/dev/full', CLOUDTUN_TTL: 'nonsense', AWS_PROFILE: 'nobody' };
    const { code, stdout, stderr } = await runCli(['demo'], { home, env, nodeArguments: PERMISSIONS });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^ready 127\.0\.0\.1:\d+ -> prod \(MySQL 8\.0, aws ap-northeast-1, via bastion-a, expires/m);
    assert.match(stdout, /^id {2}name .*\n48 {2}Ana Kovac +HR +shipped +97\.25$/m);
    assert.match(stdout, /^\d\d:\d\d:\d\d [0-9a-f]{8} open +alice -> prod via /m);
    assert.match(
      stdout,
      /^ready 127\.0\.0\.1:\d+ -> reports \(PostgreSQL 15, gcp acme-practice, via private-sql, expires/m,
    );
    assert.equal(stdout.match(/^48 {2}Ana Kovac +HR +shipped +97\.25$/gm)?.length, 2);
    assert.match(stdout, /^\d\d:\d\d:\d\d [0-9a-f]{8} open +alice -> reports via /m);
    const endings = /^closed after .*, 1 connection, .* down, .* up\nsessions open in the cloud now: 0$/gm;
    assert.equal(stdout.match(endings)?.length, 2);
    assert.deepEqual(
      readdirSync(home).filter((name) => name.startsWith('cloudtun-')),
      [],
    );
    // The story of a minute, also on a machine that does other things.
    assert.ok(performance.now() - started < 60_000);
  });

  test('with --json is one document', async (t) => {
    const { code, stdout } = await runCli(['demo', '--json'], { home: await temporaryDirectory(t) });
    assert.equal(code, 0);
    const story = JSON.parse(stdout);
    assert.deepEqual([story.rows.length, story.connections, story.openSessions], [5, 1, 0]);
    assert.deepEqual([story.google.rows, story.google.connections, story.google.openSessions], [story.rows, 1, 0]);
  });
});
