import { CloudtunError } from '../../domain/errors.ts';
import type { ClientView } from './client-view.ts';

/*
 * What libpq reads: parameters (PostgreSQL manual, "Parameter Key Words"), the password file and the service file. `host` is the name
 * that the certificate must have and that the password file is searched by, `hostaddr` is where the connection goes: so a certificate
 * is verified in full through a local port.
 */

/** The connection as libpq's parameters, without a password. @param files paths, where there are such files */
export function libpqParameters(
  view: ClientView,
  files: { readonly passfile?: string | undefined; readonly authorities?: string | undefined },
): Readonly<Record<string, string>> {
  const { local, far, user, dbName } = view;
  const mode = sslMode(view);
  const isByName = mode === 'verify-full' && far.host !== undefined;
  return {
    ...(isByName ? { host: far.host, hostaddr: local.host } : { host: local.host }),
    port: `${local.port}`,
    ...(user !== undefined && { user }),
    ...(dbName !== undefined && { dbname: dbName }),
    ...(mode !== undefined && { sslmode: mode }),
    ...(files.authorities !== undefined && mode?.startsWith('verify') && { sslrootcert: files.authorities }),
    ...(files.passfile !== undefined && { passfile: files.passfile }),
  };
}

/** A token is as good as a password until it expires, so it is not sent in the clear. */
function sslMode({ tls, isToken }: ClientView): string | undefined {
  if (tls === undefined) return isToken ? 'require' : undefined;
  return tls === 'off' ? 'disable' : tls;
}

/** The line for `PGPASSFILE`. @throws CT_CONFIG for a password that such a file cannot carry */
export function pgpassLine({ name, password }: ClientView, parameters: Readonly<Record<string, string>>): string {
  const secret = password?.reveal() ?? '';
  if (/[\n\r\0]/.test(secret)) {
    throw new CloudtunError(
      'CT_CONFIG',
      `the password of ${name} has a line break, which no password file of PostgreSQL can carry`,
    );
  }
  const fields = [parameters.host ?? '*', parameters.port ?? '*', '*', parameters.user ?? '*', secret];
  return `${fields.map((field) => (field === '*' ? field : field.replace(/[\\:]/g, '\\$&'))).join(':')}\n`;
}

/** A section of a service file: `psql service=NAME`. A value ends at the end of its line, and has no quotes. */
export function serviceSection(name: string, parameters: Readonly<Record<string, string>>): string {
  const lines = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  return `${[`[${name}]`, ...lines].join('\n')}\n`;
}
