import type { Attributes, FileEntry as NamedEntry, SFTPWrapper } from 'ssh2';
import { type Entry, type FileEntry, type FileProblem, type MemoryFiles, resolvePath } from './core/memory-files.ts';

/** SSH_FX_… of the protocol's version 3 (draft-ietf-secsh-filexfer-02, 7). */
const STATUS = { ok: 0, eof: 1, missing: 2, failure: 4, unsupported: 8 } as const;
/** SSH_FXF_… (6.3). */
const FLAG = { write: 0x02, append: 0x04, create: 0x08, truncate: 0x10, exclusive: 0x20 } as const;
const FILE_TYPE = { file: 0o100_000, folder: 0o040_000 } as const;
/** Names in one READDIR answer, and bytes in one READ answer. */
const NAMES_AT_ONCE = 100;
const READ_LIMIT = 262_144;
const HANDLE_LIMIT = 1_000;

type Handle =
  | { readonly kind: 'file'; readonly file: FileEntry; readonly appends: boolean }
  | { readonly kind: 'folder'; readonly entry: Entry; names: string[] };

/** SFTP, version 3, over the files of a practice machine. */
export class SftpServer {
  readonly #sftp: SFTPWrapper;
  readonly #files: MemoryFiles;
  readonly #home: string;
  readonly #handles = new Map<number, Handle>();
  #lastHandle = 0;

