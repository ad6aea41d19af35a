/**
 * Makes the tree ready for `npm pack`, which runs this as `prepack` and `--restore` as `postpack`: builds, writes the command
 * manifest, and puts the package.json of users in place of ours.
 *
 * Users get what the program needs to run and nothing else: no Node binary (ours is for machines whose own is too old), no scripts,
 * no development packages, and no package whose code is bundled into dist/ already.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importsOf, packageOf } from './imports.ts';

const root = join(import.meta.dirname, '..');
const manifestFile = join(root, 'package.json');
const savedFile = join(root, 'tmp', 'package.json.before-pack');

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly oclif: { readonly plugins: readonly string[] };
  readonly [key: string]: unknown;
}

/** Keys that only mean something in a clone. */
const CLONE_ONLY = ['scripts', 'devDependencies', 'optionalDependencies', 'allowScripts'];

/** Packages that the built program imports, oclif's plugins included. */
function packagesInUse(plugins: readonly string[]): Set<string> {
  const found = new Set(plugins);
  for (const file of globSync(['dist/**/*.js', 'bin/*.js'], { cwd: root })) {
    for (const { specifier } of importsOf(readFileSync(join(root, file), 'utf8'))) {
      const name = packageOf(specifier);
      if (name !== undefined) found.add(name);
    }
  }
  return found;
}

/** @throws when the program imports a package that is no dependency */
function publishedManifest(manifest: Manifest): Manifest {
  const inUse = packagesInUse(manifest.oclif.plugins);
  const missing = [...inUse].filter((name) => manifest.dependencies[name] === undefined);
  if (missing.length > 0) throw new Error(`dist/ imports packages that are no dependencies: ${missing.join(', ')}`);
  const dependencies = Object.fromEntries(Object.entries(manifest.dependencies).filter(([name]) => inUse.has(name)));
  const kept = Object.entries(manifest).filter(([key]) => !CLONE_ONLY.includes(key));
  return { ...Object.fromEntries(kept), dependencies, oclif: manifest.oclif };
}

/** Whatever it says goes to stderr: `npm pack --silent` prints the tarball's name to stdout, and scripts read that. */
function runScript(script: string): void {
  const path = join(import.meta.dirname, script);
  const { status } = spawnSync(process.execPath, [path], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${script} failed`);
}

function prepare(): void {
  if (existsSync(savedFile)) restore();
  runScript('build.ts');
  runScript('manifest.ts');
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
  const published = publishedManifest(manifest);
  mkdirSync(join(root, 'tmp'), { recursive: true });
  copyFileSync(manifestFile, savedFile);
  writeFileSync(manifestFile, `${JSON.stringify(published, undefined, 2)}\n`);
}

function restore(): void {
  if (existsSync(savedFile)) renameSync(savedFile, manifestFile);
}

try {
  if (process.argv.includes('--restore')) restore();
  else prepare();
} catch (error) {
  restore();
  process.stderr.write(`prepack: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
