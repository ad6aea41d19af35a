import { systemCode } from '../../domain/errors.ts';

/** One link of the chain of `cause`, without anything secret. */
export interface CauseDescription {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
}

/** A chain longer than this is a cycle, or nobody reads it. */
const MAX_CAUSES = 8;

export function describeCauses(error: Error): readonly CauseDescription[] {
  const causes: CauseDescription[] = [];
  let next: unknown = error.cause;
  while (next !== undefined && next !== null && causes.length < MAX_CAUSES) {
    const code = systemCode(next);
    const { name, message, cause } = next instanceof Error ? next : notAnError(next);
    causes.push({ name, ...(code !== undefined && { code }), message: withoutStreamUrl(message) });
    next = cause;
  }
  return causes;
}

function notAnError(thrown: unknown): { name: string; message: string; cause?: unknown } {
  return { name: typeof thrown, message: String(thrown) };
}

/** Stream URLs are never logged (spec section 7): the host stays, which is what a proxy or firewall question needs. */
function withoutStreamUrl(text: string): string {
  return text.replace(/\b(wss?:\/\/[^\s/?"']+)[^\s"']*/g, '$1/…');
}
