import { accessSync, constants, realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Environment } from '../runtime/world.ts';

/** The first of some programs that is on the PATH, as a path; undefined when none is. */
export function findProgram(names: readonly string[], env: Environment): string | undefined {
  const directories = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(isExecutable);
}

/**
 * Whose tools are installed under the names that MySQL's had first: MariaDB's are links to programs called mariadb…. Each family warns of
 * options that only the other has. Undefined: nobody's, or nobody can tell.
 */
export function mysqlFamily(env: Environment): 'mysql' | 'mariadb' | undefined {
  const program = findProgram(['mysqldump', 'mysql', 'mariadb'], env);
  if (program === undefined) return undefined;
  try {
    return basename(realpathSync(program)).startsWith('mariadb') ? 'mariadb' : 'mysql';
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
