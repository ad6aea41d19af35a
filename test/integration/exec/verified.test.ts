import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { LoopbackAddress } from '../../../src/lab/loopback-services.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { REAL_LOGIN, startMariadb, startPostgres, unlessRealServers } from '../../support/real-servers.ts';
import { testAuthority } from '../../support/self-signed-certificate.ts';

/*
 * What the option files and variables of `exec` make real clients do with the certificates of real servers: they connect where the
 * certificate is right, and refuse where it is not.
 */

const OWN = testAuthority('authority of the databases');
const OTHER = testAuthority('authority of somebody else');
const NAME = {
  prod: 'prod.c1abcdefghij.ap-northeast-1.rds.amazonaws.com',
  orders: 'orders.c1abcdefghij.ap-northeast-1.rds.amazonaws.com',
};

type Test = Parameters<typeof cliLab>[0];

/** A command in front of a real server, as `tls` has it. @param authority undefined: nobody names one */
async function exec(
  t: Test,
  name: 'prod' | 'orders',
  server: LoopbackAddress,
  tls: string,
  authority: typeof OWN | undefined,
) {
  const { run, home, lab, openSessions } = await cliLab(t, { databases: { [name]: server } });
  const { user, password, database } = REAL_LOGIN;
  lab.secrets.set('login', JSON.stringify({ username: user, password }));
  writeFileSync(
    join(home, 'cloudtun.yaml'),
    `version: 1\ntargets:\n  ${name}: { rds: ${name}, dbName: ${database}, tls: ${tls}, secret: { secretsManager: login } }\n`,
  );
  const bundle = join(home, 'authority.pem');
  if (authority !== undefined) writeFileSync(bundle, authority.certificatePem);
  const words = authority === undefined ? [] : ['--db-ca', bundle];
  return async (script: string) => {
    const result = await run(['exec', name, ...words, '--', 'sh', '-c', script]);
    assert.deepEqual(openSessions(), []);
    return result;
  };
}

suite('PostgreSQL with a certificate', { skip: unlessRealServers() }, () => {
  const encrypted = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
  const clients: readonly { readonly how: string; readonly script: string }[] = [
    { how: 'psql by variables', script: `psql -Atc "${encrypted}"` },
    { how: 'psql by the URL', script: `psql "$CLOUDTUN_ORDERS_URL" -Atc "${encrypted}"` },
    { how: 'psql by the service', script: `psql service=orders -Atc "${encrypted}"` },
    { how: 'pg_dump by the URL', script: 'pg_dump "$CLOUDTUN_ORDERS_URL" >/dev/null && echo t' },
    { how: 'pg_dump by variables', script: 'pg_dump >/dev/null && echo t' },
  ];

  test('verify-full: every client connects, encrypted', async (t) => {
    const run = await exec(t, 'orders', await startPostgres(t, OWN.issue(NAME.orders)), 'verify-full', OWN);
    const { code, stdout, stderr } = await run(clients.map(({ script }) => script).join(' && '));
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 't\n'.repeat(clients.length));
  });

  const refusals = [
    {
      what: 'another authority',
      mode: 'verify-full',
      name: NAME.orders,
      authority: OTHER,
      says: /certificate verify failed/,
    },
    {
      what: 'another authority',
      mode: 'verify-ca',
      name: NAME.orders,
      authority: OTHER,
      says: /certificate verify failed/,
    },
    {
      what: 'a certificate of another name',
      mode: 'verify-full',
      name: NAME.prod,
      authority: OWN,
      says: /does not match host name/,
    },
  ];
  for (const { what, mode, name, authority, says } of refusals) {
    test(`${mode}: ${what} is refused by every client`, async (t) => {
      const run = await exec(t, 'orders', await startPostgres(t, OWN.issue(name)), mode, authority);
      const { code, stdout, stderr } = await run(clients.map(({ script }) => `! { ${script}; }`).join(' && '));
      assert.deepEqual([code, stdout], [0, ''], stderr);
      assert.equal(stderr.match(new RegExp(says, 'g'))?.length, clients.length, stderr);
    });
  }

  test('verify-ca takes a certificate of another name', async (t) => {
    const run = await exec(t, 'orders', await startPostgres(t, OWN.issue(NAME.prod)), 'verify-ca', OWN);
    const { stdout, stderr } = await run(clients[0]!.script);
    assert.equal(stdout, 't\n', stderr);
  });

  test('a server without TLS is refused', async (t) => {
    const run = await exec(t, 'orders', await startPostgres(t), 'verify-full', OWN);
    const { code, stderr } = await run('psql -c "select 1"');
    assert.equal(code, 2);
    assert.match(stderr, /server does not support SSL/);
  });
});

suite('MariaDB with a certificate', { skip: unlessRealServers() }, () => {
  const ask = `mariadb --defaults-extra-file="$CLOUDTUN_PROD_CNF" -Ne "show status like 'ssl_version'"`;
  const dump = 'mysqldump --defaults-extra-file="$CLOUDTUN_PROD_CNF" shop >/dev/null';

  for (const mode of ['verify-ca', 'verify-full']) {
    test(`${mode}: the authority is checked`, async (t) => {
      const server = await startMariadb(t, OWN.issue(NAME.prod));
      const right = await exec(t, 'prod', server, mode, OWN);
      const { code, stdout, stderr } = await right(`${ask} && ${dump}`);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^Ssl_version\tTLSv1\.[23]\n$/);
      assert.equal(/check the authority of the certificate and not its name/.test(stderr), mode === 'verify-full');
      const wrong = await exec(t, 'prod', server, mode, OTHER);
      for (const script of [ask, dump]) {
        const refused = await wrong(script);
        assert.notEqual(refused.code, 0);
        assert.match(refused.stderr, /unable to get local issuer certificate/);
      }
    });
  }

  test('these clients go on with a server that offers no TLS, and that is said', async (t) => {
    const run = await exec(t, 'prod', await startMariadb(t), 'verify-ca', OWN);
    const { code, stdout, stderr } = await run(ask);
    // If this fails, the clients have learnt to refuse, and the note can go.
    assert.deepEqual([code, stdout], [0, 'Ssl_version\t\n'], stderr);
    assert.match(stderr, /prod: clients of MariaDB before 11\.4 go on unencrypted if the server offers no TLS/);
  });
});
