import { createHash } from 'node:crypto';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { World } from '../../runtime/world.ts';
import { CHUNK, copyBytes, ShortFile } from './copy-bytes.ts';
import type { CopiedFile, CopyOptions, FileProgress } from './copy-types.ts';
import { ChunkLedger } from './core/chunk-ledger.ts';
import { partialName } from './core/safe-name.ts';
import { digestByReading } from './digest-by-reading.ts';
import { fileError } from './file-errors.ts';
import type { FileFacts, FileStore, Settings, SourceFile, TargetFile } from './file-store.ts';
import type { Slots } from './slots.ts';

/** One file: where it is and where it goes. */
export interface FileJob {
  readonly from: string;
  readonly to: string;
}

/** What all files of a copy share. */
export interface CopyWork {
  readonly from: FileStore;
  readonly to: FileStore;
  readonly world: Pick<World, 'clock'>;
  readonly options: CopyOptions;
  readonly slots: Slots;
  readonly onProgress: (file: FileProgress) => void;
  readonly signal: AbortSignal;
}

const OWNER_WRITES = 0o200;
/** Where nothing can be verified, as much is copied again as may have been under way when it stopped. */
const DOUBTFUL = 16 * CHUNK;

/**
 * Copies a file under another name beside its place, and puts it there when it is whole: whoever reads the place sees the old file or
 * the new one, and never a half. What an interruption leaves is what `resumes` goes on with; every other failure removes it.
 *
 * @throws CT_FILE_…; CT_TUNNEL_LOST; the reason of the signal
 */
export async function copyFile(work: CopyWork, job: FileJob): Promise<CopiedFile> {
  const source = await work.from.openSource(job.from);
  try {
    return await new FileCopy(work, job, source, await source.facts()).run();
  } finally {
    await source.close().catch(() => {});
  }
}

class FileCopy {
  readonly #work: CopyWork;
  readonly #job: FileJob;
  readonly #source: SourceFile;
  readonly #facts: FileFacts;
  readonly #names: { readonly from: string; readonly to: string };
  readonly #remarks: string[] = [];
  readonly #began: Millis;

  constructor(work: CopyWork, job: FileJob, source: SourceFile, facts: FileFacts) {
    this.#work = work;
    this.#job = job;
    this.#source = source;
    this.#facts = facts;
    this.#names = { from: work.from.describe(job.from), to: work.to.describe(job.to) };
    this.#began = work.world.clock.now();
  }

