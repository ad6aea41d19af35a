import type { AuditFeed } from '../domain/audit-feed.ts';
import type { CloudLog } from '../domain/cloud-log.ts';
import type { Principal } from '../domain/grant.ts';
import type { Secret } from '../domain/secret.ts';
import type { CloudSigningKey } from '../domain/signing-key.ts';
import type {
  CloudTarget,
  DatabaseTarget,
  MachineTarget,
  NodeTarget,
  PlaceKey,
  ProviderId,
  Route,
} from '../domain/target.ts';
import type { TicketSource } from '../domain/ticket.ts';
import type { NetworkSettings } from '../runtime/network.ts';
import type { World } from '../runtime/world.ts';
import type { PolicyAuthor } from './policy-author.ts';

/** What a user may say about the place to look in; every field beats environment and configuration files. */
export interface CloudSelection {
  /** An AWS profile. */
  readonly profile?: string;
  readonly region?: string;
  /** A Google Cloud project. */
  readonly project?: string;
  /** A Google Cloud zone: where instances are looked for by name. */
  readonly zone?: string;
}

/** Questions that only a person can answer; each absent where nobody is there to ask (no terminal, `--no-input`). */
export interface Prompts {
  /** The current code of an MFA device, by the device's name or ARN. */
  readonly mfaCode?: (device: string) => Promise<string>;
}

/** Who we are to the cloud, and by what. */
export interface Identity {
  /** For AWS the caller's ARN, for Google Cloud the e-mail address or the principal. */
  readonly id: string;
  readonly account: string;
  /** `alice`: what people call this identity. */
  readonly name: string;
  /** Where the credentials came from: `profile prod, SSO`, `environment`. */
  readonly source: string;
  /** As whom a catalogue may give this identity something, as far as it tells by itself: groups it does not tell. */
  readonly principals?: readonly Principal[];
}

export type TargetKind = CloudTarget['kind'];

export interface TargetQuery {
  readonly kind?: TargetKind;
  /** Only names, ids, addresses and tags that contain this text. */
  readonly text?: string;
}

/** A listed target with the answer to "can I reach it now, and if not, why not?". */
export interface ListedTarget {
  readonly target: CloudTarget;
  readonly reachable: boolean;
  /** `agent 3.3.4121`, `agent offline since 2026-11-20`, `no bastion in vpc-0a1`. */
  readonly remark: string;
}

export interface FindMachineOptions {
  /** False when a machine that is offline is wanted too; default true throws CT_TARGET_OFFLINE or CT_TARGET_STOPPED. */
  readonly mustBeOnline?: boolean;
  /**
   * The cloud is asked even where the spelling and the settings say it all, because the name may mean a thing of another cloud. By
   * default a machine may be taken as named, and what is wrong with it shows when the tunnel is opened.
   */
  readonly mustExist?: boolean;
  /** Nothing is asked where the spelling says it all: the target then has little more than its id. */
  readonly asNamed?: boolean;
}

export interface FindDatabaseOptions {
  /** A reading endpoint of a cluster. */
  readonly reader?: boolean;
}

/** Resolves names to targets, and targets to routes. All methods throw CloudtunError (CT_TARGET_*, CT_DENIED, CT_NO_CREDENTIALS …). */
export interface TargetFinder {
  list(query: TargetQuery, signal: AbortSignal): Promise<readonly ListedTarget[]>;
  /** Any TARGET of spec section 3 that a tunnel can end at: a machine, or a host of a destination group. CT_TARGET_NOT_FOUND carries the nearest names, CT_TARGET_AMBIGUOUS the candidates. */
  findMachine(text: string, options: FindMachineOptions, signal: AbortSignal): Promise<NodeTarget>;
  findDatabase(text: string, options: FindDatabaseOptions, signal: AbortSignal): Promise<DatabaseTarget>;
  /**
   * Which node to go through, and why. A machine or host is its own node. For a database: `via` when given (a TARGET), else
   * discovery. Throws CT_NO_BASTION with a reason for each node that was looked at.
   */
  routeTo(
    target: CloudTarget,
    port: number,
    options: { readonly via?: string; readonly host?: string },
    signal: AbortSignal,
  ): Promise<Route>;
}

/** A Session document that belongs to one target of the catalogue. */
export interface PinnedDocument {
  readonly document: string;
  /** The target's name in the catalogue. */
  readonly subject: string;
  /** It leaves `host` and `portNumber` to the caller (`socks`); otherwise everything is fixed in it. */
  readonly isOpen?: true;
}

