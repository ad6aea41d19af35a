/** Behind the upgrade: who may have a session, the table of sessions, and what the relay saw. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Millis } from '../../../domain/millis.ts';
import type { World } from '../../../runtime/world.ts';
import { CutSchedule } from '../../core/cut-schedule.ts';
import { type Dial, dialDestination } from '../../destination.ts';
import { FrameJournal, type JournalFrame } from './core/frame-journal.ts';
import { addRelayCounts, noRelayCounts, type RelayCounters } from './core/relay-counters.ts';
import type { RelayRequest, RelayTarget } from './core/relay-request.ts';
import type { RelayFaults } from './relay-faults.ts';
import { RelayLink } from './relay-link.ts';
import { RelaySession, type RelaySessionState } from './relay-session.ts';

export type TokenVerdict = { readonly ok: true; readonly email: string } | { readonly ok: false; readonly why: string };

/** What is behind a target, for one person. `stopped` and `unknown` look alike to a client: 4047. */
export type RelayDestination =
  | { readonly kind: 'address'; readonly host: string; readonly port: number }
  | { readonly kind: 'refused' | 'silent' | 'denied' | 'unknown' };

export interface RelayDeskOptions {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly faults: RelayFaults;
  readonly checkToken: (token: string) => TokenVerdict;
  readonly resolve: (target: RelayTarget, email: string) => Promise<RelayDestination>;
  /** Asked at each reconnect, since it opens a websocket; default: whoever may have connected may. */
  readonly mayReturn?: (target: RelayTarget, email: string) => boolean;
}

/** An accepted upgrade. */
export interface Admission {
  readonly request: RelayRequest;
  readonly verdict: TokenVerdict;
  readonly token: string;
  /** Nothing is ever to be said. */
  readonly isSilent: boolean;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly reset: () => void;
}

/** An upgrade as it came, without its token. */
export interface JournalRequest {
  readonly at: Millis;
  /** Path and query. */
  readonly url: string;
  readonly userAgent: string | undefined;
  /** `X-Goog-Request-Reason`. */
  readonly reason: string | undefined;
  /** The HTTP status. */
  readonly outcome: string;
}

export interface RelaySessionStatus {
  readonly sid: string;
  readonly owner: string;
  /** `acme-practice/asia-northeast1-a/web-1:80` */
  readonly target: string;
  readonly state: RelaySessionState;
  /** How it ended: the Close's code and reason, or in words. */
  readonly end?: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly unacknowledgedDown: number;
  readonly websockets: number;
}

/** Ended sessions that are still told apart. */
const MAX_ENDED = 500;
const MAX_VIOLATIONS = 10_000;
/** A client that breaks a rule with every message is known well enough by then. */
const MAX_VIOLATIONS_OF_ONE = 200;
const MAX_REQUESTS = 2_000;
/** 48 bytes are 64 characters of base64url. */
const SID_BYTES = 48;

export class RelayDesk {
  readonly totals: RelayCounters = noRelayCounts();
  readonly #options: RelayDeskOptions;
  readonly #sessions = new Map<string, RelaySession>();
  readonly #ended: RelaySession[] = [];
  readonly #tokens = new Map<RelaySession, string>();
  readonly #strays = new Set<RelayLink>();
  readonly #dials = new Set<Dial>();
  readonly #violations: string[] = [];
  readonly #complaints = new Map<string, number>();
  #requests: JournalRequest[] = [];
  #ordinal = 0;
  #isOver = false;

  constructor(options: RelayDeskOptions) {
    this.#options = options;
  }

