import { join } from 'node:path';
import type { TlsMode } from '../config/catalogue.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { farEndpoint, type ProviderId } from '../domain/target.ts';
import type { Provider } from '../providers/provider.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import { type ClientPaths, clientFiles, clientPaths } from './core/client-files.ts';
import { type ClientPart, clientVariables } from './core/client-variables.ts';
import { type ClientKind, type ClientView, kindOfPort } from './core/client-view.ts';
import { libpqParameters, serviceSection } from './core/postgres-files.ts';
import { variablePrefix } from './core/variable-names.ts';
import { databaseLogin } from './database-login.ts';
import type { OpenName } from './open-names.ts';
import { PrivateFiles } from './private-files.ts';

/** Tokens of RDS are good for 15 minutes, those of Google for an hour: a new one is there at two thirds of that, and no later than this before. */
const RENEW_AFTER = 2 / 3;
/** When a token cannot be had, it is asked for again. */
const ASK_AGAIN: Millis = 30_000;
const SHORTEST: Millis = 1_000;

export interface ClientSetOptions {
  /** Whoever reads the secrets of a cloud that is not the target's own. */
  readonly providerOf: (cloud: ProviderId) => Promise<Provider>;
  /** PEM certificates that a person named; undefined: those that the cloud tells. */
  readonly authorities: string | undefined;
  /** Whose tools read option files of MySQL here. */
  readonly family: 'mysql' | 'mariadb' | undefined;
  readonly onTrouble: (name: string, error: CloudtunError) => void;
  readonly onNote: (text: string) => void;
}

/** Variables and files for the clients of open names. Disposing it removes the files. */
export interface ClientSet extends Disposable {
  readonly parts: readonly ClientPart[];
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Logs in where the catalogue says how, and writes what clients read. Files with tokens are written again, in time, until it is
 * disposed.
 *
 * @throws CT_STATE, CT_CONFIG, and what the cloud's own calls throw
 */
export async function makeClientSet(
  world: World,
  names: readonly OpenName[],
  options: ClientSetOptions,
  signal: AbortSignal,
): Promise<ClientSet> {
  const views = await Promise.all(names.map((name) => viewOf(name, options, signal)));
  for (const { view } of views) checkTls(view, options);
  const files = PrivateFiles.make(world);
  const renewals: TokenRenewal[] = [];
  try {
    const parts = views.map(({ view }) => ({ view, paths: pathsOf(view, files) }));
    for (const part of parts) write(part, files);
    for (const [index, { expiresAt }] of views.entries()) {
      if (expiresAt === undefined) continue;
      const renew = async (calledOff: AbortSignal) => {
        const next = await viewOf(names[index]!, options, calledOff);
        write({ view: next.view, paths: parts[index]!.paths }, files);
        return next.expiresAt;
      };
      const { name } = names[index]!;
      renewals.push(new TokenRenewal(world, expiresAt, renew, (error) => options.onTrouble(name, error)));
    }
    return {
      parts,
      variables: clientVariables(parts, serviceFile(parts, files)),
      [Symbol.dispose]: () => {
        for (const renewal of renewals) renewal.stop();
        files[Symbol.dispose]();
      },
    };
  } catch (error) {
    for (const renewal of renewals) renewal.stop();
    files[Symbol.dispose]();
    throw error;
  }
}

/** Asks for a token again before the one that is in use expires. */
class TokenRenewal {
  readonly #world: World;
  readonly #renew: (signal: AbortSignal) => Promise<Millis | undefined>;
  readonly #onTrouble: (error: CloudtunError) => void;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;

  constructor(
    world: World,
    expiresAt: Millis,
    renew: (signal: AbortSignal) => Promise<Millis | undefined>,
    onTrouble: (error: CloudtunError) => void,
  ) {
    this.#world = world;
    this.#renew = renew;
    this.#onTrouble = onTrouble;
    this.#arm(this.#pauseUntil(expiresAt));
  }

  stop(): void {
    this.#timer?.cancel();
    this.#stop.abort();
  }

  #pauseUntil(expiresAt: Millis): Millis {
    return Math.max(SHORTEST, (expiresAt - this.#world.clock.wall()) * RENEW_AFTER);
  }

  #arm(pause: Millis): void {
    this.#timer = this.#world.clock.after(pause, () => void this.#run(), { background: true });
  }

