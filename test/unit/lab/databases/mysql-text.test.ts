import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MysqlError } from '../../../../src/lab/databases/mysql-result.ts';
import { cleanSql } from '../../../../src/lab/databases/mysql-text.ts';

describe("MySQL's SQL, written for SQLite", () => {
  for (const [mysql, sqlite] of [
    ['SELECT 1', 'SELECT 1'],
    ['  select\n\t 1 ; ', 'select 1'],
    ['select 1 -- one', 'select 1'],
    ['select 1 # one\n+ 1', 'select 1 + 1'],
    ['select 3--1', 'select 3--1'],
    ['select 2*/* two */3', 'select 2* 3'],
    ['/*!40101 SET NAMES utf8 */', 'SET NAMES utf8'],
    ['/*!90000 SET NEW */ select 1', 'select 1'],
    ['/*M!999999\\- sandbox */ select 1', 'select 1'],
    ['select /*!40001 SQL_NO_CACHE */ * from `t`', 'select * from `t`'],
    [String.raw`select 'it\'s', 'a''b', "say \"hi\"", 'n\n'`, `select 'it''s', 'a''b', 'say "hi"', 'n\n'`],
    ["select '/* no comment */ -- none ? @x'", "select '/* no comment */ -- none ? @x'"],
    ['select `a``b`, `c;d`', 'select `a``b`, `c;d`'],
    ['a && b', 'a AND b'],
    ['', ''],
    [';;;', ''],
  ] as const) {
    test(mysql === '' ? 'nothing' : mysql, () => assert.equal(cleanSql(mysql).sql, sqlite));
  }

  test('variables become parameters and keep their names', () => {
    const { sql, variables } = cleanSql('select @@global.version_comment, @x from t where a = ?');
    assert.equal(sql, 'select $v0, $v1 from t where a = ?');
    assert.deepEqual(
      [...variables],
      [
        ['$v0', '@@global.version_comment'],
        ['$v1', '@x'],
      ],
    );
  });

  test('parameters are counted where they are ones', () => {
    assert.equal(cleanSql("select ?, '?', `?`, /* ? */ ? -- ?").parameterCount, 2);
  });

  for (const sql of [
    "select 'a",
    'select "a',
    'select `a',
    'select /* a',
    'select :a',
    'select [a]',
    'select $a',
    'select {d 1}',
  ]) {
    test(`refused: ${sql}`, () => assert.throws(() => cleanSql(sql), { number: 1064 }));
  }

  test('one statement at a time', () => {
    assert.throws(() => cleanSql('select 1; select 2'), { number: 1295 });
    assert.equal(cleanSql('select 1; -- done\n ;').sql, 'select 1');
  });

  test('any text gives SQL or an error of MySQL, and a megabyte of it soon', { timeout: 30_000 }, () => {
    const pieces = fc.constantFrom(
      "'",
      '"',
      '`',
      '\\',
      '/*',
      '*/',
      '/*!40000',
      '--',
      '#',
      '\n',
      ';',
      '?',
      '@@a',
      ' ',
      'x',
      'é',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 40 }), (parts) => {
        try {
          cleanSql(parts.join(''));
        } catch (error) {
          assert.ok(error instanceof MysqlError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
    for (const piece of [' ', ';', '/**/', "''", '?', '-- \n', 'x ']) {
      cleanSql(piece.repeat(1_000_000 / piece.length));
    }
  });
});
