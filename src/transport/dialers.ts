/** Ticket kind → the transport that serves it. The only place that sees every transport; each is loaded on first use. */
import type { Agent } from 'node:http';
import type { SecureContext } from 'node:tls';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import type { SessionCount } from '../domain/session-count.ts';
import type { Ticket, TicketSource } from '../domain/ticket.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { NetworkSettings } from '../runtime/network.ts';
import type { WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from './tunnel.ts';

export interface TunnelNetwork {
  agentFor(url: string): Agent | undefined;
  readonly ca: string[] | undefined;
  /** The same, parsed once for all connections; absent: parsed for each. */
  readonly secureContext?: SecureContext | undefined;
  /** A connection that stands, TLS done and nothing said on it yet; where there is none, none is opened ahead of need. */
  connect?: NetworkSettings['connect'];
}

export interface TunnelOptions {
  /** Proxies and extra certificates: the same resolver as for the API calls. */
  readonly network: TunnelNetwork;
  readonly onEvent: TunnelEventListener;
  /** Largest payload of one wire message, where the protocol has such a thing. */
  readonly maxPayload?: number;
  readonly forceBasic?: boolean;
  /** What nobody uses is kept from ending, where the protocol has a way. */
  readonly keepActive?: boolean;
  /** Over how many sessions streams spread, where a session carries several; one when absent. */
  readonly sessions?: SessionCount;
  readonly reconnectLimit?: Millis;
  readonly intervals?: Intervals | undefined;
  readonly wake?: WakeWatch | undefined;
}

const NOT_SPREAD = 'Identity-Aware Proxy gives each connection a session of its own: --sessions changes nothing there';
const NOT_KEPT_ACTIVE =
  'Identity-Aware Proxy has no way to keep a connection active: one without traffic ends after an hour; let the client send keep-alives';

type OpenTunnel<Issued extends Ticket = Ticket> = (
  world: World,
  source: TicketSource<Issued>,
  to: RemoteEndpoint,
  options: TunnelOptions,
  signal: AbortSignal,
) => Promise<Tunnel>;

/** Each kind of ticket goes to the opener that takes its sources. */
const OPENERS: { readonly [Kind in Ticket['kind']]: OpenTunnel<Extract<Ticket, { kind: Kind }>> } = {
  'iap-relay': async (world, source, to, options, signal) => {
    const { network, onEvent, reconnectLimit, keepActive, sessions, intervals, wake } = options;
    if (sessions !== undefined) onEvent({ type: 'hint', message: NOT_SPREAD });
    // A message that does nothing is not known there, and whether pings count is known to nobody (docs/protocol/iap.md).
    if (keepActive) onEvent({ type: 'warning', message: NOT_KEPT_ACTIVE });
    const { RelayTunnel } = await import('./iap/relay-tunnel.ts');
    const rest = { onEvent, intervals, wake, ...(reconnectLimit !== undefined && { reconnectLimit }) };
    return RelayTunnel.open(world, source, to, { ...rest, route: network }, signal);
  },
  'ssm-session': async (world, source, to, options, signal) => {
    const { network, ...rest } = options;
    const { SessionPool } = await import('./ssm/session-pool.ts');
    return SessionPool.open(world, source, to, { ...rest, route: network }, signal);
  },
};

/**
 * Opens a tunnel to one endpoint with tickets from `source`; resolves when streams can be opened.
 *
 * @throws CloudtunError; everything that was started is ended then
 */
export const openTunnel: OpenTunnel = (world, source, to, options, signal) =>
  (OPENERS[source.kind] as OpenTunnel)(world, source, to, options, signal);
