import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rememberedNames } from '../config/name-cache.ts';
import { type RawName, rawNames } from '../config/raw-names.ts';
import { systemWorld, type World } from '../runtime/world.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import { type Candidate, type CompletionFacts, completeWords } from './complete-words.ts';

/** What no shell treats as more than itself; another name must be typed. */
const PLAIN = /^[\w.@:/+,=~%-]+$/;

/**
 * `cloudtun __complete SHELL LINE`: what may come next, a line each. Reads a few files and asks nobody: a key was pressed, and somebody
 * waits for the answer. Whatever goes wrong, there is nothing to complete.
 *
 * @param entry the URL of bin/run.js, beside which the manifest is
 */
export async function main(entry: string): Promise<never> {
  const [, shell = '', line = ''] = process.argv.slice(2);
  try {
    const words = wordsOf(line).slice(1);
    const candidates = completeWords(words, await factsFor(systemWorld(), entry));
    const text = candidates
      .filter((each) => PLAIN.test(each.text))
      .map((each) => asLine(each, shell, words.at(-1) ?? ''));
    process.stdout.write(text.join(''));
  } catch {
    // A shell would print it into the middle of the line that is being typed.
  }
  if (process.stdout.writableLength > 0) await new Promise((resolve) => process.stdout.write('', resolve));
  process.exit();
}

async function factsFor(world: World, entry: string): Promise<CompletionFacts> {
  const manifest = JSON.parse(readFileSync(new URL('../oclif.manifest.json', entry), 'utf8'));
  const found: readonly (readonly RawName[])[] = await Promise.all([
    rawNames(projectFile(world), 'project', world),
    rawNames(join(world.paths.config, 'config.yaml'), 'user', world),
  ]);
  return {
    commands: manifest.commands,
    names: found.flat(),
    remembered: rememberedNames(world),
    held: heldNames(world),
  };
}

function projectFile({ cwd, paths }: World): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const file = join(folder, 'cloudtun.yaml');
    if (existsSync(file) || folder === paths.home || folder === dirname(folder)) return file;
  }
}

function heldNames(world: World): readonly string[] {
  try {
    return JSON.parse(readFileSync(supervisorPaths(world).state, 'utf8')).names;
  } catch {
    return [];
  }
}

/** The words of a line as far as it is typed, quotes taken off; the last one is empty behind a space. */
function wordsOf(line: string): readonly string[] {
  const words = [...line.matchAll(/(?:[^\s"'\\]|\\.|"[^"]*"?|'[^']*'?)+/g)].map(([word]) =>
    word.replace(/["'\\]/g, ''),
  );
  return /\s$/.test(line) || words.length === 0 ? [...words, ''] : words;
}

function asLine({ text, about }: Candidate, shell: string, typed: string): string {
  const said = about?.replace(/[\t\r\n]/g, ' ');
  if (shell === 'fish') return said === undefined ? `${text}\n` : `${text}\t${said}\n`;
  if (shell === 'zsh') return `${text.replaceAll(':', '\\:')}${said === undefined ? '' : `:${said}`}\n`;
  // bash takes a colon for the end of a word, and replaces what is behind it only.
  const colon = typed.lastIndexOf(':') + 1;
  return `${text.slice(colon)}\n`;
}
