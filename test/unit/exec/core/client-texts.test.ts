import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Secret } from '../../../../src/domain/secret.ts';
import { clientVariables } from '../../../../src/exec/core/client-variables.ts';
import type { ClientView } from '../../../../src/exec/core/client-view.ts';
import { kindOfPort } from '../../../../src/exec/core/client-view.ts';
import { connectionUrl } from '../../../../src/exec/core/connection-url.ts';
import { mysqlOptionFile } from '../../../../src/exec/core/mysql-option-file.ts';
import { libpqParameters, pgpassLine, serviceSection } from '../../../../src/exec/core/postgres-files.ts';
import { pauseBefore } from '../../../../src/exec/core/retry-pause.ts';
import { checkPrefixes, variablePrefix } from '../../../../src/exec/core/variable-names.ts';
import { unlessInstalled } from '../../../support/commands.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const view = (fields: Partial<ClientView> = {}): ClientView => ({
  name: 'prod',
  kind: 'mysql',
  local: { host: '127.0.0.1', port: 13_306 },
  far: { host: 'prod.example.com', port: 3306 },
  ...fields,
});

suite('names of variables', () => {
  test('upper case, and an underscore for every other sign', () => {
    assert.equal(variablePrefix('orders-db.2'), 'CLOUDTUN_ORDERS_DB_2');
    assert.equal(variablePrefix('sql:acme:tokyo:reports'), 'CLOUDTUN_SQL_ACME_TOKYO_REPORTS');
  });

  test('two names with the same variables are an error that names both', () => {
    checkPrefixes(['a-b', 'a-c']);
    assert.throws(() => checkPrefixes(['a-b', 'x', 'A.B']), /"a-b" and "A\.B"/);
  });

  test('usual ports are told apart', () => {
    assert.deepEqual([3306, 5432, 6379, 443, 9000].map(kindOfPort), ['mysql', 'postgres', 'redis', 'https', 'other']);
  });
});

suite('option file of MySQL', () => {
  const passwords = [
    'plain',
    ' blank at both ends ',
    'a#b',
    '"quoted"',
    "it's",
    'back\\slash\\n',
    'é漢字',
    'tab\tand\nline',
    '[client]',
    '=;!%',
  ];
  for (const password of passwords) {
    test(`its tools read the password ${JSON.stringify(password)}`, {
      skip: unlessInstalled('my_print_defaults'),
    }, async (t) => {
      const path = join(await temporaryDirectory(t), 'test.cnf');
      writeFileSync(path, mysqlOptionFile(view({ user: 'app', password: new Secret(password) }), undefined));
      const said = execFileSync('my_print_defaults', [`--defaults-file=${path}`, 'client'], { encoding: 'utf8' });
      assert.equal(said, `--host=127.0.0.1\n--port=13306\n--protocol=TCP\n--user=app\n--password=${password}\n`);
    });
  }

  test('TLS is written for the family of tools, and for both where it is unknown', () => {
    const options = (family: ClientView['family']) => mysqlOptionFile(view({ family, tls: 'require' }), undefined);
    assert.match(options('mysql'), /^ssl-mode=REQUIRED$/m);
    assert.match(options('mariadb'), /^ssl$/m);
    assert.match(options(undefined), /^loose_ssl-mode=REQUIRED\nloose_ssl$/m);
    assert.match(
      mysqlOptionFile(view({ family: 'mysql', tls: 'verify-full' }), '/x/ca.pem'),
      /^ssl-ca="\/x\/ca\.pem"\nssl-mode=VERIFY_CA$/m,
    );
    assert.match(
      mysqlOptionFile(view({ family: 'mysql', isToken: true }), undefined),
      /^enable-cleartext-plugin\nssl-mode=REQUIRED$/m,
    );
  });
});

suite('files of libpq', () => {
  test('a certificate is verified by its name, and the connection goes to the local port', () => {
    const parameters = libpqParameters(view({ kind: 'postgres', tls: 'verify-full', user: 'app' }), {
      authorities: '/ca.pem',
    });
    assert.deepEqual(parameters, {
      host: 'prod.example.com',
      hostaddr: '127.0.0.1',
      port: '13306',
      user: 'app',
      sslmode: 'verify-full',
      sslrootcert: '/ca.pem',
    });
  });

  test('a password file escapes what separates its fields, and is searched by the name in use', () => {
    const password = new Secret('a:b\\c');
    const postgres = view({ kind: 'postgres', user: 'x:y', password });
    const line = pgpassLine(postgres, libpqParameters(postgres, {}));
    assert.equal(line, '127.0.0.1:13306:*:x\\:y:a\\:b\\\\c\n');
    const broken = view({ kind: 'postgres', password: new Secret('a\nb') });
    assert.throws(() => pgpassLine(broken, {}), /line break/);
  });

  test('a service', () => {
    assert.equal(serviceSection('orders', { host: 'h', port: '1' }), '[orders]\nhost=h\nport=1\n');
  });
});

suite('URLs', () => {
  test('signs of names are encoded, and a password is there when asked for only', () => {
    const login = view({ user: 'a@b', dbName: 'shop/2', password: new Secret('p:w') });
    assert.equal(connectionUrl(login, {}), 'mysql://a%40b@127.0.0.1:13306/shop%2F2');
    assert.equal(connectionUrl(login, {}, true), 'mysql://a%40b:p%3Aw@127.0.0.1:13306/shop%2F2');
  });

  test('that of PostgreSQL has what libpq needs besides', () => {
    const url = connectionUrl(view({ kind: 'postgres', tls: 'require' }), { passfile: '/a b' });
    assert.equal(url, 'postgresql://127.0.0.1:13306/?sslmode=require&passfile=%2Fa%20b');
  });
});

test('variables of a client are set where there is one database of its kind', () => {
  const part = (name: string) => ({ view: view({ name, kind: 'postgres' as const }), paths: {} });
  assert.equal(clientVariables([part('a')], undefined).PGPORT, '13306');
  const two = clientVariables([part('a'), part('b')], '/s');
  assert.deepEqual([two.PGPORT, two.PGSERVICEFILE, two.CLOUDTUN_B_PORT], [undefined, '/s', '13306']);
});

test('pauses grow up to a limit, half of each by chance', () => {
  assert.deepEqual(
    [0, 1, 2, 20].map((attempt) => pauseBefore(attempt, 1)),
    [1_000, 2_000, 4_000, 20_000],
  );
  assert.equal(pauseBefore(3, 0), 4_000);
});
