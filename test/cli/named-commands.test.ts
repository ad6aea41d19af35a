import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';

/*
 * A hint must name only commands that exist (spec section 8). So: wherever a text of the program says `cloudtun <word>`, the word
 * is a command with the flags that follow it, or stands on the list of verbs below that prose uses.
 */

const ROOT = join(import.meta.dirname, '../..');

/** "cloudtun needs a newer Node": a sentence about cloudtun, not a command to type. */
const PROSE = new Set([
  'needs',
  'is',
  'and',
  'uses',
  'use',
  'to',
  'or',
  'in',
  'ends',
  'has',
  'that',
  'speaks',
  'opens',
  'events',
  'looks',
  'sent',
  'from',
  'writes',
  'with',
]);

/** Names in the certificates of the lab, of a role, and of formats. */
const NAMES = new Set(['lab authority', 'lab relay', 'viewer', 'journal 1', 'checkpoint 1\\n']);

/** Commands of oclif's plugins, which are not in our own manifest. */
const PLUGIN_COMMANDS = ['help'];

interface Manifest {
  readonly commands: Readonly<
    Record<string, { readonly flags: Readonly<Record<string, { aliases?: string[]; allowNo?: boolean }>> }>
  >;
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'oclif.manifest.json'), 'utf8'));

interface Mention {
  readonly file: string;
  readonly text: string;
}

/** What follows `cloudtun ` up to the end of the line, of the quoted text or of the half sentence. */
function mentionsIn(file: string, text: string): Mention[] {
  return [...text.matchAll(/\bcloudtun ((?:[a-z][\w-]*|--?[\w-]+)(?:(?![:.] )[^\n'"`<])*)/g)].map((match) => ({
    file,
    text: match[1]!,
  }));
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}

/** Code spans and blocks of a Markdown file: prose between them may say what it likes. */
function codeOf(markdown: string): string {
  const blocks = [...markdown.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].map((match) => match[1]);
  const spans = [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1]);
  return [...blocks, ...spans].join('\n');
}

function problemWith(mention: string): string | undefined {
  const words = mention.replace(/[.,;:)\]]+(?=\s|$)/g, '').split(/\s+/);
  const [first = '', second = ''] = words;
  if (first.startsWith('-'))
    return ['--help', '--version'].includes(first) ? undefined : `no flag ${first} of cloudtun`;
  if (PLUGIN_COMMANDS.includes(first) || PROSE.has(first) || NAMES.has(mention)) return undefined;
  const isTopic = Object.keys(manifest.commands).some((id) => id.startsWith(`${first}:`));
  if (isTopic && words.length === 1) return undefined;
  const id = [`${first}:${second}`, first].find((candidate) => manifest.commands[candidate]);
  if (id === undefined) return `no command "${first}"`;
  const { flags } = manifest.commands[id]!;
  const known = new Set([
    'help',
    ...Object.entries(flags).flatMap(([name, flag]) => [
      name,
      ...(flag.allowNo ? [`no-${name}`] : []),
      ...(flag.aliases ?? []),
    ]),
  ]);
  // What stands behind `--` or `&&` is another program's.
  const end = words.findIndex((word) => word === '--' || word === '&&');
  const typed = (end === -1 ? words : words.slice(0, end)).flatMap((word) => /^--([a-z][a-z-]*)/.exec(word)?.[1] ?? []);
  const unknown = typed.find((flag) => !known.has(flag));
  return unknown === undefined ? undefined : `no flag --${unknown} of ${id}`;
}

suite('commands that texts name exist', () => {
  test('in the sources', () => {
    const files = globSync('src/**/*.ts', { cwd: ROOT });
    const mentions = files.flatMap((file) => mentionsIn(file, withoutComments(readFileSync(join(ROOT, file), 'utf8'))));
    assert.ok(mentions.length > 10, `${mentions.length} mentions found`);
    const wrong = mentions.map(({ file, text }) => ({ file, text, problem: problemWith(text) }));
    assert.deepEqual(
      wrong.filter(({ problem }) => problem !== undefined),
      [],
    );
  });

  test('in the documents', () => {
    const files = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: ROOT })];
    const wrong = files
      .filter((file) => existsSync(join(ROOT, file)))
      .flatMap((file) => mentionsIn(file, codeOf(readFileSync(join(ROOT, file), 'utf8'))))
      .map(({ file, text }) => ({ file, text, problem: problemWith(text) }));
    assert.deepEqual(
      wrong.filter(({ problem }) => problem !== undefined),
      [],
    );
  });

  test('and a wrong one would be found', () => {
    assert.equal(problemWith('doctor prod'), 'no command "doctor"');
    assert.equal(problemWith('targets --kinds database'), 'no flag --kinds of targets');
    assert.equal(problemWith('targets --kind database'), undefined);
    assert.deepEqual(mentionsIn('x.ts', "hint: 'see why with: cloudtun doctor i-0abc'"), [
      { file: 'x.ts', text: 'doctor i-0abc' },
    ]);
  });
});
