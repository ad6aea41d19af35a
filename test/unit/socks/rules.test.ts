import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { pacFile } from '../../../src/socks/pac-file.ts';
import { objectionTo, parseHostPattern, type SocksRules } from '../../../src/socks/rules.ts';

const rules = (only: readonly string[], except: readonly string[] = []): SocksRules => ({
  only: only.map((text) => parseHostPattern(text, '--only')),
  except: except.map((text) => parseHostPattern(text, '--except')),
});

describe('rules', () => {
  for (const [only, except, host, reason] of [
    [[], [], 'anything.example', undefined],
    [['*.internal'], [], 'db.internal', undefined],
    [['*.internal'], [], 'a.b.internal.', undefined],
    [['*.INTERNAL'], [], 'internal', 'internal is not among --only *.INTERNAL'],
    [['*.internal'], [], 'db.internal.example', 'db.internal.example is not among --only *.internal'],
    [['a.c'], [], 'abc', 'abc is not among --only a.c'],
    [['*.internal'], ['pay.internal'], 'pay.internal', 'pay.internal is kept out by --except pay.internal'],
    [['10.0.0.0/8', 'fd00::/8'], [], '10.20.1.5', undefined],
    [['10.0.0.0/8', 'fd00::/8'], [], 'fd00::5', undefined],
    [['10.0.0.0/8'], ['10.9.0.0/16'], '10.9.1.1', '10.9.1.1 is kept out by --except 10.9.0.0/16'],
    [['10.0.0.0/8'], [], 'db.internal', 'db.internal is not among --only 10.0.0.0/8'],
    [[], ['localhost'], '127.0.0.1', '127.0.0.1 is kept out by --except localhost'],
    [[], ['127.0.0.1'], 'localhost', 'localhost is kept out by --except 127.0.0.1'],
    [['localhost'], [], '::1', undefined],
    ...(
      [
        [[], '169.254.169.254'],
        [['*.internal', '*'], 'metadata.google.internal'],
        [['0.0.0.0/0'], '169.254.169.254'],
        [['*'], 'metadata.google.internal.'],
        [['*', '::/0'], 'fd00:ec2::254'],
        [['*', '::/0'], '::ffff:a9fe:a9fe'],
        [[], '2852039166'],
        [[], '0xa9.0xfea9fe'],
      ] as const
    ).map(
      ([only, host]) =>
        [only, [], host, `${host} is the metadata service of the machine, which gives out its credentials`] as const,
    ),
    [['169.254.169.254'], [], '169.254.169.254', undefined],
    [['169.254.0.0/16'], [], '169.254.169.254', undefined],
    [['metadata.google.internal'], [], 'metadata.google.internal', undefined],
    [[], [], 'face.cafe', undefined],
    [['*.internal'], [], 'localhost', 'localhost is not among --only *.internal'],
  ] as const) {
    const said = `only [${only}] except [${except}]: ${host}`;
    test(said, () => {
      const objection = objectionTo(rules(only, except), host);
      assert.equal(objection?.message, reason);
      if (objection) assert.equal(objection.code, 'CT_POLICY');
    });
  }

  test('a name where only addresses are allowed: the hint says why that does not help', () => {
    const objection = objectionTo(rules(['10.0.0.0/8']), 'db.internal');
    assert.deepEqual(objection?.hints, ['names are resolved on the far side: allow them by name']);
  });

  for (const text of ['', '10.0.0.0/33', '10.0.0', '*.internal:80', 'http://a', 'a b', '1234']) {
    test(`"${text}" is no rule`, () => {
      assert.throws(() => parseHostPattern(text, '--only'), { code: 'CT_USAGE' });
    });
  }
});

describe('the PAC file', () => {
  /** What a browser does with it. */
  function route(file: string, host: string): string {
    const isInNet = (address: string, net: string, mask: string) => {
      const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
      return (number(address) & number(mask)) === (number(net) & number(mask));
    };
    const result: unknown = runInNewContext(`${file}; FindProxyForURL(url, host)`, {
      url: `http://${host}/`,
      host,
      isInNet,
    });
    return String(result).split(';')[0]!;
  }
  const at = { host: '127.0.0.1', port: 1080 };
  const PROXY = 'SOCKS5 127.0.0.1:1080';

  test('without rules: everything but this machine', () => {
    const file = pacFile(at, rules([]));
    for (const host of ['db.internal', '10.0.0.1', '[fd00::1]']) assert.equal(route(file, host), PROXY, host);
    for (const host of ['localhost', '127.0.0.1', '[::1]']) assert.equal(route(file, host), 'DIRECT', host);
  });

  test('it says what the rules say', () => {
    const file = pacFile(at, rules(['*.internal', '10.0.0.0/8'], ['pay.internal', '10.9.0.0/16']));
    for (const host of ['db.INTERNAL', 'db.internal.', '10.1.2.3']) assert.equal(route(file, host), PROXY, host);
    for (const host of ['example.com', 'pay.internal', '10.9.0.1', '11.0.0.1', '[fd00::1]']) {
      assert.equal(route(file, host), 'DIRECT', host);
    }
    assert.equal(route(pacFile(at, rules(['fd00::/8'])), '[fd00::1]'), PROXY);
    assert.equal(route(pacFile(at, rules(['0.0.0.0/0'])), '8.8.8.8'), PROXY);
  });

  test('an IPv6 address of the port is in brackets', () => {
    assert.match(
      pacFile({ host: '::1', port: 1080 }, rules([])),
      /"SOCKS5 \[::1\]:1080; SOCKS \[::1\]:1080; PROXY \[::1\]:1080"/,
    );
  });
});
