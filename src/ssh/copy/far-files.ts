import type { InputAttributes, SFTPWrapper, Stats } from 'ssh2';
import type { World } from '../../runtime/world.ts';
import type { SshConnection } from '../ssh-connection.ts';
import { folderOfFar, joinFar, nameOfFar } from './core/far-path.ts';
import { isSafeName } from './core/safe-name.ts';
import { FarDigests } from './far-digests.ts';
import { askAbout, attributesOf, FarSource, FarTarget, factsOf, listedFacts } from './far-handles.ts';
import { farFileError, fileError, SFTP_STATUS, statusOf } from './file-errors.ts';
import type { FileFacts, FileStore, NamedFacts, Settings, SourceFile, TargetFile } from './file-store.ts';
import type { SftpSession } from './sftp-session.ts';

/** SSH_FXF_… (draft-ietf-secsh-filexfer-02, section 6.3). */
const FLAG = { read: 0x01, write: 0x02, create: 0x08, exclusive: 0x20 } as const;
/** A folder with more names than this is not listed to its end: a server may go on for ever. */
const MOST_NAMES = 1_000_000;

type Entries = readonly { readonly filename: string; readonly attrs: Stats }[];

/** The files of a machine, over SFTP. Relative paths start in the home folder. */
export class FarFiles implements FileStore {
  readonly #session: SftpSession;
  readonly #label: string;
  readonly #digests: FarDigests;

  /** @param label of the machine, for people */
  constructor(
    world: Pick<World, 'clock'>,
    session: SftpSession,
    connection: SshConnection,
    label: string,
    signal: AbortSignal,
  ) {
    this.#session = session;
    this.#label = label;
    this.#digests = new FarDigests(world, connection, signal);
  }

  describe(path: string): string {
    return `${this.#label}:${path}`;
  }

  find(path: string): Promise<FileFacts | undefined> {
    return this.#look(path, 'stat');
  }

  findItself(path: string): Promise<FileFacts | undefined> {
    return this.#look(path, 'lstat');
  }