export interface SessionOptions {
  /** A Session document of the user's own. */
  readonly document?: string;
  /**
   * The document that a team is given for this (`team apply`), which fixes its own destination. It is tried first; where it is not there,
   * or may not be used, the usual one. Clouds without documents have no use for it.
   */
  readonly pinned?: PinnedDocument;
  /** Stored in the cloud's own record of the session, 1–256 characters. */
  readonly reason?: string;
}

/** What opening a route would ask of the cloud, for `--explain` and for denials. */
export interface AccessExplanation {
  /** The Session document, where the cloud has such a thing. */
  readonly document?: string;
  readonly actions: readonly NeededAction[];
}

/** One permission that something needs. */
export interface NeededAction {
  readonly action: string;
  readonly resource: string;
  /** What a policy may narrow it by, or when it is needed: `ec2:osuser is ec2-user`. */
  readonly note?: string;
}

/** A session that the cloud keeps for somebody now. */
export interface LiveSession {
  readonly id: string;
  /** As the cloud knows who began it: an ARN. */
  readonly owner: string;
  /** The machine. */
  readonly target: string;
  readonly document?: string;
  /** Wall time. */
  readonly startedAt?: number;
}

export interface Gatekeeper {
  whoami(signal: AbortSignal): Promise<Identity>;
  /** Permission to dial along a route, for the life of a tunnel. Asks nothing yet. */
  ticketSource(route: Route, options: SessionOptions): TicketSource;
  explain(route: Route, options: SessionOptions): AccessExplanation;
  /** The sessions of everybody that are open now; absent where sessions end with their connection and nobody lists them. */
  liveSessions?(signal: AbortSignal): Promise<readonly LiveSession[]>;
  /** Ends a session of an earlier process by its id; resolves also when it is gone, or where sessions end by themselves. */
  endSession(sessionId: string, signal: AbortSignal): Promise<void>;
}

/** A login that a machine accepts now: as whom, how it got there, and until when. */
export interface SshLogin {
  readonly user: string;
  /** For people: `EC2 Instance Connect`, `OS Login`, `instance metadata`. */
  readonly by: string;
  /** When the machine stops accepting the key; wall time in ms. */
  readonly expiresAt: number;
  /** Pauses after which a refused login is worth another try: the machine may notice the key late. Two short ones when absent. */
  readonly retryAfter?: readonly number[];
}

/** Host keys that the cloud itself vouches for, as lines of a public key file: `ssh-ed25519 AAAA…`. */
export interface PublishedHostKeys {
  readonly keys: readonly string[];
  /** For people: `guest attributes`. */
  readonly source: string;
}

/** Short-lived SSH logins by the cloud's own means. No key of a person is needed or touched. */
export interface Logins {
  /** The user name to log in as when none is given, and why: `ec2-user`, `the image is Amazon Linux`. */
  guessUser(machine: MachineTarget, signal: AbortSignal): Promise<{ readonly user: string; readonly reason: string }>;
  /**
   * Makes the machine accept a key for a short time.
   *
   * @param publicKey one line, `ssh-ed25519 AAAA… comment`
   * @throws CT_DENIED naming the action; CT_TARGET_STOPPED …
   */
  admitKey(machine: MachineTarget, user: string, publicKey: string, signal: AbortSignal): Promise<SshLogin>;
  /** What letting a key in asks of the cloud. @param user undefined: a guessed one */
  access(machine: MachineTarget, user: string | undefined, signal: AbortSignal): Promise<readonly NeededAction[]>;
  /** Takes the key back where the cloud keeps it until it expires; resolves also when it is gone. */
  withdrawKey?(machine: MachineTarget, publicKey: string, signal: AbortSignal): Promise<void>;
  /** What host keys are remembered by, where a new machine may take the id of an old one; the id when absent. */
  hostName?(machine: MachineTarget, signal: AbortSignal): Promise<string>;
  /** Undefined where the cloud publishes none for this machine: trust on first use then. */
  hostKeys(machine: MachineTarget, signal: AbortSignal): Promise<PublishedHostKeys | undefined>;
}

/** What a database takes instead of a password that somebody keeps. */
export interface DatabaseToken {
  /** As the database knows the login. */
  readonly user: string;
  readonly token: Secret;
  /** Wall clock: no login is made with it later; connections that stand go on. */
  readonly expiresAt: number;
}

/** What a secret of the cloud holds. */
export interface StoredLogin {
  /** Where the secret says it. */
  readonly user?: string;
  readonly password: Secret;
}

