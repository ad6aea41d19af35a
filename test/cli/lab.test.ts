import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { runCli, startCli } from '../support/run-cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

suite('lab', () => {
  test('up, status, env and down, as a person types them', async (t) => {
    const home = await temporaryDirectory(t);
    t.after(() => runCli(['lab', 'down'], { home }));

    const up = await runCli(['lab', 'up'], { home });
    assert.equal(up.code, 0, up.stderr);
    const [, url] = /^lab up on (http:\/\/127\.0\.0\.1:\d+) \(pid \d+\)\n$/.exec(up.stdout) ?? [];
    assert.ok(url, up.stdout);
    assert.match(up.stderr, /eval "\$\(cloudtun lab env\)"\n {2}cloudtun rds prod --port 13306/);

    const again = await runCli(['lab', 'up', '--json'], { home });
    const document = JSON.parse(again.stdout);
    assert.deepEqual([document.url, document.started], [url, false]);

    const status = await runCli(['lab', 'status'], { home });
    assert.match(
      status.stdout,
      /^lab http:.*\naccount \d{12}, region ap-northeast-1, MFA code \d{6}\nno session is open\n/,
    );
    assert.match(
      status.stdout,
      /\nGoogle Cloud http:.*, tunnels wss:.*\/v4\nprojects acme-practice, .* as alice@example\.com\nno tunnel is open\n0 ended\n$/,
    );

    const env = await runCli(['lab', 'env', '--shell', 'posix'], { home });
    assert.match(
      env.stdout,
      /\n# gcloud needs a flag, too: .* --iap-tunnel-url-override=wss:\/\/127\.0\.0\.1:\d+\/v4\n$/,
    );
    const script = 'eval "$1"; printf "%s %s" "$AWS_ENDPOINT_URL" "$AWS_PROFILE"';
    const shell = spawnSync('sh', ['-c', script, 'sh', env.stdout], { encoding: 'utf8', env: { AWS_PROFILE: 'prod' } });
    assert.equal(shell.stdout, `${url} `);

    const down = await runCli(['lab', 'down'], { home });
    assert.match(down.stdout, /^lab down \(was http:/);
    assert.equal(
      (await runCli(['lab', 'status'], { home })).stdout,
      'no lab is running; start it with: cloudtun lab up\n',
    );
  });

  test('in the foreground it ends by a signal with its code, and leaves no state', async (t) => {
    const home = await temporaryDirectory(t);
    const run = startCli(['lab', 'up', '--foreground'], { home });
    await run.saw(/^lab up on http/m);
    run.process.kill('SIGINT');
    const { code } = await run.ended;
    assert.equal(code, 130);
    const env = await runCli(['lab', 'env'], { home });
    assert.deepEqual(env, {
      code: 6,
      signal: null,
      stdout: '',
      stderr: 'error CT_LAB_NOT_RUNNING: the lab is not running\n  start it with: cloudtun lab up\n',
    });
  });

  test('in the foreground it ends with 0 when lab down asks for it', async (t) => {
    const home = await temporaryDirectory(t);
    const run = startCli(['lab', 'up', '--foreground'], { home });
    await run.saw(/^lab up on http/m);
    assert.equal((await runCli(['lab', 'down'], { home })).code, 0);
    assert.equal((await run.ended).code, 0);
  });
});
