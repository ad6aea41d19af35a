import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Signer } from '@aws-sdk/rds-signer';
import { clientOptions } from '../../support/aws-lab.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { runCommand, unlessInstalled } from '../../support/commands.ts';

/*
 * What the lab's database says to tokens that were not made for it: each is right but for one thing. They are signed by the signer of the
 * SDK, and go through a tunnel like any other client's password.
 */

const HOST = 'orders.c1abcdefghij.ap-northeast-1.rds.amazonaws.com';
const RIGHT = { hostname: HOST, port: 5432, username: 'app_iam', region: 'ap-northeast-1' };
const MINUTES = 60_000;

suite('a token for the database', { skip: unlessInstalled('psql') }, () => {
  const forged: readonly {
    readonly what: string;
    readonly wrong: Partial<typeof RIGHT>;
    /** How long ago it was signed. */
    readonly age?: number;
    readonly isRight?: true;
  }[] = [
    { what: 'as exec makes it', wrong: {}, isRight: true },
    { what: 'of 14 minutes ago', wrong: {}, age: 14 * MINUTES, isRight: true },
    { what: 'of 16 minutes ago', wrong: {}, age: 16 * MINUTES },
    { what: 'for localhost', wrong: { hostname: 'localhost' } },
    { what: 'for 127.0.0.1', wrong: { hostname: '127.0.0.1' } },
    { what: 'for another database', wrong: { hostname: HOST.replace('orders', 'prod') } },
    { what: 'for another port', wrong: { port: 15_432 } },
    { what: 'for another user', wrong: { username: 'app_reader' } },
    { what: 'for another region', wrong: { region: 'eu-west-1' } },
  ];

  test('lets in who it is for, for 15 minutes, and nobody else', async (t) => {
    const { start, home, lab } = await cliLab(t);
    writeFileSync(
      join(home, 'cloudtun.yaml'),
      'version: 1\ntargets: { orders: { rds: orders, dbName: orders, tls: off } }\n',
    );
    const run = start(['rds', 'orders', '--port', 'auto']);
    const [, port = ''] = await run.saw(/^ready 127\.0\.0\.1:(\d+) /m);
    const { credentials } = clientOptions(lab);
    for (const { what, wrong, age = 0, isRight } of forged) {
      const signer = new Signer({ ...RIGHT, ...wrong, credentials });
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() - age });
      const token = await signer.getAuthToken();
      t.mock.timers.reset();
      const words = ['-h', '127.0.0.1', '-p', port, '-U', 'app_iam', '-Atc', 'select 1', 'orders'];
      const { stdout, stderr } = await runCommand('psql', words, { PGPASSWORD: token, PGSSLMODE: 'disable' });
      if (isRight) assert.equal(stdout, '1\n', `${what}: ${stderr}`);
      else assert.match(stderr, /PAM authentication failed for user "app_iam"/, what);
    }
  });
});