  async run(): Promise<CopiedFile> {
    const { to, options } = this.#work;
    const old = await this.#findOld();
    if (options.resumes && old && (await this.#isThere(old))) return this.#report('there', this.#facts.byteCount, 0);
    // A link stays a link: what it leads to is replaced.
    const place = old ? await to.canonical(this.#job.to) : this.#job.to;
    const part = to.join(to.folderOf(place), partialName(to.nameOf(place) ?? 'file', shortDigest));
    const start = options.resumes ? await this.#start(part) : 0;
    try {
      const end = await this.#fill(part, start, old);
      const sha256 = options.verifies ? await this.#verify(part, end) : undefined;
      await to.replace(part, place);
      return { ...this.#report('copied', end, end - start), ...(sha256 !== undefined && { sha256 }) };
    } catch (error) {
      if (isFinal(error)) await to.remove(part).catch(() => {});
      throw error;
    }
  }

  async #findOld(): Promise<FileFacts | undefined> {
    const old = await this.#work.to.find(this.#job.to);
    if (old === undefined || old.kind === 'file') return old;
    const why = old.kind === 'folder' ? 'it is a folder' : 'it is no regular file';
    throw fileError('CT_FILE_KIND', `${this.#names.to} cannot be written`, why);
  }

  /** Whether an earlier copy had come to its end with this file. */
  async #isThere(old: FileFacts): Promise<boolean> {
    if (old.byteCount !== this.#facts.byteCount) return false;
    const isSame = await this.#haveSameBytes(this.#job.to, undefined);
    return isSame ?? old.modifiedAt >= wholeSeconds(this.#facts.modifiedAt);
  }

  /** Where to go on, after a look at what an earlier copy left. */
  async #start(part: string): Promise<number> {
    const left = await this.#work.to.findItself(part);
    if (left === undefined || left.kind !== 'file' || left.byteCount === 0) return 0;
    if (left.byteCount > this.#facts.byteCount) {
      this.#remarks.push('started over: what was there is longer than the file');
      return 0;
    }
    const isSame = await this.#haveSameBytes(part, left.byteCount);
    if (isSame === true) return left.byteCount;
    if (isSame === false) {
      this.#remarks.push('started over: what was there differs from the file');
      return 0;
    }
    if (left.modifiedAt < wholeSeconds(this.#facts.modifiedAt)) {
      this.#remarks.push('started over: the file is newer than what was there');
      return 0;
    }
    this.#remarks.push('what was there was taken by size and time: the machine has no sha256sum to compare it');
    return Math.max(0, left.byteCount - DOUBTFUL);
  }

  async #fill(part: string, start: number, old: FileFacts | undefined): Promise<number> {
    const { to, slots, onProgress, signal } = this.#work;
    const target = start > 0 ? await to.reopen(part) : await this.#create(part);
    const size = this.#facts.byteCount;
    // Files that are made as they are read say that they have no bytes.
    const end = size === 0 ? undefined : size;
    let ledger = new ChunkLedger(start);
    try {
      if (start > 0) await target.cut(start);
      const progress = (now: ChunkLedger) => {
        ledger = now;
        onProgress({ ...this.#names, doing: 'copying', done: now.arrived, total: end });
      };
      const reached = await copyBytes(this.#source, target, { start, end }, slots, progress, signal);
      await this.#checkSource(reached);
      await this.#finish(target, reached, old);
      await target.close();
      return reached;
    } catch (error) {
      const reason = await this.#explained(error, part, ledger);
      // Without holes, for whoever goes on with it.
      if (!isFinal(reason)) await target.cut(ledger.whole).catch(() => {});
      await target.close().catch(() => {});
      throw reason;
    }
  }

  /** What a copy left that is not gone on with is removed, and so is a link that somebody put in its place. */
  async #create(part: string): Promise<TargetFile> {
    const { to } = this.#work;
    const mode = this.#facts.mode | OWNER_WRITES;
    try {
      return await to.create(part, mode);
    } catch (error) {
      if (!isFinal(error)) throw error;
      if (await to.findItself(part)) {
        await to.remove(part);
        return await to.create(part, mode);
      }
      const folder = to.folderOf(this.#job.to);
      const isMissing = error instanceof CloudtunError && error.code === 'CT_FILE_MISSING';
      if (!isMissing || (await to.find(folder))) throw error;
      throw fileError('CT_FILE_MISSING', `${this.#names.to} cannot be written`, `there is no folder ${folder}`, error);
    }
  }

  /** A file that became longer is whole up to where it ended; any other change makes a mixture of old and new. */
  async #checkSource(reached: number): Promise<void> {
    if (this.#facts.byteCount === 0) return;
    const now = await this.#source.facts();
    if (now.byteCount > reached) {
      this.#remarks.push(`it grew while it was read: the first ${reached} bytes were copied`);
    } else if (now.byteCount < reached || now.modifiedAt !== this.#facts.modifiedAt) {
      throw changed(this.#names.from);
    }
  }

  async #finish(target: TargetFile, reached: number, old: FileFacts | undefined): Promise<void> {
    const { preserves } = this.#work.options;
    const written = await target.facts();
    if (written.byteCount !== reached) {
      const why = `it has ${written.byteCount} bytes instead of ${reached}; is another copy writing it?`;
      throw fileError('CT_FILE_CHANGED', `${this.#names.to} is not what was written`, why);
    }
    const { mode, modifiedAt, accessedAt } = this.#facts;
    const isReadOnly = (mode & OWNER_WRITES) === 0;
    const settled = preserves ? mode : (old?.mode ?? (isReadOnly ? written.mode & ~OWNER_WRITES : undefined));
    const isForeign = old && (old.owner.uid !== written.owner.uid || old.owner.gid !== written.owner.gid);
    const settings: Settings = {
      ...(settled !== undefined && settled !== written.mode && { mode: settled }),
      ...(preserves && { times: { modifiedAt, accessedAt } }),
      ...(isForeign && { owner: old.owner, mode: settled ?? written.mode }),
    };
    if (Object.keys(settings).length > 0) await target.set(settings);
  }

  async #verify(part: string, byteCount: number): Promise<string> {
    const { from, to, signal } = this.#work;
    this.#checking(byteCount);
    const [here, there] = await Promise.all([
      from.digest(this.#job.from, byteCount),
      to.digest(part).then((digest) => digest ?? digestByReading(to, part, undefined, signal)),
    ]);
    const read = here ?? (await digestByReading(from, this.#job.from, byteCount, signal));
    if (read !== there) throw changed(this.#names.from, [['SHA-256', `${read} there, ${there} here`]]);
    return there;
  }

  /** Undefined where one side cannot tell. */
  async #haveSameBytes(other: string, byteCount: number | undefined): Promise<boolean | undefined> {
    const { from, to } = this.#work;
    this.#checking(byteCount ?? this.#facts.byteCount);
    const [one, two] = await Promise.all([from.digest(this.#job.from, byteCount), to.digest(other, byteCount)]);
    return one === undefined || two === undefined ? undefined : one === two;
  }

  #checking(done: number): void {
    this.#work.onProgress({ ...this.#names, doing: 'checking', done, total: this.#facts.byteCount });
  }

  /** "Failure" of a server whose disk is full is not told apart by the protocol, so it is asked. */
  async #explained(error: unknown, part: string, { arrived }: ChunkLedger): Promise<unknown> {
    if (error instanceof ShortFile) return changed(this.#names.from);
    if (!(error instanceof CloudtunError) || error.code !== 'CT_FILE_FAILED') return error;
    const free = await this.#work.to.freeBytes(part).catch(() => undefined);
    if (free === undefined || free >= this.#facts.byteCount - arrived) return error;
    return fileError('CT_FILE_FULL', `${this.#names.to} cannot be written`, `${free} bytes of space are left`, error);
  }

  #report(outcome: 'copied' | 'there', byteCount: number, movedByteCount: number): CopiedFile {
    const duration = this.#work.world.clock.now() - this.#began;
    return { ...this.#names, outcome, byteCount, movedByteCount, duration, remarks: this.#remarks };
  }
}

/** Nothing that goes on later could mend it. */
function isFinal(error: unknown): boolean {
  return error instanceof CloudtunError && error.code.startsWith('CT_FILE_');
}

function changed(path: string, details: readonly (readonly [string, string])[] = []): CloudtunError {
  return new CloudtunError('CT_FILE_CHANGED', `${path} was changed while it was copied`, {
    details,
    hint: 'nothing of it was kept; copy it again, or a snapshot of it',
  });
}

/** SFTP knows no parts of a second. */
function wholeSeconds(at: Millis): Millis {
  return Math.floor(at / 1_000) * 1_000;
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
