import type { ClientView } from './client-view.ts';
import { mysqlOptionFile } from './mysql-option-file.ts';
import { libpqParameters, pgpassLine } from './postgres-files.ts';

/** Paths of the files that were made for one name; each absent where there is nothing to put in it. */
export interface ClientPaths {
  readonly cnf?: string;
  readonly passfile?: string;
  readonly authorities?: string;
  readonly passwordFile?: string;
}

/** A file with its text, which holds secrets. */
export interface ClientFile {
  readonly path: string;
  readonly text: string;
}

/** Which files one name has. @param base a path that no other name's files begin with */
export function clientPaths({ kind, password, authorities }: ClientView, base: string): ClientPaths {
  return {
    ...(kind === 'mysql' && { cnf: `${base}.cnf` }),
    ...(kind === 'postgres' && password !== undefined && { passfile: `${base}.pgpass` }),
    ...(authorities !== undefined && { authorities: `${base}.ca.pem` }),
    ...(password !== undefined && { passwordFile: `${base}.password` }),
  };
}

/** What is in them. @throws CT_CONFIG for a password that a file cannot carry */
export function clientFiles(view: ClientView, paths: ClientPaths): readonly ClientFile[] {
  const files: ClientFile[] = [];
  const { cnf, passfile, authorities, passwordFile } = paths;
  if (authorities !== undefined) files.push({ path: authorities, text: view.authorities ?? '' });
  if (cnf !== undefined) files.push({ path: cnf, text: mysqlOptionFile(view, authorities) });
  if (passfile !== undefined) {
    files.push({ path: passfile, text: pgpassLine(view, libpqParameters(view, { authorities })) });
  }
  if (passwordFile !== undefined) files.push({ path: passwordFile, text: view.password?.reveal() ?? '' });
  return files;
}
