/** `team check --live` on the lab with the enforcement on: what people have beside the catalogue, and what the cloud does now. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import type { TeamCheckJson } from '../../../src/cli/present/team-check-report.ts';
import { clientOptions } from '../../support/aws-lab.ts';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';

const CATALOGUE = `version: 1
targets:
  bastion: { aws: { instance: "tag:role=bastion", region: ap-northeast-1 } }
  prod: { rds: prod, via: bastion, user: app_reader, iamAuth: true }
teams:
  readers: { aws: { user: alice }, members: [alice@example.com], may: { connect: [prod] }, until: 2099-12-31 }
`;

async function enforcing(
  t: Parameters<typeof cliLab>[0],
): Promise<CliLab & { codes(...words: readonly string[]): Promise<readonly string[]> }> {
  const lab = await cliLab(t);
  lab.lab.iam.set({ enforce: true });
  await writeFile(join(lab.home, 'cloudtun.yaml'), CATALOGUE);
  const codes = async (...words: readonly string[]) => {
    const { stdout, stderr } = await lab.run(['team', 'check', '--live', '--json', ...words]);
    assert.equal(stderr, '');
    return (JSON.parse(stdout) as TeamCheckJson).findings.map(({ level, code }) => `${level} ${code}`);
  };
  return { ...lab, codes };
}

suite('team check --live', () => {
  test('what is not applied is a finding, until it is', async (t) => {
    const { run, codes } = await enforcing(t);
    assert.deepEqual(await codes('alice', 'prod', '--profile', 'admin'), [
      'finding cloud-differs',
      'remark self-service-tag',
    ]);
    const applied = await run(['team', 'apply', '--yes', '--profile', 'admin']);
    assert.equal(applied.code, 0, applied.stderr);
    const after = await run(['team', 'check', 'alice', 'prod', '--live', '--profile', 'admin']);
    assert.equal(after.code, 0, after.stdout);
    assert.match(after.stdout, /in AWS 111122223333 ap-northeast-1\n/);
  });

  test('another policy that widens it is named', async (t) => {
    const { lab, run } = await enforcing(t);
    assert.equal((await run(['team', 'apply', '--yes', '--profile', 'admin'])).code, 0);
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Sid: 'Everything', Effect: 'Allow', Action: ['ssm:StartSession', 'rds-db:connect'], Resource: '*' },
      ],
    });
    await new IAMClient(clientOptions(lab, 'admin')).send(
      new PutUserPolicyCommand({ UserName: 'alice', PolicyName: 'left-over', PolicyDocument }),
    );
    const { code, stdout } = await run(['team', 'check', '--live', '--profile', 'admin']);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^finding {2}alice@example\.com can use its documents on another machine than .*left-over, statement Everything; cloudtun-readers, /m,
    );
    assert.match(
      stdout,
      /^finding {2}alice@example\.com can log in to prod as another user, .*left-over, statement Everything$/m,
    );
    // What the draft denies by name stays denied; a start without a document names nothing that could be.
    assert.match(stdout, /^finding {2}alice@example\.com can open a shell, without naming a document, /m);
    assert.doesNotMatch(stdout, /open a shell on|send a command/);
    const offline = await run(['team', 'check']);
    assert.equal(offline.code, 0, offline.stdout);
  });

  test('without the rights to ask, the rest goes on and says so', async (t) => {
    const { codes } = await enforcing(t);
    const found = await codes('--profile', 'mallory');
    assert.ok(found.includes('warning unasked'), found.join());
    assert.ok(!found.some((code) => code.startsWith('finding')), found.join());
  });

  test('a target that is gone is a finding', async (t) => {
    const { home, codes } = await enforcing(t);
    await writeFile(join(home, 'cloudtun.yaml'), CATALOGUE.replace('rds: prod', 'rds: gone'));
    assert.ok((await codes('--profile', 'admin')).includes('finding target-missing'));
  });
});
