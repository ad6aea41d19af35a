import { Interrupted, Interruption } from '../cli/interruption.ts';
import { printable } from '../cli/present/printable.ts';
import { errorDocument, reportError, verbosity, wantsJson } from '../cli/report-error.ts';
import { Terminal } from '../cli/terminal.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { streamLog } from '../runtime/log.ts';
import { systemWorld } from '../runtime/world.ts';
import { proxy } from './proxy.ts';
import { proxyArguments } from './proxy-arguments.ts';

/**
 * `cloudtun proxy HOST PORT` from its words to the end of the process, without the command line framework: an SSH client waits for
 * the first byte. stdout carries the stream and nothing else; what goes wrong is said on stderr in the usual form.
 */
export async function main(): Promise<never> {
  const words = process.argv.slice(3);
  const { stdout, stderr, stdin, env } = process;
  const level = verbosity(words, env);
  const isQuiet =
    words.includes('-q') || words.includes('--quiet') || /^(1|true|y|yes)$/i.test(env.CLOUDTUN_QUIET ?? '');
  const terminal = new Terminal({ stdout, stderr, stdin, env, isQuiet, mayAsk: false });
  const world = systemWorld({ log: streamLog((line) => terminal.complain(line), level, isQuiet) });
  const interruption = new Interruption(process, (code) => process.exit(code));
  stderr.on('error', () => {});
  const onDefect = (thrown: unknown) => {
    process.exitCode = asCloudtunError(thrown).exitCode;
    interruption.end(thrown, 'cut');
  };
  process.on('uncaughtException', onDefect).on('unhandledRejection', onDefect);
  try {
    const given = proxyArguments(words, env);
    await proxy(
      world,
      given,
      { input: stdin, output: stdout, note: (line) => terminal.note(printable(line)) },
      interruption.signal,
    );
  } catch (thrown) {
    const code = interruption.exitCode;
    const isConsequence = thrown instanceof CloudtunError && thrown.code === 'CT_INTERRUPTED';
    if (thrown instanceof Interrupted || (isConsequence && code !== undefined)) process.exitCode = code ?? 0;
    else {
      const error = asCloudtunError(thrown);
      process.exitCode = error.exitCode;
      if (wantsJson(words, env)) terminal.complain(JSON.stringify(errorDocument(error)));
      else reportError(error, terminal, level);
    }
  }
  // Idle connections of an SDK's pool must not hold the process; what stderr still has is written: pipes are asynchronous on some systems.
  if (stderr.writableLength > 0) await new Promise((resolve) => stderr.write('', resolve));
  process.exit();
}
