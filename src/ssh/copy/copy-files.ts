import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import { CHUNK } from './copy-bytes.ts';
import { type CopyWork, copyFile, type FileJob } from './copy-file.ts';
import type { CopiedFile, CopyListener, CopyReport } from './copy-types.ts';
import { fileError } from './file-errors.ts';
import type { FileFacts, Settings } from './file-store.ts';
import { Slots } from './slots.ts';
import { FolderWalk } from './walk-folder.ts';

/** Requests under way, of all files together: 2 MiB, which is what OpenSSH's window and ours hold. */
const REQUESTS_AT_ONCE = 16;
/** Small files cost round trips and not bytes. */
const FILES_AT_ONCE = 8;

/** A folder that was made, whose times and permissions are set when nothing is put into it any more. */
interface MadeFolder {
  readonly path: string;
  readonly settings: Settings;
}

/**
 * Copies files and folders from one side to the other. What cannot be copied is told to the listener and does not stop the rest.
 *
 * @param sources paths of the side that is read
 * @param target a folder, or what the one source is called there
 * @throws CT_FILE_KIND when several sources have no folder to go to; CT_TUNNEL_LOST; the reason of the signal
 */
export async function copyFiles(
  work: Omit<CopyWork, 'slots' | 'onProgress'>,
  sources: readonly string[],
  target: string,
  listener: CopyListener,
): Promise<CopyReport> {
  const slots = new Slots(REQUESTS_AT_ONCE, CHUNK);
  return await new Copy({ ...work, slots, onProgress: listener.onProgress }, listener).run(sources, target);
}

class Copy {
  readonly #work: CopyWork;
  readonly #listener: CopyListener;
  readonly #underWay = new Set<Promise<void>>();
  readonly #folders: MadeFolder[] = [];
  #report: CopyReport = { copied: 0, there: 0, failed: 0, movedByteCount: 0, failure: undefined };
  /** What ends everything. */
  #end: { readonly reason: unknown } | undefined;

  constructor(work: CopyWork, listener: CopyListener) {
    this.#work = work;
    this.#listener = listener;
  }

  async run(sources: readonly string[], target: string): Promise<CopyReport> {
    const { to } = this.#work;
    const place = await to.find(target);
    const isFolder = place?.kind === 'folder';
    if (sources.length > 1 && !isFolder) {
      const why = place ? 'it is no folder' : 'there is no such folder';
      throw fileError('CT_FILE_KIND', `several sources cannot be copied to ${to.describe(target)}`, why);
    }
    try {
      for (const source of sources) {
        await this.#tried({ from: source, to: target }, () => this.#source(source, target, isFolder));
      }
    } finally {
      await Promise.all(this.#underWay);
    }
    if (this.#end) throw this.#end.reason;
    await this.#settleFolders();
    return this.#report;
  }

  async #source(source: string, target: string, isFolder: boolean): Promise<void> {
    const { from, to, options } = this.#work;
    const facts = await from.find(source);
    const what = `${from.describe(source)} cannot be copied`;
    if (facts === undefined) throw missing(what, source);
    // `..` names a place and no name to give: what is in there goes to where the target is.
    const name = from.nameOf(source);
    const place = isFolder && name !== undefined ? to.join(target, name) : target;
    if (facts.kind === 'folder') {
      if (options.isRecursive) return await this.#folder(source, place, facts);
      throw new CloudtunError('CT_FILE_KIND', `${what}: it is a folder`, {
        hint: 'copy it with all that is in it: -r',
      });
    }
    if (facts.kind !== 'file') throw fileError('CT_FILE_KIND', what, 'it is no regular file');
    if (!isFolder && /[/\\]$/.test(target)) {
      throw fileError('CT_FILE_MISSING', what, `there is no folder ${to.describe(target)}`);
    }
    await this.#start({ from: source, to: place });
  }

  async #folder(source: string, place: string, facts: FileFacts): Promise<void> {
    const walk = new FolderWalk(this.#work.from, this.#work.to);
    for await (const found of walk.walk(source, place, facts)) {
      this.#throwIfOver();
      const job = { from: found.from, to: found.to };
      if (found.kind === 'failed') this.#failed(job, found.error);
      else if (found.kind === 'file') await this.#start(job);
      else if (!(await this.#tried(job, () => this.#makeFolder(found.to, found.facts)))) walk.leaveOut();
    }
  }

  async #makeFolder(path: string, facts: FileFacts): Promise<void> {
    const { to, options } = this.#work;
    const there = await to.find(path);
    if (there && there.kind !== 'folder') {
      throw fileError('CT_FILE_KIND', `the folder ${to.describe(path)} cannot be made`, 'a file is in its place');
    }
    // Ours to fill, whatever it will be.
    if (!there) await to.makeFolder(path, facts.mode | 0o700);
    const { modifiedAt, accessedAt, mode } = facts;
    if (options.preserves) this.#folders.push({ path, settings: { mode, times: { modifiedAt, accessedAt } } });
    else if (!there && (mode & 0o700) !== 0o700) this.#folders.push({ path, settings: { mode } });
  }

  /** Innermost first: setting a folder's permissions may close it. */
  async #settleFolders(): Promise<void> {
    for (const { path, settings } of this.#folders.reverse()) {
      await this.#tried({ from: path, to: path }, () => this.#work.to.set(path, settings));
    }
  }

  /** Begins with a file as soon as there is room for one more. */
  async #start(job: FileJob): Promise<void> {
    while (this.#underWay.size >= FILES_AT_ONCE) await Promise.race(this.#underWay);
    this.#throwIfOver();
    const done: Promise<void> = this.#tried(job, async () => this.#copied(await copyFile(this.#work, job)))
      .then(() => {})
      .catch((reason: unknown) => {
        this.#end ??= { reason };
      })
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  #throwIfOver(): void {
    if (this.#end) throw this.#end.reason;
  }

  /** Whether it worked. A failure of one file is told; one of everything is thrown. */
  async #tried(job: FileJob, run: () => Promise<void>): Promise<boolean> {
    const { signal } = this.#work;
    try {
      signal.throwIfAborted();
      await run();
      return true;
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      const error = asCloudtunError(thrown);
      if (!error.code.startsWith('CT_FILE_')) throw error;
      this.#failed(job, error);
      return false;
    }
  }

  #copied(file: CopiedFile): void {
    const { copied, there, movedByteCount } = this.#report;
    const isThere = file.outcome === 'there';
    this.#report = {
      ...this.#report,
      copied: copied + (isThere ? 0 : 1),
      there: there + (isThere ? 1 : 0),
      movedByteCount: movedByteCount + file.movedByteCount,
    };
    this.#listener.onFile(file);
  }

  #failed(job: FileJob, error: CloudtunError): void {
    const { from, to } = this.#work;
    this.#report = { ...this.#report, failed: this.#report.failed + 1, failure: this.#report.failure ?? error };
    const names = { from: from.describe(job.from), to: to.describe(job.to) };
    const nothing = { byteCount: 0, movedByteCount: 0, duration: 0, remarks: [] };
    this.#listener.onFile({ ...names, outcome: 'failed', ...nothing, error });
  }
}

function missing(what: string, source: string): CloudtunError {
  const why = 'there is no such file or folder';
  if (!/[*?[]/.test(source)) return fileError('CT_FILE_MISSING', what, why);
  return new CloudtunError('CT_FILE_MISSING', `${what}: ${why}`, {
    hint: 'patterns are for the shell on this side; of a machine, take the folder with -r',
  });
}
