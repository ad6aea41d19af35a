/**
 * Any single edit of any byte of any file of a journal is found, or lies behind the last checkpoint and is reported as unproven: a byte
 * replaced, inserted or taken away, anywhere in segments (ended, left with half a line, open with lines that nobody signed yet), in the
 * checkpoints, in the public key and in the name of the journal.
 */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { journalLab } from '../../support/journal-lab.ts';

/** Each edit is held against the whole journal, a millisecond or two. */
const RUNS = 1_500;

interface Edit {
  readonly kind: 'replace' | 'insert' | 'remove';
  /** Which file, and where in it, as a part of all. */
  readonly file: number;
  readonly at: number;
  readonly byte: number;
}

const edits: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove'),
  file: fc.nat(),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('\n"{}0 '))),
});

function apply(bytes: Buffer, { kind, at, byte }: Edit): { readonly edited: Buffer; readonly offset: number } {
  const offset = Math.floor(at * (bytes.length + (kind === 'insert' ? 1 : 0)));
  const before = bytes.subarray(0, offset);
  const after = bytes.subarray(offset + (kind === 'insert' ? 0 : 1));
  return { edited: Buffer.concat([before, ...(kind === 'remove' ? [] : [Buffer.from([byte])]), after]), offset };
}

const lineAt = (bytes: Buffer, offset: number) => bytes.subarray(0, offset).toString('latin1').split('\n').length;

test('any edit of any byte is found, or unproven', async (t) => {
  const lab = await journalLab(t);
  await lab.segment(3, { person: 'alice' });
  await lab.segment(1, { reason: 'ü, "quoted"' });
  await using open = lab.writer();
  open.record({ event: 'open' });
  await lab.clock.advance(5_000);
  open.record({ event: 'client' });
  open.record({ event: 'client' });
  assert.deepEqual(lab.found(), []);
  const files = readdirSync(lab.path)
    .filter((name) => name !== 'lock')
    .map((name) => ({ name, bytes: readFileSync(join(lab.path, name)) }));
  assert.equal(files.length, 6);
  const total = { found: 0, unproven: 0 };
  fc.assert(
    fc.property(edits, (edit) => {
      const { name, bytes } = files[edit.file % files.length]!;
      const { edited, offset } = apply(bytes, edit);
      fc.pre(!edited.equals(bytes));
      writeFileSync(join(lab.path, name), edited);
      try {
        const { findings, unproven } = lab.verify();
        const line = lineAt(bytes, offset);
        const isUnproven = unproven.some(({ file, fromLine }) => file === name && fromLine <= line);
        assert.ok(findings.length > 0 || isUnproven, `${edit.kind} at ${name}:${line}, byte ${offset}`);
        if (findings.length > 0) total.found += 1;
        else total.unproven += 1;
      } finally {
        writeFileSync(join(lab.path, name), bytes);
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(total.found > total.unproven * 10, JSON.stringify(total));
  assert.deepEqual(lab.found(), []);
});

test('cutting any file anywhere is found, or leaves lines unproven from where it was cut', async (t) => {
  const lab = await journalLab(t);
  const ended = await lab.segment(3);
  await using open = lab.writer();
  open.record({ event: 'open' });
  await lab.clock.advance(5_000);
  open.record({ event: 'client' });
  appendFileSync(join(lab.path, 'checkpoints.jsonl'), '');
  for (const name of [ended, lab.files().at(-1)!, 'checkpoints.jsonl']) {
    const bytes = readFileSync(join(lab.path, name));
    for (let length = 0; length < bytes.length; length += 7) {
      writeFileSync(join(lab.path, name), bytes.subarray(0, length));
      const { findings, unproven } = lab.verify();
      const line = lineAt(bytes, length);
      const isUnproven = unproven.some((each) => each.fromLine <= line || each.file !== name);
      assert.ok(findings.length > 0 || isUnproven, `${name} cut to ${length} bytes`);
    }
    writeFileSync(join(lab.path, name), bytes);
  }
});