  async #run(): Promise<void> {
    try {
      const expiresAt = await this.#renew(this.#stop.signal);
      if (expiresAt !== undefined && !this.#stop.signal.aborted) this.#arm(this.#pauseUntil(expiresAt));
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      this.#onTrouble(asCloudtunError(thrown));
      this.#arm(ASK_AGAIN);
    }
  }
}

interface ViewWithEnd {
  readonly view: ClientView;
  readonly expiresAt: Millis | undefined;
}

async function viewOf(
  { name, plan, entry, provider, route, local }: OpenName,
  options: ClientSetOptions,
  signal: AbortSignal,
): Promise<ViewWithEnd> {
  const { target } = route;
  const far = farEndpoint(route);
  const kind: ClientKind = target.kind === 'database' ? engineKind(target.engine) : kindOfPort(far.port);
  const wish = { ...entry, ...(plan.user !== undefined && { user: plan.user }) };
  const [login, own] = await Promise.all([
    databaseLogin(target, wish, provider, options.providerOf, signal),
    target.kind === 'database' && entry?.tls !== 'off'
      ? provider.databaseLogins?.authorities(target, signal)
      : undefined,
  ]);
  const authorities = options.authorities ?? own;
  const view = {
    name,
    kind,
    local,
    far,
    user: login.user,
    dbName: entry?.dbName,
    password: login.password,
    isToken: login.isToken,
    family: kind === 'mysql' ? options.family : undefined,
    tls: tlsOf(entry?.tls, authorities, provider.id),
    authorities,
  };
  return { view, expiresAt: login.expiresAt };
}

/** What is known of the authorities is used, unless the catalogue says otherwise. The certificates of Cloud SQL have no name of a host. */
function tlsOf(said: TlsMode | undefined, authorities: string | undefined, cloud: ProviderId): TlsMode | undefined {
  if (said !== undefined || authorities === undefined) return said;
  return cloud === 'gcp' ? 'verify-ca' : 'verify-full';
}

/** @throws CT_CONFIG where the catalogue wants a certificate verified, and nobody knows by what */
function checkTls({ name, kind, tls, authorities, family, isToken }: ClientView, { onNote }: ClientSetOptions): void {
  // Seen with 10.11: `ssl` is a wish there. What makes it a must, ssl-verify-server-cert, wants a certificate for 127.0.0.1.
  const wantsTls = tls === undefined ? isToken === true : tls !== 'off';
  if (kind === 'mysql' && family === 'mariadb' && wantsTls) {
    onNote(`${name}: clients of MariaDB before 11.4 go on unencrypted if the server offers no TLS`);
  }
  if ((tls !== 'verify-full' && tls !== 'verify-ca') || (kind !== 'mysql' && kind !== 'postgres')) return;
  if (authorities === undefined) {
    throw new CloudtunError('CT_CONFIG', `${name} says tls: ${tls}, and no certificate authority is known for it`, {
      hint: [
        'name one: --db-ca FILE, or CLOUDTUN_DB_CA',
        'that of RDS: https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem',
      ],
    });
  }
  if (kind === 'mysql' && tls === 'verify-full') {
    onNote(`${name}: through a local port, clients of MySQL check the authority of the certificate and not its name`);
  }
}

function engineKind(engine: string): ClientKind {
  if (engine === 'mysql' || engine === 'mariadb') return 'mysql';
  return engine === 'postgres' || engine === 'sqlserver' || engine === 'oracle' ? engine : 'other';
}

function pathsOf(view: ClientView, { directory }: PrivateFiles): ClientPaths {
  return clientPaths(view, join(directory, variablePrefix(view.name).slice('CLOUDTUN_'.length).toLowerCase()));
}

function write({ view, paths }: ClientPart, files: PrivateFiles): void {
  for (const { path, text } of clientFiles(view, paths)) files.write(path, text);
}

function serviceFile(parts: readonly ClientPart[], files: PrivateFiles): string | undefined {
  const sections = parts
    .filter(({ view }) => view.kind === 'postgres')
    .map(({ view, paths }) => serviceSection(view.name, libpqParameters(view, paths)));
  if (sections.length === 0) return undefined;
  const path = join(files.directory, 'pg_service.conf');
  files.write(path, sections.join('\n'));
  return path;
}
