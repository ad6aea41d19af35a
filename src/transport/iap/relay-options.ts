import type { Agent } from 'node:http';
import type { Socket } from 'node:net';
import type { Millis } from '../../domain/millis.ts';
import type { IapRelayTicket } from '../../domain/ticket.ts';
import type { TunnelEventListener } from '../../domain/tunnel-event.ts';

/** How this machine reaches the relay. */
export interface RelayRoute {
  agentFor(url: string): Agent | undefined;
  readonly ca: string[] | undefined;
  /** A connection to the host of `url`, TLS done and nothing said on it yet; absent: no connection is opened ahead of need. */
  connect?(url: string, certificate: IapRelayTicket['clientCertificate'], signal: AbortSignal): Promise<Socket>;
}

export interface RelayOptions {
  readonly route: RelayRoute;
  readonly onEvent: TunnelEventListener;
  /** When a session that cannot be resumed is given up. */
  readonly reconnectLimit?: Millis;
  /** Silence after the client's last byte after which a session is closed (docs/adr/0013-iap-half-close.md). */
  readonly halfCloseGrace?: Millis;
}
