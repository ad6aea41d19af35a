import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import {
  message,
  PostgresMessageReader,
  parseStartup,
  READY,
  ReadyWatcher,
} from '../../../../src/lab/databases/postgres-wire.ts';

function startupMessage(version: number, ...fields: string[]): Buffer {
  const body = Buffer.from(`${fields.map((field) => `${field}\0`).join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(version, 4);
  return Buffer.concat([head, body]);
}

describe('the PostgreSQL protocol, server side', () => {
  test('a startup message names user and database; the user stands for the database', () => {
    assert.deepEqual(
      parseStartup(startupMessage(196_608, 'user', 'a', 'database', 'orders', 'application_name', 'psql')),
      {
        user: 'a',
        database: 'orders',
      },
    );
    assert.deepEqual(parseStartup(startupMessage(196_608, 'user', 'a')), { user: 'a', database: 'a' });
    assert.deepEqual(parseStartup(startupMessage(196_610, 'user', 'a')), { user: 'a', database: 'a' }, 'protocol 3.2');
    assert.equal(parseStartup(startupMessage(196_608, 'database', 'orders')), undefined);
    assert.equal(parseStartup(startupMessage(131_072, 'user', 'a')), undefined, 'protocol 2');
  });

  test('messages survive any split, and impossible lengths are refused', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 20 }),
        (bodies, step) => {
          const wire = Buffer.concat(bodies.map((body) => message('Q', body)));
          const reader = new PostgresMessageReader();
          reader.started = true;
          const found: string[] = [];
          for (let at = 0; at < wire.length; at += step) {
            reader.receive(wire.subarray(at, at + step));
            for (let next = reader.next(); next; next = reader.next()) found.push(next.toString('hex'));
          }
          assert.deepEqual(
            found,
            bodies.map((body) => message('Q', body).toString('hex')),
          );
        },
      ),
    );
    for (const [started, hex] of [
      [false, '00000007'],
      [false, '7fffffff'],
      [true, '5100000003'],
      [true, '51ffffffff'],
    ] as const) {
      const reader = new PostgresMessageReader();
      reader.started = started;
      reader.receive(Buffer.from(hex, 'hex'));
      assert.throws(
        () => reader.next(),
        (error) => error instanceof CloudtunError && error.code === 'CT_PROTO_FRAME',
      );
    }
  });

  test('the status of the last ReadyForQuery is known however the answer was cut', () => {
    const answers = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((body) => message('D', body)),
        fc.constantFrom('I', 'T', 'E').map((status) => message('Z', Buffer.from(status))),
      ),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(answers, fc.integer({ min: 1, max: 12 }), (messages, step) => {
        const wire = Buffer.concat(messages);
        const watcher = new ReadyWatcher();
        for (let at = 0; at < wire.length; at += step) watcher.receive(wire.subarray(at, at + step));
        const last = messages.at(-1)!;
        assert.equal(watcher.status, last[0] === READY[0] ? String.fromCharCode(last[5]!) : undefined);
      }),
    );
  });
});
