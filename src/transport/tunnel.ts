import type { TunnelStream } from '../domain/dialer.ts';
import type { SessionFigures } from '../domain/session-figures.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';

/** Why a tunnel is over. */
export interface TunnelEnd {
  readonly reason: 'closed-by-us' | 'ended-by-service' | 'lost';
  /** Absent when we closed it. */
  readonly error?: Error;
}

/** Counters of a tunnel since it was opened. */
export interface TunnelStats {
  readonly openStreams: number;
  readonly sessions: number;
  /** Application bytes, not wire bytes. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Bytes a second over the last two seconds. */
  readonly rateUp: number;
  readonly rateDown: number;
  /** Smoothed round trip of the data channel, of the slowest session, when known. */
  readonly roundTripMs: number | undefined;
  /** Session by session, where one carries several streams; empty elsewhere. */
  readonly each: readonly SessionFigures[];
}

/** Opens streams to one endpoint and survives reconnects. Disposing it closes streams and terminates the sessions. */
export interface Tunnel extends AsyncDisposable {
  open(signal: AbortSignal): Promise<TunnelStream>;
  /** Settles once, never rejects. */
  readonly closed: Promise<TunnelEnd>;
  stats(): TunnelStats;
}

export interface TunnelObserver {
  readonly onEvent: TunnelEventListener;
}
