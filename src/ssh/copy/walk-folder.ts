import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import { fileError } from './file-errors.ts';
import type { FileFacts, FileStore, NamedFacts } from './file-store.ts';

/** Something of a folder, and where it goes. A folder comes before what is in it. */
export type Found =
  | { readonly kind: 'file' | 'folder'; readonly from: string; readonly to: string; readonly facts: FileFacts }
  | { readonly kind: 'failed'; readonly from: string; readonly to: string; readonly error: CloudtunError };

/** As deep as OpenSSH's own clients go: a server can invent folders without end. */
const DEEPEST = 64;

/**
 * Everything in a folder of a side that may lie: names that would lead out of the target folder are left out, links are followed (as
 * `scp -r` does) unless they lead back to a folder that is being walked, and what is neither file nor folder is told.
 */
export class FolderWalk {
  readonly #from: FileStore;
  readonly #to: FileStore;
  #isLeftOut = false;

  constructor(from: FileStore, to: FileStore) {
    this.#from = from;
    this.#to = to;
  }

  /** The folder that was given last is not walked into. */
  leaveOut(): void {
    this.#isLeftOut = true;
  }

  async *walk(from: string, to: string, facts: FileFacts): AsyncGenerator<Found> {
    yield* this.#folder(from, to, facts, [await this.#from.canonical(from)]);
  }

  /** @param above canonical paths of the folders that are being walked, this one last */
  async *#folder(from: string, to: string, facts: FileFacts, above: readonly string[]): AsyncGenerator<Found> {
    if (above.length > DEEPEST) {
      const what = `${this.#from.describe(from)} cannot be copied`;
      yield {
        kind: 'failed',
        from,
        to,
        error: fileError('CT_FILE_KIND', what, `it is more than ${DEEPEST} folders deep`),
      };
      return;
    }
    this.#isLeftOut = false;
    yield { kind: 'folder', from, to, facts };
    if (this.#isLeftOut) {
      this.#isLeftOut = false;
      return;
    }
    try {
      for await (const entry of this.#from.list(from)) yield* this.#entry(entry, from, to, above);
    } catch (error) {
      yield { kind: 'failed', from, to, error: fileFailure(error) };
    }
  }

  async *#entry(entry: NamedFacts, folder: string, target: string, above: readonly string[]): AsyncGenerator<Found> {
    const { name } = entry;
    if (name === '.' || name === '..') return;
    const from = this.#from.join(folder, name);
    if (!this.#from.isSafeName(name) || !this.#to.isSafeName(name)) {
      const what = `${this.#from.describe(folder)} has an entry named ${JSON.stringify(name)}`;
      const error = fileError('CT_FILE_NAME', what, 'no file is made of such a name');
      yield { kind: 'failed', from, to: target, error };
      return;
    }
    const to = this.#to.join(target, name);
    try {
      const isKnown = entry.facts !== undefined && entry.facts.kind !== 'link';
      const facts = isKnown ? entry.facts : await this.#from.find(from);
      yield* this.#thing(from, to, facts, isKnown, above);
    } catch (error) {
      yield { kind: 'failed', from, to, error: fileFailure(error) };
    }
  }

  async *#thing(
    from: string,
    to: string,
    facts: FileFacts | undefined,
    isNoLink: boolean,
    above: readonly string[],
  ): AsyncGenerator<Found> {
    const what = `${this.#from.describe(from)} cannot be copied`;
    if (facts === undefined) throw fileError('CT_FILE_MISSING', what, 'the link leads nowhere');
    if (facts.kind === 'file') yield { kind: 'file', from, to, facts };
    else if (facts.kind !== 'folder') throw fileError('CT_FILE_KIND', what, 'it is no regular file');
    else {
      const path = isNoLink
        ? this.#from.join(above.at(-1)!, this.#from.nameOf(from)!)
        : await this.#from.canonical(from);
      if (above.some((folder) => isWithin(folder, path)))
        throw fileError('CT_FILE_KIND', what, 'the link leads back to a folder above it');
      yield* this.#folder(from, to, facts, [...above, path]);
    }
  }
}

/** Whether a folder is another one, or somewhere in it. */
function isWithin(folder: string, other: string): boolean {
  return `${folder}/`.replaceAll('\\', '/').startsWith(`${other.replaceAll('\\', '/').replace(/\/$/, '')}/`);
}

/** @throws what is no failure of one file */
function fileFailure(thrown: unknown): CloudtunError {
  const error = asCloudtunError(thrown);
  if (!(thrown instanceof CloudtunError) || !error.code.startsWith('CT_FILE_')) throw thrown;
  return error;
}
