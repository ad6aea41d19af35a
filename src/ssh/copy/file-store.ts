import type { Millis } from '../../domain/millis.ts';

/** What is known of a file or folder. */
export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly byteCount: number;
  /** The nine permission bits; what makes a program run as somebody else is never carried over. */
  readonly mode: number;
  /** Wall clock; the far side knows whole seconds. */
  readonly modifiedAt: Millis;
  readonly accessedAt: Millis;
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** A name of a folder; without facts where the listing does not tell. The name is as it was given, and may lie. */
export interface NamedFacts {
  readonly name: string;
  readonly facts: FileFacts | undefined;
}

/** A file that is read. */
export interface SourceFile {
  /** May give less than asked; nothing at the end of the file. The bytes are good until the next call with this buffer. */
  read(buffer: Buffer, length: number, position: number): Promise<number>;
  /** As it is now. */
  facts(): Promise<FileFacts>;
  close(): Promise<void>;
}

export interface Settings {
  readonly mode?: number;
  readonly times?: { readonly accessedAt: Millis; readonly modifiedAt: Millis };
  /** Tried, and left as it is where that is not ours to change. */
  readonly owner?: FileFacts['owner'];
}

/** A file that is written. */
export interface TargetFile {
  write(buffer: Buffer, length: number, position: number): Promise<void>;
  facts(): Promise<FileFacts>;
  set(settings: Settings): Promise<void>;
  cut(byteCount: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * The files of one side: of this machine, or of a far one over SFTP. Everything throws CT_FILE_MISSING, CT_FILE_DENIED, CT_FILE_FULL,
 * CT_FILE_KIND or CT_FILE_FAILED with the path in the message; the far side also CT_TUNNEL_LOST and the reason of its signal.
 */
export interface FileStore {
  /** For people: `web-1:/var/log/app.log`, `./app.log`. */
  describe(path: string): string;
  /** The file, or what a link leads to; undefined when nothing is there. */
  find(path: string): Promise<FileFacts | undefined>;
  /** The thing itself, links too. */
  findItself(path: string): Promise<FileFacts | undefined>;
  /** What a folder holds, without `.` and `..`. */
  list(folder: string): AsyncIterable<NamedFacts>;
  /** The path without links, to see whether two are one. */
  canonical(path: string): Promise<string>;
  /** Nothing happens when it is there. */
  makeFolder(path: string, mode: number): Promise<void>;
  set(path: string, settings: Settings): Promise<void>;
  openSource(path: string): Promise<SourceFile>;
  /** A new file, nothing may be in its place. The mode is further limited by what the side lets new files have. */
  create(path: string, mode: number): Promise<TargetFile>;
  /** A file that is there, as it is. */
  reopen(path: string): Promise<TargetFile>;
  /** Puts a file in the place of another, which may be there. */
  replace(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** SHA-256 of the first bytes, or of all, in hex; undefined where this side cannot tell. */
  digest(path: string, byteCount?: number): Promise<string | undefined>;
  /** Room for this user on the file system of a path; undefined where this side cannot tell. */
  freeBytes(path: string): Promise<number | undefined>;
  join(folder: string, name: string): string;
  /** The last component; undefined for a path that ends in none (`/`, `..`). */
  nameOf(path: string): string | undefined;
  folderOf(path: string): string;
  isSafeName(name: string): boolean;
}
