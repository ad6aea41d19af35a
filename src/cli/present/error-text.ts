import type { CloudtunError } from '../../domain/errors.ts';
import { describeCauses } from './error-causes.ts';
import { printable } from './printable.ts';

/** An error as spec section 10 shows it: the code and the sentence, labelled details, then what to do next. */
export function errorLines(error: CloudtunError): readonly string[] {
  const labelWidth = Math.max(0, ...error.details.map(([label]) => label.length)) + 3;
  return [
    `error ${error.code}: ${printable(error.message)}`,
    ...error.details.map(([label, text]) => `  ${printable(label).padEnd(labelWidth)}${printable(text)}`),
    ...error.hints.map((hint) => `  ${printable(hint)}`),
  ];
}

/** What `-v` adds: the chain of causes, and for a defect of ours the stack. */
export function errorBackground(error: CloudtunError): readonly string[] {
  const causes = describeCauses(error).map((cause) => {
    const code = cause.code === undefined ? '' : ` ${cause.code}`;
    return `  caused by ${cause.name}${code}: ${printable(cause.message)}`;
  });
  if (error.code !== 'CT_INTERNAL') return causes;
  const origin = error.cause instanceof Error ? error.cause : error;
  return [...causes, ...(origin.stack ?? '').split('\n').map((line) => `  ${printable(line)}`)];
}
