import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { ErrorDetail } from '../domain/errors.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ForwardEvent, ForwardReport, ServiceStatus } from '../forward/forward-types.ts';
import type { PlanFlags } from '../plan/tunnel-plan.ts';

/*
 * What commands and the supervisor say to each other: one JSON object a line over its Unix socket. A connection carries one request,
 * and its replies until `done`. Errors and what clouds say of targets travel whole, so that a command shows them as its own.
 */

/** A supervisor answers requests of its own version of the protocol only. */
export const PROTOCOL_VERSION = 1;

/** What a person or a file said of a tunnel. */
export interface WishFlags extends PlanFlags {
  readonly noProbe?: boolean | undefined;
  /** Opened at the first connection. */
  readonly onDemand?: boolean | undefined;
}

/** A tunnel that is to be held. The catalogue is read where the wish was made. */
export interface TunnelWish {
  readonly name: string;
  readonly flags: WishFlags;
}

/** Where a request comes from: what decides what a name means. */
export interface Origin {
  readonly cwd: string;
  /** The part of the environment that matters to tunnels (supervisor/origin.ts). Never written to disk. */
  readonly env: Readonly<Record<string, string>>;
}

export type Request =
  | {
      readonly do: 'up';
      readonly wishes: readonly TunnelWish[];
      readonly origin: Origin;
      /** Done as soon as all are being opened: what becomes of them, `list` and `watch` tell. */
      readonly isUnawaited?: boolean;
    }
  /** No names: every tunnel. */
  | { readonly do: 'down'; readonly names: readonly string[]; readonly cut?: boolean }
  | { readonly do: 'list' }
  /** Events of these tunnels from now on, `ready` of those that are; done when all are closed. */
  | { readonly do: 'watch'; readonly names: readonly string[] };

/** Where the targets of a cloud are, for people. */
export interface HeldPlace {
  readonly label: string;
  readonly region?: string;
  readonly project?: string;
  readonly profile?: string;
}

/** A tunnel that the supervisor holds, as `ps` shows it. */
export interface HeldStatus extends Omit<ServiceStatus, 'state'> {
  readonly name: string;
  /** Which tunnel it is, whatever it is called: see plan/plan-key.ts. */
  readonly key: string;
  readonly state: ServiceStatus['state'] | 'lost';
  /** `127.0.0.1:13306`, the first address of each rule first. */
  readonly local: readonly string[];
  /** `orders-prod via bastion-a`, as far as it is known. */
  readonly target: string;
  readonly place: HeldPlace | undefined;
  /** Wall clock. */
  readonly since: number;
  readonly isOnDemand: boolean;
}

export type Reply =
  | {
      readonly say: 'event';
      readonly name: string;
      readonly event: ForwardEvent;
      readonly place?: HeldPlace | undefined;
    }
  /** It is held; was before this was asked, or is being opened now. */
  | { readonly say: 'held'; readonly name: string; readonly isNew: boolean }
  | { readonly say: 'warning'; readonly message: string }
  | { readonly say: 'closed'; readonly name: string; readonly report: ForwardReport; readonly local: readonly string[] }
  | { readonly say: 'failed'; readonly name: string; readonly error: CloudtunError }
  | { readonly say: 'list'; readonly tunnels: readonly HeldStatus[]; readonly pid: number; readonly startedAt: number }
  /** The request as a whole was refused. */
  | { readonly say: 'refused'; readonly error: CloudtunError }
  | { readonly say: 'done' };

/** The first thing on every connection, from the supervisor. */
export interface Greeting {
  readonly cloudtun: number;
  readonly pid: number;
}

/** A message as a line. */
export function encodeMessage(message: Request | Reply | Greeting): string {
  return `${JSON.stringify(message, (_key, value: unknown) => (value instanceof CloudtunError ? plainError(value) : value))}\n`;
}

/** @throws SyntaxError for what is no JSON */
export function decodeMessage(line: string): unknown {
  return JSON.parse(line, (_key, value: unknown) => (isPlainError(value) ? revived(value.$error) : value));
}

interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hints: readonly string[];
  readonly details: readonly ErrorDetail[];
  /** Of the errors behind it, the nearest first. */
  readonly causes: readonly string[];
}

function plainError(error: CloudtunError): { readonly $error: PlainError } {
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error && causes.length < 8; cause = cause.cause) {
    causes.push(`${cause.name}: ${cause.message}`);
  }
  const { code, message, hints, details } = error;
  return { $error: { code, message, hints, details, causes } };
}

function isPlainError(value: unknown): value is { readonly $error: PlainError } {
  return typeof value === 'object' && value !== null && '$error' in value;
}

function revived({ code, message, hints, details, causes }: PlainError): CloudtunError {
  const cause = causes.reduceRight<Error | undefined>(
    (inner, text) => new Error(text, inner === undefined ? undefined : { cause: inner }),
    undefined,
  );
  return new CloudtunError(code, message, { hint: hints, details, ...(cause && { cause }) });
}
