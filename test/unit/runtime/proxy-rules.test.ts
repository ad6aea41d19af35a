import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { getProxyForUrl } from 'proxy-from-env';
import { isLoopbackHost, proxyFor } from '../../../src/runtime/proxy-rules.ts';

const PROXY = 'http://proxy.corp:3128';

/** [environment, url, expected proxy] */
const TABLE: [Record<string, string>, string, string | undefined][] = [
  [{}, 'https://ssm.eu-west-1.amazonaws.com', undefined],
  [{ HTTPS_PROXY: PROXY }, 'https://ssm.eu-west-1.amazonaws.com', 'http://proxy.corp:3128/'],
  [{ https_proxy: PROXY }, 'wss://ssmmessages.eu-west-1.amazonaws.com/v1/x', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' }, 'https://a.example', 'http://lower:1/'],
  [{ HTTPS_PROXY: '', ALL_PROXY: PROXY }, 'https://a.example', 'http://proxy.corp:3128/'],
  [{ HTTP_PROXY: PROXY }, 'https://a.example', undefined],
  [{ HTTP_PROXY: PROXY }, 'ws://a.example', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: PROXY }, 'http://a.example', undefined],
  [{ ALL_PROXY: 'socks5://socks.corp:1080' }, 'https://a.example', 'socks5://socks.corp:1080'],
  [{ HTTPS_PROXY: 'proxy.corp:3128' }, 'https://a.example', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: 'https://proxy.corp' }, 'https://a.example', 'https://proxy.corp/'],
  [{ HTTPS_PROXY: PROXY }, 'https://127.0.0.1:4443', undefined],
  [{ HTTPS_PROXY: PROXY }, 'https://localhost', undefined],
  [{ HTTPS_PROXY: PROXY }, 'wss://[::1]:1', undefined],
  [{ ALL_PROXY: PROXY }, 'http://api.localhost:1', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: '*' }, 'https://a.example', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: 'amazonaws.com' }, 'https://ssm.eu-west-1.amazonaws.com', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: '.amazonaws.com' }, 'https://ssm.eu-west-1.amazonaws.com', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: '*.amazonaws.com' }, 'https://ssm.eu-west-1.amazonaws.com', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: 'amazonaws.com' }, 'https://evilamazonaws.com', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: 'x.example, A.EXAMPLE' }, 'https://a.example', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: 'a.example:443' }, 'https://a.example', undefined],
  [{ HTTPS_PROXY: PROXY, NO_PROXY: 'a.example:443' }, 'https://a.example:8443', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: PROXY, no_proxy: '10.0.0.0/8' }, 'https://10.1.2.3', undefined],
  [{ HTTPS_PROXY: PROXY, no_proxy: '10.0.0.0/8' }, 'https://11.1.2.3', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: PROXY, no_proxy: '10.1.2.3' }, 'https://10.1.2.3', undefined],
  [{ HTTPS_PROXY: PROXY, no_proxy: 'fd00::/8' }, 'https://[fd12::1]', undefined],
  [{ HTTPS_PROXY: PROXY, no_proxy: '[fd12::1]:443' }, 'https://[fd12::1]', undefined],
  [{ HTTPS_PROXY: PROXY, no_proxy: '10.0.0.0/99,10.0.0.0/x' }, 'https://10.0.0.1', 'http://proxy.corp:3128/'],
  [{ HTTPS_PROXY: PROXY }, 'ftp://a.example', undefined],
];

for (const [env, url, expected] of TABLE) {
  test(`${url} with ${JSON.stringify(env)}`, () => {
    assert.equal(proxyFor(new URL(url), env)?.href, expected);
  });
}

for (const value of ['ftp://proxy:21', 'http://', 'http://user:hunter2@:80']) {
  test(`${value} is no proxy address, and is not shown`, () => {
    assert.throws(
      () => proxyFor(new URL('https://a.example'), { HTTPS_PROXY: value }),
      (error: Error & { code?: string }) => error.code === 'CT_PROXY' && !error.message.includes('hunter2'),
    );
  });
}

test('loopback is what cannot be another machine', () => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    'a.localhost',
    '::ffff:127.0.0.1',
  ]) {
    assert.equal(isLoopbackHost(host), true, host);
  }
  for (const host of ['10.0.0.1', 'localhost.example', '128.0.0.1', 'fd00::1', '127.0.0.1.example', '']) {
    assert.equal(isLoopbackHost(host), false, host);
  }
});

const touched = ['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy', 'ALL_PROXY', 'all_proxy'];
const before = Object.fromEntries(touched.map((name) => [name, process.env[name]]));
afterEach(() => {
  for (const name of touched) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

test('whatever proxy-from-env exempts, we exempt; whatever we proxy, it proxies to the same place', () => {
  const label = fc.constantFrom('a', 'b', 'aws', 'corp');
  const host = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join('.'));
  const entry = fc.oneof(
    host,
    host.map((name) => `.${name}`),
    host.map((name) => `*.${name}`),
    host.map((name) => `${name}:443`),
  );
  fc.assert(
    fc.property(host, fc.array(entry, { maxLength: 4 }), fc.constantFrom(443, 8443), (name, entries, port) => {
      const url = new URL(`https://${name}:${port}/`);
      const env = { HTTPS_PROXY: PROXY, NO_PROXY: entries.join(',') };
      for (const variable of touched) delete process.env[variable];
      Object.assign(process.env, env);
      const theirs = getProxyForUrl(url.href);
      const ours = proxyFor(url, env);
      if (theirs === '') assert.equal(ours, undefined);
      if (ours !== undefined) assert.equal(theirs, PROXY);
    }),
  );
});
