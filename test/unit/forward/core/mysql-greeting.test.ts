import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { MysqlGreetingReader } from '../../../../src/forward/core/mysql-greeting.ts';

interface Greeting {
  readonly name: string;
  readonly hex: string;
  readonly label: string;
  readonly plugin: string;
}
interface Refusal {
  readonly name: string;
  readonly hex: string;
  readonly code: string;
  readonly text: string;
}
const vectors = JSON.parse(readFileSync(new URL('../../../vectors/mysql-greetings.json', import.meta.url), 'utf8')) as {
  readonly greetings: readonly Greeting[];
  readonly refusals: readonly Refusal[];
};

/** Fed in pieces of `step` bytes, until the reader has an opinion. */
function read(hex: string, step = Number.POSITIVE_INFINITY) {
  const reader = new MysqlGreetingReader('orders-prod:3306');
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at < bytes.length; at += step) {
    const greeting = reader.receive(bytes.subarray(at, Math.min(bytes.length, at + step)));
    if (greeting) return greeting;
  }
  return undefined;
}

describe('the greeting of a MySQL server', () => {
  for (const vector of vectors.greetings) {
    test(vector.name, () => {
      for (const step of [Number.POSITIVE_INFINITY, 1, 7]) {
        const greeting = read(vector.hex, step);
        assert.deepEqual(
          { label: greeting?.label, plugin: greeting?.plugin },
          { label: vector.label, plugin: vector.plugin },
        );
        // PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH: what the goodbye relies on.
        assert.equal(greeting!.capabilities & 0x8_8200, 0x8_8200);
      }
      assert.equal(read(vector.hex.slice(0, -2)), undefined, 'complete one byte too early');
    });
  }

  for (const vector of vectors.refusals) {
    test(`instead of it: ${vector.name}`, () => {
      for (const step of [Number.POSITIVE_INFINITY, 1]) {
        assert.throws(
          () => read(vector.hex, step),
          (error) => {
            assert.ok(error instanceof CloudtunError);
            assert.equal(error.code, vector.code);
            assert.ok(error.message.startsWith('orders-prod:3306 '), error.message);
            assert.ok(error.message.endsWith(vector.text), error.message);
            assert.ok(error.hints.length > 0 || !vector.name.includes('blocked'));
            return true;
          },
        );
      }
    });
  }

  test('a length that no greeting has is refused before its bytes come', () => {
    assert.throws(() => read('ffffff00'), { code: 'CT_REMOTE_UNEXPECTED' });
  });
});
