import type { ErrorCode } from '../../domain/error-catalogue.ts';
import { CloudtunError, systemCode } from '../../domain/errors.ts';

/** Status codes of SFTP, version 3 (draft-ietf-secsh-filexfer-02, section 7). */
export const SFTP_STATUS = { eof: 1, missing: 2, denied: 3, failure: 4, unsupported: 8 } as const;

type FileCode = Extract<ErrorCode, `CT_FILE_${string}`>;

const SYSTEM_CODES: Readonly<Record<string, readonly [code: FileCode, what: string]>> = {
  ENOENT: ['CT_FILE_MISSING', 'there is no such file or folder'],
  EACCES: ['CT_FILE_DENIED', 'permission denied'],
  EPERM: ['CT_FILE_DENIED', 'permission denied'],
  EROFS: ['CT_FILE_DENIED', 'the file system is read-only'],
  ENOSPC: ['CT_FILE_FULL', 'no space is left'],
  EDQUOT: ['CT_FILE_FULL', 'the quota is used up'],
  EFBIG: ['CT_FILE_FULL', 'the file is too large for the file system'],
  EISDIR: ['CT_FILE_KIND', 'it is a folder'],
  ENOTDIR: ['CT_FILE_KIND', 'a part of the path is no folder'],
  ELOOP: ['CT_FILE_KIND', 'the links lead in a circle'],
  ENAMETOOLONG: ['CT_FILE_NAME', 'the name is too long'],
};

const HINTS: Readonly<Partial<Record<FileCode, string>>> = {
  CT_FILE_DENIED: 'look at who owns the file and its folder, or log in as somebody else: -l USER',
  CT_FILE_FULL: 'nothing of the file was left there; make room and copy again',
};

/** An error of this machine's file system, by its code. @param what for people: `./app.log cannot be written` */
export function localFileError(what: string, cause: unknown): CloudtunError {
  if (cause instanceof CloudtunError) return cause;
  const code = systemCode(cause);
  const [known, why] = SYSTEM_CODES[code ?? ''] ?? ['CT_FILE_FAILED', code ?? 'unknown reason'];
  return fileError(known, what, why, cause);
}

/** An answer of SFTP, by its status. What is no answer (the connection was lost, the command was interrupted) is given back as it is. */
export function farFileError(what: string, cause: unknown): unknown {
  switch (statusOf(cause)) {
    case undefined:
      return cause;
    case SFTP_STATUS.missing:
      return fileError('CT_FILE_MISSING', what, 'there is no such file or folder', cause);
    case SFTP_STATUS.denied:
      return fileError('CT_FILE_DENIED', what, 'permission denied', cause);
    case SFTP_STATUS.unsupported:
      return fileError('CT_FILE_FAILED', what, 'the server cannot do that', cause);
    default:
      // The one word for everything else: a full disk, a folder in the way.
      return fileError('CT_FILE_FAILED', what, 'the server says no more than that it failed', cause);
  }
}

export function fileError(code: FileCode, what: string, why: string, cause?: unknown): CloudtunError {
  const hint = HINTS[code];
  return new CloudtunError(code, `${what}: ${why}`, { cause, ...(hint !== undefined && { hint }) });
}

export function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'number' ? code : undefined;
}
