import { agentPath, hostKeysPath } from './client-files.ts';

/** A host that OpenSSH shall reach by its name in the catalogue. */
export interface ConfigHost {
  readonly name: string;
  /** Whom `ssh NAME` logs in as; without it, what else the user's config says, or the name of the local login. */
  readonly user?: string | undefined;
  /** Why this user, or why none. */
  readonly remark: string;
  /** The user's own config has a block for the bare name, which stays theirs. */
  readonly isTaken: boolean;
}

export interface ClientConfig {
  /** What starts cloudtun: a program and its first arguments. */
  readonly command: readonly string[];
  /** Where agents and host keys of connections are. */
  readonly folder: string;
  /** The folder whose cloudtun.yaml names the hosts; undefined: the user's own file does. */
  readonly catalogue: string | undefined;
  readonly hosts: readonly ConfigHost[];
}

/** The names that no catalogue has to have: `?` stands for one character, so that `i-love-it.example.com` is none. */
const PATTERNS = ['*.cloudtun', `i-${'?'.repeat(8)}`, `i-${'?'.repeat(17)}`, `mi-${'?'.repeat(17)}`];

/**
 * An ssh_config(5) of these hosts and of the patterns, always the same text for the same hosts. A user of a block stands before what is
 * common to all, since ssh takes the first value of each setting.
 */
export function clientConfig({ command, folder, catalogue, hosts }: ClientConfig): string {
  const sorted = [...hosts].sort((one, other) => (one.name < other.name ? -1 : 1));
  const names = sorted.flatMap((host) => (host.isTaken ? [] : [host.name]));
  const blocks = sorted.map(
    (host) =>
      `Host ${namesOf(host).join(' ')}\n    # ${host.remark}\n${host.user === undefined ? '' : `    User ${host.user}\n`}`,
  );
  const words = [...command, 'proxy', '--login', '%r', '--ssh-files', folder];
  if (catalogue !== undefined) words.push('--catalogue', catalogue);
  // `%r`, `%n` and `%p` are ssh's own, which refuses characters that mean something to a shell (since 9.6).
  const proxy = [...words.map((word) => (word === '%r' ? "'%r'" : shellWord(percent(word)))), '--', "'%n'", '%p'];
  const common = [
    `Host ${[...names, ...PATTERNS].join(' ')}`,
    `    ProxyCommand ${proxy.join(' ')}`,
    `    IdentityAgent "${agentPath(percent(folder), '%r', '%n', '%p')}"`,
    // The key of the login is one of the agent's.
    '    IdentitiesOnly no',
    `    UserKnownHostsFile "${hostKeysPath(percent(folder), '%n', '%p')}"`,
    '    StrictHostKeyChecking yes',
    '    UpdateHostKeys no',
    '    CheckHostIP no',
  ];
  return [
    '# Written by `cloudtun ssh-config`, which writes it anew: changes are lost. Settings of your own belong into',
    '# your own config, above its Include line where they shall win.',
    '',
    ...blocks,
    ...common,
    '',
  ].join('\n');
}

/** Under its own name, and with the suffix that no other host has. */
export function namesOf({ name, isTaken }: ConfigHost): readonly string[] {
  return isTaken ? [`${name}.cloudtun`] : [name, `${name}.cloudtun`];
}

/** What ssh would take for a token. */
function percent(text: string): string {
  return text.replaceAll('%', '%%');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
