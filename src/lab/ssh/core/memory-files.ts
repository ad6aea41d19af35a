/**
 * The files of one practice machine: a tree in memory with permissions that are kept and not enforced. Paths are absolute and
 * normalized with `resolvePath`. Left out: links, owners, devices (the shell plays the few that it knows).
 */
import type { Millis } from '../../../domain/millis.ts';

export interface FileEntry {
  readonly kind: 'file';
  mode: number;
  modifiedAt: Millis;
  /** Grows by doubling; the first `byteCount` bytes count. */
  bytes: Buffer;
  byteCount: number;
}

export interface FolderEntry {
  readonly kind: 'folder';
  mode: number;
  modifiedAt: Millis;
  readonly children: Map<string, Entry>;
}

export type Entry = FileEntry | FolderEntry;
export type FileProblem = 'missing' | 'exists' | 'no-folder' | 'is-folder' | 'not-empty' | 'full';

/** Bytes of all files of a machine. */
const CAPACITY = 512 * 1_048_576;
const ENTRY_LIMIT = 50_000;

/** `a/../b` seen from `/home/x` → `/home/x/b` */
export function resolvePath(cwd: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${cwd}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

export class MemoryFiles {
  readonly #now: () => Millis;
  readonly #root: FolderEntry;
  #byteCount = 0;
  #entries = 0;

  /** @param now wall clock */
  constructor(now: () => Millis) {
    this.#now = now;
    this.#root = this.#folder(0o755);
  }

  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#root;
    for (const part of path.split('/').filter(Boolean)) {
      entry = entry?.kind === 'folder' ? entry.children.get(part) : undefined;
    }
    return entry;
  }

  /** An empty file, or the one that is there. */
  create(path: string, mode = 0o644): FileEntry | FileProblem {
    const place = this.#place(path);
    if (typeof place === 'string') return place;
    const found = place.folder.children.get(place.name);
    if (found !== undefined) return found.kind === 'file' ? found : 'is-folder';
    if (this.#entries >= ENTRY_LIMIT) return 'full';
    const file: FileEntry = { kind: 'file', mode, modifiedAt: this.#now(), bytes: Buffer.alloc(0), byteCount: 0 };
    this.#entries += 1;
    place.folder.children.set(place.name, file);
    return file;
  }

  makeFolder(path: string, mode = 0o755): FileProblem | undefined {
    const place = this.#place(path);
    if (typeof place === 'string') return place;
    if (place.folder.children.has(place.name)) return 'exists';
    if (this.#entries >= ENTRY_LIMIT) return 'full';
    this.#entries += 1;
    place.folder.children.set(place.name, this.#folder(mode));
    return undefined;
  }

  /** `mkdir -p` */
  makeFolders(path: string): FileProblem | undefined {
    let at = '';
    for (const part of path.split('/').filter(Boolean)) {
      at += `/${part}`;
      const problem = this.find(at)?.kind === 'folder' ? undefined : this.makeFolder(at);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Writes at a place of the file; what lies between its end and there is zero. */
  write(file: FileEntry, offset: number, data: Buffer): FileProblem | undefined {
    const problem = this.resize(file, Math.max(file.byteCount, offset + data.length));
    if (problem === undefined) data.copy(file.bytes, offset);
    return problem;
  }

  resize(file: FileEntry, byteCount: number): FileProblem | undefined {
    if (this.#byteCount + byteCount - file.byteCount > CAPACITY) return 'full';
    if (byteCount > file.bytes.length) {
      const grown = Buffer.alloc(Math.min(CAPACITY, Math.max(byteCount, file.bytes.length * 2, 4_096)));
      file.bytes.copy(grown, 0, 0, file.byteCount);
      file.bytes = grown;
    } else if (byteCount < file.byteCount) {
      file.bytes.fill(0, byteCount, file.byteCount);
    }
    this.#byteCount += byteCount - file.byteCount;
    file.byteCount = byteCount;
    file.modifiedAt = this.#now();
    return undefined;
  }

  /** Removes a file or an empty folder; with `whole`, what is in it too. */
  remove(path: string, whole = false): FileProblem | undefined {
    const place = this.#place(path);
    if (typeof place === 'string') return place;
    const found = place.folder.children.get(place.name);
    if (found === undefined) return 'missing';
    if (found.kind === 'folder') {
      if (found.children.size > 0 && !whole) return 'not-empty';
      for (const name of [...found.children.keys()]) this.remove(`${path}/${name}`, true);
    } else {
      this.#byteCount -= found.byteCount;
    }
    place.folder.children.delete(place.name);
    this.#entries -= 1;
    return undefined;
  }

  /** Moves, over a file that is in the way when `replace`. */
  rename(from: string, to: string, replace: boolean): FileProblem | undefined {
    const source = this.#place(from);
    const target = this.#place(to);
    if (typeof source === 'string') return source;
    if (typeof target === 'string') return target;
    const entry = source.folder.children.get(source.name);
    if (entry === undefined) return 'missing';
    if (from === to) return undefined;
    // A folder inside itself would be lost.
    if (to.startsWith(`${from}/`)) return 'exists';
    if (target.folder.children.has(target.name)) {
      if (!replace) return 'exists';
      const problem = this.remove(to);
      if (problem !== undefined) return problem;
    }
    source.folder.children.delete(source.name);
    target.folder.children.set(target.name, entry);
    return undefined;
  }

  #folder(mode: number): FolderEntry {
    return { kind: 'folder', mode, modifiedAt: this.#now(), children: new Map() };
  }

  #place(path: string): { readonly folder: FolderEntry; readonly name: string } | FileProblem {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name === '') return 'exists';
    const folder = this.find(path.slice(0, path.lastIndexOf('/')));
    if (folder === undefined) return 'missing';
    return folder.kind === 'folder' ? { folder, name } : 'no-folder';
  }
}
