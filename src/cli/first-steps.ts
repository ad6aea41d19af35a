import { CloudtunError } from '../domain/errors.ts';

/** Failures that mean that nothing is set up, where nothing says which cloud is meant either. */
const NOT_SET_UP: ReadonlySet<string> = new Set(['CT_NO_CREDENTIALS', 'CT_NO_REGION', 'CT_NO_PROJECT']);

/**
 * Adds what to do first, for each cloud, to an error of somebody who has none set up.
 *
 * @param firstSteps empty where a cloud is set up: then the error is as it was
 */
export function withFirstSteps(thrown: unknown, firstSteps: readonly string[]): unknown {
  if (firstSteps.length === 0 || !(thrown instanceof CloudtunError) || !NOT_SET_UP.has(thrown.code)) return thrown;
  const { code, message, details, hints, cause } = thrown;
  const hint = [...hints, ...firstSteps, 'to try it without an account: cloudtun demo'];
  return new CloudtunError(code, message, { details, hint, cause });
}
