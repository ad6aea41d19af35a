import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { systemCode } from '../../domain/errors.ts';
import type { World } from '../../runtime/world.ts';
import { isSafeName } from './core/safe-name.ts';
import { localFileError } from './file-errors.ts';
import type { FileFacts, FileStore, Settings, SourceFile, TargetFile } from './file-store.ts';

const PERMISSIONS = 0o777;

/** The files of this machine. Relative paths start where the command was typed. */
export function localFiles(world: Pick<World, 'cwd' | 'platform'>, signal: AbortSignal): FileStore {
  const at = (path: string) => resolve(world.cwd, path);
  const find = (look: (path: string) => Promise<Stats>) => async (path: string) => {
    try {
      return factsOf(await look(at(path)));
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return undefined;
      throw localFileError(`${path} cannot be looked at`, cause);
    }
  };
  const named = <Result>(what: string, done: Promise<Result>) =>
    done.catch((cause: unknown) => {
      throw localFileError(what, cause);
    });
  const openTarget = async (path: string, flags: string, mode?: number) =>
    targetFile(path, await named(`${path} cannot be written`, open(at(path), flags, mode)));
  return {
    describe: (path) => path,
    find: find((path) => stat(path)),
    findItself: find((path) => lstat(path)),
    async *list(folder) {
      const what = `${folder} cannot be listed`;
      const entries = await named(what, opendir(at(folder)));
      try {
        for await (const { name } of entries) yield { name, facts: factsOf(await lstat(join(at(folder), name))) };
      } catch (cause) {
        throw localFileError(what, cause);
      }
    },
    canonical: (path) => named(`${path} cannot be looked at`, realpath(at(path))),
    makeFolder: async (path, mode) => {
      try {
        await mkdir(at(path), mode);
      } catch (cause) {
        if (systemCode(cause) !== 'EEXIST') throw localFileError(`the folder ${path} cannot be made`, cause);
      }
    },
    set: async (path, settings) => {
      const handle = await named(`${path} cannot be changed`, open(at(path), 'r'));
      try {
        await change(handle, path, settings);
      } finally {
        await handle.close();
      }
    },
    openSource: async (path) => sourceFile(path, await named(`${path} cannot be read`, open(at(path), 'r'))),
    create: (path, mode) => openTarget(path, 'wx', mode),
    reopen: (path) => openTarget(path, 'r+'),
    replace: (from, to) => named(`${to} cannot be replaced`, rename(at(from), at(to))),
    remove: (path) => named(`${path} cannot be removed`, rm(at(path))),
    digest: async (path, byteCount) => {
      try {
        return await digestOf(at(path), byteCount, signal);
      } catch (cause) {
        signal.throwIfAborted();
        throw localFileError(`${path} cannot be read`, cause);
      }
    },
    // What this system says about a full disk is exact.
    freeBytes: async () => undefined,
    join,
    nameOf: (path) => {
      const name = basename(at(path));
      return name === '' || /(^|[/\\])\.{1,2}[/\\]*$/.test(path) ? undefined : name;
    },
    folderOf: dirname,
    isSafeName: (name) => isSafeName(name, world.platform),
  };
}

function sourceFile(path: string, handle: FileHandle): SourceFile {
  const what = `${path} cannot be read`;
  return {
    read: async (buffer, length, position) => {
      try {
        return (await handle.read(buffer, 0, length, position)).bytesRead;
      } catch (cause) {
        throw localFileError(what, cause);
      }
    },
    facts: async () => factsOf(await handle.stat()),
    close: () => handle.close(),
  };
}

function targetFile(path: string, handle: FileHandle): TargetFile {
  const what = `${path} cannot be written`;
  return {
    write: async (buffer, length, position) => {
      try {
        for (let done = 0; done < length; ) {
          done += (await handle.write(buffer, done, length - done, position + done)).bytesWritten;
        }
      } catch (cause) {
        throw localFileError(what, cause);
      }
    },
    facts: async () => factsOf(await handle.stat()),
    set: (settings) => change(handle, path, settings),
    cut: (byteCount) => handle.truncate(byteCount),
    close: async () => {
      try {
        await handle.close();
      } catch (cause) {
        throw localFileError(what, cause);
      }
    },
  };
}

/** The owner first: changing it may take permissions away. */
async function change(handle: FileHandle, path: string, { mode, times, owner }: Settings): Promise<void> {
  if (owner) await handle.chown(owner.uid, owner.gid).catch(() => {});
  try {
    if (mode !== undefined) await handle.chmod(mode);
    if (times) await handle.utimes(times.accessedAt / 1_000, times.modifiedAt / 1_000);
  } catch (cause) {
    throw localFileError(`times and permissions of ${path} cannot be set`, cause);
  }
}

async function digestOf(path: string, byteCount: number | undefined, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  if (byteCount === 0) return hash.digest('hex');
  const range = byteCount === undefined ? {} : { end: byteCount - 1 };
  for await (const chunk of createReadStream(path, { ...range, highWaterMark: 1_048_576 })) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest('hex');
}

function factsOf(stats: Stats): FileFacts {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other',
    byteCount: stats.size,
    mode: stats.mode & PERMISSIONS,
    modifiedAt: stats.mtimeMs,
    accessedAt: stats.atimeMs,
    owner: { uid: stats.uid, gid: stats.gid },
  };
}
