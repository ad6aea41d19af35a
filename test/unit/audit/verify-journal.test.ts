import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { sealLine } from '../../../src/audit/core/chain.ts';
import { verifyJournal } from '../../../src/audit/verify-journal.ts';
import { journalLab } from '../../support/journal-lab.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const INDEX = 'checkpoints.jsonl';

suite('a journal that nobody edited', () => {
  test('has nothing found, and nothing unproven once its processes are over', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(3);
    await lab.segment(5);
    const check = lab.verify();
    assert.deepEqual(check.findings, []);
    assert.deepEqual(check.unproven, []);
    assert.deepEqual([check.segments, check.lines, check.checkpoints], [2, 12, 2]);
    assert.equal(check.newest?.lines, 12);
    assert.equal(check.key?.from, 'own');
  });

  test('has files that their owner alone reads, the lock included', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(1);
    const names = readdirSync(lab.path).sort();
    assert.ok(
      ['lock', 'checkpoints.jsonl', 'id', 'audit.pub'].every((name) => names.includes(name)),
      names.join(),
    );
    for (const name of names) assert.equal(statSync(join(lab.path, name)).mode & 0o077, 0, name);
  });

  test('of a process that still runs is proven to the last checkpoint, made in its own time', async (t) => {
    const lab = await journalLab(t);
    await using journal = lab.writer();
    journal.record({ event: 'open' });
    assert.deepEqual(
      lab.verify().unproven.map(({ fromLine, lines }) => [fromLine, lines]),
      [[1, 2]],
    );
    await lab.clock.advance(5_000);
    assert.equal(lab.verify().checkpoints, 1);
    journal.record({ event: 'client' });
    journal.record({ event: 'client' });
    assert.deepEqual(
      lab.verify().unproven.map(({ fromLine, lines }) => [fromLine, lines]),
      [[3, 2]],
    );
    await lab.clock.advance(60_000);
    assert.deepEqual(
      lab.verify().unproven.map(({ fromLine, lines }) => [fromLine, lines]),
      [[5, 0]],
    );
    assert.deepEqual(lab.found(), []);
  });

  test('may be copied elsewhere with its public key', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(3);
    const copy = lab.snapshot();
    const elsewhere = manualWorld({ home: await temporaryDirectory(t) }).world;
    const beside = verifyJournal(elsewhere, { path: copy });
    assert.deepEqual([beside.findings, beside.key?.from], [[], 'beside']);
    const keyFile = join(copy, '../kept.pub');
    renameSync(join(copy, 'audit.pub'), keyFile);
    const named = verifyJournal(elsewhere, { path: copy, keyFile });
    assert.deepEqual([named.findings, named.unproven, named.key?.from], [[], [], 'named']);
    assert.throws(() => verifyJournal(elsewhere, { path: copy }), { code: 'CT_STATE' });
  });

  test('with the one file of an older cloudtun: signed as a whole, and an edit of it shows', async (t) => {
    const lab = await journalLab(t);
    mkdirSync(lab.world.paths.state, { recursive: true });
    const old = '{"time":"2026-11-01T00:00:00.000Z","event":"open"}\n{"half';
    writeFileSync(`${lab.path}.jsonl`, old);
    await lab.segment(1);
    await lab.segment(1);
    assert.deepEqual([lab.found(), lab.verify().unproven], [[], []]);
    lab.write('unchained.jsonl', old.replace('01T', '02T'));
    assert.deepEqual(lab.found(), ['changed unchained.jsonl:1']);
  });

  test('keeps what a killed process left: half a line is signed with the rest, by the next process', async (t) => {
    const lab = await journalLab(t);
    const file = await killedSegment(lab, 'the half of a li');
    assert.deepEqual(lab.found(), []);
    assert.deepEqual(
      lab.verify().unproven.map(({ fromLine, lines, isTorn }) => [fromLine, lines, isTorn]),
      [[1, 3, true]],
    );
    await lab.segment(1);
    assert.deepEqual([lab.found(), lab.verify().unproven], [[], []]);
    const closed = file.replace('.open', '');
    assert.ok(lab.files().includes(closed));
    lab.write(closed, readFileSync(join(lab.path, closed), 'utf8').slice(0, -1));
    assert.deepEqual(lab.found(), [`inserted ${closed}:4`]);
  });

  test('lets segments go when they are too old, and a signed word of each stays', async (t) => {
    const lab = await journalLab(t);
    const old = await lab.segment(2);
    // The file is of today by the file system, which no clock by hand moves.
    lab.setWall(Date.now() + 40 * 86_400_000 - lab.clock.wall());
    const journal = lab.writer({ keep: 30 * 86_400_000 });
    journal.record({ event: 'open' });
    await journal[Symbol.asyncDispose]();
    assert.ok(!lab.files().includes(old), 'it is gone');
    assert.deepEqual([lab.found(), lab.verify().unproven], [[], []]);
    assert.match(lab.lines(INDEX).at(-1)!, new RegExp(`"segment":"${old.slice(0, -6)}","lines":4,.*"state":"removed"`));
  });
});

