import type { OpenedTunnel } from '../broker/broker-types.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Target } from '../domain/target.ts';
import type { TunnelEvent, TunnelEventListener } from '../domain/tunnel-event.ts';
import type { ClientEvent, ForwardLimits, ForwardReport, LifeEvent, RunningService } from '../forward/forward-types.ts';
import type { Cidr } from '../runtime/cidr.ts';
import type { RemoteBind } from '../ssh/remote-ports.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';

/** One port of the far machine, and the service on this side that it leads to. */
export interface ExposeRule {
  /** Port 0: the far sshd chooses one, once; the same is asked for after a reconnect. */
  readonly remote: RemoteBind;
  readonly local: Required<RemoteEndpoint>;
}

/** A login that was lent or made for this; disposing it gives it back. */
export interface LentLogin extends AsyncDisposable {
  readonly connection: SshConnection;
}

/** What leads to the far sshd. */
export interface LoginSource {
  /** Owned by the service from then on. */
  readonly opened: OpenedTunnel;
  /** Called again after a login was lost, where `plan.reconnects`. */
  logIn(signal: AbortSignal): Promise<LentLogin>;
}

export interface ExposePlan {
  readonly rules: readonly ExposeRule[];
  /** Only these may connect; everybody when absent. */
  readonly allow?: readonly Cidr[];
  /** Whether a login that is lost is made again; else it is the end. */
  readonly reconnects: boolean;
  /** Whether it is the end when the far sshd refuses one of several rules; else that is said and the others go on. */
  readonly needsAll: boolean;
  /** Called once. */
  open(onEvent: TunnelEventListener, signal: AbortSignal): Promise<LoginSource>;
  readonly limits: ForwardLimits;
  readonly onEvent: (event: ExposeEvent) => void;
}

export type ExposeEvent =
  | {
      /** The far sshd listens. */
      readonly type: 'exposed';
      readonly rule: number;
      /** With the port that was given where 0 was asked for. */
      readonly remote: RemoteBind;
      readonly local: Required<RemoteEndpoint>;
      readonly target: Target;
      /** Wall clock, milliseconds since 1970 UTC. */
      readonly expiresAt: Millis | undefined;
    }
  /** The far sshd does not listen, and the others go on. */
  | { readonly type: 'rule-failed'; readonly rule: number; readonly error: CloudtunError }
  | ClientEvent
  /** Somebody who may not connect, or one too many. */
  | { readonly type: 'refused'; readonly rule: number; readonly from: string; readonly error: CloudtunError }
  /** The login was lost, and another is tried for: `attempt` counts from 1. */
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly error: CloudtunError }
  | { readonly type: 'renewed'; readonly downtime: Millis }
  /** Asked to listen for other machines, the far sshd listens for itself alone. */
  | { readonly type: 'loopback-only'; readonly rule: number; readonly remote: RemoteBind; readonly label: string }
  | LifeEvent
  | { readonly type: 'tunnel'; readonly event: TunnelEvent };

export interface ExposeReport extends ForwardReport {
  /** Callers whose address is not allowed. */
  readonly refused: number;
}

/** Ports of the far machine that lead here. Disposing it cuts everything, and gives the ports back. */
export type RunningExposure = RunningService<ExposeReport>;
