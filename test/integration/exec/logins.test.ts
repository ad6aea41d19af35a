import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { unlessInstalled } from '../../support/commands.ts';

const CATALOGUE = `
version: 1
targets:
  prod: { rds: prod, dbName: shop, secret: { secretsManager: shop/app_reader } }
  crossed: { rds: prod, dbName: shop, secret: { secretManager: projects/acme-practice/secrets/app-reader } }
  absent: { rds: prod, secret: { secretsManager: no/such } }
  orders: { rds: orders, user: app_iam, dbName: orders, iamAuth: true, tls: off }
  nobody: { rds: orders, dbName: shop, iamAuth: true, tls: off }
  verified: { rds: orders, user: app_reader, dbName: shop, tls: verify-full }
  reports: { sql: reports, iamAuth: true, tls: off }
`;

async function lab(t: Parameters<typeof cliLab>[0]) {
  const made = await cliLab(t);
  writeFileSync(join(made.home, 'cloudtun.yaml'), CATALOGUE);
  return made;
}

suite('logins of databases', () => {
  test('a secret gives user and password to the option file, and to nothing else', async (t) => {
    const { run } = await lab(t);
    for (const name of ['prod', 'crossed']) {
      const prefix = `CLOUDTUN_${name.toUpperCase()}`;
      const { code, stdout, stderr } = await run(['exec', name, '--', 'sh', '-c', `cat "$${prefix}_CNF"; env`]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^user="app_reader"\npassword="lab-reader"$/m);
      assert.equal(stdout.match(/lab-reader/g)?.length, 1);
      assert.match(stdout, new RegExp(`^${prefix}_USER=app_reader$`, 'm'));
    }
  });

  test('a secret that is not there: 125, by its name', async (t) => {
    const { run } = await lab(t);
    const { code, stderr } = await run(['exec', 'absent', '--', 'true']);
    assert.equal(code, 125);
    assert.match(stderr, /CT_TARGET_NOT_FOUND: Secrets Manager has no secret no\/such/);
  });

  test('a token of RDS opens the database that it was made for', { skip: unlessInstalled('psql') }, async (t) => {
    const { run } = await lab(t);
    const ask =
      'psql "$CLOUDTUN_ORDERS_URL" -Atc "select 6 * 7" && psql -Atc "select 1" && psql service=orders -Atc "select 2"';
    const { code, stdout, stderr } = await run(['exec', 'orders', '--', 'sh', '-c', ask]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '42\n1\n2\n');
  });

  test('a token is for the far endpoint and the user, and not for localhost', {
    skip: unlessInstalled('psql'),
  }, async (t) => {
    const { run, lab: cloud } = await lab(t);
    // The same host under another port is another endpoint.
    cloud.change((inventory) => ({
      ...inventory,
      databases: inventory.databases.map((each) => (each.id === 'orders' ? { ...each, iamAuth: false } : each)),
    }));
    const { code, stderr } = await run(['exec', 'orders', '--', 'psql', '-Atc', 'select 1']);
    assert.equal(code, 2);
    assert.match(stderr, /PAM authentication failed for user "app_iam"/);
  });

  test('a token needs a user', async (t) => {
    const { run } = await lab(t);
    const { code, stderr } = await run(['exec', 'nobody', '--', 'true']);
    assert.equal(code, 125);
    assert.match(stderr, /CT_CONFIG: a token for orders is made for a user, and none is named/);
  });

  test('a certificate that nothing can verify is an error, and one with authorities is verified by name', async (t) => {
    const { run, home } = await lab(t);
    const refused = await run(['exec', 'verified', '--', 'true']);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /CT_CONFIG: verified says tls: verify-full, and no certificate authority is known/);
    const bundle = join(home, 'ca.pem');
    writeFileSync(bundle, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const { stdout, stderr } = await run(['exec', 'verified', '--db-ca', bundle, '--', 'env']);
    assert.match(stdout, /^PGHOST=orders\.c1abcdefghij\.ap-northeast-1\.rds\.amazonaws\.com$/m, stderr);
    assert.match(stdout, /^PGHOSTADDR=127\.0\.0\.1$/m);
    assert.match(stdout, /^PGSSLMODE=verify-full$/m);
  });

  test('Cloud SQL: the login is the caller, the password a token that the environment has not', async (t) => {
    const { run } = await lab(t);
    const { code, stdout, stderr } = await run(['exec', 'reports', '--', 'sh', '-c', 'env; cat "$PGPASSFILE"']);
    assert.equal(code, 0, stderr);
    const [, user = ''] = /^PGUSER=(.+)$/m.exec(stdout) ?? [];
    assert.match(user, /@/);
    const [, token = ''] = new RegExp(`:\\*:${user}:(\\S+)$`, 'm').exec(stdout) ?? [];
    assert.ok(token.length > 10);
    assert.equal(stdout.split(token).length, 2);
  });
});
