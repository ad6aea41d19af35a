import assert from 'node:assert/strict';
import fs, { existsSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { journalLab } from '../../support/journal-lab.ts';
import { journalRecords } from '../../support/journal-records.ts';

const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

/** A disk that takes `room` bytes of the next line and then none, until it is told that there is space again. */
function fillingDisk(t: TestContext): { fill(room: number): void; makeRoom(): void } {
  const { writeSync, ftruncateSync } = fs;
  let room = Number.POSITIVE_INFINITY;
  fs.writeSync = ((file: number, bytes: Buffer, from?: number) => {
    const offset = from ?? 0;
    const wanted = bytes.length - offset;
    if (room === 0) throw noSpace();
    const count = writeSync(file, bytes, offset, Math.min(wanted, room));
    room -= count;
    return count;
  }) as typeof fs.writeSync;
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fs, { writeSync, ftruncateSync });
    syncBuiltinESMExports();
  });
  return {
    fill: (bytes) => {
      room = bytes;
    },
    makeRoom: () => {
      room = Number.POSITIVE_INFINITY;
    },
  };
}

test('a disk that is full in the middle of a line: that line is not there, and the chain goes on when there is room', async (t) => {
  const disk = fillingDisk(t);
  const lab = await journalLab(t);
  const journal = lab.writer();
  journal.record({ event: 'open' });
  disk.fill(40);
  assert.throws(() => journal.record({ event: 'client', lost: true }), {
    code: 'CT_JOURNAL',
    message: /no space is left$/,
  });
  assert.throws(() => journal.record({ event: 'client', lost: true }), { code: 'CT_JOURNAL' });
  disk.makeRoom();
  journal.record({ event: 'end' });
  await journal[Symbol.asyncDispose]();
  assert.deepEqual(
    journalRecords(lab.path).map(({ event }) => event),
    ['open', 'end'],
  );
  assert.deepEqual([lab.found(), lab.verify().unproven, lab.files().length], [[], [], 1]);
});

test('where the half line cannot be taken back, the journal goes on in another segment', async (t) => {
  const disk = fillingDisk(t);
  const lab = await journalLab(t);
  const journal = lab.writer();
  journal.record({ event: 'open' });
  disk.fill(40);
  fs.ftruncateSync = () => {
    throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
  };
  syncBuiltinESMExports();
  assert.throws(() => journal.record({ event: 'client' }), { code: 'CT_JOURNAL' });
  disk.makeRoom();
  lab.clock.tick(10);
  journal.record({ event: 'end' });
  await journal[Symbol.asyncDispose]();
  const [broken, next] = lab.files();
  assert.match(readFileSync(join(lab.path, broken!), 'utf8'), /\n[^\n]{40}$/);
  assert.equal(JSON.parse(lab.lines(next!)[0]!).previous, broken!.replace('.open.jsonl', ''));
  assert.deepEqual(lab.found(), []);
  assert.deepEqual(
    lab.verify().unproven.map(({ file, fromLine, isTorn }) => [file, fromLine, isTorn]),
    [[broken, 3, true]],
    'another process will sign it when this one is over',
  );
});

test('a checkpoint that does not fit is not there at all, and the next one is', async (t) => {
  const disk = fillingDisk(t);
  const lab = await journalLab(t);
  const journal = lab.writer();
  journal.record({ event: 'open' });
  disk.fill(100);
  await lab.clock.advance(5_000);
  assert.match(lab.logs.at(-1)!.message, /^the journal is written, but not signed, .*ENOSPC/);
  assert.equal(existsSync(join(lab.world.paths.state, 'audit.key')), false, 'not even a part of the key');
  disk.makeRoom();
  journal.record({ event: 'client' });
  await lab.clock.advance(60_000);
  assert.equal(lab.verify().checkpoints, 1);
  journal.record({ event: 'client' });
  disk.fill(100);
  await lab.clock.advance(60_000);
  disk.makeRoom();
  journal.record({ event: 'end' });
  await journal[Symbol.asyncDispose]();
  assert.deepEqual([lab.found(), lab.verify().unproven, lab.verify().checkpoints], [[], [], 2]);
});
