/** From a denial to a grant to its end, as a team lead and Alice type it, on clouds that enforce what is granted. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { type CliLab, cliLab } from '../../support/cli-lab.ts';

interface Cloud {
  readonly name: string;
  readonly targets: string;
  readonly team: string;
  readonly as: (
    cli: CliLab,
    who: string,
  ) => { readonly flags: readonly string[]; readonly env: Record<string, string> };
  readonly open: readonly string[];
  /** What Alice is not given. */
  readonly others: readonly (readonly string[])[];
  readonly missing: RegExp;
}

const CLOUDS: readonly Cloud[] = [
  {
    name: 'AWS',
    targets:
      'bastion: { aws: { instance: bastion-a } }, prod: { rds: prod, via: bastion }, orders: { rds: orders, via: bastion }',
    team: 'aws: { user: alice }',
    as: (_cli, who) => ({ flags: ['--profile', who], env: {} }),
    open: ['rds', 'prod', '--port', 'auto'],
    others: [
      ['rds', 'orders', '--port', 'auto'],
      ['forward', 'bastion', '-L', '0:22'],
      ['forward', 'bastion', '-L', '0:prod:3307'],
      ['ssh', 'bastion', 'true'],
    ],
    missing: /^ {2}missing +rds:DescribeDBInstances$/m,
  },
  {
    name: 'Google Cloud',
    targets:
      'bastion: { gcp: { instance: bastion-g, project: acme-practice, zone: asia-northeast1-a } }, prod: { sql: shop, project: acme-practice }, orders: { sql: reports, project: acme-practice }',
    team: 'gcp: { user: alice@example.com }',
    as: ({ lab }, who) => ({
      flags: [],
      env: {
        GOOGLE_APPLICATION_CREDENTIALS: join(dirname(lab.env().GOOGLE_APPLICATION_CREDENTIALS ?? ''), `${who}.json`),
      },
    }),
    open: ['sql', 'prod', '--port', 'auto'],
    others: [
      ['sql', 'orders', '--port', 'auto'],
      ['forward', 'bastion', '-L', '0:22'],
      ['forward', 'bastion', '-L', '0:5432'],
      ['ssh', 'bastion', 'true'],
    ],
    missing: /^ {2}missing +cloudsql\.instances\.get on /m,
  },
];

for (const cloud of CLOUDS) {
  suite(`a grant on ${cloud.name}`, () => {
    test('opens one database and nothing else, from its application to its end', async (t) => {
      const cli = await cliLab(t);
      const { lab, home } = cli;
      lab.iam.set({ enforce: true });
      lab.gcp.iam.enforce = true;
      const write = (until: string) =>
        writeFileSync(
          join(home, 'cloudtun.yaml'),
          `version: 1\ncontact: platform@example.com\ntargets: { ${cloud.targets} }\nteams:\n  readers: { ${cloud.team}, members: [alice@example.com], may: { connect: [prod] }, until: ${until} }\n`,
        );
      const run = (who: string, line: readonly string[]) => {
        const { flags, env } = cloud.as(cli, who);
        return cli.run([...line, ...flags], { env, limit: 60_000 });
      };
      write('2099-12-31');

      const before = await run('alice', cloud.open);
      assert.equal(before.code, 4, before.stderr);
      assert.match(before.stderr, cloud.missing);
      const newcomer = await run('alice', ['onboard', '--no-setup']);
      assert.equal(newcomer.code, 4, newcomer.stdout);
      assert.match(newcomer.stdout, /\| to: platform@example\.com\n {2}\| alice needs prod\.\n/);
      const bob = await run('bob', ['team', 'apply', '--yes']);
      assert.equal(bob.code, 4, bob.stdout);
      assert.match(bob.stderr, /missing/);

      const applied = await run('admin', ['team', 'apply', '--yes']);
      assert.equal(applied.code, 0, applied.stdout + applied.stderr);
      const shown = await cli.run(['audit', 'show', '--event', 'grant']);
      assert.match(shown.stdout, /grant +admin(@example\.com)?: added /, shown.stdout + shown.stderr);
      const after = await run('alice', ['onboard', '--no-setup', '--json']);
      assert.equal(after.code, 0, after.stdout + after.stderr);
      const { tried, request } = JSON.parse(after.stdout) as {
        tried: { name: string; isOpen: boolean }[];
        request: string;
      };
      assert.deepEqual(
        tried.map(({ name, isOpen }) => [name, isOpen]),
        [['prod', true]],
      );
      assert.equal(request, '');
      for (const other of cloud.others) {
        const denied = await run('alice', other);
        assert.equal(denied.code, 4, `${other.join(' ')}\n${denied.stdout}${denied.stderr}`);
        assert.match(denied.stderr, /CT_DENIED|CT_NO_BASTION/, other.join(' '));
      }
      const mallory = await run('mallory', cloud.open);
      assert.equal(mallory.code, 4, mallory.stderr);

      write('2020-01-01');
      const ended = await run('admin', ['team', 'apply', '--yes']);
      assert.equal(ended.code, 0, ended.stderr);
      const late = await run('alice', cloud.open);
      assert.equal(late.code, 4, late.stderr);
      assert.deepEqual(cli.openSessions(), []);
    });
  });
}