/** A segment of a process that is no more: its first line names a pid that nobody has. */
async function killedSegment(lab: Awaited<ReturnType<typeof journalLab>>, rest: string): Promise<string> {
  const ended = await lab.segment(0 + 1);
  const first = JSON.parse(lab.lines(ended)[0]!);
  for (const name of [ended, INDEX, 'audit.pub']) rmSync(join(lab.path, name));
  const { hash: _hash, segment: _segment, seq: _seq, ...fields } = first;
  const segment = '20261122T090000000Z-host-4194305-00000000';
  let before = 'cloudtun-journal-1';
  let text = '';
  for (const [seq, more] of [{ ...fields, pid: 4_194_305 }, { event: 'open' }, { event: 'client' }].entries()) {
    const sealed = sealLine({ ...more, segment, seq }, before);
    before = sealed.hash;
    text += sealed.bytes.toString();
  }
  const file = `${segment}.open.jsonl`;
  writeFileSync(join(lab.path, file), text + rest);
  return file;
}

suite('each kind of edit is found, with file and line', () => {
  test('1: a value is changed', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5, { person: 'alice' });
    await lab.segment(2);
    lab.edit(file, (lines) => lines.with(3, lines[3]!.replace('alice', 'carol')));
    assert.deepEqual(lab.found(), [`changed ${file}:4`]);
  });

  test('1: a value is changed, and all hashes are worked out anew', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5, { person: 'alice' });
    let before = 'cloudtun-journal-1';
    lab.edit(file, (lines) =>
      lines.map((line, index) => {
        const { hash: _hash, ...fields } = JSON.parse(index === 3 ? line.replace('alice', 'carol') : line);
        const sealed = sealLine(fields, before);
        before = sealed.hash;
        return sealed.bytes.toString().trimEnd();
      }),
    );
    const [finding] = lab.verify().findings;
    assert.deepEqual([finding?.kind, finding?.file, finding?.line], ['changed', file, 1]);
    assert.match(finding!.message, /^lines 1 to 7 are not those of checkpoint 1: they were written anew$/);
  });

  test('2: a line is dropped', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    lab.edit(file, (lines) => lines.toSpliced(2, 1));
    assert.deepEqual(lab.found(), [`dropped ${file}:3`]);
    assert.match(lab.verify().findings[0]!.message, /^a line is missing before line 3 \(number 2 on\)$/);
  });

  test('3: a line is inserted, whether it fits what is before it or not', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    const whole = lab.lines(file);
    const { segment, seq } = JSON.parse(whole[3]!);
    const before = JSON.parse(whole[2]!).hash;
    const fitting = sealLine({ event: 'client', segment, seq }, before).bytes.toString().trimEnd();
    const made = sealLine({ event: 'client', segment, seq }, 'nothing').bytes.toString().trimEnd();
    for (const line of [fitting, made, '{"event":"client"}', 'no JSON', '']) {
      lab.edit(file, () => whole.toSpliced(3, 0, line));
      assert.deepEqual(lab.found(), [`inserted ${file}:4`], line);
    }
    lab.edit(file, () => [...whole, whole[1]!]);
    assert.deepEqual(lab.found(), [`duplicated ${file}:8`]);
  });

  test('4: two lines are swapped', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(6);
    const whole = lab.lines(file);
    lab.edit(file, () => whole.with(2, whole[3]!).with(3, whole[2]!));
    assert.deepEqual(lab.found(), [`swapped ${file}:3`]);
    assert.match(lab.verify().findings[0]!.message, /^lines 3 and 4 do not stand where they were written$/);
  });

  test('5: a line is duplicated', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    lab.edit(file, (lines) => lines.toSpliced(3, 0, lines[2]!));
    assert.deepEqual(lab.found(), [`duplicated ${file}:4`]);
  });

  test('6: a file is truncated in the middle of a line', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    const text = readFileSync(join(lab.path, file), 'utf8');
    const start = text.split('\n').slice(0, 4).join('\n').length + 1;
    lab.write(file, text.slice(0, start + 20));
    assert.deepEqual(lab.found(), [`truncated ${file}:5`]);
  });

  test('7: a tail is cut', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    lab.edit(file, (lines) => lines.slice(0, 4));
    assert.deepEqual(lab.found(), [`cut ${file}:5`]);
  });

  test('7: a tail is cut behind the last signed checkpoint: unproven from that line', async (t) => {
    const lab = await journalLab(t);
    await using journal = lab.writer();
    for (let line = 0; line < 3; line += 1) journal.record({ event: 'client' });
    await lab.clock.advance(5_000);
    for (let line = 0; line < 3; line += 1) journal.record({ event: 'client' });
    const [file] = lab.files();
    const whole = lab.lines(file!);
    assert.equal(whole.length, 7);
    for (const kept of [6, 5, 4]) {
      lab.edit(file!, () => whole.slice(0, kept));
      assert.deepEqual(lab.found(), []);
      assert.deepEqual(
        lab.verify().unproven.map(({ fromLine, lines }) => [fromLine, lines]),
        [[5, kept - 4]],
      );
    }
    lab.edit(file!, () => whole.slice(0, 3));
    assert.deepEqual(lab.found(), [`cut ${file}:4`]);
    lab.edit(file!, () => whole);
  });

  test('7: such a tail, when another process had begun after it', async (t) => {
    const lab = await journalLab(t);
    await using journal = lab.writer();
    for (let line = 0; line < 3; line += 1) journal.record({ event: 'client' });
    lab.clock.tick(1_000);
    await using other = lab.writer();
    other.record({ event: 'open' });
    const [file] = lab.files();
    const whole = lab.lines(file!);
    lab.edit(file!, () => whole.slice(0, 3));
    assert.deepEqual(lab.found(), [`cut ${file}:4`]);
    lab.edit(file!, () => whole);
    assert.deepEqual(lab.found(), []);
  });

  test('8: a segment is removed', async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(5);
    await lab.segment(2);
    rmSync(join(lab.path, file));
    assert.deepEqual(lab.found(), [`removed ${file}:1`]);
  });

  test('8: a segment that no checkpoint has is removed, and another process had begun after it', async (t) => {
    const lab = await journalLab(t);
    await using journal = lab.writer();
    journal.record({ event: 'client' });
    lab.clock.tick(1_000);
    await using other = lab.writer();
    other.record({ event: 'open' });
    const [file] = lab.files();
    const text = readFileSync(join(lab.path, file!), 'utf8');
    rmSync(join(lab.path, file!));
    assert.deepEqual(lab.found(), [`removed ${file!.replace('.open', '')}:1`]);
    lab.write(file!, text);
  });

  test('9: two segments are merged', async (t) => {
    const lab = await journalLab(t);
    const one = await lab.segment(3);
    const two = await lab.segment(3);
    lab.edit(one, (lines) => [...lines, ...lab.lines(two)]);
    rmSync(join(lab.path, two));
    assert.deepEqual(lab.found(), [`merged ${one}:6`, `removed ${two}:1`]);
  });

  test('10: a checkpoint is replayed: at the end, in the place of a newer one, or by putting back an older file', async (t) => {
    const lab = await journalLab(t);
    for (let count = 0; count < 3; count += 1) await lab.segment(2);
    const whole = lab.lines(INDEX);
    assert.equal(whole.length, 3);
    lab.edit(INDEX, () => [...whole, whole[0]!]);
    assert.deepEqual(lab.found(), [`replayed ${INDEX}:4`]);
    lab.edit(INDEX, () => whole.with(1, whole[0]!));
    assert.ok(lab.found().includes(`replayed ${INDEX}:2`));
    // The third segment was begun when there were two checkpoints.
    lab.edit(INDEX, () => whole.slice(0, 1));
    assert.deepEqual(lab.found(), [`replayed ${INDEX}:2`]);
  });

  test('10: the whole directory is put back to an older state: by a checkpoint that was noted elsewhere', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(2);
    const older = lab.snapshot();
    await lab.segment(2);
    const { checkpoint, hash } = lab.verify().newest!;
    assert.deepEqual(lab.verify({ checkpoint, hash: hash.slice(0, 12) }).findings, []);
    rmSync(lab.path, { recursive: true });
    lab.restore(older);
    assert.deepEqual(lab.found(), [], 'by itself it is whole');
    assert.deepEqual(
      lab.verify({ checkpoint, hash }).findings.map(({ kind, line }) => [kind, line]),
      [['replayed', 2]],
    );
  });

  test('11: the clock is set back', async (t) => {
    const lab = await journalLab(t);
    const journal = lab.writer();
    journal.record({ event: 'open' });
    lab.setWall(-3_600_000);
    journal.record({ event: 'client' });
    lab.setWall(0);
    journal.record({ event: 'end' });
    await journal[Symbol.asyncDispose]();
    const [file] = lab.files();
    assert.deepEqual(lab.found(), [`clock ${file}:3`]);
    assert.match(lab.verify().findings[0]!.message, /^the clock was set back: line 3 is of 2026-11-22T08:00/);
  });

  test('11: the clock is set back for a whole process', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(2);
    lab.setWall(-86_400_000);
    const file = await lab.segment(2);
    assert.deepEqual(lab.found(), [`clock ${INDEX}:2`, `clock ${file}:1`]);
  });

  test("12: a file is replaced by another host's", async (t) => {
    const lab = await journalLab(t);
    const file = await lab.segment(3);
    await lab.segment(1);
    const other = await journalLab(t, { seed: 7 });
    const foreign = await other.segment(3);
    const text = readFileSync(join(other.path, foreign), 'utf8');
    const own = readFileSync(join(lab.path, file), 'utf8');
    lab.write(file, text);
    assert.deepEqual(lab.found(), [`replaced ${file}:1`]);
    // Under its own name beside ours.
    lab.write(file, own);
    cpSync(join(other.path, foreign), join(lab.path, foreign));
    assert.deepEqual(lab.found(), [`replaced ${foreign}:1`]);
  });
});

