import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { Attributes, SFTPWrapper } from 'ssh2';
import { fileLine } from '../../src/cli/present/copy-lines.ts';
import { errorLines } from '../../src/cli/present/error-text.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { copyOver } from '../../src/ssh/copy/copy-over.ts';
import type { CopiedFile, CopyOptions } from '../../src/ssh/copy/copy-types.ts';
import { loggedIn } from '../support/ssh-client.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { TestSshd } from '../support/test-sshd.ts';

/* Servers that lie, fail or go away: what no honest sshd can be told to do. */

type Test = Parameters<typeof temporaryDirectory>[0];
type Answers = Readonly<Record<string, (sftp: SFTPWrapper, id: number, ...rest: readonly unknown[]) => void>>;

const STATUS = { ok: 0, eof: 1, missing: 2, denied: 3, failure: 4 } as const;
const HANDLE = Buffer.from([1]);
const PLAIN: CopyOptions = { isRecursive: false, preserves: false, resumes: false, verifies: false };
const attributes = (mode: number, size = 0): Attributes => ({ mode, size, uid: 0, gid: 0, atime: 0, mtime: 0 });
const FILE = attributes(0o100_644, 700_000);
const FOLDER = attributes(0o040_755);

/** A server with these answers; what is not among them succeeds, and nothing is there. */
async function rig(t: Test, answers: Answers) {
  const home = await temporaryDirectory(t);
  const here = join(home, 'in/here');
  mkdirSync(here, { recursive: true });
  const usual: Answers = {
    STAT: (sftp, id) => sftp.status(id, STATUS.missing),
    LSTAT: (sftp, id) => sftp.status(id, STATUS.missing),
    REALPATH: (sftp, id, path) => sftp.name(id, [{ filename: `/${String(path)}`, longname: '', attrs: FILE }]),
    OPEN: (sftp, id) => sftp.handle(id, HANDLE),
    OPENDIR: (sftp, id) => sftp.handle(id, HANDLE),
    FSTAT: (sftp, id) => sftp.attrs(id, FILE),
    READ: (sftp, id) => sftp.status(id, STATUS.eof),
  };
  const names = ['WRITE', 'CLOSE', 'MKDIR', 'RENAME', 'REMOVE', 'SETSTAT', 'FSETSTAT', 'READDIR', 'EXTENDED'];
  const removed: string[] = [];
  const sshd = await new TestSshd({
    sftp: (sftp) => {
      for (const name of [...Object.keys(usual), ...names]) {
        const answer = answers[name] ?? usual[name] ?? ((each, id) => each.status(id, STATUS.ok));
        sftp.on(name, (id: number, ...rest: readonly unknown[]) => {
          if (name === 'REMOVE') removed.push(String(rest[0]));
          answer(sftp, id, ...rest);
        });
      }
      sftp.on('error', () => {});
    },
  }).listen();
  const world = systemWorld({ env: { HOME: home }, cwd: here });
  const connection = await loggedIn(world, sshd);
  t.after(async () => {
    await connection[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });
  const files: CopiedFile[] = [];
  const copy = async (direction: 'up' | 'down', source: string, target: string, options = PLAIN) => {
    const listener = { onFile: (file: CopiedFile) => void files.push(file), onProgress: () => {} };
    const request = { direction, sources: [source], target, label: 'web-1', options };
    return await copyOver(world, connection, request, listener, new AbortController().signal);
  };
  const codes = () => files.flatMap(({ error }) => (error ? [error.code] : []));
  return { home, here, files, codes, copy, sshd, removed };
}

/** Lists these names once, then the end. */
function listing(entries: readonly (readonly [string, Attributes])[]): Answers {
  let isListed = false;
  return {
    STAT: (sftp, id, path) => sftp.attrs(id, path === 'tree' ? FOLDER : FILE),
    READDIR: (sftp, id) => {
      if (isListed) return sftp.status(id, STATUS.eof);
      isListed = true;
      sftp.name(
        id,
        entries.map(([filename, attrs]) => ({ filename, longname: filename, attrs })),
      );
    },
    READ: (sftp, id, _handle, position, length) => {
      const count = Math.min(Number(length), FILE.size - Number(position));
      if (count <= 0) sftp.status(id, STATUS.eof);
      else sftp.data(id, Buffer.alloc(count, 'x'));
    },
  };
}

suite('copying from and to servers that are no good', () => {
  test('names that lead out of the folder, or into the terminal', async (t) => {
    const names = ['../out', '/etc/cron.d/x', '..', '.', '', 'a/../../b', 'nul\0name', '\u001b[2Jclear', 'good'];
    const { home, here, copy, codes, files } = await rig(t, listing(names.map((name) => [name, FILE])));
    const report = await copy('down', 'tree', 'tree', { ...PLAIN, isRecursive: true });
    assert.deepEqual([report.copied, report.failed], [2, 5]);
    assert.deepEqual(new Set(codes()), new Set(['CT_FILE_NAME']));
    assert.deepEqual(
      readdirSync(home).filter((name) => name !== '.local'),
      ['in'],
    );
    assert.deepEqual([readdirSync(join(home, 'in')), readdirSync(here)], [['here'], ['tree']]);
    assert.deepEqual(readdirSync(join(here, 'tree')).sort(), ['\u001b[2Jclear', 'good']);
    const shown = files.map((file) => (file.error ? errorLines(file.error).join('') : fileLine(file))).join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what may not be there
    assert.doesNotMatch(shown, /[\u0000-\u001f]/);
  });

  test('folders without end', async (t) => {
    const { copy, codes } = await rig(t, {
      STAT: (sftp, id) => sftp.attrs(id, FOLDER),
      READDIR: (sftp, id) => sftp.name(id, [{ filename: 'in', longname: '', attrs: FOLDER }]),
      OPENDIR: (sftp, id) => sftp.handle(id, HANDLE),
    });
    const ended = copy('down', 'tree', 'tree', { ...PLAIN, isRecursive: true });
    // Each folder lists itself for ever; the depth ends it, and then a million names do, which nobody waits for.
    ended.catch(() => {});
    while (codes().length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(codes()[0], 'CT_FILE_KIND');
  });

  test('a full disk, told by the protocol as a failure; what had arrived is removed', async (t) => {
    const { here, copy, codes, files, removed } = await rig(t, {
      WRITE: (sftp, id, _handle, position) => sftp.status(id, Number(position) < 65_536 ? STATUS.ok : STATUS.failure),
      EXTENDED: (sftp, id) => sftp.status(id, STATUS.failure),
    });
    writeFileSync(join(here, 'file'), Buffer.alloc(500_000));
    const report = await copy('up', 'file', 'there');
    assert.deepEqual([report.failed, codes()], [1, ['CT_FILE_FAILED']]);
    assert.deepEqual(removed, ['.there.cloudtun-part']);
    assert.match(
      files[0]?.error?.message ?? '',
      /^web-1:there cannot be written|^web-1:\.there\.cloudtun-part cannot be written/,
    );
  });

  test('permission denied, both ways', async (t) => {
    const { here, copy, codes } = await rig(t, {
      OPEN: (sftp, id) => sftp.status(id, STATUS.denied),
      STAT: (sftp, id, path) => (path === 'file' ? sftp.attrs(id, FILE) : sftp.status(id, STATUS.missing)),
    });
    writeFileSync(join(here, 'mine'), 'x');
    await copy('up', 'mine', 'there');
    await copy('down', 'file', 'back');
    assert.deepEqual(codes(), ['CT_FILE_DENIED', 'CT_FILE_DENIED']);
    assert.deepEqual(readdirSync(here), ['mine']);
  });

  test('a file that ends before its size, and one that is another one afterwards', async (t) => {
    let isShort = true;
    let mtime = 0;
    const { here, copy, codes } = await rig(t, {
      STAT: (sftp, id) => sftp.attrs(id, FILE),
      FSTAT: (sftp, id) => sftp.attrs(id, { ...FILE, mtime }),
      READ: (sftp, id, _handle, position, length) => {
        if (!isShort) mtime = 7;
        if (isShort && Number(position) >= 65_536) sftp.status(id, STATUS.eof);
        else sftp.data(id, Buffer.alloc(Math.min(Number(length), FILE.size - Number(position))));
      },
    });
    await copy('down', 'short', 'short');
    isShort = false;
    await copy('down', 'changed', 'changed');
    assert.deepEqual(codes(), ['CT_FILE_CHANGED', 'CT_FILE_CHANGED']);
    assert.deepEqual(readdirSync(here), []);
  });

  test('a server that answers in small pieces and in the order it likes', async (t) => {
    const whole = Buffer.from(Array.from({ length: FILE.size }, (_, index) => (index * 31) % 251));
    let waiting: (() => void)[] = [];
    const { here, copy } = await rig(t, {
      STAT: (sftp, id) => sftp.attrs(id, FILE),
      READ: (sftp, id, _handle, position, length) => {
        const start = Number(position);
        const part = whole.subarray(start, start + Math.min(Number(length), 9_000));
        waiting.push(() => (part.length === 0 ? sftp.status(id, STATUS.eof) : sftp.data(id, part)));
        // Those that came last are answered first.
        if (waiting.length === 1) {
          setImmediate(() => {
            const answers = waiting.reverse();
            waiting = [];
            for (const answer of answers) answer();
          });
        }
      },
    });
    const report = await copy('down', 'file', 'file');
    assert.equal(report.copied, 1);
    assert.ok(readFileSync(join(here, 'file')).equals(whole));
  });

  test('a server without posix-rename: the old file goes first', async (t) => {
    const renamed: string[] = [];
    const { here, copy, removed } = await rig(t, {
      LSTAT: (sftp, id, path) => (path === '/there' ? sftp.attrs(id, FILE) : sftp.status(id, STATUS.missing)),
      STAT: (sftp, id, path) => (path === 'there' ? sftp.attrs(id, FILE) : sftp.status(id, STATUS.missing)),
      FSTAT: (sftp, id) => sftp.attrs(id, { ...FILE, size: 4 }),
      RENAME: (sftp, id, from, to) => {
        renamed.push(`${String(from)} ${String(to)}`);
        sftp.status(id, STATUS.ok);
      },
    });
    writeFileSync(join(here, 'file'), 'four');
    assert.equal((await copy('up', 'file', 'there')).copied, 1);
    assert.deepEqual([removed, renamed], [['/there'], ['/.there.cloudtun-part /there']]);
  });

  test('a server that goes away: the reason, and what has arrived stays for another time', async (t) => {
    const { here, copy, sshd } = await rig(t, {
      STAT: (sftp, id) => sftp.attrs(id, FILE),
      READ: (sftp, id, _handle, position) => {
        if (Number(position) === 0) sftp.data(id, Buffer.alloc(32_768));
        else sshd.cut();
      },
    });
    await assert.rejects(copy('down', 'file', 'file'), { code: 'CT_TUNNEL_LOST' });
    assert.equal(existsSync(join(here, 'file')), false);
    assert.equal(readFileSync(join(here, '.file.cloudtun-part')).length % 32_768, 0);
  });
});
