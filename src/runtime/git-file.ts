import { execFile } from 'node:child_process';
import { CloudtunError } from '../domain/errors.ts';
import type { Environment } from './world.ts';

/** A file of a revision is a catalogue or a mistake, and git is asked about what lies on this disk: both have their bounds. */
const MAX_BYTES = 4_194_304;
const LIMIT_MS = 20_000;

export interface GitQuestion {
  /** In the work tree of the repository; `path` is relative to it. */
  readonly cwd: string;
  readonly env: Environment;
  readonly signal: AbortSignal;
}

/**
 * A file as a revision of git has it (gitrevisions(7): `main`, `HEAD~3`, `v1.2`). Nothing is fetched.
 *
 * @returns undefined where the revision has no such file
 * @throws CT_USAGE where there is no such revision, no repository, or no git
 */
export async function gitFile(revision: string, path: string, question: GitQuestion): Promise<string | undefined> {
  // What begins with a dash would be an option of git's.
  if (revision.startsWith('-')) throw notThere(revision, '');
  const commit = await git(['rev-parse', '--verify', '--quiet', `${revision}^{commit}`], question);
  if (commit.code !== 0) throw notThere(revision, commit.words);
  const id = commit.text.trim();
  const listed = await git(['ls-tree', '--name-only', id, '--', `./${path}`], question);
  if (listed.code === 0 && listed.text.trim() === '') return undefined;
  const { code, text, words } = await git(['cat-file', 'blob', `${id}:./${path}`], question);
  if (code === 0) return text;
  throw new CloudtunError('CT_USAGE', `git cannot read ${path} of ${revision} (${words})`);
}

function notThere(revision: string, words: string): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${revision}" is neither a file nor a revision of git here`, {
    ...(words !== '' && { details: [['git', words]] }),
    hint: 'a clone of one commit has no others: in CI, git fetch --depth 1 origin main, then --against FETCH_HEAD',
  });
}

interface GitAnswer {
  readonly code: number;
  readonly text: string;
  /** The first line of what it complained of. */
  readonly words: string;
}

function git(words: readonly string[], { cwd, env, signal }: GitQuestion): Promise<GitAnswer> {
  const quiet = { GIT_TERMINAL_PROMPT: '0', GIT_NO_LAZY_FETCH: '1', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };
  const options = { cwd, env: { ...env, ...quiet }, signal, maxBuffer: MAX_BYTES, timeout: LIMIT_MS };
  return new Promise((resolve, reject) => {
    execFile('git', [...words], options, (failure, text, complaint) => {
      if (failure === null) return resolve({ code: 0, text, words: '' });
      const { code } = failure;
      if (signal.aborted) return reject(signal.reason);
      if (code === 'ENOENT')
        return reject(
          new CloudtunError('CT_USAGE', 'no such file, and there is no git to ask for a revision', {
            hint: '--against takes a file as well',
            cause: failure,
          }),
        );
      const said = complaint.trim().split('\n')[0] ?? '';
      resolve({ code: typeof code === 'number' ? code : 1, text: '', words: said || String(code ?? '') });
    });
  });
}
