import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { opensWithSslRequest, PostgresAnswerReader, SSL_REQUEST } from '../../../../src/forward/core/postgres-probe.ts';

function errorResponse(fields: string): Buffer {
  const body = Buffer.from(`${fields}\0`, 'latin1');
  const head = Buffer.alloc(5);
  head[0] = 0x45;
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function read(bytes: Uint8Array, step = Number.POSITIVE_INFINITY) {
  const reader = new PostgresAnswerReader('orders:5432');
  for (let at = 0; at < bytes.length; at += step) {
    const answer = reader.receive(bytes.subarray(at, Math.min(bytes.length, at + step)));
    if (answer) return answer;
  }
  return undefined;
}

describe('asking PostgreSQL whether it is there', () => {
  test('the question is the 8 bytes of the manual', () => {
    assert.equal(Buffer.from(SSL_REQUEST).toString('hex'), '0000000804d2162f');
  });

  test('S and N are answers', () => {
    assert.deepEqual(read(Buffer.from('S')), { label: 'PostgreSQL', tls: true });
    assert.deepEqual(read(Buffer.from('N')), { label: 'PostgreSQL', tls: false });
  });

  test('an error is told in the words of the server', () => {
    const bytes = errorResponse('SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0Fproc.c\0');
    for (const step of [Number.POSITIVE_INFINITY, 1, 3]) {
      assert.throws(() => read(bytes, step), {
        code: 'CT_DATABASE_REFUSED',
        message: 'orders:5432 answered with a PostgreSQL error: sorry, too many clients already',
      });
    }
    assert.equal(read(bytes.subarray(0, -1)), undefined);
  });

  test('a server that cannot fork sends bare text', () => {
    const bytes = Buffer.from('Ecould not fork new process for connection: Cannot allocate memory\n\0');
    for (const step of [Number.POSITIVE_INFINITY, 1]) {
      assert.throws(() => read(bytes, step), {
        code: 'CT_DATABASE_REFUSED',
        message: /PostgreSQL error: could not fork new process for connection: Cannot allocate memory$/,
      });
    }
  });

  test('an error without a message, and one that breaks off, still are errors', () => {
    assert.throws(() => read(errorResponse('SFATAL\0')), { code: 'CT_DATABASE_REFUSED', message: /: no message$/ });
    const reader = new PostgresAnswerReader('orders:5432');
    assert.equal(reader.ended(), undefined);
    assert.equal(reader.receive(errorResponse('SFATAL\0Mshutting down\0').subarray(0, 18)), undefined);
    assert.equal(reader.ended()?.code, 'CT_DATABASE_REFUSED');
  });

  test('an error that never ends is cut at 8 KiB', () => {
    assert.throws(() => read(Buffer.concat([Buffer.from('E'), Buffer.alloc(20_000, 0x78)]), 1_000), {
      code: 'CT_DATABASE_REFUSED',
    });
  });

  test('anything else is not PostgreSQL', () => {
    // Not so a text that begins with S or N: PostgreSQL itself says no more than that.
    for (const bytes of ['HTTP/1.1 400 Bad Request', '220 smtp.internal ESMTP', '\u0015\u0003\u0003', '\u0000']) {
      assert.throws(() => read(Buffer.from(bytes)), { code: 'CT_REMOTE_UNEXPECTED' });
    }
  });

  test('only the very same question fits a kept answer', () => {
    assert.equal(opensWithSslRequest(Buffer.from('0000000804d2162f', 'hex')), true);
    assert.equal(opensWithSslRequest(Buffer.from('0000000804d21630', 'hex')), false, 'GSSENCRequest');
    assert.equal(opensWithSslRequest(Buffer.from('0000005400030000', 'hex')), false, 'StartupMessage');
    assert.equal(opensWithSslRequest(Buffer.from('16030100', 'hex')), false, 'direct TLS');
  });
});
