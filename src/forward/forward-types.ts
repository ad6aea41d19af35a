import type { LocalEndpoint, RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Engine, Route } from '../domain/target.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';

/** One local listener and where its connections go. */
export interface ForwardRule {
  /** Addresses to bind, every one of them or none: `['127.0.0.1', '::1']`. An absent loopback family is left out by the caller. */
  readonly bind: readonly string[];
  /** 0: any free port, the same one on every address. */
  readonly port: number;
  readonly to: RemoteEndpoint;
}

/** How long a forward may live; undefined means no limit. */
export interface ForwardLimits {
  readonly ttl: Millis | undefined;
  /** Idle means no open stream. */
  readonly idle: Millis | undefined;
  /** How long a drain may take. */
  readonly grace: Millis;
}

/** How the far side was found to be there (spec section 5.2 and 5.8). */
export interface Readiness {
  /** `ready`: it greeted or answered. `open`: the connect was taken and nothing refused it for 500 ms. */
  readonly kind: 'ready' | 'open';
  /** What the greeting said of itself, such as `MySQL 8.0.36`. */
  readonly greeting?: string;
}

export type ForwardEvent =
  | {
      readonly type: 'ready';
      readonly rule: ForwardRule;
      readonly local: readonly LocalEndpoint[];
      readonly route: Route;
      readonly readiness: Readiness;
      readonly expiresAt: Millis | undefined;
    }
  | {
      readonly type: 'client';
      readonly change: 'connected' | 'closed';
      readonly clients: number;
      readonly bytesUp: number;
      readonly bytesDown: number;
      readonly error?: CloudtunError;
    }
  | { readonly type: 'expiring'; readonly left: Millis; readonly because: 'ttl' | 'idle' }
  | { readonly type: 'draining'; readonly clients: number; readonly because: CloseReason }
  | { readonly type: 'tunnel'; readonly event: TunnelEvent };

export type CloseReason = 'interrupted' | 'ttl' | 'idle' | 'lost' | 'ended';

/** What is known when a forward is over: the `closed` line and event, and the `--json` result. */
export interface ForwardReport {
  readonly reason: CloseReason;
  readonly error?: CloudtunError;
  readonly duration: Millis;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Listeners that are bound, sessions that are open. Disposing it cuts everything and terminates the cloud sessions. */
export interface RunningForward extends AsyncDisposable {
  /** Settles when every rule was probed: rejects with the CloudtunError of the first failure, after everything was closed again. */
  readonly ready: Promise<void>;
  /** Settles after the last socket is closed and every session is terminated; never rejects. */
  readonly closed: Promise<ForwardReport>;
  /** Stop accepting, wait for streams to close or be quiet for 2 s, at most the grace time, then close. */
  drain(because: CloseReason): void;
  /** Close at once. */
  cut(because: CloseReason): void;
}

export type ForwardEventListener = (event: ForwardEvent) => void;

/** What a probe may know of the far side. */
export interface ProbeSubject {
  readonly engine?: Engine;
  /** Named in errors. */
  readonly to?: RemoteEndpoint;
}
