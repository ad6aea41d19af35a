import type { Millis } from './millis.ts';

/*
 * A cloud's own record of who was let through to what, in words that no cloud has to itself: what `audit reconcile` holds the journal
 * against.
 */

/** Somebody asked a tunnel service to be let through. */
export interface CloudUse {
  /** As the cloud knows them: an ARN, an e-mail address. */
  readonly person: string;
  /** The name of the session that the journal has as well, where the cloud writes it down. */
  readonly session?: string;
  /** The machine or group, as far as the record names it. */
  readonly node: string;
  readonly port?: number;
  readonly document?: string;
  readonly reason?: string;
  /** Where the request came from. */
  readonly address?: string;
  /** What sent it, as it calls itself: `aws-cli/2.31.0`. */
  readonly program?: string;
  /** Whether that was cloudtun; undefined where the record does not say. */
  readonly isOurs?: boolean;
  readonly isGranted: boolean;
  /** Whether this may be the node (and far endpoint) of a line of the journal. */
  isAt(node: string, to: string | undefined): boolean;
}

/** One record of a cloud, whether it is about a tunnel or not: the others show which time and which places are covered. */
export interface CloudRecord {
  /** The cloud's name of it. The same record may come more than once. */
  readonly id: string;
  /** Wall time by the cloud's clock. */
  readonly at: Millis;
  /** An account with its region, a project: what the cloud keeps records apart by. */
  readonly scope: string;
  readonly use?: CloudUse;
}

/** What a line of the journal says of its place. */
export interface JournalPlacement {
  /** `aws prod/eu-west-1` */
  readonly place: string;
  readonly account?: string | undefined;
  readonly node: string;
}

/** How one cloud's records are read, wherever they come from. Asks nobody. */
export interface AuditReader {
  /** `CloudTrail` */
  readonly label: string;
  /** Whether a record is made for each session, which both sides name alike, or for each connection, which has no name. */
  readonly grain: 'session' | 'connection';
  /** Within this time after something happened, a record that is not there means nothing. */
  readonly settle: Millis;
  /** Times of the records are cut to a multiple of this. */
  readonly resolution: Millis;
  /** What it probably means when there is no record at all. */
  readonly whenSilent: string;
  /** Undefined for what is no record of this cloud. */
  read(value: unknown): CloudRecord | undefined;
  /** In which scopes the cloud has its records of a tunnel; none when that cannot be known, or when it is a tunnel of another cloud. */
  scopesOf(placement: JournalPlacement): readonly string[];
}

/** What was looked up. */
export interface FeedReading {
  readonly records: readonly CloudRecord[];
  /** Those that were asked, whether anything was found or not. */
  readonly scopes: readonly string[];
}

/** A cloud's records by its API, in the places that the provider is for. */
export interface AuditFeed {
  readonly reader: AuditReader;
  /** How far back can be asked; as far as the project keeps it when absent. */
  readonly reach?: Millis;
  /**
   * Every record of tunnels since a time.
   *
   * @param told how many were read until now
   * @throws CT_DENIED, CT_NO_CREDENTIALS, CT_THROTTLED, CT_NETWORK …
   */
  look(since: Millis, told: (count: number) => void, signal: AbortSignal): Promise<FeedReading>;
}
