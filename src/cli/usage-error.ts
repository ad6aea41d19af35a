import { Errors } from '@oclif/core';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';

/** What oclif's parser adds to its errors; which of them are there tells what went wrong. */
interface ParserFields {
  /** Arguments that are missing (objects), or too many (texts). */
  readonly args?: readonly (string | { readonly name: string })[];
  /** Flags that do not exist. */
  readonly flags?: readonly string[];
}

/**
 * An error of oclif (a flag that does not exist, an argument that is missing) in our own form; anything else as it is.
 *
 * @param command the command as typed, such as `lab up`; undefined before there is one
 * @param knownFlags long names, for "did you mean"
 */
export function asUsageError(
  thrown: unknown,
  command: string | undefined,
  knownFlags: readonly string[] = [],
): unknown {
  if (!(thrown instanceof Errors.CLIError)) return thrown;
  const help = command === undefined ? 'see: cloudtun --help' : `see: cloudtun ${command} --help`;
  const { args, flags } = thrown as ParserFields;
  if (flags !== undefined) return unknownFlag(flags[0] ?? '', knownFlags, help);
  const [arg] = args ?? [];
  if (typeof arg === 'string') return new CloudtunError('CT_USAGE', `unexpected argument "${arg}"`, { hint: help });
  if (arg) return new CloudtunError('CT_USAGE', `${arg.name.toUpperCase()} is missing`, { hint: help });
  return new CloudtunError('CT_USAGE', plainSentence(thrown.message), { hint: help });
}

function unknownFlag(flag: string, knownFlags: readonly string[], help: string): CloudtunError {
  const [nearest] = nearestNames(flag.replace(/^-+/, ''), knownFlags, 1);
  const hint = nearest === undefined ? [help] : [`did you mean: --${nearest}`, help];
  return new CloudtunError('CT_USAGE', `there is no flag ${flag}`, { hint });
}

/** oclif's sentences begin with a capital, its lists with a title, and both end with an advice that our hint gives. */
function plainSentence(message: string): string {
  const sentence = message
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following errors? occurred:\s*/, '')
    .replaceAll(/\bMissing required flag ([\w-]+)/g, '--$1 is missing')
    .replace(/\.$/, '')
    .replace(/\s*\n\s*/g, ' ');
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
