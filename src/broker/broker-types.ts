import type { AuditSink } from '../domain/audit-sink.ts';
import type { Dialer } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { HopName } from '../domain/hop-name.ts';
import type { Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import type { SessionCount } from '../domain/session-count.ts';
import type { SessionFigures } from '../domain/session-figures.ts';
import type { FarHostTarget, MachineTarget, Route, Target } from '../domain/target.ts';
import type { TicketSource } from '../domain/ticket.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { AccessExplanation, Identity, Provider, SessionOptions } from '../providers/provider.ts';
import type { HostResolver } from '../runtime/resolve-host.ts';
import type { WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SharedLooks } from './shared-looks.ts';
import type { StartLimiter } from './start-limiter.ts';

/*
 * What front ends and `compose.ts` need to know of the broker, the one path to a tunnel: resolve → identify → record → dial.
 *
 *   const context: BrokerContext = { world, provider, journal, ledger, connect };
 *   const opened = await openTunnel(context, { kind: 'database', text: 'prod' }, { onEvent }, signal);   // open-tunnel.ts
 *   const stream = await opened.dialer.dial(opened.routes[0].to, signal);                                // starts the session
 */

/** What sessions are started with, by whichever cloud. */
interface AnySessionOptions extends SessionOptions {
  /** Sessions that nobody uses are kept from ending. */
  readonly keepActive?: true;
  /** Over how many sessions connections spread, where a session carries several; one when absent. */
  readonly sessions?: SessionCount;
  /** The usual ones when absent. */
  readonly intervals?: Intervals;
}

/** Any port of a machine, or of hosts that it reaches. One route is made for each endpoint, in order. */
export interface MachineRequest extends AnySessionOptions {
  readonly kind: 'machine';
  /** A TARGET of spec section 3 that is a machine. */
  readonly text: string;
  readonly to: readonly RemoteEndpoint[];
  /** Endpoints that come up later may be dialled as well, wherever the target reaches (broker/destinations.ts, `OnDemand`). */
  readonly anywhere?: true;
  /** Machines to go through, from here outwards; the target itself when absent. */
  readonly via?: readonly HopName[];
  /** How the target is logged in to, where hosts behind it are asked for and the cloud's tunnel service does not reach them. */
  readonly login?: { readonly user?: string; readonly port?: number };
  /**
   * A client waits for the first byte: a machine is taken as named where its spelling allows that, and who asks is asked, and recorded,
   * once the first session stands.
   */
  readonly isQuick?: true;
  /** What for, where that is more than bytes; kept in the journal. Never what is said in it: `ssh login`. */
  readonly use?: string;
}

/** A database at its own endpoint. One route is made. */
export interface DatabaseRequest extends AnySessionOptions {
  readonly kind: 'database';
  /** Name or identifier of an instance, cluster or proxy. */
  readonly text: string;
  /** Machines to go through, from here outwards; discovery when absent. */
  readonly via?: readonly HopName[];
  readonly reader?: boolean;
}

export type TunnelRequest = MachineRequest | DatabaseRequest;

/** The transport, as the broker sees it; `compose.ts` injects it. Fails with CloudtunError. */
export type TunnelOpener = (
  source: TicketSource,
  to: RemoteEndpoint,
  onEvent: TunnelEventListener,
  signal: AbortSignal,
  options?: {
    readonly keepActive?: boolean;
    readonly sessions?: SessionCount;
    readonly intervals?: Intervals;
  },
) => Promise<Tunnel>;

/** A server that is logged in to on the way. */
export interface HopServer {
  readonly provider: Provider;
  readonly target: MachineTarget | FarHostTarget;
  /** Guessed when absent. */
  readonly user?: string;
  readonly port: number;
}

/** A login that stands. Dials as the machine does; disposing it logs out. */
export interface Hop extends Dialer {
  /** Settles when it is over: with why it broke, undefined when it was closed here. Never rejects. */
  readonly closed: Promise<CloudtunError | undefined>;
}

/**
 * Logs in to a machine on the way; `compose.ts` injects it.
 *
 * @param dialer reaches the server whatever endpoint without a host is asked for
 */
export type HopOpener = (
  server: HopServer,
  dialer: Pick<Dialer, 'dial'>,
  onEvent: TunnelEventListener,
  signal: AbortSignal,
) => Promise<Hop>;

export interface BrokerContext {
  readonly world: World;
  readonly provider: Provider;
  readonly journal: AuditSink;
  readonly ledger: SessionLedger;
  /** One for the whole process. */
  readonly starts: StartLimiter;
  readonly connect: TunnelOpener;
  readonly openHop: HopOpener;
  /** Tells of sleep and of a changed network; one for all of a process. */
  readonly wake?: WakeWatch;
  /** One for all tunnels of a process; one of the tunnel's own when absent. */
  readonly looks?: SharedLooks;
  /** Asks this machine's own resolver; absent: names are not looked up here. */
  readonly resolveHost?: HostResolver;
}

/** A client of a front end came or went; the journal keeps it. */
export interface ClientRecord {
  readonly change: 'connected' | 'closed';
  readonly to: RemoteEndpoint;
  /** `127.0.0.1:51234` */
  readonly from: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly error?: CloudtunError;
}

/** The end of a front end's use of a tunnel; the journal keeps it. */
export interface EndRecord {
  /** `ttl`, `interrupted` …: a CloseReason of the front end. */
  readonly reason: string;
  readonly error?: CloudtunError;
  readonly duration: Millis;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What a tunnel carries, over all its endpoints. */
export interface TunnelFigures {
  /** Open ones: of the cloud where it keeps such, else conversations with its relay. */
  readonly sessions: number;
  readonly openStreams: number;
  /** Application bytes of the sessions, those that are over included. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Bytes a second over the last two seconds. */
  readonly rateUp: number;
  readonly rateDown: number;
  /** Smoothed, of the slowest session whose protocol tells. */
  readonly roundTripMs: number | undefined;
  /** Session by session, where one carries several streams; empty where each stream has its own. */
  readonly each: readonly SessionFigures[];
}

/**
 * A target that was resolved and a way to dial it. Nothing is recorded and no session is started before the first dial. Disposing
 * it closes the tunnels, terminates their sessions and writes the `end` record if `ended` was not called.
 */
export interface OpenedTunnel extends AsyncDisposable {
  readonly target: Target;
  /** Undefined when the cloud would not tell (and the journal says so). */
  readonly identity: Identity | undefined;
  /** As they were found first; after a machine is gone and found again, the dialer uses newer ones by itself. */
  readonly routes: readonly Route[];
  /** Reaches the endpoints of `routes`, and others where `anywhere` was asked for. Opens a session at the first dial to each, and a new one when the last was lost. */
  readonly dialer: Dialer;
  /**
   * Settles when trying again makes no sense any more: denied, forbidden, or out of reach for 10 minutes. May stay pending, and does
   * with `anywhere`, where one endpoint that is lost says nothing of the others.
   */
  readonly lost: Promise<CloudtunError>;
  /** What goes on now, and what went through since it was opened. Cheap. */
  stats(): TunnelFigures;
  client(record: ClientRecord): void;
  /** The cloud, or the machine itself, refused the login that a front end made through it; the journal keeps it. */
  denied(error: CloudtunError): void;
  /**
   * A command is about to be run on the target, by this program (never its arguments).
   *
   * @throws CT_JOURNAL: it must not be run then
   */
  runs(program: string): void;
  /** Writes the `end` record, once; call it after the last stream is closed and before disposing. */
  ended(record: EndRecord): void;
}

/** For `--explain`: what would be opened, and what that asks of the cloud. */
export interface TunnelExplanation {
  readonly route: Route;
  readonly access: AccessExplanation;
}
