import { resolvePath } from '../core/memory-files.ts';
import { SYSTEMS } from '../ssh-machine.ts';
import { FILE_COMMANDS } from './file-commands.ts';
import { put, type ShellContext, type ShellIo } from './shell-io.ts';

/** Runs and gives its exit status. */
export type ShellCommand = (args: readonly string[], io: ShellIo, shell: ShellContext) => Promise<number>;

/** Thrown by `exit`. */
export class ShellExit extends Error {
  readonly status: number;

  constructor(status: number) {
    super();
    this.status = status;
  }
}

const says =
  (text: (shell: ShellContext, args: readonly string[]) => string): ShellCommand =>
  async (args, io, shell) => {
    await put(io.stdout, `${text(shell, args)}\n`);
    return 0;
  };
const answers =
  (status: number): ShellCommand =>
  async () =>
    status;

/** A number for a name, the same at each login. */
const userId = (userName: string): number =>
  userName === 'root' ? 0 : 1_000 + ([...userName].reduce((sum, char) => sum * 31 + char.charCodeAt(0), 0) % 50_000);

/** Commands of the practice machines, those over files apart: file-commands.ts. No process is ever started. */
export const SHELL_COMMANDS: Readonly<Record<string, ShellCommand>> = {
  ...FILE_COMMANDS,
  ':': answers(0),
  true: answers(0),
  false: answers(1),
  hostname: says(({ machine }) => machine.name),
  whoami: says(({ userName }) => userName),
  id: says(({ userName }) => {
    const id = userId(userName);
    return `uid=${id}(${userName}) gid=${id}(${userName}) groups=${id}(${userName})`;
  }),
  pwd: says(({ cwd }) => cwd),
  uname: says(({ machine }, args) => {
    const { kernel } = SYSTEMS[machine.system];
    const architecture = kernel.endsWith('amd64') || kernel.endsWith('aws') ? 'x86_64' : 'aarch64';
    if (args[0] === '-r') return kernel;
    if (args[0] === '-m') return architecture;
    return args[0] === '-a' ? `Linux ${machine.name} ${kernel} #1 SMP ${architecture} GNU/Linux` : 'Linux';
  }),
  env: says(({ env }) => [...env].map(([name, value]) => `${name}=${value}`).join('\n')),
  echo: async (args, io) => {
    const options = args.findIndex((arg) => !/^-[neE]+$/.test(arg));
    const words = args.slice(options < 0 ? args.length : options);
    const flags = args.slice(0, args.length - words.length).join('');
    const text = flags.includes('e') ? unescaped(words.join(' ')) : words.join(' ');
    await put(io.stdout, flags.includes('n') ? text : `${text}\n`);
    return 0;
  },
  printf: async ([format = '', ...values], io) => {
    await put(io.stdout, formatted(format, values));
    return 0;
  },
  cd: async ([to], io, shell) => {
    const path = resolvePath(shell.cwd, to ?? shell.env.get('HOME') ?? '/');
    if (shell.files.find(path)?.kind !== 'folder') {
      await put(io.stderr, `-bash: cd: ${to}: No such file or directory\n`);
      return 1;
    }
    shell.cwd = path;
    return 0;
  },
  export: async (args, _io, shell) => {
    for (const arg of args) {
      const [, name, value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(arg) ?? [];
      if (name !== undefined) shell.env.set(name, value);
    }
    return 0;
  },
  exit: async ([status], _io, shell) => {
    throw new ShellExit(status === undefined ? shell.status : Number(status) & 255);
  },
  logout: async (_args, _io, shell) => {
    throw new ShellExit(shell.status);
  },
  sleep: async ([seconds = '0'], io, shell) => {
    const delay = seconds === 'infinity' ? Number.MAX_SAFE_INTEGER : Number(seconds) * 1_000;
    if (!(delay >= 0)) {
      await put(io.stderr, `sleep: invalid time interval '${seconds}'\n`);
      return 1;
    }
    // Rejects when the command is stopped, which ends it.
    await shell.world.clock.sleep(delay, io.signal);
    return 0;
  },
  tty: async (_args, io, shell) => {
    const hasTerminal = shell.terminal() !== undefined;
    await put(io.stdout, hasTerminal ? '/dev/pts/0\n' : 'not a tty\n');
    return hasTerminal ? 0 : 1;
  },
  stty: async (args, io, shell) => {
    const size = shell.terminal();
    if (size === undefined) {
      await put(io.stderr, "stty: 'standard input': Inappropriate ioctl for device\n");
      return 1;
    }
    await put(io.stdout, args[0] === 'size' ? `${size.rows} ${size.columns}\n` : '');
    return 0;
  },
};

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  e: '\x1b',
  a: '\x07',
  '0': '\0',
};
const unescaped = (text: string): string =>
  text.replace(/\\([ntrea0\\])/g, (_all, char: string) => ESCAPES[char] ?? '');

/** `%s`, `%d` and `%%`; the format is used again while values are left. */
function formatted(format: string, values: readonly string[]): string {
  const left = [...values];
  let text = '';
  do {
    text += unescaped(format).replace(/%([sd%])/g, (_all, kind: string) => {
      if (kind === '%') return '%';
      const value = left.shift() ?? '';
      return kind === 'd' ? String(Math.trunc(Number(value)) || 0) : value;
    });
  } while (left.length > 0 && /%[sd]/.test(format));
  return text;
}