  constructor(sftp: SFTPWrapper, files: MemoryFiles, home: string) {
    this.#sftp = sftp;
    this.#files = files;
    this.#home = home;
    sftp.on('error', () => {});
    sftp.once('end', () => succeed(sftp));
    sftp.on('OPEN', (id, name, flags, attributes) => this.#open(id, name, flags, attributes));
    sftp.on('READ', (id, handle, offset, length) => this.#read(id, handle, offset, length));
    sftp.on('WRITE', (id, handle, offset, data) => this.#write(id, handle, offset, data));
    sftp.on('CLOSE', (id, handle) => {
      sftp.status(id, this.#handles.delete(numberOf(handle)) ? STATUS.ok : STATUS.failure);
    });
    const stat = (id: number, path: string) => this.#describe(id, this.#files.find(this.#path(path)));
    sftp.on('STAT', stat);
    sftp.on('LSTAT', stat);
    sftp.on('FSTAT', (id, handle) => this.#describe(id, this.#entryOf(handle)));
    sftp.on('SETSTAT', (id, path, attributes) => this.#change(id, this.#files.find(this.#path(path)), attributes));
    sftp.on('FSETSTAT', (id, handle, attributes) => this.#change(id, this.#entryOf(handle), attributes));
    sftp.on('REALPATH', (id, path) => {
      const filename = this.#path(path);
      sftp.name(id, [{ filename, longname: filename, attrs: attributesOf(this.#files.find(filename)) }]);
    });
    sftp.on('OPENDIR', (id, path) => {
      const entry = this.#files.find(this.#path(path));
      if (entry?.kind !== 'folder') this.#answer(id, entry === undefined ? 'missing' : 'no-folder');
      else this.#give(id, { kind: 'folder', entry, names: [...entry.children.keys()].sort() });
    });
    sftp.on('READDIR', (id, handle) => this.#list(id, handle));
    sftp.on('MKDIR', (id, path, { mode }) => {
      this.#answer(id, this.#files.makeFolder(this.#path(path), mode === undefined ? 0o755 : mode & 0o7777));
    });
    sftp.on('REMOVE', (id, path) => this.#remove(id, path, 'file'));
    sftp.on('RMDIR', (id, path) => this.#remove(id, path, 'folder'));
    sftp.on('RENAME', (id, from, to) => {
      this.#answer(id, this.#files.rename(this.#path(from), this.#path(to), false));
    });
    sftp.on('EXTENDED', (id, name, data) => this.#extended(id, name, data));
    const unsupported = (id: number) => sftp.status(id, STATUS.unsupported);
    sftp.on('READLINK', unsupported);
    sftp.on('SYMLINK', unsupported);
  }

  #path = (path: string): string => resolvePath(this.#home, path);

  #open(id: number, name: string, flags: number, { mode }: Attributes): void {
    const path = this.#path(name);
    const found = this.#files.find(path);
    const has = (flag: number) => (flags & flag) !== 0;
    if (found === undefined && !has(FLAG.create)) return this.#answer(id, 'missing');
    if (found !== undefined && has(FLAG.exclusive)) return this.#answer(id, 'exists');
    const file = this.#files.create(path, mode === undefined ? 0o644 : mode & 0o7777);
    if (typeof file === 'string') return this.#answer(id, file);
    if (has(FLAG.write) && has(FLAG.truncate)) this.#files.resize(file, 0);
    this.#give(id, { kind: 'file', file, appends: has(FLAG.append) });
  }

  #read(id: number, handle: Buffer, offset: number, length: number): void {
    const opened = this.#handles.get(numberOf(handle));
    if (opened?.kind !== 'file') return this.#answer(id, 'is-folder');
    const end = Math.min(opened.file.byteCount, offset + Math.min(length, READ_LIMIT));
    if (offset >= end) this.#sftp.status(id, STATUS.eof);
    else this.#sftp.data(id, Buffer.from(opened.file.bytes.subarray(offset, end)));
  }

  #write(id: number, handle: Buffer, offset: number, data: Buffer): void {
    const opened = this.#handles.get(numberOf(handle));
    if (opened?.kind !== 'file') return this.#answer(id, 'is-folder');
    this.#answer(id, this.#files.write(opened.file, opened.appends ? opened.file.byteCount : offset, data));
  }

  #list(id: number, handle: Buffer): void {
    const opened = this.#handles.get(numberOf(handle));
    if (opened?.kind !== 'folder' || opened.entry.kind !== 'folder') return this.#answer(id, 'no-folder');
    const { children } = opened.entry;
    const names = opened.names.splice(0, NAMES_AT_ONCE);
    if (names.length === 0) return void this.#sftp.status(id, STATUS.eof);
    this.#sftp.name(
      id,
      names.map((name) => named(name, children.get(name))),
    );
  }

  #change(id: number, entry: Entry | undefined, { mode, mtime, size }: Partial<Attributes>): void {
    if (entry === undefined) return this.#answer(id, 'missing');
    if (size !== undefined && entry.kind === 'file') {
      const problem = this.#files.resize(entry, size);
      if (problem !== undefined) return this.#answer(id, problem);
    }
    if (mode !== undefined) entry.mode = mode & 0o7777;
    if (mtime !== undefined) entry.modifiedAt = mtime * 1_000;
    this.#answer(id, undefined);
  }

  #remove(id: number, name: string, kind: Entry['kind']): void {
    const path = this.#path(name);
    const found = this.#files.find(path);
    if (found !== undefined && found.kind !== kind) this.#answer(id, kind === 'file' ? 'is-folder' : 'no-folder');
    else this.#answer(id, this.#files.remove(path));
  }

  /** `posix-rename@openssh.com`: over what is in the way. */
  #extended(id: number, name: string, data: Buffer): void {
    if (name !== 'posix-rename@openssh.com' || data.length < 4) return void this.#sftp.status(id, STATUS.unsupported);
    const middle = 4 + data.readUInt32BE(0);
    const from = data.toString('utf8', 4, middle);
    const to = data.toString('utf8', middle + 4);
    this.#answer(id, this.#files.rename(this.#path(from), this.#path(to), true));
  }

  #describe(id: number, entry: Entry | undefined): void {
    if (entry === undefined) this.#answer(id, 'missing');
    else this.#sftp.attrs(id, attributesOf(entry));
  }

  #entryOf(handle: Buffer): Entry | undefined {
    const opened = this.#handles.get(numberOf(handle));
    return opened?.kind === 'file' ? opened.file : opened?.entry;
  }

  #give(id: number, handle: Handle): void {
    if (this.#handles.size >= HANDLE_LIMIT) return this.#answer(id, 'full');
    this.#lastHandle += 1;
    this.#handles.set(this.#lastHandle, handle);
    const name = Buffer.alloc(4);
    name.writeUInt32BE(this.#lastHandle);
    this.#sftp.handle(id, name);
  }

  #answer(id: number, problem: FileProblem | undefined): void {
    if (problem === undefined) this.#sftp.status(id, STATUS.ok);
    else if (problem === 'missing') this.#sftp.status(id, STATUS.missing, 'No such file');
    else this.#sftp.status(id, STATUS.failure, `Failure: ${problem}`);
  }
}

/** What ssh2's SFTP has and its types leave out. */
interface SftpInside {
  readonly _protocol: { exitStatus(channel: number, status: number): void };
  readonly outgoing: { readonly id: number; readonly state: string };
}

/** Ends the session with status 0. ssh2 itself says none, which scp takes for a failure of a good copy. */
function succeed(sftp: SFTPWrapper): void {
  const { _protocol, outgoing } = sftp as unknown as SftpInside;
  if (outgoing.state === 'open') _protocol.exitStatus(outgoing.id, 0);
  sftp.end();
}

const numberOf = (handle: Buffer): number => (handle.length === 4 ? handle.readUInt32BE() : 0);

function attributesOf(entry: Entry | undefined): Attributes {
  const seconds = Math.floor((entry?.modifiedAt ?? 0) / 1_000);
  const kind = entry?.kind ?? 'file';
  return {
    mode: FILE_TYPE[kind] | (entry?.mode ?? 0),
    uid: 1_000,
    gid: 1_000,
    size: entry?.kind === 'file' ? entry.byteCount : 4_096,
    atime: seconds,
    mtime: seconds,
  };
}

function named(filename: string, entry: Entry | undefined): NamedEntry {
  const attrs = attributesOf(entry);
  const bits = [6, 3, 0].map((shift) => {
    const part = (attrs.mode >> shift) & 7;
    return `${part & 4 ? 'r' : '-'}${part & 2 ? 'w' : '-'}${part & 1 ? 'x' : '-'}`;
  });
  const longname = `${entry?.kind === 'folder' ? 'd' : '-'}${bits.join('')} 1 user user ${attrs.size} Jan 1 00:00 ${filename}`;
  return { filename, longname, attrs };
}
