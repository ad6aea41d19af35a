import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrorCode } from '../../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { AnyReader } from '../../../../src/socks/core/any-request.ts';
import { type ClientRequest, normalHost } from '../../../../src/socks/core/client-request.ts';

/** All that a reader made of some bytes: what was said, the request, and what was left for the far side. */
function read(...pieces: readonly (Buffer | string)[]) {
  const reader = new AnyReader();
  const said: Buffer[] = [];
  for (const [index, piece] of pieces.entries()) {
    const { say, request, rest } = reader.receive(Buffer.from(piece as string));
    if (say) said.push(say);
    if (request) {
      const later = pieces.slice(index + 1).map((each) => Buffer.from(each as string));
      return {
        said: Buffer.concat(said).toString('hex'),
        request,
        rest: Buffer.concat([rest ?? Buffer.alloc(0), ...later]),
      };
    }
  }
  return { said: Buffer.concat(said).toString('hex'), request: undefined, rest: Buffer.alloc(0) };
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const named = (name: string) => Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), Buffer.from(name), hex('01bb')]);
const GREETING = hex('05 01 00');

function connected(request: ClientRequest | undefined) {
  assert.equal(request?.kind, 'connect', request?.kind === 'bad' ? request.error.message : request?.kind);
  return request;
}

function refused(request: ClientRequest | undefined) {
  assert.equal(request?.kind, 'bad');
  return { answer: request.answer.toString('hex'), text: request.answer.toString(), message: request.error.message };
}

describe('SOCKS5', () => {
  for (const [what, bytes, host, port] of [
    ['a name', named('db.internal'), 'db.internal', 443],
    [
      'a name of 255 bytes',
      named(`${'a'.repeat(63)}.`.repeat(4).slice(0, 255)),
      `${'a'.repeat(63)}.`.repeat(4).slice(0, 255),
      443,
    ],
    ['IPv4', hex('05 01 00 01 0a 14 0a 05 00 50'), '10.20.10.5', 80],
    ['IPv6', hex('05 01 00 04 fd00 0000 0000 0000 0000 0000 0000 0001 1538'), 'fd00::1', 5432],
    ['IPv4 in IPv6', hex('05 01 00 04 0000 0000 0000 0000 0000 ffff 0a14 0a05 0016'), '10.20.10.5', 22],
  ] as const) {
    test(`CONNECT to ${what}`, () => {
      const { said, request, rest } = read(GREETING, bytes, 'early');
      assert.equal(said, '0500');
      const { to, protocol, granted } = connected(request);
      assert.deepEqual(
        { to, protocol, rest: rest.toString() },
        { to: { host, port }, protocol: 'SOCKS5', rest: 'early' },
      );
      assert.equal(granted.toString('hex'), '05000001000000000000');
    });
  }

  test('a client that does not wait for the answer', () => {
    const { said, request, rest } = read(Buffer.concat([GREETING, named('db.internal'), Buffer.from('hello')]));
    assert.equal(said, '0500');
    assert.equal(connected(request).to.host, 'db.internal');
    assert.equal(rest.toString(), 'hello');
  });

  for (const [what, bytes, answer] of [
    ['BIND', hex('05 02 00 01 0a140a05 0050'), '0507'],
    ['UDP ASSOCIATE', hex('05 03 00 01 00000000 0000'), '0507'],
    ['an unknown address type', hex('05 01 00 02 0a140a05 0050'), '0508'],
    ['a name of no bytes', hex('05 01 00 03 00 0050'), '0508'],
    ['a name with a space', named('a b'), '0508'],
    ['an address that only some resolvers know', named('127.1'), '0508'],
    ['port 0', hex('05 01 00 01 0a140a05 0000'), '0501'],
    ['another version after the greeting', hex('04 01 00 01 0a140a05 0050'), '0501'],
  ] as const) {
    test(`${what}: refused with ${answer}`, () => {
      const { said, request } = read(GREETING, bytes);
      assert.equal(said, '0500');
      assert.equal(refused(request).answer, `${answer}000100000000 0000`.replace(' ', ''));
    });
  }

  test('a client that insists on authentication is told that there is none', () => {
    assert.equal(refused(read(hex('05 02 01 02')).request).answer, '05ff');
    assert.equal(refused(read(hex('05 00')).request).answer, '05ff');
  });

  for (const [code, answer] of [
    ['CT_POLICY', '02'],
    ['CT_DENIED', '02'],
    ['CT_REMOTE_FORBIDDEN', '02'],
    ['CT_NETWORK', '03'],
    ['CT_TARGET_OFFLINE', '03'],
    ['CT_REMOTE_SILENT', '04'],
    ['CT_REMOTE_REFUSED', '05'],
    ['CT_DESTINATION_LIMIT', '01'],
    ['CT_INTERNAL', '01'],
  ] as const satisfies readonly (readonly [ErrorCode, string])[]) {
    test(`${code} is reply ${answer}`, () => {
      const request = connected(read(GREETING, named('db.internal')).request);
      assert.equal(request.refused(new CloudtunError(code, 'no')).toString('hex'), `05${answer}0001000000000000`);
    });
  }
});

