/*
 * The one line by which a user's own ssh_config(5) takes up another file: pure functions on its text. The text is latin1 of its bytes, so
 * that every byte of the user's stays as it was. The line stands at the very top: below a `Host` it would hold for that host alone.
 */

const MARK = '# cloudtun ssh-config; cloudtun ssh-config --uninstall takes it out';

/** The lines to add, without the mark. */
export function includeLine(file: string): string {
  return `Include "${file}"`;
}

/** Whether a line of the text includes the file, wherever it stands. @param home what `~` means */
export function includes(text: string, file: string, home: string): boolean {
  return text.split(/\r?\n/).some((line) => {
    const [keyword, rest] = /^\s*(include)[\s=]+(.+?)\s*$/i.exec(line)?.slice(1) ?? [];
    if (keyword === undefined || rest === undefined) return false;
    const paths = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    return paths.some((path) => path.replace(/^~(?=\/)/, home) === file);
  });
}

/** The text with the line at its top; as it was when the line is there. */
export function withInclude(text: string, file: string, home: string): string {
  return includes(text, file, home) ? text : `${MARK}\n${includeLine(file)}\n\n${text}`;
}

/** The text without what `withInclude` added. */
export function withoutInclude(text: string, file: string): string {
  const added = `${MARK}\n${includeLine(file)}\n`;
  const at = text.indexOf(added);
  if (at === -1) return text;
  const after = text.slice(at + added.length);
  return text.slice(0, at) + (at === 0 ? after.replace(/^\n/, '') : after);
}

/** Names that a `Host` line of the text has in full, without patterns. */
export function ownHosts(text: string): ReadonlySet<string> {
  const names = text.split(/\r?\n/).flatMap((line) => {
    const patterns = /^\s*host[\s=]+(.+?)\s*$/i.exec(line)?.[1];
    return patterns?.replaceAll('"', '').split(/[\s,]+/) ?? [];
  });
  return new Set(names.filter((name) => !/[*?!#]/.test(name)));
}
