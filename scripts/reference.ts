/**
 * Writes the generated pages of docs/reference/: errors.md from the error catalogue, commands.md from the commands, catalogue.md from the
 * schema of cloudtun.yaml.
 *
 *     node scripts/reference.ts            write them
 *     node scripts/reference.ts --check    exit 1 when a committed one differs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT_CODES } from '../src/cli/exit-codes.ts';
import { ERROR_CATALOGUE, type ErrorEntry } from '../src/domain/error-catalogue.ts';
import { cataloguePage } from './catalogue-page.ts';
import { manifestText } from './manifest.ts';

const folder = join(import.meta.dirname, '../docs/reference');

const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

/** A heading per code, so that `docs/reference/errors.md#ct_denied` leads to it. */
export function errorsPage(): string {
  const entries: readonly (readonly [string, ErrorEntry])[] = Object.entries(ERROR_CATALOGUE);
  const sections = entries.map(([code, { kind, exitCode, retryable, about }]) =>
    [
      `## ${code}`,
      about,
      `Exit code ${exitCode}, kind ${kind}. ${retryable ? 'The same call may succeed later.' : 'Trying again as it is does not help.'}`,
    ].join('\n\n'),
  );
  return `${[
    '# Errors and exit codes',
    'Generated from `src/domain/error-catalogue.ts` by `npm run generate`. Codes and exit codes are public: they are deprecated before they are removed.',
    'With `--json` a failed command prints `{ "error": { "code", "message", "kind", "exitCode", "retryable", "details", "hints", "causes", "page" } }`. Match `code`, never the words.',
    table(['exit code', 'meaning'], EXIT_CODES),
    ...sections,
  ].join('\n\n')}\n`;
}

interface FlagEntry {
  readonly name: string;
  readonly char?: string;
  readonly type: 'boolean' | 'option';
  readonly description?: string;
  readonly helpValue?: string;
  readonly helpGroup?: string;
  readonly env?: string;
  readonly options?: readonly string[];
  readonly hidden?: boolean;
}

interface CommandEntry {
  readonly id: string;
  readonly summary?: string;
  readonly description?: string;
  readonly args: Readonly<
    Record<string, { readonly name: string; readonly description?: string; readonly required?: boolean }>
  >;
  readonly flags: Readonly<Record<string, FlagEntry>>;
  readonly examples?: readonly (string | { readonly command: string; readonly description?: string })[];
  readonly hidden?: boolean;
}

const flagSpelling = ({ char, name, type, helpValue, options }: FlagEntry) => {
  const value = type === 'boolean' ? '' : ` ${options?.join('\\|') ?? helpValue ?? 'VALUE'}`;
  return `${char === undefined ? '' : `\`-${char}\`, `}\`--${name}${value.replaceAll('\\|', '|')}\``;
};

const flagTable = (flags: readonly FlagEntry[]) =>
  table(
    ['flag', 'variable', 'meaning'],
    flags.map((flag) => [flagSpelling(flag), flag.env === undefined ? '' : `\`${flag.env}\``, flag.description ?? '']),
  );

/** Summaries are written for lists: no capital, no full stop. */
const sentence = (text: string) => `${text[0]?.toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

function commandSection(command: CommandEntry): string {
  const args = Object.values(command.args);
  const flags = Object.values(command.flags).filter(
    ({ hidden, helpGroup }) => hidden !== true && helpGroup !== 'GLOBAL',
  );
  const name = `cloudtun ${command.id.replaceAll(':', ' ')}`;
  const usage = [name, ...args.map((arg) => (arg.required ? arg.name.toUpperCase() : `[${arg.name.toUpperCase()}]`))];
  const examples = (command.examples ?? []).map((example) =>
    (typeof example === 'string' ? example : example.command)
      .replaceAll('<%= config.bin %>', 'cloudtun')
      .replaceAll('<%= command.id %>', command.id.replaceAll(':', ' ')),
  );
  return [
    `## ${name}`,
    [command.summary, command.description]
      .filter((text) => text !== undefined)
      .map(sentence)
      .join(' '),
    `\`\`\`sh\n${(examples.length > 0 ? examples : [usage.join(' ')]).join('\n')}\n\`\`\``,
    ...(args.length > 0
      ? [
          table(
            ['argument', 'meaning'],
            args.map((arg) => [`\`${arg.name.toUpperCase()}\``, arg.description ?? '']),
          ),
        ]
      : []),
    ...(flags.length > 0 ? [flagTable(flags)] : []),
  ].join('\n\n');
}

export async function commandsPage(): Promise<string> {
  const { commands } = JSON.parse(await manifestText()) as { commands: Readonly<Record<string, CommandEntry>> };
  const shown = Object.values(commands).filter(({ hidden }) => hidden !== true);
  const global = Object.values(shown[0]?.flags ?? {}).filter(({ helpGroup }) => helpGroup === 'GLOBAL');
  return `${[
    '# Commands',
    'Generated from the commands themselves by `npm run generate`. `cloudtun COMMAND --help` shows the same.',
    'A flag beats its environment variable, which beats `cloudtun.yaml`, which beats the default.',
    'Every command takes:',
    flagTable(global),
    ...shown.map(commandSection),
  ].join('\n\n')}\n`;
}

export const REFERENCE_PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'errors.md': errorsPage,
  'commands.md': commandsPage,
  'catalogue.md': () => cataloguePage(table),
};

if (import.meta.main) {
  for (const [name, page] of Object.entries(REFERENCE_PAGES)) {
    const text = await page();
    const path = join(folder, name);
    if (!process.argv.includes('--check')) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      process.stderr.write(`docs/reference/${name} is out of date: run node scripts/reference.ts\n`);
      process.exitCode = 1;
    }
  }
}
