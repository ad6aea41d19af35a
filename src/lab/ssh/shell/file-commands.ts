import { createHash } from 'node:crypto';
import { type FileEntry, resolvePath } from '../core/memory-files.ts';
import type { ShellCommand } from './shell-commands.ts';
import { bytesOf, put, type ShellContext, type ShellIo } from './shell-io.ts';

const BLOCK = 65_536;
const ENDLESS = new Set(['/dev/zero', '/dev/urandom', '/dev/random']);
const PROBLEMS = {
  missing: 'No such file or directory',
  exists: 'File exists',
  'no-folder': 'Not a directory',
  'is-folder': 'Is a directory',
  'not-empty': 'Directory not empty',
  full: 'No space left on device',
} as const;
export const problemText = (problem: keyof typeof PROBLEMS): string => PROBLEMS[problem];

/** Commands over files and streams: `name → run`. */
export const FILE_COMMANDS: Readonly<Record<string, ShellCommand>> = {
  cat: async (args, io, shell) => await eachFile('cat', args, io, shell, (block) => put(io.stdout, block)),
  head: async (args, io, shell) => {
    const options = args.join(' ').match(/^(?:-c ?(\d+)([kKM]?)|-n ?(\d+))?\s*(.*)$/);
    const [, count, unit, lines, rest = ''] = options ?? [];
    const files = rest.split(' ').filter(Boolean);
    if (count !== undefined) {
      let left = Number(count) * (unit === 'M' ? 1_048_576 : unit === '' ? 1 : 1_024);
      return await eachFile('head', files, io, shell, async (block) => {
        await put(io.stdout, block.subarray(0, left));
        left -= Math.min(left, block.length);
        return left > 0;
      });
    }
    let left = Number(lines ?? 10);
    return await eachFile('head', files, io, shell, async (block) => {
      let end = 0;
      while (left > 0 && end < block.length) {
        const newline = block.indexOf(10, end);
        end = newline < 0 ? block.length : newline + 1;
        if (newline >= 0) left -= 1;
      }
      await put(io.stdout, block.subarray(0, end));
      return left > 0;
    });
  },
  sha256sum: async (args, io, shell) => {
    const digests: string[] = [];
    let status = 0;
    for (const file of args.length > 0 ? args : ['-']) {
      const hash = createHash('sha256');
      const one = await eachFile('sha256sum', [file], io, shell, async (block) => void hash.update(block));
      if (one === 0) digests.push(`${hash.digest('hex')}  ${file}\n`);
      status ||= one;
    }
    await put(io.stdout, digests.join(''));
    return status;
  },
  wc: async (args, io, shell) => {
    const files = args.filter((one) => !one.startsWith('-'));
    let bytes = 0;
    let lines = 0;
    const status = await eachFile('wc', files, io, shell, async (block) => {
      bytes += block.length;
      for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, at + 1)) lines += 1;
    });
    await put(io.stdout, `${args.includes('-l') ? lines : bytes}\n`);
    return status;
  },
  ls: async (args, io, shell) => {
    const path = resolvePath(shell.cwd, args.find((one) => !one.startsWith('-')) ?? '.');
    const entry = shell.files.find(path);
    if (entry === undefined) {
      await put(io.stderr, `ls: cannot access '${path}': No such file or directory\n`);
      return 2;
    }
    const names = entry.kind === 'file' ? [path] : [...entry.children.keys()].sort();
    const shown = args.includes('-a') ? names : names.filter((name) => !name.startsWith('.'));
    await put(io.stdout, shown.map((name) => `${name}\n`).join(''));
    return 0;
  },
  mkdir: async (args, io, shell) =>
    await eachPath('mkdir', args, io, shell, (path) =>
      args.includes('-p') ? shell.files.makeFolders(path) : shell.files.makeFolder(path),
    ),
  rm: async (args, io, shell) =>
    await eachPath('rm', args, io, shell, (path) => {
      const options = args.filter((one) => one.startsWith('-')).join('');
      const problem = shell.files.remove(path, options.includes('r'));
      return problem === 'missing' && options.includes('f') ? undefined : problem;
    }),
};

async function eachPath(
  name: string,
  args: readonly string[],
  io: ShellIo,
  shell: ShellContext,
  change: (path: string) => keyof typeof PROBLEMS | undefined,
): Promise<number> {
  let status = 0;
  for (const arg of args.filter((one) => !one.startsWith('-'))) {
    const problem = change(resolvePath(shell.cwd, arg));
    if (problem === undefined) continue;
    await put(io.stderr, `${name}: ${arg}: ${PROBLEMS[problem]}\n`);
    status = 1;
  }
  return status;
}

/** Gives the contents of files, or of stdin, block by block, until `take` answers false. */
async function eachFile(
  name: string,
  files: readonly string[],
  io: ShellIo,
  shell: ShellContext,
  take: (block: Buffer) => Promise<unknown>,
): Promise<number> {
  let status = 0;
  for (const file of files.length > 0 ? files : ['-']) {
    if (file === '-' || file === '/dev/stdin') {
      for await (const block of bytesOf(io.stdin, io.signal)) if ((await take(block)) === false) return status;
    } else if (ENDLESS.has(file)) {
      while (!io.signal.aborted) {
        const block = file === '/dev/zero' ? Buffer.alloc(BLOCK) : shell.world.random.bytes(BLOCK);
        if ((await take(block)) === false) return status;
      }
    } else if (file !== '/dev/null') {
      const entry = shell.files.find(resolvePath(shell.cwd, file));
      if (entry?.kind !== 'file') {
        await put(io.stderr, `${name}: ${file}: ${PROBLEMS[entry === undefined ? 'missing' : 'is-folder']}\n`);
        status = 1;
      } else if (!(await takeFile(entry, io, take))) {
        return status;
      }
    }
  }
  return status;
}

async function takeFile(entry: FileEntry, io: ShellIo, take: (block: Buffer) => Promise<unknown>): Promise<boolean> {
  for (let at = 0; at < entry.byteCount && !io.signal.aborted; at += BLOCK) {
    // Copied: the file may change while a slow reader holds the block.
    const block = Buffer.from(entry.bytes.subarray(at, Math.min(at + BLOCK, entry.byteCount)));
    if ((await take(block)) === false) return false;
  }
  return true;
}
