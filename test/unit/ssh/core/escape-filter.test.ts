import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EscapeFilter } from '../../../../src/ssh/core/escape-filter.ts';

const CASES: readonly (readonly [name: string, typed: string, passed: string, asked: string])[] = [
  ['nothing special', 'ls -l ~/x\r', 'ls -l ~/x\r', ''],
  ['~. at the very start', '~.', '', 'close'],
  ['~. after a return', 'ls\r~.rm -rf\r', 'ls\r', 'close'],
  ['~. after a line feed', 'ls\n~.', 'ls\n', 'close'],
  ['~. in a line', 'a~.\r', 'a~.\r', ''],
  ['~~ sends one', '~~.\r', '~.\r', ''],
  ['~? helps, and the line still starts', '~?~.', '', 'help close'],
  ['~ before something else', '~x\r~.', '~x\r', 'close'],
  ['~ and return', '~\r~.', '~\r', 'close'],
  ['what is no text', '\x00\xff\r\x03', '\x00\xff\r\x03', ''],
];

for (const [name, typed, passed, asked] of CASES) {
  test(`${name}: in one piece and byte by byte`, () => {
    const bytes = Buffer.from(typed, 'latin1');
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.from([byte]))]) {
      const filter = new EscapeFilter();
      const out: Buffer[] = [];
      const wanted: string[] = [];
      for (const piece of pieces) {
        if (wanted.at(-1) === 'close') break;
        const step = filter.take(piece);
        out.push(Buffer.from(step.pass));
        wanted.push(...step.asked);
      }
      assert.equal(Buffer.concat(out).toString('latin1'), passed);
      assert.equal(wanted.join(' '), asked);
    }
  });
}

test('another character, and none at all', () => {
  const of = (escapeWith: number | 'none', typed: string) => {
    const { pass, asked } = new EscapeFilter(escapeWith).take(Buffer.from(typed));
    return [Buffer.from(pass).toString(), asked.join(' ')];
  };
  assert.deepEqual(of(2, '~.\r\x02.'), ['~.\r', 'close']);
  assert.deepEqual(of(2, '\x02\x02x'), ['\x02x', '']);
  assert.deepEqual(of('none', '~.\r~.'), ['~.\r~.', '']);
});
