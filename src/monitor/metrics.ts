import { Counter, Gauge, Registry } from 'prom-client';
import type { Monitored, MonitoredSet } from './monitored.ts';

/*
 * Prometheus metrics of the tunnels of one process. Names and labels are public: test/unit/monitor/metrics.test.ts has them all. They
 * are read when somebody scrapes and cost nothing else. Labels are names out of the catalogue and states; never a client, a session or
 * a user, so their number does not grow while it runs.
 */

const STATES = ['opening', 'waiting', 'ready', 'reconnecting', 'draining', 'closed', 'lost'] as const;

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** @param version of cloudtun */
export async function metricsText(set: MonitoredSet, version: string): Promise<MetricsText> {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, value: (tunnel: Monitored) => number | undefined) => {
    const metric = new Gauge({ name, help, labelNames: ['tunnel'], registers });
    for (const tunnel of set.tunnels) {
      const found = value(tunnel);
      if (found !== undefined) metric.set({ tunnel: tunnel.name }, found);
    }
  };
  const info = new Gauge({
    name: 'cloudtun_build_info',
    help: 'Always 1; the version is a label.',
    labelNames: ['version'],
    registers,
  });
  info.set({ version }, 1);
  const target = new Gauge({
    name: 'cloudtun_tunnel_info',
    help: 'Always 1; what the tunnel leads to and where it listens are labels.',
    labelNames: ['tunnel', 'target', 'local'],
    registers,
  });
  const state = new Gauge({
    name: 'cloudtun_tunnel_state',
    help: '1 for the state that the tunnel is in, 0 for the others.',
    labelNames: ['tunnel', 'state'],
    registers,
  });
  for (const tunnel of set.tunnels) {
    target.set({ tunnel: tunnel.name, target: tunnel.target, local: tunnel.local[0] ?? '' }, 1);
    for (const each of STATES) state.set({ tunnel: tunnel.name, state: each }, tunnel.state === each ? 1 : 0);
  }
  gauge('cloudtun_tunnel_up', '1 while the tunnel can be used.', (tunnel) =>
    tunnel.state === 'ready' || tunnel.state === 'waiting' ? 1 : 0,
  );
  gauge('cloudtun_tunnel_clients', 'Clients that are connected.', ({ clients }) => clients);
  gauge('cloudtun_tunnel_sessions', 'Sessions that are open in the cloud.', ({ sessions }) => sessions);
  gauge('cloudtun_tunnel_round_trip_seconds', 'Smoothed, of the slowest session.', ({ roundTripMs }) =>
    roundTripMs === undefined ? undefined : roundTripMs / 1_000,
  );
  gauge('cloudtun_tunnel_ready_timestamp_seconds', 'When it was ready first.', ({ readyAt }) => seconds(readyAt));
  gauge('cloudtun_tunnel_expiry_timestamp_seconds', 'When its time limit ends; absent without one.', ({ expiresAt }) =>
    seconds(expiresAt),
  );
  const connections = counter('cloudtun_tunnel_connections_total', 'Clients that came.', ['tunnel'], registers);
  const renewals = counter('cloudtun_tunnel_renewals_total', 'Sessions resumed or replaced.', ['tunnel'], registers);
  const bytes = counter(
    'cloudtun_tunnel_transmitted_bytes_total',
    'Bytes of clients, up to the far side and down from it.',
    ['tunnel', 'direction'],
    registers,
  );
  for (const { name, ...tunnel } of set.tunnels) {
    connections.inc({ tunnel: name }, tunnel.connections);
    renewals.inc({ tunnel: name }, tunnel.renewals);
    bytes.inc({ tunnel: name, direction: 'up' }, tunnel.bytesUp);
    bytes.inc({ tunnel: name, direction: 'down' }, tunnel.bytesDown);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function counter<Label extends string>(name: string, help: string, labelNames: Label[], registers: Registry[]) {
  return new Counter({ name, help, labelNames, registers });
}

function seconds(wall: number | undefined): number | undefined {
  return wall === undefined ? undefined : Math.round(wall) / 1_000;
}