/** How clients log in to the cloud's databases, and by what they know them. */
export interface DatabaseLogins {
  /**
   * A login of the caller's own identity, for the far endpoint itself: a token for `localhost` opens nothing.
   *
   * @param user as the catalogue has it; undefined: the caller's own, where the cloud derives it
   * @throws CT_CONFIG where a user has to be named; CT_DENIED, CT_NO_CREDENTIALS …
   */
  token(database: DatabaseTarget, user: string | undefined, signal: AbortSignal): Promise<DatabaseToken>;
  /**
   * A login from the cloud's store of secrets: JSON with `username` and `password`, or the password alone.
   *
   * @param name as the catalogue has it
   * @throws CT_CONFIG for a secret that is no login; CT_TARGET_NOT_FOUND, CT_DENIED …
   */
  stored(name: string, signal: AbortSignal): Promise<StoredLogin>;
  /** PEM certificates of the authorities of this database's own certificate; undefined where the cloud does not tell. */
  authorities(database: DatabaseTarget, signal: AbortSignal): Promise<string | undefined>;
}

/** A person signing in with a browser on any device. */
export interface SignIn {
  /** What to show: open `url`, check that it shows `userCode`. */
  readonly url: string;
  readonly userCode: string;
  readonly expiresInMs: number;
}

export interface LoginReport {
  readonly expiresAt: string;
  readonly cachedIn: string;
}

/** Capabilities of one cloud, each optional one asked for where a command needs it. */
export interface Provider extends AsyncDisposable {
  readonly id: ProviderId;
  /** `aws prod/ap-northeast-1`: where this provider looks, for people. */
  readonly label: string;
  /** Where names are looked up: the region on AWS, the project on Google Cloud. Stable local ports and the ledger tell places apart by it. */
  readonly scope: string;
  /** The region asked, where the cloud is asked region by region. */
  readonly region?: string;
  /** The Google Cloud project. */
  readonly project?: string;
  readonly profile: string | undefined;
  /** The API endpoint that sessions are started at, where it is not the cloud's usual one (the lab, a VPC endpoint). */
  readonly endpoint?: string | undefined;
  /** How the tunnel service is reached, where the cloud's own configuration adds a proxy or a CA file to the environment. */
  readonly network?: NetworkSettings;
  readonly finder: TargetFinder;
  readonly gatekeeper: Gatekeeper;
  /** Whether sessions are started with a document that the user may choose (`SessionOptions.document`). */
  readonly hasSessionDocuments?: boolean;
  /** What to do to be signed in, where `signIn` is absent: one line each. */
  readonly signInAdvice?: readonly string[];
  /** Absent where this cloud has no way to let a key in. */
  readonly logins?: Logins;
  readonly databaseLogins?: DatabaseLogins;
  /** A log of the cloud's log service, by its name; `host` says where its lines come from. Absent where the cloud has none. */
  cloudLog?(log: string, host: string): Promise<CloudLog>;
  /** A key of the cloud's key service that signs, by its name. Absent where cloudtun asks none. @throws CT_TARGET_NOT_FOUND, CT_CONFIG, CT_DENIED */
  signingKey?(key: string, signal: AbortSignal): Promise<CloudSigningKey>;
  /** The cloud's own record of tunnels, where it keeps one that can be read. */
  auditFeed?(): Promise<AuditFeed>;
  /** Absent where cloudtun writes no permissions. Loaded when it is asked for: no tunnel needs it. */
  policies?(): Promise<PolicyAuthor>;
  signIn?(show: (signIn: SignIn) => void, signal: AbortSignal): Promise<LoginReport>;
}

/** What may be said of a cloud without asking it and without loading its SDK. */
export interface CloudNames {
  /** `Google Cloud` */
  readonly label: string;
  /**
   * Whether a TARGET is written in a way that only this cloud has (`surely`: `i-…`, `project/zone/instance`), that any has (`maybe`: a bare
   * name, an address), or that this one does not have (`no`). Without a cloud prefix.
   */
  claims(target: string): 'surely' | 'maybe' | 'no';
  /** The port of the far side, in a TARGET that names one by itself (`host:port@region/network/group`). Without a cloud prefix. */
  farPort?(target: string): number | undefined;
  /** What no other cloud has: whoever says one of these means this cloud. */
  readonly ownKeys: readonly PlaceKey[];
  /** For who has nothing set up yet: the shortest ways to credentials, one line. */
  readonly firstStep: string;
  /** Whether this user has anything set up for this cloud: variables, files. Reads at most a few small files. */
  isConfigured(world: Pick<World, 'env' | 'paths'>): boolean;
}
