/** Ticket kind → the transport that serves it. The only place that sees every transport; each is loaded on first use. */
import type { Agent } from 'node:http';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { Millis } from '../domain/millis.ts';
import type { Ticket, TicketSource } from '../domain/ticket.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from './tunnel.ts';

export interface TunnelOptions {
  /** Proxies and extra certificates: the same resolver as for the API calls. */
  readonly network: { agentFor(url: string): Agent | undefined; readonly ca: string[] | undefined };
  readonly onEvent: TunnelEventListener;
  /** Largest payload of one wire message, where the protocol has such a thing. */
  readonly maxPayload?: number;
  readonly forceBasic?: boolean;
  readonly reconnectLimit?: Millis;
}

type OpenTunnel = (
  world: World,
  source: TicketSource,
  to: RemoteEndpoint,
  options: TunnelOptions,
  signal: AbortSignal,
) => Promise<Tunnel>;

const OPENERS = {
  'ssm-session': async (world, source, to, options, signal) => {
    const { network, ...rest } = options;
    const { SessionPool } = await import('./ssm/session-pool.ts');
    return SessionPool.open(world, source, to, { ...rest, route: network }, signal);
  },
} satisfies Record<Ticket['kind'], OpenTunnel>;

/**
 * Opens a tunnel to one endpoint with tickets from `source`; resolves when streams can be opened.
 *
 * @throws CloudtunError; everything that was started is ended then
 */
export const openTunnel: OpenTunnel = (world, source, to, options, signal) =>
  OPENERS[source.kind](world, source, to, options, signal);
