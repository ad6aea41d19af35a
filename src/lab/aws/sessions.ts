/**
 * The lab's sessions: what StartSession, ResumeSession, TerminateSession and DescribeSessions read and write, and what the message
 * gateway checks tokens against (docs/protocol/ssm.md, "HTTP API side"). Memory only, no sockets.
 *
 * The HTTP API calls `start`, `resume`, `terminate` and `list`; the gateway calls `redeem`, `connected`, `disconnected` and `end`;
 * either may listen with `onChange`. A session is started on its node by the gateway when it hears the `started` change, so an API
 * has nothing to do beyond calling `start`.
 */
import type { Millis } from '../../domain/millis.ts';
import type { World } from '../../runtime/world.ts';

export type SessionStatus = 'Connecting' | 'Connected' | 'Disconnected' | 'Terminated';

/** What StartSession knows once target, document and caller were checked. */
export interface SessionRequest {
  /** `aws:userid` of the caller, the value of the session's tag; default: the owner. */
  readonly ownerId?: string;
  /** The managed node: `i-…`, `mi-…`, `ecs:…`. */
  readonly targetId: string;
  /** User or role-session name; the first part of the session id. */
  readonly owner: string;
  /** The caller's ARN, for DescribeSessions; default: the owner. */
  readonly ownerArn?: string;
  readonly documentName: string;
  /** `sessionType` of the document; the gateway serves `Port`. */
  readonly sessionType: string;
  /** The document's properties with parameters filled in, every value a string: `portNumber`, `host`, `type` … */
  readonly properties: Readonly<Record<string, string>>;
  readonly reason?: string;
  /** Version that the node's agent reports, four numeric parts. */
  readonly agentVersion: string;
}

export interface Session extends SessionRequest {
  readonly sessionId: string;
  readonly ownerArn: string;
  readonly ownerId: string;
  readonly status: SessionStatus;
  /** Milliseconds since 1970 UTC. */
  readonly startedAt: Millis;
  readonly endedAt?: Millis;
  /** Why it ended, as `channel_closed` says it; empty for a normal end. */
  readonly output?: string;
}

/** The three answers of StartSession and ResumeSession. */
export interface SessionGrant {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export type ResumeAnswer =
  | { readonly outcome: 'resumed'; readonly grant: SessionGrant }
  /** ResumeSession answers without TokenValue: the session timed out. */
  | { readonly outcome: 'expired'; readonly sessionId: string; readonly streamUrl: string }
  /** DoesNotExistException. */
  | { readonly outcome: 'unknown' };

/** `refused`: never given out, or replaced by a later one. */
export type TokenVerdict = 'accepted' | 'used' | 'refused';

export type SessionChange =
  | { readonly type: 'started'; readonly session: Session }
  | { readonly type: 'resumed'; readonly session: Session }
  | { readonly type: 'status'; readonly session: Session; readonly previous: SessionStatus }
  | { readonly type: 'ended'; readonly session: Session; readonly by: SessionEnder };

/** `api`: TerminateSession; `agent`: its plugin ended; `service`: idle time-out and the like. */
export type SessionEnder = 'api' | 'agent' | 'service';

export interface SessionStoreOptions {
  readonly world: Pick<World, 'clock' | 'random'>;
  /** `ws://127.0.0.1:4711`, asked for at each start because the port is known late. No slash at the end. */
  readonly streamBase: () => string;
  /** Fault knob: asked at each ResumeSession of a live session; see `FaultBoard.resumeVerdict`. */
  readonly resumeVerdict?: (session: Session) => 'expired' | 'unknown' | undefined;
  /** Fault knob: adds `&cell-number=…` to stream URLs; see `FaultBoard.cellNumber`. */
  readonly cellNumber?: () => string | undefined;
}

const SESSION_SUFFIX_LENGTH = 26;
const SUFFIX_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const TOKEN_BYTES = 96;
/** Ended sessions that History still shows; the oldest are forgotten. */
const MAX_HISTORY = 1_000;

interface Entry {
  session: Session;
  readonly streamUrl: string;
  /** The one token that may still be used. */
  token: string | undefined;
  readonly usedTokens: Set<string>;
}

export class SessionStore {
  readonly #options: SessionStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ended: string[] = [];
  readonly #listeners = new Set<(change: SessionChange) => void>();

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  /** StartSession. The session is `Connecting` until its websocket is open. */
  start(request: SessionRequest): SessionGrant {
    const { random, clock } = this.#options.world;
    const suffix = Array.from(random.bytes(SESSION_SUFFIX_LENGTH), (byte) => SUFFIX_ALPHABET[byte % 36]).join('');
    const sessionId = `${request.owner}-${suffix}`;
    const session: Session = {
      ...request,
      ownerArn: request.ownerArn ?? request.owner,
      ownerId: request.ownerId ?? request.owner,
      sessionId,
      status: 'Connecting',
      startedAt: clock.wall(),
    };
    const cell = this.#options.cellNumber?.();
    const path = `/v1/data-channel/${encodeURIComponent(sessionId)}?role=publish_subscribe`;
    const streamUrl = `${this.#options.streamBase()}${path}${cell === undefined ? '' : `&cell-number=${cell}`}`;
    const entry: Entry = { session, streamUrl, token: undefined, usedTokens: new Set() };
    this.#entries.set(sessionId, entry);
    const grant = this.#grant(entry);
    this.#announce({ type: 'started', session });
    return grant;
  }

