import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { runCommand, unlessInstalled } from '../../support/commands.ts';

/** Nothing of the browser's own: no updates, no reports, no name server. The PAC file decides the rest. */
const CHROMIUM = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-extensions',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
];

suite('a browser through the PAC file', { skip: unlessInstalled('chromium') }, () => {
  for (const [cloud, target, host] of [
    ['aws', 'aws:bastion-a', 'admin.internal'],
    ['gcp', 'gcp:bastion-g', 'wiki.practice.internal'],
  ] as const) {
    test(`headless Chromium shows a private page (${cloud}); what --only leaves out is not sent there`, async (t) => {
      const cli = await cliLab(t);
      const run = cli.start(['socks', target, '--port', 'auto', '--only', '*.internal']);
      const [, pac] = await run.saw(/^open .*, PAC (http\S+)$/m);
      const browse = (url: string) =>
        runCommand('chromium', [
          ...CHROMIUM,
          `--user-data-dir=${join(cli.home, 'chromium')}`,
          `--proxy-pac-url=${pac}`,
          '--timeout=15000',
          '--dump-dom',
          url,
        ]);
      const shown = await browse(`http://${host}/`);
      assert.match(shown.stdout, new RegExp(host.replaceAll('.', '\\.')), shown.stderr.slice(-2_000));
      const outside = await browse('http://outside.example/');
      assert.doesNotMatch(outside.stdout, /internal/);
      run.process.kill('SIGINT');
      const { stderr } = await run.ended;
      assert.match(stderr, new RegExp(`^ {2}${host.replaceAll('.', '\\.')}:80 `, 'm'));
      assert.doesNotMatch(stderr, /outside\.example/);
    });
  }
});
