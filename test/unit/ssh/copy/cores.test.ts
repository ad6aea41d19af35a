import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ChunkLedger } from '../../../../src/ssh/copy/core/chunk-ledger.ts';
import { farPath, folderOfFar, joinFar, nameOfFar, quoted } from '../../../../src/ssh/copy/core/far-path.ts';
import { isSafeName, partialName } from '../../../../src/ssh/copy/core/safe-name.ts';

suite('names of a listing', () => {
  test('one component, or nothing', () => {
    for (const name of ['', '.', '..', 'a/b', '/', '../x', 'a\0']) assert.equal(isSafeName(name, 'linux'), false, name);
    for (const name of ['...', 'a b', '-rf', '\u001b[2J', 'a\\b', 'a:b']) assert.ok(isSafeName(name, 'linux'), name);
    for (const name of ['a\\..\\b', 'C:x', 'a:stream']) assert.equal(isSafeName(name, 'win32'), false, name);
  });

  test('a safe name never leaves its folder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        if (!isSafeName(name, 'linux')) return;
        const url = new URL(`file:///folder/${encodeURIComponent(name)}`);
        assert.ok(url.pathname.startsWith('/folder/') && joinFar('/folder', name) === `/folder/${name}`);
      }),
    );
  });

  test('names of what arrives fit into a file system, and are not two the same', () => {
    assert.equal(partialName('report.csv', String), '.report.csv.cloudtun-part');
    const digest = (text: string) => (text.endsWith('1') ? '1'.repeat(64) : '2'.repeat(64));
    const long = (end: string) => partialName(`${'é'.repeat(120)}${end}`, digest);
    assert.ok(Buffer.byteLength(long('1')) <= 255);
    assert.notEqual(long('1'), long('2'));
    assert.doesNotMatch(long('1'), /\ufffd/);
  });
});

test('paths of the far side', () => {
  assert.deepEqual(['', '~', '~/', '~/x', '~//x', 'x', '/x', '~other/x'].map(farPath), [
    '.',
    '.',
    '.',
    'x',
    'x',
    'x',
    '/x',
    '~other/x',
  ]);
  assert.deepEqual(['/a/b', 'b/', '/', '.', 'a/..', '..', ''].map(nameOfFar), ['b', 'b', ...Array(5).fill(undefined)]);
  assert.deepEqual(['/a/b', '/b', 'b', 'a/b/', '/'].map(folderOfFar), ['/a', '/', '.', 'a', '/']);
  assert.equal(joinFar('.', 'x'), 'x');
  assert.equal(quoted("it's; rm -rf /"), `'it'\\''s; rm -rf /'`);
});

test('a ledger knows what is there without holes, in whatever order it came', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }).chain((lengths) => {
        const parts = lengths.map((length, index) => ({
          start: 5 + lengths.slice(0, index).reduce((sum, each) => sum + each, 0),
          length,
        }));
        return fc.shuffledSubarray(parts);
      }),
      (parts) => {
        const ledger = new ChunkLedger(5);
        const there = new Set<number>();
        for (const { start, length } of parts) {
          ledger.add(start, start + length);
          for (let at = start; at < start + length; at += 1) there.add(at);
          let whole = 5;
          while (there.has(whole)) whole += 1;
          assert.deepEqual([ledger.whole, ledger.arrived], [whole, 5 + there.size]);
        }
      },
    ),
  );
});
