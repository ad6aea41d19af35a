import type { RawName } from '../config/raw-names.ts';

/*
 * What may come next on a command line, without I/O. The commands are those of the manifest that the command line framework reads too.
 */

export interface ManifestFlag {
  readonly name: string;
  readonly char?: string;
  readonly type: 'boolean' | 'option';
  readonly hidden?: boolean;
  readonly description?: string;
  readonly options?: readonly string[];
}

export interface ManifestCommand {
  readonly id: string;
  readonly hidden?: boolean;
  readonly summary?: string;
  readonly args: Readonly<Record<string, { readonly options?: readonly string[] }>>;
  readonly flags: Readonly<Record<string, ManifestFlag>>;
}

/** A way to go on, and what it means. */
export interface Candidate {
  readonly text: string;
  readonly about?: string;
}

export interface CompletionFacts {
  /** By id, `lab:up`. */
  readonly commands: Readonly<Record<string, ManifestCommand>>;
  /** Of the catalogue. */
  readonly names: readonly RawName[];
  /** What clouds had; a command that says a kind takes them as they are. */
  readonly remembered: readonly RawName[];
  /** Tunnels that a supervisor holds. */
  readonly held: readonly string[];
}

const ANY = ['rds', 'sql', 'host', 'machine'] as const;
const MACHINES = ['machine', 'host'] as const;

/** Which names a command takes. */
const TAKES: Readonly<Record<string, readonly RawName['kind'][] | 'held'>> = {
  rds: ['rds'],
  sql: ['sql'],
  forward: ANY,
  exec: [...ANY, 'group'],
  up: [...ANY, 'group'],
  down: 'held',
  status: 'held',
  wait: 'held',
  ssh: MACHINES,
  socks: MACHINES,
  expose: MACHINES,
  cp: MACHINES,
  proxy: MACHINES,
  'config:show': ANY,
};

/**
 * @param words what stands before the cursor, without the program; the last one is the one being typed, and may be empty
 */
export function completeWords(words: readonly string[], facts: CompletionFacts): readonly Candidate[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  // Behind `--` stands a command of somebody else's.
  if (before.includes('--')) return [];
  const { command, rest } = findCommand(before, facts.commands);
  const candidates =
    command === undefined ? commandsAfter(before, facts.commands) : within(command, rest, typed, facts);
  return candidates.filter(({ text }) => text.startsWith(typed));
}

function findCommand(words: readonly string[], commands: CompletionFacts['commands']) {
  for (let count = words.length; count > 0; count -= 1) {
    const command = commands[words.slice(0, count).join(':')];
    if (command !== undefined) return { command, rest: words.slice(count) };
  }
  return { command: undefined, rest: words };
}

/** Commands, and topics of commands, that begin with these words. */
function commandsAfter(words: readonly string[], commands: CompletionFacts['commands']): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { id, hidden, summary } of Object.values(commands)) {
    const parts = id.split(':');
    if (hidden || words.some((word, index) => word !== parts[index])) continue;
    const text = parts[words.length];
    if (text === undefined) continue;
    const isWhole = parts.length === words.length + 1;
    if (!found.has(text) || isWhole)
      found.set(text, { text, ...(isWhole && summary !== undefined && { about: summary }) });
  }
  return [...found.values()];
}

function within(
  { id, flags, args }: ManifestCommand,
  rest: readonly string[],
  typed: string,
  facts: CompletionFacts,
): readonly Candidate[] {
  const last = rest.at(-1);
  const flag = last?.startsWith('-') ? flagOf(last, flags) : undefined;
  if (flag?.type === 'option') {
    if (flag.name === 'via') return named(MACHINES, facts);
    return (flag.options ?? []).map((text) => ({ text }));
  }
  if (typed.startsWith('-')) {
    const used = new Set(rest);
    return Object.values(flags).flatMap(({ name, description, hidden }) =>
      hidden || used.has(`--${name}`) ? [] : [{ text: `--${name}`, ...(description && { about: description }) }],
    );
  }
  const takes = TAKES[id];
  if (takes === 'held') return facts.held.map((text) => ({ text }));
  if (takes !== undefined) return named(takes, facts);
  return Object.values(args).flatMap(({ options }) => (options ?? []).map((text) => ({ text })));
}

function flagOf(word: string, flags: ManifestCommand['flags']): ManifestFlag | undefined {
  return Object.values(flags).find(({ name, char }) => word === `--${name}` || (char && word === `-${char}`));
}

function named(kinds: readonly RawName['kind'][], { names, remembered }: CompletionFacts): readonly Candidate[] {
  const all = kinds.includes('group') ? names : [...remembered, ...names];
  const found = new Map(all.filter(({ kind }) => kinds.includes(kind)).map(({ name, kind }) => [name, kind]));
  return [...found].map(([text, about]) => ({ text, about }));
}
