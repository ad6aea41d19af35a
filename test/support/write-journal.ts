/**
 * A process that records events as fast as it can, in the journal of its environment, and says each one on stdout when it is recorded:
 * `write-journal.ts NAME FROM TO`; after every 50th it waits for a byte on stdin. Signs as every process does.
 */
import { once } from 'node:events';
import { Journal } from '../../src/audit/journal.ts';
import { ownKey } from '../../src/audit/journal-key.ts';
import { PacedCheckpoints } from '../../src/audit/paced-checkpoints.ts';
import { systemWorld } from '../../src/runtime/world.ts';

const [name = '', from = '0', to = '0'] = process.argv.slice(2);
const world = systemWorld();
const journal = new Journal(world, {
  pace: ({ path }) => new PacedCheckpoints(world, path, () => ownKey(world)),
});
for (let number = Number(from); number < Number(to); number += 1) {
  journal.record({ event: 'client', writer: name, number });
  process.stdout.write(`${number}\n`);
  // Whoever reads what is said must not be far behind: it decides when this process is killed.
  if (number % 50 === 49) await once(process.stdin, 'data');
  // Lets a checkpoint that is due be made in between.
  if (number % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
process.stdin.destroy();
await journal[Symbol.asyncDispose]();