  /** ResumeSession: one more token, which replaces one that was not used yet. */
  resume(sessionId: string): ResumeAnswer {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined || entry.session.status === 'Terminated') return { outcome: 'unknown' };
    const verdict = this.#options.resumeVerdict?.(entry.session);
    if (verdict === 'unknown') return { outcome: 'unknown' };
    if (verdict === 'expired') return { outcome: 'expired', sessionId, streamUrl: entry.streamUrl };
    const grant = this.#grant(entry);
    this.#announce({ type: 'resumed', session: entry.session });
    return { outcome: 'resumed', grant };
  }

  /** TerminateSession. `already` is success for the caller of the API, `unknown` is DoesNotExistException. */
  terminate(sessionId: string): 'terminated' | 'already' | 'unknown' {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return 'unknown';
    if (entry.session.status === 'Terminated') return 'already';
    this.end(sessionId, 'api', '');
    return 'terminated';
  }

  get(sessionId: string): Session | undefined {
    return this.#entries.get(sessionId)?.session;
  }

  /** DescribeSessions, newest first. */
  list(state: 'Active' | 'History'): readonly Session[] {
    const isWanted = (session: Session) => (session.status === 'Terminated') === (state === 'History');
    return [...this.#entries.values()]
      .map((entry) => entry.session)
      .filter(isWanted)
      .reverse();
  }

  /** Gateway: one token opens one websocket. */
  redeem(sessionId: string, token: string): TokenVerdict {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined) return 'refused';
    if (entry.usedTokens.has(token)) return 'used';
    if (entry.token !== token) return 'refused';
    entry.usedTokens.add(token);
    entry.token = undefined;
    return 'accepted';
  }

  /** Gateway: the client's websocket is open and authorized. */
  connected(sessionId: string): void {
    this.#setStatus(sessionId, 'Connected');
  }

  /** Gateway: the client's websocket is gone, the session is not. */
  disconnected(sessionId: string): void {
    this.#setStatus(sessionId, 'Disconnected');
  }

  /** Ends a session for good; does nothing for one that has ended. `output` is what `channel_closed` will say. */
  end(sessionId: string, by: SessionEnder, output: string): void {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined || entry.session.status === 'Terminated') return;
    entry.token = undefined;
    entry.session = { ...entry.session, status: 'Terminated', endedAt: this.#options.world.clock.wall(), output };
    this.#ended.push(sessionId);
    while (this.#ended.length > MAX_HISTORY) this.#entries.delete(this.#ended.shift()!);
    this.#announce({ type: 'ended', session: entry.session, by });
  }

  /** Calls `listener` synchronously at each change. Returns how to stop it. */
  onChange(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #grant(entry: Entry): SessionGrant {
    const tokenValue = this.#options.world.random.bytes(TOKEN_BYTES).toString('base64');
    entry.token = tokenValue;
    return { sessionId: entry.session.sessionId, streamUrl: entry.streamUrl, tokenValue };
  }

  #setStatus(sessionId: string, status: SessionStatus): void {
    const entry = this.#entries.get(sessionId);
    if (entry === undefined || entry.session.status === 'Terminated' || entry.session.status === status) return;
    const previous = entry.session.status;
    entry.session = { ...entry.session, status };
    this.#announce({ type: 'status', session: entry.session, previous });
  }

  #announce(change: SessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