suite('edits of what the proof rests on', () => {
  test('a checkpoint that is changed, one that is dropped, and half of one that a process left', async (t) => {
    const lab = await journalLab(t);
    for (let count = 0; count < 3; count += 1) await lab.segment(2);
    const whole = lab.lines(INDEX);
    lab.edit(INDEX, () => whole.with(1, whole[1]!.replace('"lines":8', '"lines":9')));
    assert.deepEqual(lab.found(), [`changed ${INDEX}:2`]);
    lab.edit(INDEX, () => whole.toSpliced(1, 1));
    assert.deepEqual(lab.found(), [`dropped ${INDEX}:2`]);
    lab.edit(INDEX, () => whole);
    appendFileSync(join(lab.path, INDEX), whole[2]!.slice(0, 40));
    assert.deepEqual(lab.found(), []);
    assert.deepEqual(lab.verify().unproven, [{ file: INDEX, fromLine: 4, lines: 0, isTorn: true }]);
    await lab.segment(1);
    assert.deepEqual([lab.found(), lab.verify().unproven], [[], []], 'the next one stands on a line of its own');
  });

  test('another key, another name of the journal', async (t) => {
    const lab = await journalLab(t);
    await lab.segment(2);
    const id = readFileSync(join(lab.path, 'id'), 'utf8');
    lab.write('id', `${id} `);
    assert.deepEqual(lab.found(), ['changed id:1']);
    lab.write('id', id);
    rmSync(join(lab.world.paths.state, 'audit.key'));
    await lab.segment(2);
    assert.deepEqual(lab.found(), [`changed ${INDEX}:1`, 'changed audit.pub:1']);
    assert.match(lab.verify().findings[0]!.message, /it is signed by the key [0-9a-f]{16}, not [0-9a-f]{16}$/);
  });

  test('a checkpoint is not made over an edit: what was changed before it stays found', async (t) => {
    const lab = await journalLab(t);
    const file = await killedSegment(lab, '');
    lab.edit(file, (lines) => lines.with(1, lines[1]!.replace('open', 'opne')));
    await lab.segment(1);
    assert.deepEqual(lab.found(), [`changed ${file}:2`]);
    assert.deepEqual(
      lab.verify().unproven.map(({ fromLine }) => fromLine),
      [1],
    );
  });
});
