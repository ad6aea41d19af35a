import type { ClientView } from './client-view.ts';

/*
 * An option file of the MySQL and MariaDB tools, for `--defaults-extra-file` (MySQL manual, "Using Option Files"). Both families read
 * `[client]` and refuse there what they do not know, so an option of one family alone is written for it, or has `loose_` in front.
 */

/** Documented escapes; a quoted value may hold every other character as it is, `#` and blanks included. */
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
};

/** A value as it stands in an option file. */
export function mysqlQuoted(value: string): string {
  return `"${value.replace(/[\\"\n\r\t\b]/g, (sign) => ESCAPES[sign]!)}"`;
}

/** @param authorities the path of the file with the server's authorities, if there is one */
export function mysqlOptionFile(view: ClientView, authorities: string | undefined): string {
  const { local, user, password, dbName, isToken } = view;
  const client = [
    `host=${mysqlQuoted(local.host)}`,
    `port=${local.port}`,
    // `localhost` and some builds would take a Unix socket.
    'protocol=TCP',
    ...(user === undefined ? [] : [`user=${mysqlQuoted(user)}`]),
    ...(password === undefined ? [] : [`password=${mysqlQuoted(password.reveal())}`]),
    ...(isToken ? ofFamily(view, { mysql: ['enable-cleartext-plugin'], mariadb: [] }) : []),
    ...tlsOptions(view, authorities),
  ];
  const groups = [['[client]', ...client]];
  // `mysqldump` knows no such option, and would refuse the file.
  if (dbName !== undefined) groups.push(['[mysql]', `database=${mysqlQuoted(dbName)}`]);
  return `${groups.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Options that one family has; `loose_`, with a warning, where the other might read them. */
function ofFamily({ family }: ClientView, options: Readonly<Record<'mysql' | 'mariadb', readonly string[]>>) {
  return family === undefined
    ? [...options.mysql, ...options.mariadb].map((option) => `loose_${option}`)
    : options[family];
}

/**
 * The name of the certificate cannot be checked: these clients compare it with the host that they dial, which is loopback. The
 * authority can.
 */
function tlsOptions(view: ClientView, authorities: string | undefined): readonly string[] {
  switch (view.tls ?? (view.isToken ? 'require' : undefined)) {
    case undefined:
      return [];
    case 'off':
      return ofFamily(view, { mysql: ['ssl-mode=DISABLED'], mariadb: ['skip-ssl'] });
    case 'require':
      return ofFamily(view, { mysql: ['ssl-mode=REQUIRED'], mariadb: ['ssl'] });
    case 'verify-ca':
    case 'verify-full':
      return [
        `ssl-ca=${mysqlQuoted(authorities ?? '')}`,
        ...ofFamily(view, { mysql: ['ssl-mode=VERIFY_CA'], mariadb: ['ssl'] }),
      ];
  }
}
