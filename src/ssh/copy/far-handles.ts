import type { InputAttributes, Stats } from 'ssh2';
import { farFileError, SFTP_STATUS, statusOf } from './file-errors.ts';
import type { FileFacts, Settings, SourceFile, TargetFile } from './file-store.ts';
import type { Send, SftpSession } from './sftp-session.ts';

const PERMISSIONS = 0o777;
/** The type within the mode (POSIX), which every server on Unix sends along. */
const TYPE = 0o170_000;
const KINDS: ReadonlyMap<number, FileFacts['kind']> = new Map([
  [0o100_000, 'file'],
  [0o040_000, 'folder'],
  [0o120_000, 'link'],
]);

/** One request about something. @param what for people: `web-1:/x cannot be read` @throws CT_FILE_…; as `SftpSession.ask` */
export async function askAbout<Result = void>(session: SftpSession, what: string, send: Send<Result>): Promise<Result> {
  try {
    return await session.ask(send);
  } catch (cause) {
    throw farFileError(what, cause);
  }
}

/** An open file of the far side that is read. */
export class FarSource implements SourceFile {
  readonly #session: SftpSession;
  readonly #handle: Buffer;
  readonly #what: string;

  constructor(session: SftpSession, handle: Buffer, what: string) {
    this.#session = session;
    this.#handle = handle;
    this.#what = what;
  }

  async read(buffer: Buffer, length: number, position: number): Promise<number> {
    try {
      return await this.#session.ask<number>((sftp, done) =>
        sftp.read(this.#handle, buffer, 0, length, position, done),
      );
    } catch (cause) {
      if (statusOf(cause) === SFTP_STATUS.eof) return 0;
      throw farFileError(this.#what, cause);
    }
  }

  async facts(): Promise<FileFacts> {
    return factsOf(await askAbout<Stats>(this.#session, this.#what, (sftp, done) => sftp.fstat(this.#handle, done)));
  }

  close(): Promise<void> {
    return askAbout(this.#session, this.#what, (sftp, done) => sftp.close(this.#handle, done));
  }
}

/** An open file of the far side that is written. */
export class FarTarget implements TargetFile {
  readonly #session: SftpSession;
  readonly #handle: Buffer;
  readonly #what: string;

  constructor(session: SftpSession, handle: Buffer, what: string) {
    this.#session = session;
    this.#handle = handle;
    this.#what = what;
  }

  write(buffer: Buffer, length: number, position: number): Promise<void> {
    return this.#ask((sftp, done) => sftp.write(this.#handle, buffer, 0, length, position, done));
  }

  async facts(): Promise<FileFacts> {
    return factsOf(await this.#ask<Stats>((sftp, done) => sftp.fstat(this.#handle, done)));
  }

  async set({ owner, ...rest }: Settings): Promise<void> {
    // Alone and first: it is refused to most, and may take permissions away.
    if (owner) await this.#change(owner).catch(() => {});
    const attributes = attributesOf(rest);
    if (attributes) await this.#change(attributes);
  }

  cut(byteCount: number): Promise<void> {
    return this.#change({ size: byteCount });
  }

  close(): Promise<void> {
    return this.#ask((sftp, done) => sftp.close(this.#handle, done));
  }

  #change(attributes: Partial<InputAttributes> & { readonly size?: number }): Promise<void> {
    // The types leave out `size`, and that every field may be absent; the protocol has a flag for each.
    return this.#ask((sftp, done) => sftp.fsetstat(this.#handle, attributes as InputAttributes, done));
  }

  #ask<Result = void>(send: Send<Result>): Promise<Result> {
    return askAbout(this.#session, this.#what, send);
  }
}

/** Undefined when there is nothing to set. SFTP sets both times or none, in whole seconds. */
export function attributesOf({ mode, times }: Settings): InputAttributes | undefined {
  if (mode === undefined && times === undefined) return undefined;
  const attributes = {
    ...(mode !== undefined && { mode }),
    ...(times && { atime: Math.floor(times.accessedAt / 1_000), mtime: Math.floor(times.modifiedAt / 1_000) }),
  };
  return attributes as InputAttributes;
}

/** What a listing tells; undefined from a server that leaves the type out. */
export function listedFacts(stats: Stats): FileFacts | undefined {
  return typeof stats.mode === 'number' && (stats.mode & TYPE) !== 0 ? factsOf(stats) : undefined;
}

/** A server may leave everything out; a file then looks empty and old. */
export function factsOf({ mode = 0, size = 0, mtime = 0, atime = 0, uid = 0, gid = 0 }: Partial<Stats>): FileFacts {
  return {
    kind: KINDS.get(mode & TYPE) ?? 'other',
    byteCount: size,
    mode: mode & PERMISSIONS,
    modifiedAt: mtime * 1_000,
    accessedAt: atime * 1_000,
    owner: { uid, gid },
  };
}
