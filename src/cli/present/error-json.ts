import { ERROR_CATALOGUE, errorPage } from '../../domain/error-catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import { describeCauses } from './error-causes.ts';
import type { ErrorJson } from './event-schema.ts';

/** An error for programs: match `code`, never the words. */
export function errorJson(error: CloudtunError): ErrorJson {
  const { kind, exitCode, retryable } = ERROR_CATALOGUE[error.code];
  return {
    code: error.code,
    message: error.message,
    kind,
    exitCode,
    retryable,
    details: error.details.map(([label, text]) => ({ label, text })),
    hints: [...error.hints],
    causes: describeCauses(error).map((cause) => ({ ...cause })),
    page: errorPage(error.code),
  };
}
