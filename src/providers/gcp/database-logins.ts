import { CloudtunError } from '../../domain/errors.ts';
import type { DatabaseTarget, Engine } from '../../domain/target.ts';
import type { DatabaseLogins, DatabaseToken, StoredLogin } from '../provider.ts';
import { storedLogin } from '../stored-login.ts';
import { type GcpApi, path } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';

interface SqlCertificates {
  readonly serverCaCert?: { readonly cert?: string };
}
interface SecretVersion {
  readonly payload?: { readonly data?: string };
}

/** A token whose end nobody tells is asked for again after this (a token lives for an hour). */
const UNKNOWN_END = 30 * 60_000;

/** Logins by IAM, with the caller's own access token for a password, and by secrets of Secret Manager. */
export class GcpDatabaseLogins implements DatabaseLogins {
  readonly #api: GcpApi;
  readonly #wall: () => number;

  constructor(api: GcpApi, wall: () => number) {
    this.#api = api;
    this.#wall = wall;
  }

  async token(database: DatabaseTarget, user: string | undefined, signal: AbortSignal): Promise<DatabaseToken> {
    const who = user ?? (await this.#api.identity(signal))?.id;
    if (who === undefined || (user === undefined && !who.includes('@'))) {
      throw new CloudtunError('CT_CONFIG', `nobody tells whose token this is, and ${database.id} wants a user`, {
        hint: 'name it in cloudtun.yaml: user: alice@example.com',
      });
    }
    const { token, expiresAt } = await this.#api.tokens.current(signal);
    return { user: databaseUser(who, database.engine), token, expiresAt: expiresAt ?? this.#wall() + UNKNOWN_END };
  }

  async stored(name: string, signal: AbortSignal): Promise<StoredLogin> {
    const [, project, secret, version = 'latest'] =
      /^projects\/([^/]+)\/secrets\/([^/]+)(?:\/versions\/([^/]+))?$/.exec(name) ?? [];
    if (project === undefined || secret === undefined) {
      throw new CloudtunError('CT_CONFIG', `"${name}" is no secret of Secret Manager`, {
        hint: 'write it as projects/PROJECT/secrets/NAME, with /versions/N behind it for one of them',
      });
    }
    const call: ApiCall = {
      permission: 'secretmanager.versions.access',
      resource: `secret ${name}`,
      doing: `read the secret ${secret} of ${project}`,
      role: 'roles/secretmanager.secretAccessor',
    };
    const answer = await this.#api.call<SecretVersion>(
      {
        service: 'secretmanager',
        path: path`/v1/projects/${project}/secrets/${secret}/versions/${version}:access`,
      },
      call,
      signal,
    );
    return storedLogin(name, Buffer.from(answer.payload?.data ?? '', 'base64').toString('utf8'));
  }

  async authorities(database: DatabaseTarget, signal: AbortSignal): Promise<string | undefined> {
    const [name = ''] = database.id.split(':').slice(-1);
    const project = database.project ?? '';
    const call: ApiCall = {
      permission: 'cloudsql.instances.get',
      resource: `Cloud SQL instance ${project}/${name}`,
      doing: `read the certificate authority of ${name}`,
      role: 'roles/cloudsql.viewer',
    };
    const request = { service: 'sql' as const, path: path`/v1/projects/${project}/instances/${name}` };
    const { serverCaCert } = await this.#api.call<SqlCertificates>(request, call, signal);
    return serverCaCert?.cert;
  }
}

/**
 * An identity as Cloud SQL names its login (documented in "Log in using IAM database authentication"): PostgreSQL knows the whole
 * address, that of a service account without `.gserviceaccount.com`; MySQL what stands before the `@`.
 */
function databaseUser(who: string, engine: Engine): string {
  if (engine === 'mysql') return who.split('@')[0]!;
  return who.replace(/\.gserviceaccount\.com$/, '');
}
