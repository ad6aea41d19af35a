/** Real processes that write one journal at the same time, some of them killed in the middle. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { verifyJournal } from '../../src/audit/verify-journal.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { journalRecords } from '../support/journal-records.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const WRITERS = 8;
const EVENTS = 10_000;
const EACH = EVENTS / WRITERS;
/** Which writers are killed, and after which of their events. */
const KILLS: ReadonlyMap<number, number> = new Map([
  [0, 17],
  [2, 300],
  [3, 611],
  [5, 900],
  [6, 1_100],
]);
const SCRIPT = join(import.meta.dirname, '../support/write-journal.ts');

function write(home: string, name: string, from: number, to: number): ChildProcess {
  const env = { PATH: process.env.PATH, HOME: home };
  return spawn(process.execPath, [SCRIPT, name, String(from), String(to)], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

/** Runs a writer; kills it after an event, if told to. @returns the first number that it did not say it had recorded */
async function run(child: ChildProcess, from: number, killAt: number | undefined): Promise<number> {
  let next = from;
  const ended = once(child, 'exit');
  // A killed process reads no more.
  child.stdin!.on('error', () => {});
  for await (const line of createInterface({ input: child.stdout! })) {
    next = Number(line) + 1;
    if (next % 50 === 0) child.stdin!.write('.');
    if (killAt !== undefined && next > killAt) child.kill('SIGKILL');
  }
  await ended;
  return next;
}

test('8 writers, 10,000 events, 5 kills: chains whole, nothing lost but the line being written', {
  timeout: 60_000,
}, async (t) => {
  const home = await temporaryDirectory(t);
  const children = new Set<ChildProcess>();
  t.after(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const start = (name: string, from: number) => {
    const child = write(home, name, from, EACH);
    children.add(child);
    return child;
  };
  let killed = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const name = `w${writer}`;
      const first = start(name, 0);
      let next = await run(first, 0, KILLS.get(writer));
      if (first.signalCode === 'SIGKILL') killed += 1;
      // Another process goes on where the killed one was last heard of.
      if (next < EACH) next = await run(start(name, next), next, undefined);
      assert.equal(next, EACH, name);
    }),
  );
  assert.equal(killed, KILLS.size);
  // Whoever starts next signs what the killed ones left.
  await run(start('last', EACH - 1), EACH - 1, undefined);

  const world = systemWorld({ env: { HOME: home } });
  const path = join(world.paths.state, 'journal');
  const check = verifyJournal(world, { path });
  assert.deepEqual(check.findings, []);
  assert.deepEqual(check.unproven, []);
  assert.equal(check.segments, WRITERS + KILLS.size + 1);
  assert.ok(check.checkpoints > WRITERS, `${check.checkpoints} checkpoints`);
  const seen = Map.groupBy(journalRecords(path), ({ writer }) => String(writer));
  for (let writer = 0; writer < WRITERS; writer += 1) {
    const numbers = seen.get(`w${writer}`)!.map(({ number }) => Number(number));
    const missing = Array.from({ length: EACH }, (_, number) => number).filter((number) => !numbers.includes(number));
    assert.deepEqual(missing, [], `of writer ${writer}`);
    // A line that was written, and of which its process could not say so any more, is there twice.
    assert.ok(numbers.length - EACH <= 51, `${numbers.length} of ${EACH}`);
  }
});
