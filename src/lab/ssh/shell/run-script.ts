import { PassThrough, type Readable, Writable } from 'node:stream';
import { resolvePath } from '../core/memory-files.ts';
import { type Pipeline, parseScript, type SimpleCommand, type Word } from '../core/shell-syntax.ts';
import { problemText } from './file-commands.ts';
import { SHELL_COMMANDS, ShellExit } from './shell-commands.ts';
import { BrokenPipe, put, type ShellContext, type ShellIo } from './shell-io.ts';

/** 128 + SIGPIPE and SIGINT. */
const BROKEN = 141;
const STOPPED = 130;

/**
 * Runs a script and gives the status of its last pipeline.
 *
 * @throws ShellExit at `exit`
 */
export async function runScript(script: string, io: ShellIo, shell: ShellContext): Promise<number> {
  const pipelines = parseScript(script);
  if (typeof pipelines === 'string') {
    await put(io.stderr, `bash: ${pipelines}\n`);
    shell.status = 2;
    return 2;
  }
  for (const pipeline of pipelines) {
    if (io.signal.aborted) break;
    if (pipeline.when !== 'always' && (shell.status === 0) !== (pipeline.when === 'success')) continue;
    shell.status = await runPipeline(pipeline, io, shell);
  }
  return shell.status;
}

async function runPipeline({ commands }: Pipeline, io: ShellIo, shell: ShellContext): Promise<number> {
  if (commands.length === 1) return await runCommand(commands[0]!, io, shell);
  const pipes = commands.slice(1).map(() => new PassThrough());
  const statuses = await Promise.all(
    commands.map(async (command, index) => {
      const before = pipes[index - 1];
      const after = pipes[index];
      const own: ShellIo = { ...io, stdin: before ?? io.stdin, stdout: after ?? io.stdout };
      // Each in a shell of its own, as the real one does it.
      const status = await runCommand(command, own, { ...shell, env: new Map(shell.env) }).catch((error: unknown) => {
        if (error instanceof ShellExit) return error.status;
        throw error;
      });
      after?.end();
      // Who still writes to it learns that nobody reads.
      before?.destroy();
      return status;
    }),
  );
  return statuses.at(-1) ?? 0;
}

async function runCommand(command: SimpleCommand, io: ShellIo, shell: ShellContext): Promise<number> {
  const opened: Writable[] = [];
  try {
    const redirected = await redirect(command, io, shell, opened);
    if (redirected === undefined) return 1;
    const words = command.words.map((word) => expand(word, shell));
    while (words[0] !== undefined && /^[A-Za-z_]\w*=/.test(words[0])) {
      const [, name = '', value = ''] = /^(\w+)=(.*)$/s.exec(words[0]) ?? [];
      shell.env.set(name, value);
      words.shift();
    }
    const [name, ...args] = words;
    if (name === undefined) return 0;
    if (/^(?:.*\/)?(?:ba)?sh$/.test(name)) {
      const at = args.findIndex((arg) => /^-\w*c$/.test(arg));
      return at < 0 ? 0 : await runScript(args[at + 1] ?? '', redirected, { ...shell, env: new Map(shell.env) });
    }
    const bare = name.replace(/^(?:\/usr)?\/bin\//, '');
    const run = Object.hasOwn(SHELL_COMMANDS, bare) ? SHELL_COMMANDS[bare] : undefined;
    if (run === undefined) {
      await put(redirected.stderr, `bash: ${name}: command not found\n`);
      return 127;
    }
    return await run(args, redirected, shell);
  } catch (error) {
    if (error instanceof BrokenPipe) return BROKEN;
    if (io.signal.aborted) return STOPPED;
    throw error;
  } finally {
    for (const file of opened) file.end();
  }
}

/** The command's streams; undefined when a file cannot be opened, which was said. */
async function redirect(
  command: SimpleCommand,
  io: ShellIo,
  shell: ShellContext,
  opened: Writable[],
): Promise<ShellIo | undefined> {
  let stdin: Readable = io.stdin;
  const out: Record<1 | 2, Writable> = { 1: io.stdout, 2: io.stderr };
  for (const one of command.redirects) {
    if ('to' in one) {
      out[one.from] = out[one.to];
      continue;
    }
    const name = expand(one.file, shell);
    const path = resolvePath(shell.cwd, name);
    const problem = one.from === 0 ? openInput() : openOutput(one.from, one.appends);
    if (problem !== undefined) {
      await put(io.stderr, `bash: ${name}: ${problemText(problem)}\n`);
      return undefined;
    }

    function openInput() {
      const entry = shell.files.find(path);
      if (path !== '/dev/null' && entry?.kind !== 'file') return entry === undefined ? 'missing' : 'is-folder';
      const pass = new PassThrough();
      pass.end(entry?.kind === 'file' ? Buffer.from(entry.bytes.subarray(0, entry.byteCount)) : undefined);
      stdin = pass;
      return undefined;
    }

    function openOutput(from: 1 | 2, appends: boolean) {
      const file = path === '/dev/null' ? undefined : shell.files.create(path);
      if (typeof file === 'string') return file;
      if (file !== undefined && !appends) shell.files.resize(file, 0);
      const sink = new Writable({
        // At once, so that the next command finds what this one wrote.
        write: (data: Buffer, _encoding, done) => {
          const problem = file === undefined ? undefined : shell.files.write(file, file.byteCount, data);
          done(problem === undefined ? null : new Error(problem));
        },
      });
      sink.on('error', () => {});
      opened.push(sink);
      out[from] = sink;
      return undefined;
    }
  }
  return { ...io, stdin, stdout: out[1], stderr: out[2] };
}

function expand(word: Word, shell: ShellContext): string {
  return word
    .map(({ text, expands }, index) => {
      if (!expands) return text;
      const home = index === 0 ? text.replace(/^~(?=\/|$)/, shell.env.get('HOME') ?? '~') : text;
      return home.replace(/\$(?:\{(\w+)\}|([A-Za-z_]\w*)|\?)/g, (_all, braced?: string, plain?: string) => {
        const name = braced ?? plain;
        return name === undefined ? String(shell.status) : (shell.env.get(name) ?? '');
      });
    })
    .join('');
}
