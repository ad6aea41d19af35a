import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue.ts';

/** A labelled line under an error: `identity   arn:aws:…`. */
export type ErrorDetail = readonly [label: string, text: string];

export interface CloudtunErrorOptions {
  /** What to do next; commands in it must exist in the manifest (a test checks it). */
  readonly hint?: string | readonly string[];
  readonly details?: readonly ErrorDetail[];
  /** The original error, never its text. */
  readonly cause?: unknown;
  /** How long the service wants to be left alone, in milliseconds, where it said so. */
  readonly retryAfter?: number | undefined;
}

/** The one error class of cloudtun: a code for programs, a sentence for people, a hint for the next minute, a cause for us. */
export class CloudtunError extends Error {
  override readonly name = 'CloudtunError';
  readonly code: ErrorCode;
  readonly hints: readonly string[];
  readonly details: readonly ErrorDetail[];
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: CloudtunErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hints = options.hint === undefined ? [] : typeof options.hint === 'string' ? [options.hint] : options.hint;
    this.details = options.details ?? [];
    this.retryAfter = options.retryAfter;
  }

  get exitCode(): number {
    return ERROR_CATALOGUE[this.code].exitCode;
  }

  get retryable(): boolean {
    return ERROR_CATALOGUE[this.code].retryable;
  }
}

/** Whatever was thrown, as a CloudtunError: itself, or wrapped as CT_INTERNAL with the original as its cause. */
export function asCloudtunError(thrown: unknown): CloudtunError {
  if (thrown instanceof CloudtunError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CloudtunError('CT_INTERNAL', message, {
    hint: 'this is a defect in cloudtun; please report it with the output of the same command and -v',
    cause: thrown,
  });
}

/** The `code` property of a Node or SDK error (`ECONNREFUSED`), if it has one. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