  violation(where: string, what: string): void {
    const count = (this.#complaints.get(where) ?? 0) + 1;
    this.#complaints.set(where, count);
    if (count <= MAX_VIOLATIONS_OF_ONE && this.#violations.length < MAX_VIOLATIONS) {
      this.#violations.push(`${where}: ${what}`);
    }
  }

  /** Rules that clients broke, each with the start of the sid it was seen in, oldest first. */
  violations(): readonly string[] {
    return [...this.#violations];
  }

  note(request: IncomingMessage, outcome: string): void {
    const { 'user-agent': userAgent, 'x-goog-request-reason': reason } = request.headers;
    const at = this.#clock.now();
    const said = typeof reason === 'string' ? reason : undefined;
    this.#requests.push({ at, url: request.url ?? '', userAgent, reason: said, outcome });
    if (this.#requests.length > 2 * MAX_REQUESTS) this.#requests = this.#requests.slice(-MAX_REQUESTS);
  }

  /** The last upgrades, oldest first. */
  requests(): readonly JournalRequest[] {
    return this.#requests.slice(-MAX_REQUESTS);
  }

  counters(): Readonly<RelayCounters> {
    const sum = { ...this.totals };
    for (const { counters } of [...this.#sessions.values(), ...this.#ended]) addRelayCounts(sum, counters);
    return sum;
  }

  /** Open ones first. */
  sessions(): readonly RelaySessionStatus[] {
    return [...this.#sessions.values(), ...this.#ended].map(statusOf);
  }

  /** Those that a client has or may come back to. */
  openSessions(): readonly RelaySessionStatus[] {
    return [...this.#sessions.values()].map(statusOf);
  }

  /** The frames of one session, while it is known. */
  journal(sid: string): readonly JournalFrame[] {
    const session = this.#sessions.get(sid) ?? this.#ended.find((one) => one.sid === sid);
    return session?.journal() ?? [];
  }

  /** Ends one session, or all, with a Close. */
  closeSessions(code: number, reason: string, sid?: string): void {
    for (const session of [...this.#sessions.values()]) {
      if (sid === undefined || session.sid === sid) session.close(code, reason);
    }
  }

  /** Close 4004 for every websocket whose token is not good any more. */
  recheckTokens(): void {
    for (const [session, token] of [...this.#tokens]) {
      if (!this.#options.checkToken(token).ok) session.reauthenticate();
    }
  }

  admit(admission: Admission): void {
    const { socket, head, reset } = admission;
    const link = new RelayLink({
      world: this.#options.world,
      plan: () => this.#options.faults.plan(),
      ledger: {
        counters: this.totals,
        journal: new FrameJournal(),
        cuts: { input: new CutSchedule(), output: new CutSchedule() },
        violation: (what) => this.violation('unattached', what),
      },
      socket,
      head,
      reset,
    });
    this.#strays.add(link);
    socket.once('close', () => this.#strays.delete(link));
    if (admission.isSilent) return;
    const delay = this.#options.faults.plan().firstFrameDelayMs;
    if (delay === 0) this.#serve(admission, link);
    else this.#clock.after(delay, () => this.#serve(admission, link), { background: true });
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const dial of this.#dials) dial.abort();
    for (const session of [...this.#sessions.values()]) session[Symbol.dispose]();
    for (const link of this.#strays) link.terminate();
  }

  get #clock() {
    return this.#options.world.clock;
  }

  #serve({ request, verdict, token }: Admission, link: RelayLink): void {
    if (this.#isOver || link.isOver) return;
    const { faults } = this.#options;
    const plan = faults.plan();
    const knob = request.kind === 'connect' ? 'rejectConnects' : 'rejectReconnects';
    if (faults.strikes(knob, plan[knob].times)) return this.#reject(link, plan[knob].code, plan[knob].reason);
    if (!verdict.ok) return this.#reject(link, 4033, 'not authorized');
    if (request.kind === 'connect') void this.#connect(request.target, verdict.email, token, link);
    else this.#reconnect(request, verdict.email, token, link);
  }

  async #connect(target: RelayTarget, email: string, token: string, link: RelayLink): Promise<void> {
    const destination = await this.#options.resolve(target, email).catch((error: unknown): RelayDestination => {
      this.#options.world.log.warn(`lab: ${describeTarget(target)} could not be resolved: ${String(error)}`);
      return { kind: 'refused' };
    });
    if (this.#isOver || link.isOver) return;
    if (destination.kind === 'denied') return this.#reject(link, 4033, 'not authorized');
    if (destination.kind === 'unknown') return this.#reject(link, 4047, 'Failed to lookup instance');
    const failed = () => {
      limit.cancel();
      this.#dials.delete(dial);
      this.#reject(link, 4003, 'failed to connect to backend');
    };
    const limit = this.#clock.after(
      this.#options.faults.plan().backendLimitMs,
      () => {
        dial.abort();
        failed();
      },
      { background: true },
    );
    const connected: Parameters<typeof dialDestination>[2] = (socket) => {
      limit.cancel();
      this.#dials.delete(dial);
      if (this.#isOver || link.isOver) return void socket.destroy();
      const session = this.#newSession(target, email);
      this.#tokens.set(session, token);
      session.start(socket, link);
    };
    const dial = dialDestination(
      destination.kind === 'address' ? destination : { kind: destination.kind },
      this.#clock,
      connected,
      failed,
    );
    this.#dials.add(dial);
  }

  #reconnect(
    { sid, ack, place }: Extract<RelayRequest, { kind: 'reconnect' }>,
    email: string,
    token: string,
    link: RelayLink,
  ): void {
    const { faults } = this.#options;
    const session = this.#sessions.get(sid);
    if (session !== undefined && faults.strikes('forgetSessions', faults.plan().forgetSessions)) {
      session.close(4001, 'sid unknown');
      return this.#reject(link, 4001, 'sid unknown');
    }
    if (session === undefined) return this.#reject(link, 4001, 'sid unknown');
    const mayReturn = this.#options.mayReturn?.(session.target, email) ?? true;
    if (session.owner !== email || !mayReturn) return this.#reject(link, 4033, 'not authorized');
    const expected = session.target.kind === 'instance' ? session.target.zone : session.target.region;
    if (place !== undefined && place !== expected) {
      this.violation(sid.slice(0, 8), `a reconnect in ${place} of a session in ${expected}`);
    }
    const refusal = session.resume(ack, link);
    if (refusal === undefined) this.#tokens.set(session, token);
    else this.#reject(link, refusal.code, refusal.reason);
  }

  #newSession(target: RelayTarget, owner: string): RelaySession {
    const sid = this.#options.world.random.bytes(SID_BYTES).toString('base64url');
    const session: RelaySession = new RelaySession({
      world: this.#options.world,
      faults: this.#options.faults,
      sid,
      target,
      owner,
      ordinal: this.#ordinal++,
      violation: (what) => this.violation(sid.slice(0, 8), what),
      over: () => {
        this.#sessions.delete(sid);
        this.#tokens.delete(session);
        this.#ended.push(session);
        if (this.#ended.length > MAX_ENDED) addRelayCounts(this.totals, this.#ended.shift()!.counters);
      },
    });
    this.#sessions.set(sid, session);
    return session;
  }

  #reject(link: RelayLink, code: number, reason: string): void {
    this.totals.rejectedSessions += 1;
    link.close(code, reason);
  }
}

function statusOf(session: RelaySession): RelaySessionStatus {
  const { core, counters } = session;
  return {
    sid: session.sid,
    owner: session.owner,
    target: describeTarget(session.target),
    state: session.state,
    ...(session.end === undefined ? {} : { end: session.end }),
    bytesUp: core.received,
    bytesDown: core.sent,
    unacknowledgedDown: core.unacknowledged,
    websockets: counters.connects + counters.reconnects,
  };
}

/** `project/zone/instance:port`, or `host:port@region/network/group` as users write it. */
export function describeTarget(target: RelayTarget): string {
  if (target.kind === 'instance') return `${target.project}/${target.zone}/${target.instance}:${target.port}`;
  const group = target.group === undefined ? '' : `/${target.group}`;
  return `${target.host}:${target.port}@${target.region}/${target.network}${group}`;
}
