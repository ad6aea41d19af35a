export const SHELLS = ['posix', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

/** Lines that a shell evaluates: `eval "$(cloudtun lab env)"`, in fish `cloudtun lab env | source`. */
export function environmentLines(variables: Readonly<Record<string, string>>, shell: Shell): readonly string[] {
  return Object.entries(variables).map(([name, value]) => ASSIGNMENTS[shell](name, value));
}

const ASSIGNMENTS: Readonly<Record<Shell, (name: string, value: string) => string>> = {
  posix: (name, value) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`,
  fish: (name, value) => `set -gx ${name} '${value.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`,
  powershell: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
};

/** The syntax that the user's login shell reads, by `$SHELL`; PowerShell on Windows, where there is none. */
export function usualShell(env: Readonly<Record<string, string | undefined>>, platform: string): Shell {
  const program = (env.SHELL ?? '').split('/').at(-1);
  if (program === 'fish') return 'fish';
  return platform === 'win32' && !program ? 'powershell' : 'posix';
}
