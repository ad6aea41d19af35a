import type { Agent } from 'node:http';
import type { Intervals } from '../../domain/intervals.ts';
import type { Millis } from '../../domain/millis.ts';
import type { SessionCount } from '../../domain/session-count.ts';
import type { TunnelEventListener } from '../../domain/tunnel-event.ts';
import type { WakeWatch } from '../../runtime/wake-watch.ts';

/** What the network between us and the cloud needs; one resolver makes it for API and websocket alike. */
export interface WebSocketRoute {
  agentFor(url: string): Agent | undefined;
  readonly ca: string[] | undefined;
}

export interface SsmOptions {
  readonly route: WebSocketRoute;
  readonly onEvent: TunnelEventListener;
  /** How many sessions the streams spread over; one when absent. */
  readonly sessions?: SessionCount;
  /** Payload bytes of one data message; above 1536 is not known to pass the service. */
  readonly maxPayload?: number;
  /** Makes the agent use basic mode, one connection a session. */
  readonly forceBasic?: boolean;
  /** Sessions that nobody uses are kept from ending. */
  readonly keepActive?: boolean;
  /** How long a lost websocket is tried again before the session counts as lost. */
  readonly reconnectLimit?: Millis;
  /** The usual ones when absent. */
  readonly intervals?: Intervals | undefined;
  readonly wake?: WakeWatch | undefined;
}

export interface PortSessionOptions extends SsmOptions {
  /** Called while bytes move, once a second at most. */
  readonly onTraffic?: () => void;
}
