import { CloudtunError } from '../domain/errors.ts';
import type { Environment } from '../runtime/world.ts';
import { findProgram } from './client-family.ts';
import type { ClientPart } from './core/client-variables.ts';

/**
 * The usual client of a database as a command, with everything it needs in files and variables.
 *
 * @param words behind it, as the user gave them
 * @param canAsk whether somebody is there to type a password that nothing else says
 * @throws CT_USAGE where no client is usual
 */
export function clientCommand(
  { view, paths }: ClientPart,
  words: readonly string[],
  env: Environment,
  canAsk: boolean,
): readonly string[] {
  switch (view.kind) {
    case 'mysql': {
      const asks = view.password === undefined && canAsk ? ['--password'] : [];
      const program = findProgram(['mysql', 'mariadb'], env) ?? 'mysql';
      // Has to be the first of its options.
      return [program, `--defaults-extra-file=${paths.cnf}`, ...asks, ...words];
    }
    case 'postgres':
      return ['psql', ...words];
    case 'sqlserver':
      return ['sqlcmd', ...words];
    case 'oracle':
      return ['sqlplus', ...(view.user === undefined ? [] : [view.user]), ...words];
    case 'redis':
      return ['redis-cli', '-h', view.local.host, '-p', `${view.local.port}`, ...words];
    default:
      throw new CloudtunError('CT_USAGE', `${view.name} has no usual client`, {
        hint: `run yours: cloudtun exec ${view.name} -- COMMAND`,
      });
  }
}
