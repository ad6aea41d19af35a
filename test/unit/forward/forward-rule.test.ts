import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import {
  checkForwardRules,
  formatForwardRule,
  type ParsedRule,
  parseForwardRule,
} from '../../../src/forward/forward-rule.ts';

const GOOD: readonly [text: string, rule: ParsedRule][] = [
  ['8080', { port: 8080, to: { port: 8080 } }],
  ['8080:80', { port: 8080, to: { port: 80 } }],
  [':80', { port: 0, to: { port: 80 } }],
  ['0:80', { port: 0, to: { port: 80 } }],
  ['5432:db.internal:5432', { port: 5432, to: { host: 'db.internal', port: 5432 } }],
  ['8080:10.0.0.7:80', { port: 8080, to: { host: '10.0.0.7', port: 80 } }],
  ['8080:[fd00::7]:80', { port: 8080, to: { host: 'fd00::7', port: 80 } }],
  ['8080:localhost:80', { port: 8080, to: { port: 80 } }],
  ['8080:127.0.0.1:80', { port: 8080, to: { port: 80 } }],
  ['127.0.0.1:8080:host:80', { bind: '127.0.0.1', port: 8080, to: { host: 'host', port: 80 } }],
  ['[::1]:8080:host:80', { bind: '::1', port: 8080, to: { host: 'host', port: 80 } }],
  ['[::]:8080:[fd00::7]:80', { bind: '::', port: 8080, to: { host: 'fd00::7', port: 80 } }],
  ['localhost:8080:host:80', { bind: 'localhost', port: 8080, to: { host: 'host', port: 80 } }],
  ['*:8080:host:80', { bind: '*', port: 8080, to: { host: 'host', port: 80 } }],
  [':8080:host:80', { bind: '*', port: 8080, to: { host: 'host', port: 80 } }],
  ['0.0.0.0:8080', { bind: '0.0.0.0', port: 8080, to: { port: 8080 } }],
  ['[::1]:8080', { bind: '::1', port: 8080, to: { port: 8080 } }],
  ['127.0.0.1:8080:80', { bind: '127.0.0.1', port: 8080, to: { port: 80 } }],
  ['*:8080:80', { bind: '*', port: 8080, to: { port: 80 } }],
  [':8080:80', { bind: '*', port: 8080, to: { port: 80 } }],
  ['1:_srv.a-b.example.com.:65535', { port: 1, to: { host: '_srv.a-b.example.com.', port: 65_535 } }],
];

for (const [text, rule] of GOOD) {
  test(`${text} is understood, and so is its long spelling`, () => {
    assert.deepEqual(parseForwardRule(text), rule);
    assert.deepEqual(parseForwardRule(formatForwardRule(rule)), rule);
  });
}

const BAD: readonly [text: string, message: RegExp, hint?: RegExp][] = [
  ['', /is empty/],
  ['eighty', /"eighty" is not a local port/],
  ['65536', /"65536" is not a local port/],
  ['8080:65536', /"65536" is not a remote port/],
  ['-1:80', /"-1" is not a local address/],
  ['8080:', /the remote port is missing/],
  ['8080:0', /the remote port is 0/],
  ['0', /the remote port is 0/],
  [':', /the remote port is missing/],
  ['::', /the local port is missing|the host is missing/],
  ['8080::80', /the host is missing/],
  ['8080:host:', /the remote port is missing/],
  ['1:2:3:4:5', /it has 5 parts; an IPv6 address is written in brackets/],
  ['::1:8080:host:80', /parts; an IPv6 address is written in brackets/],
  ['[::1:8080:host:80', /bracket is in the wrong place/],
  ['[::1]8080:host:80', /bracket is in the wrong place/],
  ['::1]:8080:host:80', /bracket is in the wrong place/],
  ['[127.0.0.1]:8080:host:80', /"127\.0\.0\.1" in brackets is not an IPv6 address/],
  ['db.internal:5432', /"db\.internal" is not a local address/, /write 5432:db\.internal:5432/],
  ['db.internal:15432:5432', /"db\.internal" is not a local address/, /write 15432:db\.internal:5432/],
  ['db.internal:1:host:2', /"db\.internal" is not a local address/],
  ['8080:no host:80', /space or an invisible character/],
  ['8080:a\u0000b:80', /space or an invisible character/],
  ['8080:-x-:80', /"-x-" is not a host name/],
  ['8080:1.2.3:80', /"1\.2\.3" is not a host name or an IP address/],
  ['8080:1.2.3.400:80', /"1\.2\.3\.400" is not a host name or an IP address/],
  [`8080:${'a'.repeat(64)}:80`, /is not a host name/],
  ['8080:/var/run/mysqld.sock', /a slash has no meaning/],
  ['8080/80', /a slash has no meaning/],
];

for (const [text, message, hint] of BAD) {
  test(`${JSON.stringify(text)} is refused, by the part that is wrong`, () => {
    assert.throws(
      () => parseForwardRule(text),
      (error) => {
        assert.ok(error instanceof CloudtunError);
        assert.equal(error.code, 'CT_USAGE');
        assert.match(error.message, message);
        if (hint) assert.match(error.hints[0]!, hint);
        return true;
      },
    );
  });
}

test('two rules on one local port are refused, naming both; any free port and other addresses are not', () => {
  const parsed = (...texts: string[]) => texts.map(parseForwardRule);
  checkForwardRules(parsed('8080:80', '8081:80', ':80', ':80', '127.0.0.1:9:80', '[::1]:9:80'));
  assert.throws(() => checkForwardRules(parsed('8080:80', '1:2', '8080:host:81')), {
    code: 'CT_USAGE',
    message: 'two rules listen on local port 8080',
    details: [
      ['one', '8080:localhost:80'],
      ['other', '8080:host:81'],
    ],
  });
  assert.throws(() => checkForwardRules(parsed('*:8080:80', '127.0.0.1:8080:81')), { code: 'CT_USAGE' });
});
