import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

suite('a catalogue from the start', () => {
  test('init writes a file that is valid, by which a database opens; a second time it adds nothing', async (t) => {
    const { run, start } = await cliLab(t);
    const cwd = await temporaryDirectory(t);
    const file = join(cwd, 'cloudtun.yaml');
    const shown = await run(['init', '--dry-run'], { cwd });
    assert.equal(shown.code, 0, shown.stderr);
    assert.equal(existsSync(file), false);
    const alone = await run(['init'], { cwd });
    assert.equal(alone.code, 2, 'nobody can be asked');
    assert.equal(existsSync(file), false);

    const written = await run(['init', '--yes', '--json'], { cwd });
    assert.equal(written.code, 0, written.stderr);
    const { targets } = JSON.parse(written.stdout) as { targets: { name: string; entry: Record<string, unknown> }[] };
    assert.equal(new Set(targets.map(({ name }) => name)).size, targets.length, 'every name once');
    const text = await readFile(file, 'utf8');
    assert.equal(text.trim(), shown.stdout.trim());
    assert.match(text, /^# yaml-language-server: \$schema=cloudtun\.schema\.json\n/);
    assert.equal(JSON.parse(await readFile(join(cwd, 'cloudtun.schema.json'), 'utf8')).title, 'cloudtun.yaml');
    const valid = await run(['config', 'validate'], { cwd });
    assert.equal(valid.code, 0, valid.stdout + valid.stderr);

    const database = targets.find(({ entry }) => entry.rds === 'prod');
    assert.ok(database, text);
    const tunnel = start(['rds', database.name, '--port', 'auto'], { cwd });
    await tunnel.saw(/^ready /m);
    tunnel.process.kill('SIGINT');
    await tunnel.ended;

    await writeFile(file, `${text}# mine\n`);
    const again = await run(['init', '--yes'], { cwd });
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /nothing was found that the catalogue lacks/);
    assert.equal(await readFile(file, 'utf8'), `${text}# mine\n`);
  });

  test('init adds what is missing to a file and keeps its comments and names', async (t) => {
    const { run } = await cliLab(t);
    const cwd = await temporaryDirectory(t);
    const file = join(cwd, 'cloudtun.yaml');
    const mine = '# ours\nversion: 1\ntargets:\n  orders: { rds: prod } # the shop\n';
    await writeFile(file, mine);
    const written = await run(['init', '--yes'], { cwd });
    assert.equal(written.code, 0, written.stderr);
    const text = await readFile(file, 'utf8');
    assert.ok(text.startsWith(mine.trimEnd()), text);
    assert.doesNotMatch(text.slice(mine.length), /rds: prod[ ,}]/);
    const valid = await run(['config', 'validate'], { cwd });
    assert.equal(valid.code, 0, valid.stdout + valid.stderr);
  });

  test('config import shows what it would write, and what it left out', async (t) => {
    const { run } = await cliLab(t);
    const cwd = await temporaryDirectory(t);
    const ssh = join(cwd, 'ssh_config');
    await writeFile(
      ssh,
      `Host web
  HostName i-0a1b2c3d4e5f60003
  User app
  ProxyCommand aws ssm start-session --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p
Host plain
  HostName 192.0.2.1
Host -x
  HostName i-0a1b2c3d4e5f60003
  ProxyCommand aws ssm start-session --target %h --document-name AWS-StartSSHSession
`,
    );
    const { code, stdout, stderr } = await run(['config', 'import', ssh, '--dry-run'], { cwd });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ {2}web: \{ aws: \{ instance: i-0a1b2c3d4e5f60003 \}/m);
    assert.match(stderr, /left out: plain /);
    assert.match(stderr, /left out: -x /);
    await writeFile(join(cwd, 'imported.yaml'), stdout);
    const valid = await run(['config', 'validate', 'imported.yaml'], { cwd });
    assert.equal(valid.code, 0, valid.stdout + valid.stderr);
  });
});
