import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { metricsText } from '../../../src/monitor/metrics.ts';
import { type Monitored, notReady } from '../../../src/monitor/monitored.ts';

function tunnel(over: Partial<Monitored> = {}): Monitored {
  return {
    name: 'prod',
    state: 'ready',
    local: ['127.0.0.1:13306', '[::1]:13306'],
    target: 'orders-prod via bastion-a',
    readyAt: 1_800_000_000_123,
    expiresAt: 1_800_000_600_000,
    clients: 2,
    connections: 5,
    bytesUp: 1_000,
    bytesDown: 2_000,
    sessions: 1,
    rateUp: 0,
    rateDown: 0,
    roundTripMs: 31,
    renewals: 3,
    lastRenewal: undefined,
    lastTrouble: undefined,
    ...over,
  };
}
const ready = { names: ['prod'], tunnels: [tunnel()], isEnding: false };

suite('metrics', () => {
  // Public: a name may be added, and none changed. Dashboards and alerts of other people are made of them.
  test('names, kinds, labels and values stay as they are', async () => {
    const { contentType, text } = await metricsText(ready, '1.2.3');
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    assert.deepEqual(
      text.split('\n').filter((line) => line !== '' && !line.startsWith('# HELP')),
      [
        '# TYPE cloudtun_build_info gauge',
        'cloudtun_build_info{version="1.2.3"} 1',
        '# TYPE cloudtun_tunnel_info gauge',
        'cloudtun_tunnel_info{tunnel="prod",target="orders-prod via bastion-a",local="127.0.0.1:13306"} 1',
        '# TYPE cloudtun_tunnel_state gauge',
        'cloudtun_tunnel_state{tunnel="prod",state="opening"} 0',
        'cloudtun_tunnel_state{tunnel="prod",state="waiting"} 0',
        'cloudtun_tunnel_state{tunnel="prod",state="ready"} 1',
        'cloudtun_tunnel_state{tunnel="prod",state="reconnecting"} 0',
        'cloudtun_tunnel_state{tunnel="prod",state="draining"} 0',
        'cloudtun_tunnel_state{tunnel="prod",state="closed"} 0',
        'cloudtun_tunnel_state{tunnel="prod",state="lost"} 0',
        '# TYPE cloudtun_tunnel_up gauge',
        'cloudtun_tunnel_up{tunnel="prod"} 1',
        '# TYPE cloudtun_tunnel_clients gauge',
        'cloudtun_tunnel_clients{tunnel="prod"} 2',
        '# TYPE cloudtun_tunnel_sessions gauge',
        'cloudtun_tunnel_sessions{tunnel="prod"} 1',
        '# TYPE cloudtun_tunnel_round_trip_seconds gauge',
        'cloudtun_tunnel_round_trip_seconds{tunnel="prod"} 0.031',
        '# TYPE cloudtun_tunnel_ready_timestamp_seconds gauge',
        'cloudtun_tunnel_ready_timestamp_seconds{tunnel="prod"} 1800000000.123',
        '# TYPE cloudtun_tunnel_expiry_timestamp_seconds gauge',
        'cloudtun_tunnel_expiry_timestamp_seconds{tunnel="prod"} 1800000600',
        '# TYPE cloudtun_tunnel_connections_total counter',
        'cloudtun_tunnel_connections_total{tunnel="prod"} 5',
        '# TYPE cloudtun_tunnel_renewals_total counter',
        'cloudtun_tunnel_renewals_total{tunnel="prod"} 3',
        '# TYPE cloudtun_tunnel_transmitted_bytes_total counter',
        'cloudtun_tunnel_transmitted_bytes_total{tunnel="prod",direction="up"} 1000',
        'cloudtun_tunnel_transmitted_bytes_total{tunnel="prod",direction="down"} 2000',
      ],
    );
  });

  test('what is not known is absent, and nothing held gives metrics too', async () => {
    const unknown = tunnel({ readyAt: undefined, expiresAt: undefined, roundTripMs: undefined, state: 'opening' });
    const { text } = await metricsText({ ...ready, tunnels: [unknown] }, '1');
    assert.doesNotMatch(text, /^cloudtun_tunnel_(round_trip|ready|expiry)\w*\{/m);
    assert.match(text, /^cloudtun_tunnel_up\{tunnel="prod"\} 0$/m);
    assert.match((await metricsText({ ...ready, tunnels: [] }, '1')).text, /^cloudtun_build_info/m);
  });

  test('a name with quotes and line ends is one label', async () => {
    const { text } = await metricsText({ ...ready, tunnels: [tunnel({ name: 'a"\n\\b' })] }, '1');
    assert.match(text, /^cloudtun_tunnel_up\{tunnel="a\\"\\n\\\\b"\} 1$/m);
  });
});

suite('readiness', () => {
  test('all that was asked for must be usable', () => {
    assert.deepEqual(notReady(ready), []);
    assert.deepEqual(notReady({ ...ready, tunnels: [tunnel({ state: 'waiting' })] }), []);
    assert.deepEqual(notReady({ ...ready, names: ['prod', 'web'] }), [{ tunnel: 'web', state: 'absent' }]);
    assert.deepEqual(notReady({ ...ready, isEnding: true }), [{ tunnel: 'prod', state: 'draining' }]);
  });

  test('a lost one says why', () => {
    const lastTrouble = { at: 1, code: 'CT_TARGET_OFFLINE', message: 'gone' };
    assert.deepEqual(notReady({ ...ready, tunnels: [tunnel({ state: 'reconnecting', lastTrouble })] }), [
      { tunnel: 'prod', state: 'reconnecting', code: 'CT_TARGET_OFFLINE', message: 'gone' },
    ]);
    // Trouble that is over is no reason.
    assert.deepEqual(notReady({ ...ready, tunnels: [tunnel({ lastTrouble })] }), []);
  });
});
