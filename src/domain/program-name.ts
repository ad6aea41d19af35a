/**
 * What a command line runs, for the journal: the name of the program and never its arguments, which may hold secrets.
 *
 * @param command a line for a shell; variables that it sets first are passed over
 * @returns `a script` where the first word is more than a name
 */
export function programName(command: string): string {
  const [first = ''] = command
    .trim()
    .split(/\s+/)
    .filter((word) => !/^\w+=/.test(word));
  return /^[\w./+-]{1,128}$/.test(first) ? (first.split('/').at(-1) ?? first) : 'a script';
}
