/**
 * Builds dist/ from src/: `tsc` for everything, then the SDK re-export modules of src/providers/<cloud>/sdk/ again as bundles, and the
 * entry of `proxy` as one.
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
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { type OutputChunk, type Plugin, rolldown } from 'rolldown';
import { bundledPackages, noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Says which inputs dist/ was made from. Not published (`files` in package.json). */
const STAMP = '.build-stamp';
const SDK_FOLDERS = 'providers/*/sdk';
/** The entry that bin/run.js starts for `proxy`. */
const FAST_ENTRY = 'src/fast/main.ts';

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
    plugins: [builtinsAsTheyAre],
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

/**
 * An `import` of node:http makes Node evaluate every export of it, one of which loads its whole fetch: 25 ms. To ask for the module
 * itself does not. The other modules have smaller surprises of the kind.
 */
const builtinsAsTheyAre: Plugin = {
  name: 'builtins-as-they-are',
  renderChunk(code) {
    const asked = (name: string) => `process.getBuiltinModule(${JSON.stringify(name)})`;
    return code
      .replaceAll(STATIC_BUILTIN, (_all, whole?: string, named?: string, space?: string, name = '') =>
        [
          whole === undefined ? [] : `const ${whole} = ${asked(name)};`,
          space === undefined ? [] : `const ${space} = ${asked(name)};`,
          named === undefined ? [] : `const {${named.replaceAll(/\bas\b/g, ':')}} = ${asked(name)};`,
        ]
          .flat()
          .join(' '),
      )
      .replaceAll(DYNAMIC_BUILTIN, (_all, name: string) => `Promise.resolve(${asked(name)})`);
  },
};
const BUILTIN = builtinModules.filter((name) => !/^_|\W/.test(name)).join('|');
const STATIC_BUILTIN = new RegExp(
  `^import\\s+(?:([\\w$]+)\\s*,?\\s*)?(?:\\{([^}]*)\\}|\\*\\s+as\\s+([\\w$]+))?\\s*from\\s+["'](?:node:)?((?:${BUILTIN})(?:/promises)?)["'];?`,
  'gm',
);
const DYNAMIC_BUILTIN = /\bimport\(["'](?:node:)?(https?)["']\)/g;

/**
 * `proxy` again, as few files: to find and load two hundred modules takes half of the time until its first byte. What it loads later is
 * in files of its own, and packages that only hops, catalogues and proxies need stay where they are.
 */
async function bundleFast(outDir: string): Promise<void> {
  const folder = join(outDir, 'fast');
  const bundle = await rolldown({
    cwd: root,
    input: { main: FAST_ENTRY },
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    external: ['ssh2', 'yaml', 'zod', 'http-proxy-agent', 'https-proxy-agent', 'socks-proxy-agent'],
    plugins: [builtinsAsTheyAre],
    // Modules that are loaded later by one and at once by another are in both, which is what is wanted.
    checks: { ineffectiveDynamicImport: false },
  });
  const { output } = await bundle.write({
    dir: folder,
    format: 'esm',
    chunkFileNames: 'parts/[name]-[hash].js',
    minify: false,
  });
  await bundle.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  const packages = bundledPackages(chunks.flatMap((chunk) => chunk.moduleIds));
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
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
    await bundleFast(next);
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
