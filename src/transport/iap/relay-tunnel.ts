import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { TunnelEventListener } from '../../domain/tunnel-event.ts';
import type { World } from '../../runtime/world.ts';
import type { Tunnel } from '../tunnel.ts';

interface RelayOptions {
  readonly route: unknown;
  readonly onEvent: TunnelEventListener;
  readonly reconnectLimit?: Millis;
}

export const RelayTunnel = {
  async open(
    _w: World,
    _s: TicketSource<IapRelayTicket>,
    _to: RemoteEndpoint,
    _o: RelayOptions,
    _signal: AbortSignal,
  ): Promise<Tunnel> {
    throw new CloudtunError('CT_USAGE', 'this version does not speak to Identity-Aware Proxy');
  },
};
