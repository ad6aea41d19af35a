import type { Duplex } from 'node:stream';
import type { LocalEndpoint, RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { SessionEnding } from '../domain/session-ending.ts';
import type { SessionFigures } from '../domain/session-figures.ts';
import type { Engine, Route } from '../domain/target.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import type { ByteBudget } from './core/byte-budget.ts';

/** The local side of a forward: where its listener is bound. */
export interface ListenRule {
  /** Addresses to bind, every one of them or none: IP addresses, `localhost`, or `*` for all (see `bindAddresses`). */
  readonly bind: readonly string[];
  /** 0 stands for any free port, the same one on every address. */
  readonly port: number;
}

/** One local listener and where its connections go. */
export interface ForwardRule extends ListenRule {
  readonly to: RemoteEndpoint;
}

/** How long a forward may live; undefined means no limit. */
export interface ForwardLimits {
  readonly ttl: Millis | undefined;
  /** Idle means no open stream. */
  readonly idle: Millis | undefined;
  /** How long a drain may take. */
  readonly grace: Millis;
  /** The hours of the policy end then, on the wall clock. */
  readonly hoursEnd?: Millis | undefined;
  /** Both directions together. */
  readonly maxBytes?: number | undefined;
  /** Of several services that share a limit, instead of `maxBytes`. */
  readonly budget?: ByteBudget | undefined;
}

/** How the far side was found to be there (spec section 5.2 and 5.8). */
export interface Readiness {
  /** `ready`: it greeted or answered, or the far connection is known to stand. `open`: the connect was taken and nothing refused it for 500 ms. */
  readonly kind: 'ready' | 'open';
  /** What the greeting said of itself, such as `MySQL 8.0.36`. */
  readonly greeting?: string;
}

/** A client of a service came or went. */
export interface ClientEvent {
  readonly type: 'client';
  readonly change: 'connected' | 'closed';
  /** Which rule, counted from 0. */
  readonly rule: number;
  /** Counts the connections of this service from 1. */
  readonly connection: number;
  /** The address of the client, `127.0.0.1:51234`; of an exposed port as the far sshd saw it. */
  readonly from: string;
  /** How many clients are connected after this change, over all rules. */
  readonly clients: number;
  /** Of this connection; 0 when it connects. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Why the connection was reset, when it did not just end. */
  readonly error?: CloudtunError;
}

export type ForwardEvent =
  | {
      readonly type: 'ready';
      /** Which rule, counted from 0 in the order in which they were given. */
      readonly rule: number;
      readonly local: readonly LocalEndpoint[];
      readonly route: Route;
      readonly readiness: Readiness;
      /** Wall clock, milliseconds since 1970 UTC. */
      readonly expiresAt: Millis | undefined;
    }
  /** It listens, and what it leads to is opened at the first connection. */
  | {
      readonly type: 'waiting';
      readonly rule: number;
      readonly local: readonly LocalEndpoint[];
      /** Wall clock. */
      readonly expiresAt: Millis | undefined;
    }
  | ClientEvent
  | LifeEvent
  | { readonly type: 'tunnel'; readonly event: TunnelEvent };

/** What happens to every service on a local port. */
export type LifeEvent =
  | { readonly type: 'expiring'; readonly left: Millis; readonly because: TimeLimit }
  | { readonly type: 'expiring'; readonly leftBytes: number; readonly because: 'max-bytes' }
  | { readonly type: 'draining'; readonly clients: number; readonly because: CloseReason };

/** What time may end it: `hours` are those of the policy. */
export type TimeLimit = 'ttl' | 'idle' | 'hours';

/** `policy`: its hours are over. `failed`: it never became ready. `lost`: it was, and could not be kept. `ended`: whoever started it needed it no longer. */
export type CloseReason = 'interrupted' | 'ttl' | 'idle' | 'max-bytes' | 'policy' | 'lost' | 'ended' | 'failed';

/** What is known when a forward is over: the `closed` line and event, and the `--json` result. */
export interface ForwardReport {
  readonly reason: CloseReason;
  readonly error?: CloudtunError;
  /** Since it was ready; 0 when it never was. */
  readonly duration: Millis;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** How a service is now: `ps`, `status`, metrics. */
export interface ServiceStatus {
  /** `waiting`: it listens, and opens what it leads to at the first connection. `reconnecting`: a session was lost and is not back. */
  readonly state: 'opening' | 'waiting' | 'ready' | 'reconnecting' | 'draining' | 'closed';
  /** Wall clock; undefined before it was ready first. */
  readonly readyAt: Millis | undefined;
  readonly expiresAt: Millis | undefined;
  /** Connected now. */
  readonly clients: number;
  /** Since it began. */
  readonly connections: number;
  /** Of all clients, those that are connected included. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly sessions: number;
  /** Bytes a second over the last two seconds, of all sessions. */
  readonly rateUp: number;
  readonly rateDown: number;
  readonly roundTripMs: Millis | undefined;
  /** Session by session, where one carries several connections. */
  readonly each: readonly SessionFigures[];
  /** How often a session was resumed or replaced, and how the last time. */
  readonly renewals: number;
  readonly lastRenewal: { readonly at: Millis; readonly how: string } | undefined;
  /** What went wrong last, also where it is over. */
  readonly lastTrouble: { readonly at: Millis; readonly code?: string; readonly message: string } | undefined;
  /** Of the session that ended last. */
  readonly lastEnding?: (SessionEnding & { readonly at: Millis; readonly sessionId: string }) | undefined;
}

/** What serves clients over a tunnel until it ends. Disposing it cuts everything and terminates the cloud sessions. */
export interface RunningService<Report extends ForwardReport = ForwardReport> extends AsyncDisposable {
  /**
   * Settles when everything can be used: rejects with the CloudtunError of the first failure (CT_INTERRUPTED when it was cut or
   * drained before), after everything was closed again.
   */
  readonly ready: Promise<void>;
  /** Settles after the last socket is closed and every session is terminated; never rejects. */
  readonly closed: Promise<Report>;
  status(): ServiceStatus;
  /**
   * Stop accepting, wait for streams to close or be quiet for 2 s, at most the grace time, then close. Before it is ready: the same
   * as `cut`. A second reason changes nothing.
   */
  drain(because: CloseReason): void;
  /** Close at once. The reason of a drain under way stands. */
  cut(because: CloseReason): void;
}

/** Listeners that are bound, sessions that are open. */
export interface RunningForward extends RunningService {
  /** What is bound, rule by rule: known before anything is asked of the cloud. */
  readonly local: readonly (readonly LocalEndpoint[])[];
  /** Where a rule leads to; undefined while that is not known. */
  route(rule: number): Route | undefined;
  /**
   * A client without a socket: a stream to where a rule leads, counted and recorded as one that came to the port.
   *
   * @param from what the journal has in the place of an address
   * @throws CT_INTERRUPTED before it is ready and after it ended; what dialling throws; the reason of `signal`
   */
  connect(rule: number, from: string, signal: AbortSignal): Promise<Duplex>;
}

export type ForwardEventListener = (event: ForwardEvent) => void;

/** What a probe may know of the far side. */
export interface ProbeSubject {
  readonly engine?: Engine;
  /** Named in errors. */
  readonly to?: RemoteEndpoint;
}
