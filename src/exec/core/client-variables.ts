import type { ClientPaths } from './client-files.ts';
import type { ClientView } from './client-view.ts';
import { connectionUrl } from './connection-url.ts';
import { libpqParameters } from './postgres-files.ts';
import { variablePrefix } from './variable-names.ts';

/** One name with its files. */
export interface ClientPart {
  readonly view: ClientView;
  readonly paths: ClientPaths;
}

type Variables = Readonly<Record<string, string>>;

/**
 * What a command finds in its environment: `CLOUDTUN_NAME_…` for each name, and the variables of the usual client where there is one
 * database of its kind. A secret only where a client reads it from nowhere else.
 *
 * @param serviceFile of libpq, with a section for each PostgreSQL
 */
export function clientVariables(parts: readonly ClientPart[], serviceFile: string | undefined): Variables {
  const own = parts.map((part) => ownVariables(part));
  const databases = parts.filter(({ view }) => !['http', 'https', 'other'].includes(view.kind));
  const usual = databases
    .filter(({ view }) => databases.filter((other) => other.view.kind === view.kind).length === 1)
    .map(usualVariables);
  return Object.assign({}, ...own, ...usual, serviceFile === undefined ? {} : { PGSERVICEFILE: serviceFile });
}

/** `CLOUDTUN_PROD_HOST` … of one name. @param revealed with the password in the URL */
export function ownVariables({ view, paths }: ClientPart, revealed = false): Variables {
  const { local, user, dbName } = view;
  const values = {
    HOST: local.host,
    PORT: `${local.port}`,
    URL: connectionUrl(view, paths, revealed),
    USER: user,
    DB: dbName,
    CNF: paths.cnf,
    PGPASSFILE: paths.passfile,
    PASSWORD_FILE: paths.passwordFile,
    CA: paths.authorities,
  };
  const prefix = variablePrefix(view.name);
  return defined(Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}_${key}`, value])));
}

/** What the engine's own clients read. */
function usualVariables({ view, paths }: ClientPart): Variables {
  const { kind, local, user, dbName, password } = view;
  const port = `${local.port}`;
  switch (kind) {
    case 'mysql':
      return defined({ MYSQL_HOST: local.host, MYSQL_TCP_PORT: port });
    case 'postgres': {
      const { host, hostaddr, sslmode, sslrootcert, passfile } = libpqParameters(view, paths);
      return defined({
        PGHOST: host,
        PGHOSTADDR: hostaddr,
        PGPORT: port,
        PGUSER: user,
        PGDATABASE: dbName,
        PGPASSFILE: passfile,
        PGSSLMODE: sslmode,
        PGSSLROOTCERT: sslrootcert,
      });
    }
    case 'sqlserver':
      // sqlcmd reads a password from its terminal or from here.
      return defined({
        SQLCMDSERVER: `${local.host},${port}`,
        SQLCMDUSER: user,
        SQLCMDDBNAME: dbName,
        SQLCMDPASSWORD: password?.reveal(),
      });
    case 'oracle':
      return defined({ TWO_TASK: dbName === undefined ? undefined : `//${local.host}:${port}/${dbName}` });
    case 'redis':
      return defined({ REDIS_URL: connectionUrl(view, paths), REDISCLI_AUTH: password?.reveal() });
    case 'http':
    case 'https':
    case 'other':
      return {};
  }
}

function defined(values: Readonly<Record<string, string | undefined>>): Variables {
  const kept = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(kept);
}
