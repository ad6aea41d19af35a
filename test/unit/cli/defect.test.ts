import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const SOURCES = pathToFileURL(join(import.meta.dirname, '../../../src/cli/base-command.ts')).href;

/** A command that waits for what its own defect has broken, deaf to its signal. */
const PROGRAM = `
  const { BaseCommand } = await import(${JSON.stringify(SOURCES)});
  class Deaf extends BaseCommand {
    static id = 'deaf';
    async run() {
      setTimeout(() => { throw new TypeError('nobody expected this'); }, 10);
      const alive = setInterval(() => {}, 1_000);
      await new Promise(() => alive.ref());
    }
  }
  await Deaf.run([], { root: ${JSON.stringify(join(import.meta.dirname, '../../..'))} });
`;

test('a defect ends the command, also one that does not hear of it', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  const [code, signal] = await once(child, 'exit');
  assert.deepEqual([code, signal], [1, null], await said);
  assert.match(await said, /error CT_INTERNAL/);
});