  async *list(folder: string): AsyncIterable<NamedFacts> {
    const what = `${this.describe(folder)} cannot be listed`;
    const handle = await askAbout<Buffer>(this.#session, what, (sftp, done) => sftp.opendir(folder, done));
    let count = 0;
    try {
      for (;;) {
        const batch = await this.#nextNames(handle, what);
        if (batch === undefined) return;
        count += batch.length;
        if (count > MOST_NAMES) throw fileError('CT_FILE_FAILED', what, `it has more than ${MOST_NAMES} names`);
        for (const { filename, attrs } of batch) yield { name: filename, facts: listedFacts(attrs) };
      }
    } finally {
      await this.#session.ask((sftp, done) => sftp.close(handle, done)).catch(() => {});
    }
  }

  canonical(path: string): Promise<string> {
    const what = `${this.describe(path)} cannot be looked at`;
    return askAbout<string>(this.#session, what, (sftp, done) => sftp.realpath(path, done));
  }

  async makeFolder(path: string, mode: number): Promise<void> {
    try {
      await this.#session.ask((sftp, done) => sftp.mkdir(path, { mode } as InputAttributes, done));
    } catch (cause) {
      // Servers say no more than "failure" when it is there.
      const there = statusOf(cause) === SFTP_STATUS.failure ? await this.find(path) : undefined;
      if (there?.kind !== 'folder') throw farFileError(`the folder ${this.describe(path)} cannot be made`, cause);
    }
  }

  async set(path: string, settings: Settings): Promise<void> {
    const attributes = attributesOf(settings);
    const what = `times and permissions of ${this.describe(path)} cannot be set`;
    if (attributes) await askAbout(this.#session, what, (sftp, done) => sftp.setstat(path, attributes, done));
  }

  async openSource(path: string): Promise<SourceFile> {
    const what = `${this.describe(path)} cannot be read`;
    const handle = await askAbout<Buffer>(this.#session, what, (sftp, done) => sftp.open(path, FLAG.read, done));
    return new FarSource(this.#session, handle, what);
  }

  create(path: string, mode: number): Promise<TargetFile> {
    return this.#openTarget(path, FLAG.write | FLAG.create | FLAG.exclusive, { mode } as InputAttributes);
  }

  reopen(path: string): Promise<TargetFile> {
    return this.#openTarget(path, FLAG.write | FLAG.read, {} as InputAttributes);
  }

  async replace(from: string, to: string): Promise<void> {
    const what = `${this.describe(to)} cannot be replaced`;
    const ask = (send: (sftp: SFTPWrapper, done: (error?: Error | null) => void) => void) =>
      askAbout(this.#session, what, send);
    if (await this.#renamed(from, to, what)) return;
    if (await this.findItself(to)) await ask((sftp, done) => sftp.unlink(to, done));
    await ask((sftp, done) => sftp.rename(from, to, done));
  }

  remove(path: string): Promise<void> {
    const what = `${this.describe(path)} cannot be removed`;
    return askAbout(this.#session, what, (sftp, done) => sftp.unlink(path, done));
  }

  digest(path: string, byteCount?: number): Promise<string | undefined> {
    return this.#digests.of(path, byteCount);
  }

  async freeBytes(path: string): Promise<number | undefined> {
    // The types know nothing of the answer. `f_bavail`: what is left for whoever is not root, in blocks of `f_frsize`.
    const answer = await this.#session
      .ask<unknown>((sftp, done) => sftp.ext_openssh_statvfs(path, done))
      .catch(() => undefined);
    if (typeof answer !== 'object' || answer === null) return undefined;
    const [blocks, blockSize] = [Reflect.get(answer, 'f_bavail'), Reflect.get(answer, 'f_frsize')];
    return typeof blocks === 'number' && typeof blockSize === 'number' ? blocks * blockSize : undefined;
  }

  join(folder: string, name: string): string {
    return joinFar(folder, name);
  }

  nameOf(path: string): string | undefined {
    return nameOfFar(path);
  }

  folderOf(path: string): string {
    return folderOfFar(path);
  }

  isSafeName(name: string): boolean {
    return isSafeName(name, 'linux');
  }

  async #look(path: string, method: 'stat' | 'lstat'): Promise<FileFacts | undefined> {
    try {
      return factsOf(await this.#session.ask<Stats>((sftp, done) => sftp[method](path, done)));
    } catch (cause) {
      if (statusOf(cause) === SFTP_STATUS.missing) return undefined;
      throw farFileError(`${this.describe(path)} cannot be looked at`, cause);
    }
  }

  async #nextNames(handle: Buffer, what: string): Promise<Entries | undefined> {
    try {
      return await this.#session.ask<Entries>((sftp, done) => sftp.readdir(handle, done));
    } catch (cause) {
      if (statusOf(cause) === SFTP_STATUS.eof) return undefined;
      throw farFileError(what, cause);
    }
  }

  async #openTarget(path: string, flags: number, attributes: InputAttributes): Promise<TargetFile> {
    const what = `${this.describe(path)} cannot be written`;
    const handle = await askAbout<Buffer>(this.#session, what, (sftp, done) =>
      sftp.open(path, flags, attributes, done),
    );
    return new FarTarget(this.#session, handle, what);
  }

  /** False from a server without `posix-rename`, whose own rename wants a free name. */
  async #renamed(from: string, to: string, what: string): Promise<boolean> {
    let isSent = false;
    try {
      await this.#session.ask((sftp, done) => {
        sftp.ext_openssh_rename(from, to, done);
        isSent = true;
      });
      return true;
    } catch (cause) {
      // Thrown by ssh2 itself, which has read in the greeting what the server can do.
      if (!isSent) return false;
      throw farFileError(what, cause);
    }
  }
}
