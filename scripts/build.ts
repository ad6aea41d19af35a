/**
 * Builds dist/ from src/: `tsc` checks everything and writes it in the language of the oldest Node that is supported; of that two bundles
 * are made, the commands of oclif with the parts that they share, and the entry of `proxy` as one.
 *
 * Why bundles: imported whole, the AWS clients cost 90 MiB of resident memory and 300 ms, nearly all of it operations that are never
 * called. Bundled and tree-shaken the same modules cost 11 MiB (docs/adr/0008). And to find, read and link two hundred modules of our
 * own takes 40 ms. The unbundled sources run as they are in tests.
 *
 * The new tree is made beside the old one and swapped in at the end, so a running cloudtun or a second build never sees half a
 * dist/, and a deleted source leaves no file behind. Nothing happens when no input changed: `--force` opposes.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { type OutputChunk, type Plugin, type RolldownBuild, rolldown } from 'rolldown';
import { libraryDeclarations } from './declarations.ts';
import { bundledPackages, noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Says which inputs dist/ was made from. Not published (`files` in package.json). */
const STAMP = '.build-stamp';
/** The entries that bin/run.js starts for `proxy`, and for a shell that completes. */
const FAST_ENTRIES = ['main', 'complete'];

function fingerprint(): string {
  const inputs = [
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    ...globSync(['src/**/*.ts', 'scripts/{build,declarations,notices}.ts'], { cwd: root }),
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
async function bundleFast(compiled: string, outDir: string): Promise<void> {
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(FAST_ENTRIES.map((name) => [name, join(compiled, `fast/${name}.js`)])),
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    external: ['ssh2', 'yaml', 'zod', 'http-proxy-agent', 'https-proxy-agent', 'socks-proxy-agent'],
    plugins: [builtinsAsTheyAre],
    // Modules that are loaded later by one and at once by another are in both, which is what is wanted.
    checks: { ineffectiveDynamicImport: false },
  });
  await write(bundle, join(outDir, 'fast'));
}

/** Writes a bundle and, beside its parts, the licence texts of the packages in it. */
async function write(bundle: RolldownBuild, dir: string): Promise<void> {
  const { output } = await bundle.write({
    dir,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'parts/[name]-[hash].js',
    // A client is constructed by name in no place, and stack traces should be readable.
    minify: false,
  });
  await bundle.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk');
  const packages = bundledPackages(chunks.flatMap((chunk) => chunk.moduleIds));
  writeFileSync(join(dir, 'parts', 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
}

/** What oclif starts: the program, its help, and each command, at the places where the manifest says that they are; and the library. */
const COMMAND_ENTRIES = ['index.js', 'cli/{main,help,command-not-found}.js', 'commands/**/*.js'];

/**
 * The commands again, as parts that they share: to find, read and link two hundred small modules takes longer than to run them. Packages
 * stay where they are, but for the SDKs, of which a small part is used, and `ws`, which is many small files.
 */
async function bundleCommands(compiled: string, outDir: string): Promise<void> {
  const files = COMMAND_ENTRIES.flatMap((pattern) => globSync(pattern, { cwd: compiled }));
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(files.map((file) => [file.slice(0, -'.js'.length), join(compiled, file)])),
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    // The SDKs' ES modules shake; their CommonJS files, which Node itself would take, do not (ec2: 1.6 MB instead of 67 kB).
    external: isLeftAlone,
    plugins: [builtinsAsTheyAre],
    checks: { ineffectiveDynamicImport: false },
  });
  await write(bundle, outDir);
}

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};
const BUNDLED = /^(@aws-sdk\/|@smithy\/|google-auth-library$|ini$|ws$)/;

/** A package of ours that is loaded from where npm puts it. */
function isLeftAlone(id: string): boolean {
  return Object.keys(dependencies).some((name) => !BUNDLED.test(name) && (id === name || id.startsWith(`${name}/`)));
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
  const compiled = `${next}-compiled`;
  mkdirSync(join(root, 'tmp'), { recursive: true });
  try {
    compile(compiled);
    await bundleCommands(compiled, next);
    await bundleFast(compiled, next);
    writeFileSync(join(next, 'index.d.ts'), libraryDeclarations(compiled));
    writeFileSync(join(next, STAMP), print);
    swapIn(next);
  } finally {
    rmSync(next, { recursive: true, force: true });
    rmSync(compiled, { recursive: true, force: true });
  }
  process.stdout.write(`built dist/ in ${((performance.now() - started) / 1000).toFixed(1)}s\n`);
}

try {
  await build();
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
