/*
 * Paths of the far side, as SFTP takes them: `/` between components, relative ones from the folder of the login. There is no shell
 * that knows `~`, so it is taken off here.
 */

/** `~/x` is `x`, `~` and nothing are `.`: SFTP starts in the home folder. */
export function farPath(typed: string): string {
  if (typed === '' || typed === '~' || typed === '~/') return '.';
  return typed.startsWith('~/') ? typed.slice(2).replace(/^\/+/, '') || '.' : typed;
}

export function joinFar(folder: string, name: string): string {
  if (folder === '.') return name;
  return folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`;
}

/** The last component: what a copy of it is called. Undefined for a path that ends in none: `/`, `.`, `..`. */
export function nameOfFar(path: string): string | undefined {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return ['', '.', '..'].includes(name) ? undefined : name;
}

export function folderOfFar(path: string): string {
  const cut = path.replace(/\/+$/, '').lastIndexOf('/');
  if (cut > 0) return path.slice(0, cut);
  return path.startsWith('/') ? '/' : '.';
}

/** One word for a POSIX shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
