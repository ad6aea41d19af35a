/**
 * Builds dist/ from src/: `tsc` for everything, then the SDK re-export modules of src/providers/<cloud>/sdk/ again as bundles.
 *
 * Why those: imported whole, the AWS clients cost 90 MiB of resident memory and 300 ms, nearly all of it operations that are never
 * called. Bundled and tree-shaken the same modules cost 11 MiB (docs/adr/0008). The unbundled sources run as they are in tests.
 *
 * The new tree is made beside the old one and swapped in at the end, so a running cloudtun or a second build never sees half a
 * dist/, and a deleted source leaves no file behind. Nothing happens when no input changed: `--force` opposes.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OutputChunk, rolldown } from 'rolldown';
import { bundledPackages, noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Says which inputs dist/ was made from. Not published (`files` in package.json). */
const STAMP = '.build-stamp';
const SDK_FOLDERS = 'providers/*/sdk';

function fingerprint(): string {
  const inputs = [
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    ...globSync(['src/**/*.ts', 'scripts/{build,notices}.ts'], { cwd: root }),
  ].sort();
  const hash = createHash('sha256');
  for (const input of inputs)
    hash
      .update(`${input}\0`)
      .update(readFileSync(join(root, input)))
      .update('\0');
  return hash.digest('hex');
}

function isUpToDate(print: string): boolean {
  const stamp = join(dist, STAMP);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === print;
}

function compile(outDir: string): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', outDir], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('tsc found errors; dist/ is as it was');
}

/** Replaces what tsc made of one cloud's SDK modules by bundles that share chunks, and puts the licence texts beside them. */
async function bundleSdk(folder: string, outDir: string): Promise<void> {
  const modules = globSync(`src/${folder}/*.ts`, { cwd: root });
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(modules.map((file) => [file.slice(`src/${folder}/`.length, -'.ts'.length), file])),
    platform: 'node',
    // The clients' ES modules shake; their CommonJS files, which Node itself would take, do not (ec2: 1.6 MB instead of 67 kB).
    resolve: { mainFields: ['module', 'main'] },
  });
  const { output } = await bundle.write({
    dir: join(outDir, folder),
    format: 'esm',
    chunkFileNames: 'shared-[name]-[hash].js',
    // A client is constructed by name in no place, and stack traces should be readable: no minifying.
    minify: false,
  });
  await bundle.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  const packages = bundledPackages(chunks.flatMap((chunk) => chunk.moduleIds));
  writeFileSync(join(outDir, folder, 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
}

/** Puts the new tree in place of the old one; another build that ends at the same moment makes this one try again. */
function swapIn(next: string): void {
  for (let attempt = 1; ; attempt++) {
    const old = `${next}-old-${attempt}`;
    try {
      if (existsSync(dist)) renameSync(dist, old);
      renameSync(next, dist);
      return;
    } catch (error) {
      if (attempt === 5) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}

async function build(): Promise<void> {
  const print = fingerprint();
  if (!process.argv.includes('--force') && isUpToDate(print)) return;
  const started = performance.now();
  const next = join(root, 'tmp', `build-${process.pid}`);
  mkdirSync(join(root, 'tmp'), { recursive: true });
  try {
    compile(next);
    for (const folder of globSync(SDK_FOLDERS, { cwd: join(root, 'src') })) await bundleSdk(folder, next);
    writeFileSync(join(next, STAMP), print);
    swapIn(next);
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
  process.stdout.write(`built dist/ in ${((performance.now() - started) / 1000).toFixed(1)}s\n`);
}

try {
  await build();
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
