import type { Duplex } from 'node:stream';
import type { CloudtunError } from '../domain/errors.ts';
import type { CloseReason, TunnelEvent } from './tunnel-event.ts';

/*
 * What a program sees of a tunnel. Published as they stand here (scripts/declarations.ts), so they name nothing from inside; that
 * they fit is checked where they are made, in open-tunnel.ts.
 */

/** What is to be opened. Texts are written as the flags and keys of the same name. */
export interface TunnelOptions {
  /** A name of `cloudtun.yaml`, `rds:NAME`, `sql:PROJECT:REGION:NAME`, or a machine with its port, `web-1:80`. */
  readonly target: string;
  /** Local port; 0 for any free one. Default: the stable one, as on the command line. */
  readonly port?: number | undefined;
  /** Local addresses; default 127.0.0.1 and ::1. */
  readonly bind?: string | readonly string[] | undefined;
  /** `false`: no local port at all, only `connect()`. */
  readonly listen?: boolean | undefined;
  /** Machines to go through, from here outwards. */
  readonly via?: string | readonly string[] | undefined;
  /** Of a cluster: its reading endpoint. */
  readonly reader?: boolean | undefined;
  /** `8h`, or `none` where the policy allows it. */
  readonly ttl?: string | undefined;
  readonly idle?: string | undefined;
  /** `500MB`: both directions together. */
  readonly maxBytes?: string | undefined;
  readonly grace?: string | undefined;
  /** Over how many sessions of AWS connections spread: 1 to 8, or as many as the load needs. Default: 1. */
  readonly sessions?: number | 'auto' | undefined;
  readonly keepActive?: boolean | undefined;
  /** For the journal and the cloud's record of the session. */
  readonly reason?: string | undefined;
  /** Session document (AWS). */
  readonly document?: string | undefined;
  readonly profile?: string | undefined;
  readonly region?: string | undefined;
  readonly project?: string | undefined;
  readonly zone?: string | undefined;
  /** `false`: do not wait for the far side to answer. */
  readonly probe?: boolean | undefined;
  /** Where `cloudtun.yaml` is looked for; default: the working directory. */
  readonly cwd?: string | undefined;
}

export interface TunnelContext {
  /** Aborted while it opens: the promise rejects with its reason. Later: the tunnel is cut. */
  readonly signal?: AbortSignal | undefined;
  /** The events of `--json` as objects; the published schema has every field. */
  readonly onEvent?: ((event: TunnelEvent) => void) | undefined;
}

/** An open tunnel, until it is closed, a limit is reached, or it is lost. */
export interface OpenTunnel extends AsyncDisposable {
  /** Of the first local address. @throws CloudtunError CT_USAGE when it was opened with `listen: false` */
  readonly host: string;
  readonly port: number;
  /** `127.0.0.1:13306` */
  readonly address: string;
  /** Every local address; none with `listen: false`. */
  readonly local: readonly LocalAddress[];
  /** Settles when everything is closed and every session ended; never rejects. */
  readonly closed: Promise<TunnelEnd>;
  status(): TunnelStatus;
  /** A stream to the far side without the local port, limits and journal included. @throws CloudtunError */
  connect(options?: { readonly signal?: AbortSignal | undefined }): Promise<Duplex>;
  /** Drains: no new connections, open ones may end within the grace time. Disposing it cuts them instead. */
  close(): Promise<TunnelEnd>;
}

export interface LocalAddress {
  readonly host: string;
  readonly port: number;
}

export interface TunnelEnd {
  readonly reason: CloseReason;
  readonly error?: CloudtunError;
  /** Milliseconds since it was ready. */
  readonly duration: number;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface TunnelStatus {
  readonly state: 'opening' | 'waiting' | 'ready' | 'reconnecting' | 'draining' | 'closed';
  /** Milliseconds since 1970 UTC, as are all times here. */
  readonly readyAt: number | undefined;
  readonly expiresAt: number | undefined;
  /** Connected now. */
  readonly clients: number;
  /** Since it was opened. */
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly sessions: number;
  /** Bytes a second over the last two seconds. */
  readonly rateUp: number;
  readonly rateDown: number;
  readonly roundTripMs: number | undefined;
  readonly renewals: number;
  readonly lastTrouble: { readonly at: number; readonly code?: string; readonly message: string } | undefined;
}
