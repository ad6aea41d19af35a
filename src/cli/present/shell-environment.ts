export const SHELLS = ['posix', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

/** Variables that a shell is to set, and those that it is not to have. */
export interface EnvironmentChange {
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
  /** For people, one line each. */
  readonly notes?: readonly string[];
}

interface Syntax {
  set(name: string, value: string): string;
  unset(name: string): string;
}

const SYNTAX: Readonly<Record<Shell, Syntax>> = {
  posix: {
    set: (name, value) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'`,
    unset: (name) => `unset ${name}`,
  },
  fish: {
    set: (name, value) => `set -gx ${name} '${value.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`,
    unset: (name) => `set -e ${name}`,
  },
  powershell: {
    set: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
    unset: (name) => `Remove-Item Env:${name} -ErrorAction SilentlyContinue`,
  },
};

/** Lines that a shell evaluates: `eval "$(cloudtun lab env)"`, in fish `cloudtun lab env | source`. */
export function environmentLines(change: EnvironmentChange, shell: Shell): readonly string[] {
  const syntax = SYNTAX[shell];
  return [
    ...change.unset.map((name) => syntax.unset(name)),
    ...Object.entries(change.set).map(([name, value]) => syntax.set(name, value)),
    // A comment in all three; last, because an unquoted eval makes one line of it all.
    ...(change.notes ?? []).map((note) => `# ${note}`),
  ];
}

/** The syntax that the user's login shell reads, by `$SHELL`; PowerShell on Windows, where there is none. */
export function usualShell(env: Readonly<Record<string, string | undefined>>, platform: string): Shell {
  const program = (env.SHELL ?? '').split('/').at(-1);
  if (program === 'fish') return 'fish';
  return platform === 'win32' && !program ? 'powershell' : 'posix';
}
