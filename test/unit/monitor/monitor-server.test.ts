import assert from 'node:assert/strict';
import { request } from 'node:http';
import { suite, type TestContext, test } from 'node:test';
import { openMonitor, parseMonitorAddress } from '../../../src/monitor/monitor-server.ts';
import type { MonitoredSet } from '../../../src/monitor/monitored.ts';
import { systemWorld } from '../../../src/runtime/world.ts';

async function monitor(t: TestContext, look: () => MonitoredSet) {
  const server = await openMonitor(systemWorld(), { at: { host: '127.0.0.1', port: 0 }, version: '1', look });
  t.after(() => server[Symbol.asyncDispose]());
  const { port } = server.local[0]!;
  return (path: string, options: { readonly method?: string; readonly host?: string } = {}) =>
    new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const { method = 'GET', host } = options;
      const sent = request({ port, host: '127.0.0.1', path, method, agent: false, ...(host && { headers: { host } }) });
      sent.once('error', reject).once('response', (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve({ status: response.statusCode, body }));
      });
      sent.end();
    });
}

suite('the monitor', () => {
  test('alive at once, ready when everything is', async (t) => {
    let names = ['prod'];
    const ask = await monitor(t, () => ({ names, tunnels: [], isEnding: false }));
    assert.deepEqual(await ask('/healthz'), { status: 200, body: 'ok\n' });
    assert.deepEqual(await ask('/readyz'), {
      status: 503,
      body: '{"ready":false,"reasons":[{"tunnel":"prod","state":"absent"}]}\n',
    });
    names = [];
    assert.deepEqual(await ask('/readyz?verbose'), { status: 200, body: '{"ready":true,"reasons":[]}\n' });
    assert.match((await ask('/metrics')).body, /^cloudtun_build_info\{version="1"\} 1$/m);
    assert.deepEqual(await ask('/healthz', { method: 'HEAD' }), { status: 200, body: '' });
  });

  test('nothing else is served', async (t) => {
    const ask = await monitor(t, () => ({ names: [], tunnels: [], isEnding: false }));
    assert.equal((await ask('/')).status, 404);
    assert.equal((await ask('/metrics', { method: 'POST' })).status, 405);
    // A page in a browser, by a name of its own that leads to loopback.
    assert.equal((await ask('/metrics', { host: 'evil.example:80' })).status, 421);
    assert.equal((await ask('/metrics', { host: 'localhost:80' })).status, 200);
    assert.equal((await ask('/metrics', { host: '[::1]:80' })).status, 200);
  });

  test('a status that cannot be had is an answer, not an end', async (t) => {
    const ask = await monitor(t, () => {
      throw new Error('broken');
    });
    assert.deepEqual(await ask('/readyz'), { status: 500, body: 'error\n' });
    assert.equal((await ask('/healthz')).status, 200);
  });

  test('addresses', () => {
    assert.deepEqual(parseMonitorAddress('9464'), { host: '127.0.0.1', port: 9464 });
    assert.deepEqual(parseMonitorAddress('0.0.0.0:80'), { host: '0.0.0.0', port: 80 });
    assert.deepEqual(parseMonitorAddress('[::1]:80'), { host: '::1', port: 80 });
    assert.deepEqual(parseMonitorAddress('*:80'), { host: '*', port: 80 });
    for (const wrong of ['', ':', 'x', '::1:80', 'example.com:80', '1.2.3.4', '127.0.0.1:', '65536', '-1', '[x]:1']) {
      assert.throws(() => parseMonitorAddress(wrong), { code: 'CT_USAGE' }, wrong);
    }
  });
});
