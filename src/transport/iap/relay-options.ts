import type { Agent } from 'node:http';
import type { SecureContext } from 'node:tls';
import type { Intervals } from '../../domain/intervals.ts';
import type { Millis } from '../../domain/millis.ts';
import type { TunnelEventListener } from '../../domain/tunnel-event.ts';
import type { NetworkSettings } from '../../runtime/network.ts';
import type { WakeWatch } from '../../runtime/wake-watch.ts';

/** How this machine reaches the relay. */
export interface RelayRoute {
  agentFor(url: string): Agent | undefined;
  readonly ca: string[] | undefined;
  /** The same, parsed once for all connections; absent: parsed for each. */
  readonly secureContext?: SecureContext | undefined;
  /** A connection that stands, TLS done and nothing said on it yet; where there is none, none is opened ahead of need. */
  connect?: NetworkSettings['connect'];
}

export interface RelayOptions {
  readonly route: RelayRoute;
  readonly onEvent: TunnelEventListener;
  /** When a session that cannot be resumed is given up. */
  readonly reconnectLimit?: Millis;
  /** The usual ones when absent. */
  readonly intervals?: Intervals | undefined;
  readonly wake?: WakeWatch | undefined;
  /** Silence after the client's last byte after which a session is closed (docs/adr/0013-iap-half-close.md). */
  readonly halfCloseGrace?: Millis;
}
