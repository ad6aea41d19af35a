import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { LoopbackAddress } from '../../src/lab/loopback-services.ts';
import { freePort } from '../bench/cloudtun-process.ts';
import { unlessInstalled } from './commands.ts';
import type { SelfSigned } from './self-signed-certificate.ts';
import { temporaryDirectory } from './temporary-directory.ts';

type Test = { after(call: () => Promise<void>): void };

/** Who may sign in to the servers, and the database that exists there. */
export const REAL_LOGIN = { user: 'app', password: 'secret', database: 'shop' };

/** Where Debian keeps the server's programs, which are on nobody's PATH. */
const POSTGRES_PROGRAMS = '/usr/lib/postgresql/15/bin';

const START_LIMIT_MS = 15_000;

/** A reason to skip a test that needs the servers and their clients; false when all are there. */
export function unlessRealServers(): string | false {
  const absent = ['mariadbd', 'mariadb-install-db', 'mariadb', 'psql']
    .map(unlessInstalled)
    .find((one) => one !== false);
  if (absent !== undefined) return absent;
  return existsSync(join(POSTGRES_PROGRAMS, 'postgres')) ? false : 'PostgreSQL 15 is not installed';
}

/** The key and the certificate that a server shows. */
type Shown = Pick<SelfSigned, 'keyPem' | 'certificatePem'>;

/** Debian's MariaDB on loopback, with an empty database. Stopped when the test is over. @param shown without it: no TLS */
export async function startMariadb(test: Test, shown?: Shown): Promise<LoopbackAddress> {
  const { directory, identity } = await home(test, 'mysql');
  const tls = shown && (await keyFiles(directory, identity, shown));
  const data = join(directory, 'data');
  await promisify(execFile)(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { ...identity, cwd: directory, timeout: START_LIMIT_MS },
  );
  const { user, password, database } = REAL_LOGIN;
  const first = join(directory, 'first.sql');
  await writeFile(
    first,
    `CREATE DATABASE ${database};\nCREATE USER ${user}@'%' IDENTIFIED BY '${password}';\nGRANT ALL ON ${database}.* TO ${user}@'%';\n`,
  );
  const port = await freePort();
  const server = spawn(
    'mariadbd',
    [
      ...['--no-defaults', `--datadir=${data}`, `--socket=${join(directory, 'server.sock')}`, `--init-file=${first}`],
      ...['--bind-address=127.0.0.1', `--port=${port}`],
      ...(tls ? [`--ssl-cert=${tls.certificate}`, `--ssl-key=${tls.key}`] : []),
    ],
    { ...identity, cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await listening(test, server, /ready for connections/);
  return { host: '127.0.0.1', port };
}

/** Debian's PostgreSQL 15 on loopback, with an empty database. Stopped when the test is over. @param shown without it: no TLS */
export async function startPostgres(test: Test, shown?: Shown): Promise<LoopbackAddress> {
  const { directory, identity } = await home(test, 'postgres');
  const tls = shown && (await keyFiles(directory, identity, shown));
  const data = join(directory, 'data');
  const secret = join(directory, 'password');
  const { user, password, database } = REAL_LOGIN;
  await writeFile(secret, password);
  await promisify(execFile)(
    join(POSTGRES_PROGRAMS, 'initdb'),
    [
      ...[`--pgdata=${data}`, `--username=${user}`, `--pwfile=${secret}`, '--auth=scram-sha-256'],
      ...['--encoding=UTF8', '--locale=C', '--no-sync'],
    ],
    { ...identity, cwd: directory, timeout: START_LIMIT_MS },
  );
  const create = spawn(join(POSTGRES_PROGRAMS, 'postgres'), ['--single', '-D', data, 'postgres'], {
    ...identity,
    cwd: directory,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  create.stdin.end(`CREATE DATABASE ${database}\n`);
  await once(create, 'exit');
  const port = await freePort();
  const server = spawn(
    join(POSTGRES_PROGRAMS, 'postgres'),
    [
      ...['-D', data, '-h', '127.0.0.1', '-p', `${port}`, '-k', directory],
      ...(tls ? ['-c', 'ssl=on', '-c', `ssl_cert_file=${tls.certificate}`, '-c', `ssl_key_file=${tls.key}`] : []),
    ],
    { ...identity, cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await listening(test, server, /database system is ready to accept connections/, 'SIGINT');
  return { host: '127.0.0.1', port };
}

/** PostgreSQL refuses a key that others may read. */
async function keyFiles(directory: string, identity: { readonly uid?: number; readonly gid?: number }, shown: Shown) {
  const files = { certificate: join(directory, 'server.pem'), key: join(directory, 'server.key') };
  await writeFile(files.certificate, shown.certificatePem);
  await writeFile(files.key, shown.keyPem, { mode: 0o600 });
  const { uid, gid } = identity;
  if (uid !== undefined && gid !== undefined) for (const file of Object.values(files)) await chown(file, uid, gid);
  return files;
}

/** A directory that belongs to the account a server runs as: neither server runs as root. Anybody else runs it as themselves. */
async function home(test: Test, account: string) {
  const outer = await temporaryDirectory(test);
  const directory = join(outer, 'server');
  await mkdir(directory);
  if (process.getuid?.() !== 0) return { directory, identity: {} };
  const id = (flag: string) => Number(execFileSync('id', [flag, account]).toString());
  const identity = { uid: id('-u'), gid: id('-g') };
  await chmod(outer, 0o711);
  await chown(directory, identity.uid, identity.gid);
  return { directory, identity };
}

/** Resolves when the server's log says so. @throws with the log when it ends before, or takes too long */
async function listening(test: Test, server: ChildProcess, said: RegExp, stop: NodeJS.Signals = 'SIGTERM') {
  const ended = once(server, 'exit');
  test.after(async () => {
    server.kill(stop);
    await ended;
  });
  const log: string[] = [];
  const limit = setTimeout(() => server.kill('SIGKILL'), START_LIMIT_MS);
  const lines = createInterface({ input: server.stderr! });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      log.push(line);
      if (said.test(line)) resolve();
    });
    lines.once('close', () => reject(new Error(`the server did not start:\n${log.join('\n')}`)));
  }).finally(() => clearTimeout(limit));
}
