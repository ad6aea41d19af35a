import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type EngineSession, MysqlEngine } from '../../../../src/lab/databases/mysql-engine.ts';
import { textOf } from '../../../../src/lab/databases/mysql-result.ts';
import { manualWorld } from '../../../support/manual-world.ts';

const engine = new MysqlEngine(manualWorld().world);
after(() => engine[Symbol.dispose]());

function session(database?: string): EngineSession {
  return { id: 7, user: 'app_reader', host: '10.0.1.5', database };
}

/** Column names, then rows, as a client shows them; `OK` for no result. */
function run(sql: string, by: EngineSession = session('orders')): string {
  const result = engine.execute(by, sql);
  if (result.kind === 'ok') return 'OK';
  const rows = [...result.rows].map((row) =>
    row.map((value, index) => textOf(value, result.columns[index]!)?.toString() ?? 'NULL').join('|'),
  );
  return [result.columns.map(({ name }) => name).join('|'), ...rows].join('\n');
}

describe("the SQL of the lab's MySQL", () => {
  for (const [sql, expected] of [
    ['SELECT @@version_comment LIMIT 1', '@@version_comment\ncloudtun lab'],
    [
      'SELECT USER(), DATABASE(), VERSION(), CONNECTION_ID(), NOW() AS n',
      'USER()|DATABASE()|VERSION()|CONNECTION_ID()|n\napp_reader@10.0.1.5|orders|8.0.36|7|2026-11-22 09:00:00',
    ],
    ['SHOW DATABASES', 'Database\ninformation_schema\norders'],
    ["SHOW FULL TABLES LIKE 'order%'", 'Tables_in_orders|Table_type\norder_items|BASE TABLE\norders|BASE TABLE'],
    ["SHOW VARIABLES LIKE 'max_allowed%'", 'Variable_name|Value\nmax_allowed_packet|1048576'],
    ["SHOW VARIABLES WHERE Variable_name = 'port'", 'Variable_name|Value\nport|3306'],
    ['SHOW INDEX FROM orders', /orders\|0\|PRIMARY\|1\|id\|A\|BTREE/],
    ['SHOW COLUMNS FROM `order_items` FROM `orders`', /unit_price\|decimal\(8,2\)\|NO/],
    ['explain customers', /email\|varchar\(120\)\|NO\|UNI/],
    ['EXPLAIN SELECT * FROM customers', /SCAN customers/],
    ['SHOW CREATE TABLE orders.order_items', /FOREIGN KEY \(`order_id`\) REFERENCES `orders` \(`id`\)/],
    ['SHOW WARNINGS', 'Level|Code|Message'],
    ['SELECT total FROM orders WHERE id = 1 FOR UPDATE', 'total\n6.50'],
    ['SELECT 1 FROM dual', '1\n1'],
    ["SELECT CONCAT(name, ' <', email, '>') AS c FROM customers LIMIT 1", 'c\nHanako Sato <hanako.sato@example.com>'],
    ["SELECT IF(1 > 2, 'a', 'b') i, LEFT('abc', 2) l, RIGHT('abc', 1) r, IFNULL(NULL, 1) n", 'i|l|r|n\nb|ab|c|1'],
    ["SELECT DATE_FORMAT('2026-02-03 04:05:06', '%d.%m.%y %H:%i') AS d", 'd\n03.02.26 04:05'],
    ['SELECT COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.country = "JP"', /\n9$/],
    ['SELECT @unset', '@unset\nNULL'],
    ['START TRANSACTION', 'OK'],
    ['SET autocommit = 0', 'OK'],
    ['USE information_schema', 'OK'],
    [
      'SELECT table_name FROM information_schema.TABLES WHERE table_schema = DATABASE() LIMIT 1',
      'table_name\ncustomers',
    ],
  ] as const) {
    test(sql, () => {
      const shown = run(sql);
      if (typeof expected === 'string') assert.equal(shown, expected);
      else assert.match(shown, expected);
    });
  }

  test('nothing can be written, by whatever way', () => {
    for (const sql of ['UPDATE orders SET total = 0', 'DROP TABLE orders', 'WITH x AS (SELECT 1) DELETE FROM orders']) {
      assert.throws(() => run(sql), { number: 1290 }, sql);
    }
    for (const sql of ['PRAGMA query_only = OFF', "ATTACH '/tmp/x' AS x", 'VACUUM', 'DETACH orders']) {
      assert.throws(() => run(sql), { number: 1064 }, sql);
    }
    assert.equal(run('SELECT COUNT(*) AS n FROM orders'), 'n\n50');
  });

  test('USE is the session of one client', () => {
    const one = session();
    assert.throws(() => run('SHOW TABLES', one), { number: 1046 });
    run('USE `orders`', one);
    assert.match(run('SHOW TABLES', one), /customers/);
    assert.equal(run('SELECT DATABASE() AS d', session()), 'd\nNULL');
  });

  test('two results can be read in turns, each as its own session', () => {
    const [first, second] = ['a', 'b'].map((user) => {
      const result = engine.execute({ ...session('orders'), user }, 'SELECT id, USER() FROM customers');
      assert.ok(result.kind === 'rows');
      return result.rows[Symbol.iterator]();
    });
    for (let row = 0; row < 20; row += 1) {
      assert.deepEqual(first!.next().value, [BigInt(row + 1), 'a@10.0.1.5']);
      assert.deepEqual(second!.next().value, [BigInt(row + 1), 'b@10.0.1.5']);
    }
    assert.equal(first!.next().done && second!.next().done, true);
  });
});