describe('SOCKS4 and 4a', () => {
  test('an address, and a name', () => {
    const four = read(hex('04 01 0050 0a140a05'), 'user\0rest');
    assert.deepEqual(connected(four.request).to, { host: '10.20.10.5', port: 80 });
    assert.equal(four.rest.toString(), 'rest');
    const named4a = read(hex('04 01 01bb 00000001'), '\0DB.internal\0rest');
    assert.deepEqual(connected(named4a.request).to, { host: 'db.internal', port: 443 });
    assert.deepEqual(['SOCKS4', 'SOCKS4a'], [connected(four.request).protocol, connected(named4a.request).protocol]);
    assert.equal(named4a.rest.toString(), 'rest');
    assert.equal(connected(four.request).granted.toString('hex'), '005a000000000000');
    assert.equal(
      connected(four.request).refused(new CloudtunError('CT_POLICY', 'no')).toString('hex'),
      '005b000000000000',
    );
  });

  test('BIND, texts without an end, and an empty name are refused with 91', () => {
    for (const bytes of [
      hex('04 02 0050 0a140a05 00'),
      Buffer.concat([hex('04 01 0050 0a140a05'), Buffer.alloc(256, 'u')]),
      Buffer.concat([hex('04 01 0050 00000001 00'), Buffer.alloc(256, 'n')]),
      hex('04 01 0050 00000001 00 00'),
      hex('04 01 0000 0a140a05 00'),
    ]) {
      assert.equal(refused(read(bytes).request).answer, '005b000000000000');
    }
  });
});

describe('HTTP', () => {
  test('CONNECT, with a name and with an IPv6 address', () => {
    const { request, rest } = read('CONNECT db.internal:8443 HTTP/1.1\r\nHost: db.internal:8443\r\n', '\r\nhello');
    assert.deepEqual(connected(request).to, { host: 'db.internal', port: 8443 });
    assert.equal(rest.toString(), 'hello');
    assert.match(connected(request).granted.toString(), /^HTTP\/1\.1 200 .*\r\n\r\n$/);
    assert.deepEqual(connected(read('CONNECT [FD00::1]:22 HTTP/1.1\r\n\r\n').request).to, {
      host: 'fd00::1',
      port: 22,
    });
  });

  test('a request in absolute form is handed on in origin form, for one answer', () => {
    const head = [
      'Host: elsewhere',
      'Accept: */*',
      'Proxy-Connection: keep-alive',
      'Connection: keep-alive',
      'Content-Length: 2',
    ];
    const { request, rest } = read(`POST http://web.internal/a?b HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\nhi`);
    assert.deepEqual(connected(request).to, { host: 'web.internal', port: 80 });
    assert.equal(connected(request).granted.length, 0);
    assert.equal(
      rest.toString(),
      'POST /a?b HTTP/1.1\r\nHost: web.internal\r\nAccept: */*\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi',
    );
    assert.match(read('GET http://web.internal:81?q HTTP/1.1\r\n\r\n').rest.toString(), /^GET \/\?q HTTP/);
  });

  test('a page of its own', () => {
    const { request } = read('GET /proxy.pac?x HTTP/1.1\r\nHost: [::1]:1080\r\n\r\n');
    assert.deepEqual(request, { kind: 'page', path: '/proxy.pac', host: '::1', isHead: false });
  });

  for (const [what, text, status] of [
    ['no request at all', 'HELLO\r\n\r\n', 400],
    ['a header that is none', 'CONNECT a:1 HTTP/1.1\r\nno header\r\n\r\n', 400],
    ['CONNECT without a usable port', 'CONNECT a:70000 HTTP/1.1\r\n\r\n', 400],
    ['https in absolute form', 'GET https://a/ HTTP/1.1\r\n\r\n', 400],
    ['a user in the URL', 'GET http://u@a/ HTTP/1.1\r\n\r\n', 400],
    ['POST to a page', 'POST / HTTP/1.1\r\n\r\n', 405],
    ['a head without an end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(17_000)}`, 431],
  ] as const) {
    test(`${what}: ${status}`, () =>
      assert.match(refused(read(text).request).text, new RegExp(`^HTTP/1.1 ${status} `)));
  }

  for (const [code, status] of [
    ['CT_POLICY', 403],
    ['CT_REMOTE_REFUSED', 502],
    ['CT_DESTINATION_LIMIT', 503],
    ['CT_REMOTE_SILENT', 504],
    ['CT_INTERNAL', 500],
  ] as const) {
    test(`${code} is status ${status}, with the code and the reason`, () => {
      const answer = connected(read('CONNECT a:1 HTTP/1.1\r\n\r\n').request).refused(
        new CloudtunError(code, 'for this reason'),
      );
      assert.match(
        answer.toString(),
        new RegExp(
          `^HTTP/1.1 ${status} [\\s\\S]*X-Cloudtun-Error: ${code}\r\n[\\s\\S]*for this reason \\(${code}\\)\n$`,
        ),
      );
    });
  }
});

test('anything else is refused without a word', () => {
  for (const first of [0, 1, 3, 6, 0x16, 0x47 + 0x20, 0xff]) {
    assert.equal(refused(read(Buffer.from([first, 1, 2])).request).answer, '');
  }
});

test('a host in its usual spelling', () => {
  for (const [text, host] of [
    ['DB.Internal', 'db.internal'],
    ['db.internal.', 'db.internal.'],
    ['my_host-1', 'my_host-1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.256', undefined],
    ['010.0.0.1', undefined],
    ['2130706433', undefined],
    ['0x7f.1', undefined],
    ['127.0.0.1.', undefined],
    ['a..b', undefined],
    ['a/b', undefined],
    ['fe80::1%eth0', undefined],
    [':', undefined],
    ['', undefined],
  ] as const) {
    assert.equal(normalHost(text), host, text);
  }
});
