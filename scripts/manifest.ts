/**
 * Writes oclif.manifest.json: what `oclif manifest` writes, from the sources (no build needed) and with the commands in a fixed
 * order, so that it can be compared byte by byte.
 *
 *     node scripts/manifest.ts            write it
 *     node scripts/manifest.ts --check    exit 1 when the committed one differs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Interfaces, Plugin, settings } from '@oclif/core';

const root = join(import.meta.dirname, '..');
const path = join(root, 'oclif.manifest.json');

/** The text of the manifest that belongs to the sources. */
export async function manifestText(): Promise<string> {
  settings.enableAutoTranspile = false;
  const pjson: Interfaces.PJSON = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const plugin = new Plugin({
    root,
    type: 'core',
    isRoot: true,
    ignoreManifest: true,
    respectNoCacheDefault: true,
    errorOnManifestCreate: true,
    pjson: { ...pjson, oclif: { ...pjson.oclif, commands: './src/commands' } },
  });
  await plugin.load();
  const { commands, version } = plugin.manifest;
  const sorted = Object.entries(commands).sort(([one], [other]) => (one < other ? -1 : 1));
  const published = sorted.map(([id, command]) => [
    id,
    { ...command, relativePath: compiledPath(command.relativePath) },
  ]);
  return `${JSON.stringify({ commands: Object.fromEntries(published), version }, null, 2)}\n`;
}

/** Where the build puts what lies at `src/…/x.ts`. */
function compiledPath(sourcePath: readonly string[] | undefined): readonly string[] {
  const [, ...rest] = sourcePath ?? [];
  return ['dist', ...rest.map((part) => part.replace(/\.ts$/, '.js'))];
}

if (import.meta.main) {
  const text = await manifestText();
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write('oclif.manifest.json does not belong to the sources: run node scripts/manifest.ts\n');
    process.exitCode = 1;
  }
}
