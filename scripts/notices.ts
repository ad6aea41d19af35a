/** The licence texts of packages whose code is bundled into dist/: their licences ask that a copy goes with the code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly directory: string;
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
}

/** The packages that modules belong to, each once, by name. @param moduleIds absolute paths, as bundlers report them */
export function bundledPackages(moduleIds: readonly string[]): BundledPackage[] {
  const directories = new Set(
    moduleIds.filter((id) => id.includes('/node_modules/') && !id.startsWith('\0')).map(packageDirectory),
  );
  return [...directories]
    .map((directory) => {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
      const { name = '', version = '', license = 'unknown' } = manifest;
      return { name, version, license, directory };
    })
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Nested manifests that only say `type` or `sideEffects` have no version. */
function packageDirectory(moduleId: string): string {
  for (let at = dirname(moduleId); at !== dirname(at); at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as Manifest).version !== undefined)
      return at;
  }
  throw new Error(`${moduleId} belongs to no package`);
}

function licenceText(directory: string): string | undefined {
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  if (files.length === 0) return undefined;
  return files.map((file) => readFileSync(join(directory, file), 'utf8').trim()).join('\n\n');
}

/** One file: the list of packages first, then each different licence text once, with the packages it belongs to. */
export function noticesOf(packages: readonly BundledPackage[]): string {
  const byText = new Map<string, string[]>();
  for (const { name, version, license, directory } of packages) {
    const text = licenceText(directory) ?? `Licensed under ${license}; the package carries no licence file.`;
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version}`]);
  }
  const list = packages.map(({ name, version, license }) => `${name} ${version} (${license})`).join('\n');
  const texts = [...byText].map(([text, names]) => `${'-'.repeat(100)}\n${names.join('\n')}\n\n${text}`);
  return `The modules in this folder contain code of these packages:\n\n${list}\n\n${texts.join('\n\n')}\n`;
}
