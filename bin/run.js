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
const { enableCompileCache } = await import('node:module');
enableCompileCache();
const { main } = await import('../dist/cli/main.js');
await main(import.meta.url);
