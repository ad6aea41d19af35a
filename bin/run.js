#!/usr/bin/env node
// No static imports: they would be hoisted above the check and fail on an old Node with a stack trace instead of a sentence.
const [major, minor, patch] = process.versions.node.split('.').map(Number);
// Keep in step with `engines` in package.json (a test compares them).
const isSupported =
  major >= 26 || (major === 24 && minor >= 15) || (major === 22 && (minor > 22 || (minor === 22 && patch >= 2)));
if (!isSupported) {
  process.stderr.write(
    `error CT_NODE_TOO_OLD: cloudtun needs Node.js 22.22.2 or newer (24.15 or newer of 24); this is ${process.version}\n` +
      `  started with ${process.execPath}\n` +
      '  in a clone: npm ci brings a current Node.js, and npx cloudtun uses it\n',
  );
  process.exit(2);
}
// Modules of Node are asked for and not imported: an import would make it evaluate exports that load half of Node.
const builtin = process.getBuiltinModule;
builtin('node:module').enableCompileCache();
// An SSH client waits for the first byte of `proxy`: it has an entry of its own, without the command line framework.
const words = process.argv.slice(2);
const isForPeople = words.some((word) => ['-h', '--help', '--explain'].includes(word)) || process.env.CLOUDTUN_EXPLAIN;
const isProxy = words[0] === 'proxy' && !isForPeople;
// Somebody pressed a key and waits: completion has one too.
const entry = words[0] === '__complete' ? 'fast/complete' : isProxy ? 'fast/main' : 'cli/main';
if (entry === 'cli/main') {
  // A tunnel makes much short-lived garbage around large buffers, which only a collection frees: a young generation that stays small is
  // collected often and cheaply, and keeps resident memory tens of megabytes lower. At the start it costs 15 ms, and `proxy` ends with
  // its one connection.
  builtin('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}
const { existsSync } = builtin('node:fs');
// A clone that is not built yet runs its sources; the published package has only dist.
const compiled = new URL(`../dist/${entry}.js`, import.meta.url);
const { main } = await import(
  existsSync(compiled) ? compiled.href : new URL(`../src/${entry}.ts`, import.meta.url).href
);
await main(import.meta.url);
