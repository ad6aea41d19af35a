import { dirname, isAbsolute, resolve } from 'node:path';
import { parseDuration } from '../domain/duration.ts';
import type { Millis } from '../domain/millis.ts';
import type { Catalogue } from './catalogue.ts';

/** What the catalogue says of the record of use. */
export interface JournalSettings {
  /** Where it is; the usual place when absent. A path that ends in a slash is a directory. */
  readonly configured?: string;
  /** Whether nothing may be opened that cannot be recorded. */
  readonly isRequired: boolean;
  /** For ever when absent. */
  readonly keep?: Millis;
}

/** A path without a root is one from the directory of the file that says it: one journal, wherever a command is started. */
export function journalSettings({ audit, policy, files }: Catalogue): JournalSettings {
  const { journal, keep } = audit;
  const kept = keep === undefined ? undefined : parseDuration(keep, 'audit.keep');
  return {
    isRequired: policy.journal !== 'warn',
    ...(journal !== undefined && journal !== 'default' && { configured: rooted(journal, files[0]) }),
    ...(kept !== undefined && { keep: kept }),
  };
}

function rooted(path: string, file: string | undefined): string {
  if (isAbsolute(path) || file === undefined) return path;
  return resolve(dirname(file), path) + (path.endsWith('/') ? '/' : '');
}
