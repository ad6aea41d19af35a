import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Interfaces, run, settings } from '@oclif/core';
import { asCloudtunError } from '../domain/errors.ts';
import { errorDocument, reportError, verbosity, wantsJson } from './report-error.ts';
import { Terminal } from './terminal.ts';
import { asUsageError } from './usage-error.ts';

/** In a clone that was not built, this file runs as TypeScript and so does everything that oclif loads. */
const IS_SOURCE = import.meta.url.endsWith('.ts');
const CODE = IS_SOURCE ? { folder: './src', extension: 'ts' } : { folder: './dist', extension: 'js' };

/**
 * Runs the command line of this process and ends the process with its exit code.
 *
 * @param binUrl URL of bin/run.js, beside whose folder package.json lies
 */
export async function main(binUrl: string): Promise<void> {
  const root = fileURLToPath(new URL('..', binUrl));
  const argv = process.argv.slice(2);
  // Without this, NODE_ENV=development makes oclif look for a TypeScript runner of its own.
  settings.enableAutoTranspile = false;
  try {
    await run(argv, { root, pjson: await manifest(root), ignoreManifest: IS_SOURCE });
  } catch (thrown) {
    fail(thrown, argv);
  }
  await flushed(process.stdout);
  await flushed(process.stderr);
  // Everything that was opened is closed by now; idle sockets of an SDK's pool must not hold the process.
  process.exit();
}

/** package.json with the parts of oclif's block that depend on where the code lies. */
async function manifest(root: string): Promise<Interfaces.PJSON> {
  const pjson: Interfaces.PJSON = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const file = (name: string) => `${CODE.folder}/cli/${name}.${CODE.extension}`;
  const oclif = {
    ...pjson.oclif,
    commands: `${CODE.folder}/commands`,
    helpClass: file('help'),
    hooks: { command_not_found: file('command-not-found') },
  };
  return { ...pjson, oclif };
}

/** An error from outside of any command: no such command, no such help topic. */
function fail(thrown: unknown, argv: readonly string[]): void {
  const { stdout, stderr, stdin, env } = process;
  const terminal = new Terminal({ stdout, stderr, stdin, env, isQuiet: false, mayAsk: false });
  const error = asCloudtunError(asUsageError(thrown, undefined));
  process.exitCode = error.exitCode;
  if (wantsJson(argv, env)) terminal.result(JSON.stringify(errorDocument(error), undefined, 2));
  else reportError(error, terminal, verbosity(argv, env));
}

/** Pipes are asynchronous on some systems, and process.exit does not wait for them. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}
