/** Checkpoints that a key of KMS signs: whoever has the machine cannot sign an edited journal. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ownKey, publicText } from '../../../src/audit/journal-key.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';

const WEB = 'i-0a1b2c3d4e5f60003';

function catalogue({ home }: CliLab, key = 'alias/cloudtun-audit'): void {
  const text = `version: 1\naudit: { key: { kms: { key: ${key} } } }\ntargets: { web: { aws: { instance: ${WEB} }, hostPort: 80 } }\n`;
  writeFileSync(join(home, 'cloudtun.yaml'), text);
}

const tunnel = (cli: CliLab) => cli.run(['forward', 'web', ':80', '--ttl', '200ms']);

suite('a journal signed by KMS', () => {
  test('two calls for a command; verify asks KMS for the key, and finds an edit that a key of the machine signed', async (t) => {
    const cli = await cliLab(t);
    catalogue(cli);
    const run = await tunnel(cli);
    assert.equal(run.code, 0, run.stderr);
    assert.doesNotMatch(run.stderr, /not signed/);
    assert.deepEqual([cli.calls('kms:GetPublicKey'), cli.calls('kms:Sign')], [1, 1]);
    assert.equal(existsSync(join(cli.home, '.local/state/cloudtun/audit.key')), false, 'no key lies on the machine');
    const proved = await cli.run(['audit', 'verify', '--strict']);
    assert.equal(proved.code, 0, proved.stdout);
    assert.match(proved.stdout, /key [0-9a-f]{16}.*as the key service of the cloud has it/);
    // The profile of the command is the one that KMS is asked with, where the catalogue names none.
    const named = ['forward', 'web', ':80', '--ttl', '200ms', '--profile', 'bob'];
    const other = await cli.run(named, { env: { AWS_PROFILE: 'nobody' } });
    assert.deepEqual([other.code, /not signed/.test(other.stderr)], [0, false], other.stderr);
    assert.equal((await cli.run(['audit', 'verify', '--strict'])).code, 0);
    // Somebody replaces the journal by one of their own, with a key of their own beside it.
    rmSync(cli.journalPath, { recursive: true });
    writeFileSync(
      join(cli.home, 'cloudtun.yaml'),
      readFileSync(join(cli.home, 'cloudtun.yaml'), 'utf8').replace(/^audit.*$/m, ''),
    );
    assert.equal((await tunnel(cli)).code, 0);
    catalogue(cli);
    const forged = await cli.run(['audit', 'verify']);
    assert.equal(forged.code, 1);
    assert.match(forged.stdout, /FAIL checkpoints\.jsonl:1: /);
    // And KMS does not go on where another key began.
    const after = await tunnel(cli);
    assert.match(after.stderr, /not signed.*was signed with another key until now/);
  });

  test('a key that may not be used, is not there, encrypts: the tunnel works, and one warning says so', async (t) => {
    const cli = await cliLab(t);
    catalogue(cli);
    cli.lab.apiFaults.set([{ action: 'kms:Sign', kind: 'deny' }]);
    const denied = await tunnel(cli);
    assert.equal(denied.code, 0);
    assert.match(denied.stderr, /the journal is written, but not signed.*sign with the KMS key alias\/cloudtun-audit/);
    assert.equal(readdirSync(cli.journalPath).includes('checkpoints.jsonl'), false);
    cli.lab.apiFaults.set([]);
    // What nobody could sign then is signed now.
    assert.equal((await tunnel(cli)).code, 0);
    assert.equal((await cli.run(['audit', 'verify', '--strict'])).code, 0);
    catalogue(cli, 'alias/none');
    assert.match((await tunnel(cli)).stderr, /not signed.*there is no KMS key alias\/none in /);
    const gone = await cli.run(['audit', 'verify']);
    assert.equal(gone.code, 5, gone.stderr);
    assert.match(gone.stderr, /there is no KMS key alias\/none.*--key-spec ECC_NIST_P256/s);
    catalogue(cli, 'alias/ssm-sessions');
    assert.match((await tunnel(cli)).stderr, /not signed.*is one that encrypts/);
    // Without a way to the cloud, the key in the directory can be named.
    const named = await cli.run(['audit', 'verify', '--key', join(cli.journalPath, 'audit.pub')]);
    assert.equal(named.code, 0, named.stdout);
    const other = join(cli.home, 'other.pub');
    writeFileSync(other, publicText(ownKey(systemWorld({ env: { HOME: cli.home } })).publicKey));
    assert.equal((await cli.run(['audit', 'verify', '--key', other])).code, 1);
  });
});
