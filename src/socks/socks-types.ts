import type { OpenedTunnel } from '../broker/broker-types.ts';
import type { LocalEndpoint, RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Target } from '../domain/target.ts';
import type { TunnelEvent, TunnelEventListener } from '../domain/tunnel-event.ts';
import type { ForwardLimits, ForwardReport, LifeEvent, ListenRule, RunningService } from '../forward/forward-types.ts';
import type { SocksRules } from './rules.ts';

export interface SocksPlan {
  readonly listen: ListenRule;
  readonly rules: SocksRules;
  /** Asks the cloud, for anywhere; called once, after the port is bound. The service owns what it gives. */
  open(onEvent: TunnelEventListener, signal: AbortSignal): Promise<OpenedTunnel>;
  readonly limits: ForwardLimits;
  readonly onEvent: (event: SocksEvent) => void;
}

export type SocksEvent =
  | {
      /** The target is found and the port serves. Nothing was dialled: there is no far end before a client names one. */
      readonly type: 'serving';
      readonly local: readonly LocalEndpoint[];
      readonly target: Target;
      /** Where the PAC file is. */
      readonly pacUrl: string;
      /** Wall clock, milliseconds since 1970 UTC. */
      readonly expiresAt: Millis | undefined;
    }
  | {
      readonly type: 'client';
      readonly change: 'connected' | 'closed';
      /** Counts the connections from 1. */
      readonly connection: number;
      /** The address of the client, `127.0.0.1:51234`. */
      readonly from: string;
      readonly to: RemoteEndpoint;
      /** How many clients are connected after this change. */
      readonly clients: number;
      /** Of this connection; 0 when it connects. */
      readonly bytesUp: number;
      readonly bytesDown: number;
      /** Why the connection was refused or reset, when it did not just end. */
      readonly error?: CloudtunError;
    }
  /** A client asked for what it cannot have, and nothing was dialled for it. */
  | { readonly type: 'refused'; readonly from: string; readonly to?: RemoteEndpoint; readonly error: CloudtunError }
  | LifeEvent
  | { readonly type: 'tunnel'; readonly event: TunnelEvent };

/** What went to one destination. */
export interface DestinationCount {
  /** `host:port` */
  readonly to: string;
  readonly connections: number;
  /** Of `connections`, those that ended in an error. */
  readonly failed: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What is known when it is over: the totals, and each destination, the one with most bytes first. */
export interface SocksReport extends ForwardReport {
  readonly destinations: readonly DestinationCount[];
}

/** A bound port that serves. Disposing it cuts everything and terminates the cloud sessions. */
export interface RunningSocks extends RunningService<SocksReport> {
  /** Known before anything is asked of the cloud. */
  readonly local: readonly LocalEndpoint[];
}
