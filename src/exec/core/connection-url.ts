import { formatEndpoint } from '../../domain/endpoint.ts';
import type { ClientView } from './client-view.ts';
import { libpqParameters } from './postgres-files.ts';

const SCHEME = {
  mysql: 'mysql',
  postgres: 'postgresql',
  sqlserver: 'sqlserver',
  oracle: 'oracle',
  redis: 'redis',
  http: 'http',
  https: 'https',
  other: 'tcp',
} as const satisfies Record<ClientView['kind'], string>;

/**
 * Where a client connects, as a URL. For libpq with everything else it needs, so that `psql "$URL"` is whole.
 *
 * @param withPassword whether the password stands in it: only where a person asked for that
 */
export function connectionUrl(
  view: ClientView,
  files: { readonly passfile?: string | undefined; readonly authorities?: string | undefined },
  withPassword = false,
): string {
  const { kind, local, user, dbName, password } = view;
  const secret = withPassword && password !== undefined ? `:${encoded(password.reveal())}` : '';
  const login = user === undefined && secret === '' ? '' : `${encoded(user ?? '')}${secret}@`;
  const path = dbName === undefined ? '' : `/${encoded(dbName)}`;
  if (kind !== 'postgres') return `${SCHEME[kind]}://${login}${formatEndpoint(local)}${path}`;
  const { host = local.host, port: _port, user: _user, dbname: _dbname, ...rest } = libpqParameters(view, files);
  const query = Object.entries(rest).map(([key, value]) => `${key}=${encoded(value)}`);
  const place = formatEndpoint({ host, port: local.port });
  return `${SCHEME.postgres}://${login}${place}${path}${query.length === 0 ? '' : `${path === '' ? '/' : ''}?${query.join('&')}`}`;
}

/** `encodeURIComponent` leaves some signs that parsers of URLs trip over. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
