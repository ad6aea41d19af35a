import type { CloudtunError } from '../domain/errors.ts';
import type { Environment } from '../runtime/world.ts';
import { errorJson } from './present/error-json.ts';
import { errorBackground, errorLines } from './present/error-text.ts';
import type { Terminal } from './terminal.ts';

const TRUTHS = ['1', 'true', 'y', 'yes'];

/** Whether the result is wanted as JSON; asked before the arguments are parsed, since their errors are wanted as JSON too. */
export function wantsJson(argv: readonly string[], env: Environment): boolean {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  return own.includes('--json') || TRUTHS.includes((env.CLOUDTUN_JSON ?? '').toLowerCase());
}

/** Whether `--log-format json` was given; asked before the arguments are parsed, as their errors are logged too. */
export function wantsStructuredLog(argv: readonly string[], env: Environment): boolean {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  const at = own.findLastIndex((word) => word === '--log-format' || word.startsWith('--log-format='));
  const said = at === -1 ? env.CLOUDTUN_LOG_FORMAT : own[at] === '--log-format' ? own[at + 1] : own[at]!.slice(13);
  return said === 'json';
}

/** `-v` counted, `-vv` and CLOUDTUN_VERBOSE=2 included; for errors that come before the arguments are parsed. */
export function verbosity(argv: readonly string[], env: Environment): number {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  const flags = own.filter((argument) => argument === '--verbose').length;
  const letters = own
    .filter((argument) => /^-v+$/.test(argument))
    .join('')
    .replaceAll('-', '').length;
  const fromEnv = (env.CLOUDTUN_VERBOSE ?? '').toLowerCase();
  return Math.max(flags + letters, TRUTHS.includes(fromEnv) ? 1 : Number(fromEnv) || 0);
}

/** Shows an error in the form of spec section 10 on stderr. */
export function reportError(error: CloudtunError, terminal: Terminal, level: number): void {
  if (terminal.isStructured) return terminal.log('error', error.message, { code: error.code, error: errorJson(error) });
  const [headline = '', ...rest] = errorLines(error);
  const [word, code] = headline.split(/ |: /, 2);
  terminal.complain(headline.replace(`${word} ${code}`, terminal.paint('red', `${word} ${code}`)));
  for (const line of rest) terminal.complain(line);
  if (level >= 1) for (const line of errorBackground(error)) terminal.complain(terminal.paint('dim', line));
}

/** The document that a failed command prints with `--json`. */
export function errorDocument(error: CloudtunError): { readonly error: ReturnType<typeof errorJson> } {
  return { error: errorJson(error) };
}
