import type { Millis } from './millis.ts';
import type { PlaceKey, ProviderId } from './target.ts';

/** What a team may do with a target, or with a log (spec section 4). */
export const GRANT_VERBS = ['connect', 'ssh', 'socks', 'run', 'logs'] as const;
export type GrantVerb = (typeof GRANT_VERBS)[number];

/** Who is given something in one cloud, in that cloud's own words for kinds of people. */
export interface Principal {
  readonly cloud: ProviderId;
  /** `permissionSet`, `role`, `user`; `group`, `user`. */
  readonly kind: string;
  /** As the cloud has it: a name, an e-mail address. */
  readonly name: string;
}

/** What is given, in the catalogue's words; what they stand for in the cloud is looked up later. */
export interface GrantSubject {
  /** The name of the target in the catalogue; of the log for `logs`. */
  readonly name: string;
  readonly cloud: ProviderId;
  /** What the catalogue says about where it is. */
  readonly place: Readonly<Partial<Record<PlaceKey, string>>>;
  /** A TARGET of the cloud: the machine itself, or the first one on the way; undefined for a database whose way is found by discovery. */
  readonly machine?: string;
  /** The port that its name came with, `bastion:5432`: something on it forwards to the database. */
  readonly machinePort?: number;
  /** Machines behind the first one that are logged in to on the way, as written. */
  readonly hops?: readonly string[];
  /** The database, as the cloud names it. */
  readonly database?: string;
  /** Which of a cluster's endpoints. */
  readonly reader?: boolean;
  /** A host behind the machine, as the last machine on the way sees it. */
  readonly host?: string;
  /** `host` is a machine of this cloud by one of its names: where it is, the cloud says. */
  readonly isMachine?: true;
  /** The port at the far end, where the catalogue says it; of a database the cloud says it. */
  readonly port?: number;
  /** Who the catalogue logs in as: the database user, or the one of the machine. */
  readonly user?: string;
  /** Database logins are made with a token of the cloud. */
  readonly iamAuth?: boolean;
  /** Where the password is kept, by name. */
  readonly secret?: string;
  /** The source of a log: one of a file, a unit of systemd, a container. */
  readonly log?: { readonly kind: 'file' | 'unit' | 'container'; readonly name: string };
}

/** One principal, one verb, one thing: what the catalogue gives, taken apart. */
export interface Grant {
  readonly team: string;
  readonly principal: Principal;
  readonly verb: GrantVerb;
  readonly subject: GrantSubject;
  /** The people of the team, as the catalogue has them; empty where it does not say. */
  readonly members: readonly string[];
  /** Wall time at which it ends; undefined: never. */
  readonly until?: Millis;
}
