/*
 * The events of a tunnel as a program gets them: those of `--json` that a tunnel of the library can have, written out, since published
 * types name nothing from inside. open-tunnel.ts does not compile when they and the schema part.
 */

/** An error of an event, as `--json` has it. */
export interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly kind: string;
  readonly exitCode: number;
  readonly retryable: boolean;
  readonly details: readonly { readonly label: string; readonly text: string }[];
  readonly hints: readonly string[];
  readonly causes: readonly {
    readonly name: string;
    readonly code?: string | undefined;
    readonly message: string;
  }[];
  readonly page: string;
}

/** `at` is UTC in ISO 8601. */
interface Event<Name extends string> {
  readonly event: Name;
  readonly at: string;
}

interface SessionEvent<Name extends string> extends Event<Name> {
  readonly sessionId: string;
}

interface Local {
  /** Which rule, counted from 0. */
  readonly rule: number;
  readonly local: readonly { readonly host: string; readonly port: number }[];
  /** Null: no time limit. */
  readonly expiresAt: string | null;
}

/** Why a tunnel ended. */
export type CloseReason = 'interrupted' | 'ttl' | 'idle' | 'max-bytes' | 'policy' | 'lost' | 'ended' | 'failed';

interface SessionEnding {
  readonly cause: string;
  readonly by: 'us' | 'service' | 'network';
  readonly closeCode?: number | undefined;
  readonly sent?: number | undefined;
  readonly acknowledged?: number | undefined;
  readonly received?: number | undefined;
  readonly next?: 'new-session' | 'nothing' | undefined;
}

interface ReadyEvent extends Event<'ready'>, Local {
  readonly readiness: 'ready' | 'open';
  readonly greeting?: string | undefined;
  readonly target: {
    readonly provider: string;
    readonly kind: string;
    readonly id: string;
    readonly name?: string | undefined;
    readonly engine?: string | undefined;
    readonly engineLabel?: string | undefined;
  };
  readonly to?: { readonly host?: string | undefined; readonly port: number } | undefined;
  readonly via?: { readonly id: string; readonly name?: string | undefined } | undefined;
  readonly region?: string | undefined;
  readonly project?: string | undefined;
  readonly profile?: string | undefined;
}

interface ClientEvent extends Event<'client'> {
  readonly change: 'connected' | 'closed';
  readonly rule: number;
  readonly connection: number;
  readonly from: string;
  readonly clients: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly error?: ErrorJson | undefined;
}

interface ClosedEvent extends Event<'closed'> {
  readonly reason: CloseReason;
  readonly durationMs: number;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly error?: ErrorJson | undefined;
}

/** Told apart by `event`; more kinds may come, so let the unknown pass. */
export type TunnelEvent =
  | ReadyEvent
  | (Event<'waiting'> & Local)
  | ClientEvent
  | (Event<'phase'> & { readonly phase: string; readonly durationMs: number })
  | (SessionEvent<'session'> & {
      readonly change: 'started' | 'ended' | 'stalled';
      readonly reason?: string | undefined;
      /** Of a session that ended. */
      readonly ending?: SessionEnding | undefined;
    })
  | (Event<'sign-in'> & {
      readonly change: 'needed' | 'done';
      readonly heldForMs?: number | undefined;
      readonly afterMs?: number | undefined;
      readonly error?: ErrorJson | undefined;
    })
  | (Event<'moved'> & { readonly reason: string; readonly openStreams: number })
  | (SessionEvent<'reconnecting'> & { readonly reason: string; readonly attempt: number })
  | (SessionEvent<'renewed'> & { readonly how: 'resumed' | 'new-session'; readonly downtimeMs: number })
  | (SessionEvent<'stream-reset'> & { readonly error: ErrorJson })
  | (Event<'expiring'> & {
      readonly because: 'ttl' | 'idle' | 'hours' | 'max-bytes';
      readonly leftMs?: number | undefined;
      readonly leftBytes?: number | undefined;
    })
  | (Event<'draining'> & { readonly clients: number; readonly because: CloseReason })
  | (Event<'hop'> & {
      readonly hop: string;
      readonly user: string;
      readonly by: string;
      readonly hostKey: { readonly trust: string; readonly fingerprint: string };
    })
  | (Event<'warning' | 'hint'> & { readonly message: string })
  | ClosedEvent
  | (Event<'error'> & { readonly error: ErrorJson });
