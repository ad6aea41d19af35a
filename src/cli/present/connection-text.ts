import type { ClientPart } from '../../exec/core/client-variables.ts';
import { ownVariables } from '../../exec/core/client-variables.ts';
import { connectionUrl } from '../../exec/core/connection-url.ts';
import { variablePrefix } from '../../exec/core/variable-names.ts';

/** How `--print` says where a client connects. */
export const PRINT_FORMS = ['url', 'env', 'json'] as const;
export type PrintForm = (typeof PRINT_FORMS)[number];

/** @param isRevealed with the password, which is nowhere else in it */
export function connectionText(part: ClientPart, form: PrintForm, isRevealed: boolean): string {
  const { view, paths } = part;
  const password = isRevealed ? view.password?.reveal() : undefined;
  switch (form) {
    case 'url':
      return connectionUrl(view, paths, isRevealed);
    case 'env': {
      const secret = password === undefined ? {} : { [`${variablePrefix(view.name)}_PASSWORD`]: password };
      const values = Object.entries({ ...ownVariables(part, isRevealed), ...secret });
      return values.map(([name, value]) => `${name}=${shellQuoted(value)}`).join('\n');
    }
    case 'json':
      return JSON.stringify({
        name: view.name,
        host: view.local.host,
        port: view.local.port,
        url: connectionUrl(view, paths, isRevealed),
        kind: view.kind,
        user: view.user,
        database: view.dbName,
        password,
        files: paths,
      });
  }
}

/** For a POSIX shell. */
function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
