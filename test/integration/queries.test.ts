import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { suite, test } from 'node:test';
import { cliLab } from '../support/cli-lab.ts';

suite('targets', () => {
  test('says what can be reached, and why not where not', async (t) => {
    const { run } = await cliLab(t);
    const { code, stdout, stderr } = await run(['targets', '--cloud', 'aws']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^NAME +ID +KIND +REACHABLE +REMARK$/m);
    assert.match(stdout, /^bastion-a +i-\w+ +machine +yes +agent 3\.\d/m);
    assert.match(stdout, /^offline-1 +i-\w+ +machine +no +agent offline since /m);
    assert.match(stdout, /^prod +- +MySQL 8\.0 +yes +via bastion-a$/m);
    assert.match(stdout, /^legacy +- +MySQL 8\.0 +no +no bastion in vpc-/m);
  });

  test('of every cloud that is set up, with the cloud beside each', async (t) => {
    const { run } = await cliLab(t);
    const { code, stdout, stderr } = await run(['targets', 'web']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^NAME +ID +CLOUD +KIND +REACHABLE +REMARK$/m);
    assert.match(stdout, /^web-1 +i-\w+ +aws +machine +yes +agent 3\.\d/m);
    assert.match(stdout, /^web-1 +acme-practice\/asia-northeast1-a\/web-1 +gcp +machine +yes +\w/m);
    const { targets, clouds, region, project } = JSON.parse((await run(['targets', 'web', '--json'])).stdout);
    assert.deepEqual(
      targets.map(({ provider }: { provider: string }) => provider),
      ['aws', 'gcp'],
    );
    assert.deepEqual(
      clouds.map(({ provider, error }: { provider: string; error?: object }) => [provider, error]),
      [
        ['aws', undefined],
        ['gcp', undefined],
      ],
    );
    assert.deepEqual([region, project], ['ap-northeast-1', 'acme-practice']);
  });

  test('a cloud that fails is a note and does not hide the other; when none is left, it is the error', async (t) => {
    const { lab, run } = await cliLab(t);
    const env = { GOOGLE_APPLICATION_CREDENTIALS: lab.gcp.profiles.expired! };
    const { code, stdout, stderr } = await run(['targets', 'prod'], { env });
    assert.equal(code, 0);
    assert.match(stdout, /^prod +- +MySQL 8\.0 +yes/m);
    assert.match(stderr, /^gcp is missing here: .*\(CT_CREDENTIALS_EXPIRED\)\n {2}\S/);
    const { targets, clouds } = JSON.parse((await run(['targets', 'prod', '--json'], { env })).stdout);
    assert.deepEqual([targets.length, clouds[1].error.code], [3, 'CT_CREDENTIALS_EXPIRED']);
    const alone = await run(['targets', '--cloud', 'gcp'], { env });
    assert.deepEqual([alone.code, alone.stdout], [3, '']);
    assert.match(alone.stderr, /^error CT_CREDENTIALS_EXPIRED: /);
    const nobody = { ...env, AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' };
    const none = await run(['targets'], { env: nobody });
    assert.deepEqual([none.code, none.stdout], [3, '']);
    assert.match(none.stderr, /^error CT_CREDENTIALS_INVALID: .*\n[\s\S]*gcp +.*\(CT_CREDENTIALS_EXPIRED\)$/m);
  });

  test('by kind and text, as JSON', async (t) => {
    const { run } = await cliLab(t);
    const { code, stdout } = await run(['targets', 'prod', '--kind', 'database', '--json']);
    assert.equal(code, 0);
    const { region, targets, catalogue } = JSON.parse(stdout);
    assert.deepEqual([region, catalogue], ['ap-northeast-1', []]);
    assert.deepEqual(
      targets.map(({ id, reachable }: { id: string; reachable: boolean }) => [id, reachable]),
      [
        ['prod', true],
        ['prod-proxy', true],
        ['prod-replica', true],
      ],
    );
  });

  test('output that cannot be written is an error, not a defect', async (t) => {
    const { start } = await cliLab(t);
    const run = start(['targets'], { stdout: openSync('/dev/full', 'w') });
    const { code, stderr } = await run.ended;
    assert.deepEqual([code, stderr], [7, 'error CT_OUTPUT: the output cannot be written (ENOSPC)\n']);
  });
});

suite('login', () => {
  test('shows where to sign in, and what came of it', async (t) => {
    const { lab, run } = await cliLab(t);
    lab.desk.mode = 'approve';
    const signedIn = await run(['login', '--profile', 'sso']);
    assert.equal(signedIn.code, 0);
    assert.match(signedIn.stderr, /^open http:\S+\/device\?user_code=\S+\n {2}and check that it shows \w{4}-\w{4} /);
    assert.match(signedIn.stdout, /^signed in until \S+, cached in \S+\/\.aws\/sso\/cache\/\w+\.json\n$/);
    const used = await run(['targets', 'prod', '--profile', 'sso']);
    assert.equal(used.code, 0);
    assert.match(used.stdout, /^prod /m);
  });

  test('a refusal ends with 3', async (t) => {
    const { lab, run } = await cliLab(t);
    lab.desk.mode = 'deny';
    const { code, stdout, stderr } = await run(['login', '--profile', 'sso']);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(
      stderr,
      /error CT_LOGIN_FAILED: the sign-in was refused\n {2}start again: cloudtun login --profile sso\n$/,
    );
  });
});
