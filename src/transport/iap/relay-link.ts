/**
 * Drives one session over websockets that come and go (docs/protocol/iap.md, "Coming back"): opens, sends, acknowledges, resumes. Knows no
 * stream; RelayStream stands on it. Every event of a websocket is tied to the attempt that opened it, so what an old one still says is
 * not heard.
 */
import { createHash } from 'node:crypto';
import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import type { SlabPool } from '../../domain/slab-pool.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { Timer } from '../../runtime/clock.ts';
import { unlessAborted } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import { MessagePump, type PumpEnd } from '../ws/message-pump.ts';
import {
  ALLOWANCE,
  judgeClose,
  type LinkEnd,
  type LinkPhase,
  silent,
  type Trouble,
  type Verdict,
} from './core/close-codes.ts';
import type { MemoryBudget } from './core/memory-budget.ts';
import { RECONNECT_LIMIT_MS, reconnectDelay } from './core/reconnect-delay.ts';
import { RelaySession, type RelayStep } from './core/relay-session.ts';
import type { RelayOptions } from './relay-options.ts';
import { farEndName, openRelaySocket, type RelayRequest } from './relay-socket.ts';
import type { SpareConnections } from './spare-connections.ts';

/** From the upgrade to tag 1 or 2; the service may still be waiting for the far side's TCP. */
export const FIRST_FRAME_LIMIT_MS = 60_000;
/** Frames made in one go before the event loop gets its turn: 1 MiB. */
const SEND_BURST = 64;
/** Timers may fire a fraction of a millisecond early, and would then be armed again for nothing. */
const TIMER_SLACK_MS = 1;
/** A websocket that carried nothing but stood this long has not failed like the one before. */
const STEADY_MS = 10_000;

export interface RelayLinkHandler {
  /** Payload in order; together `byteCount` bytes. The memory may be kept. */
  deliver(pieces: readonly Buffer[], byteCount: number): void;
  /** Bytes were sent or confirmed: more may be written, less is unconfirmed. */
  progressed(): void;
  /** Another websocket carries the session on. */
  resumed(): void;
  /** The far connection has ended, or the session has with an error. At most once, not after `close`. */
  over(error: CloudtunError | undefined): void;
}

/** What the links of a tunnel have in common. */
export interface RelayLinkParts {
  readonly world: World;
  readonly source: TicketSource<IapRelayTicket>;
  readonly to: RemoteEndpoint;
  readonly options: RelayOptions;
  readonly slabs: SlabPool;
  readonly uploads: MemoryBudget;
  readonly spares: SpareConnections;
}

/** One websocket, from the request on. */
interface Attempt {
  phase: LinkPhase;
  readonly name: string;
  pump: MessagePump | undefined;
  longClose: LinkEnd['longClose'];
  openedAt: Millis;
  /** With undefined: it carries the session now. */
  readonly settle: (verdict: Verdict | undefined) => void;
}

export class RelayLink {
  readonly session: RelaySession;
  readonly #parts: RelayLinkParts;
  readonly #handler: RelayLinkHandler;
  readonly #abort = new AbortController();
  /** Websockets that are not closed yet: the present one, and those that still say goodbye. */
  readonly #pumps = new Map<MessagePump, PromiseWithResolvers<void>>();
  #ticket: IapRelayTicket | undefined;
  #sid: Secret | undefined;
  #sessionId = '';
  #attempt: Attempt | undefined;
  #isOver = false;
  #isHeld = false;
  #timer: Timer | undefined;
  #timerAt: Millis = Number.POSITIVE_INFINITY;
  #sendSoon = false;
  /** Attempts to come back since the session last moved. */
  #tries = 0;
  /** As it was when the handler was told last. */
  #confirmed = 0;
  #troubleSince: Millis = 0;
  /** How often each verdict was followed since then. */
  readonly #followed = new Map<Verdict['do'], number>();

  constructor(parts: RelayLinkParts, handler: RelayLinkHandler) {
    this.#parts = parts;
    this.#handler = handler;
    this.session = new RelaySession({ slabs: parts.slabs, budget: parts.uploads });
  }

  get isOpen(): boolean {
    return this.session.isOpen;
  }

  /**
   * Asks for a session; resolves when the far connection stands.
   *
   * @throws CloudtunError; the reason of `signal`. The link is over then
   */
  async open(signal: AbortSignal): Promise<void> {
    const { world, source, to } = this.#parts;
    const either = AbortSignal.any([signal, this.#abort.signal]);
    const began = world.clock.now();
    try {
      let ticket = await source.issue(to, either);
      for (let tries = 1; ; tries += 1) {
        const verdict = await this.#tryOnce(ticket, { phase: 'connect' }, either);
        if (verdict === undefined) break;
        if (verdict.do === 'end' || verdict.do === 'fail' || !this.#mayFollow(verdict.do, 'connect'))
          throw errorOf(verdict);
        const delay = verdict.do === 'renew' ? 0 : reconnectDelay(tries, world.random.fraction());
        if (delay > 0) await world.clock.sleep(delay, either);
        ticket =
          verdict.do === 'renew' ? ((await source.renew(ticket, either)) ?? ticket) : await source.issue(to, either);
      }
    } catch (thrown) {
      this.#end();
      throw thrown;
    }
    this.#followed.clear();
    const { onEvent } = this.#parts.options;
    onEvent({ type: 'session-started', sessionId: this.#sessionId });
    onEvent({ type: 'phase', phase: 'relay', duration: world.clock.now() - began });
    // What came right behind tag 1 has waited for this.
    this.#handler.progressed();
    this.wake();
  }

  /** Takes bytes; returns how many. Fewer than given: `progressed` tells when to come again. */
  write(bytes: Uint8Array): number {
    const taken = this.session.write(bytes, this.#parts.world.clock.now());
    if (taken > 0) this.wake();
    return taken;
  }

  /** The reader has taken so many bytes in all. */
  consumed(total: number): void {
    this.session.consumed(total, this.#parts.world.clock.now());
    this.wake();
  }

  /** Stops reading the websocket, this one and the next; what was read already still comes. */
  hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#attempt?.pump?.pause();
    else this.#attempt?.pump?.resume();
  }

  /** In the next turn, together with whatever else comes up until then. */
  wake(): void {
    if (this.#sendSoon || this.#isOver) return;
    this.#sendSoon = true;
    queueMicrotask(() => {
      this.#sendSoon = false;
      this.#work();
    });
  }

  /** Sends what still can be sent, closes the session, and resolves when the websocket is closed. Idempotent. */
  async close(reason = 'closed'): Promise<void> {
    if (!this.#isOver) {
      this.#work();
      this.#end();
      this.#tellEnd(reason);
      this.#attempt?.pump?.close(1000);
    }
    await Promise.all([...this.#pumps.values()].map(({ promise }) => promise));
  }

  /** One websocket until it carries the session. @throws the reason of `signal` */
  async #tryOnce(ticket: IapRelayTicket, request: RelayRequest, signal: AbortSignal): Promise<Verdict | undefined> {
    this.#ticket = ticket;
    const { promise, resolve: settle } = Promise.withResolvers<Verdict | undefined>();
    const { phase } = request;
    const name = farEndName(ticket);
    const attempt: Attempt = { phase, name, pump: undefined, longClose: undefined, openedAt: 0, settle };
    this.#attempt = attempt;
    this.session.begin(phase);
    try {
      const opened = await this.#openSocket(ticket, request, signal);
      if (!(opened instanceof MessagePump)) return opened;
      this.#adopt(attempt, opened);
      return await this.#firstFrame(attempt, promise, signal);
    } finally {
      if (attempt.phase === 'open') this.#parts.spares.prepare(ticket);
      else this.#discard(attempt);
    }
  }

  async #openSocket(
    ticket: IapRelayTicket,
    request: RelayRequest,
    signal: AbortSignal,
  ): Promise<MessagePump | Trouble> {
    const { world, options, spares } = this.#parts;
    const spare = spares.take(ticket);
    const opened = await openRelaySocket(world, ticket, request, options.route, spare, signal);
    // A connection that stood idle may be dead without anybody's knowledge.
    if (spare === undefined || opened instanceof MessagePump || opened.error.code !== 'CT_NETWORK') return opened;
    return await openRelaySocket(world, ticket, request, options.route, undefined, signal);
  }

  async #firstFrame(
    attempt: Attempt,
    settled: Promise<Verdict | undefined>,
    signal: AbortSignal,
  ): Promise<Verdict | undefined> {
    const late = () => {
      const error = silent(attempt.name, FIRST_FRAME_LIMIT_MS);
      attempt.settle({ do: attempt.phase === 'connect' ? 'fail' : 'again', error });
    };
    const limit = this.#parts.world.clock.after(FIRST_FRAME_LIMIT_MS, late);
    try {
      const verdict = await unlessAborted(settled, signal);
      signal.throwIfAborted();
      return verdict;
    } finally {
      limit.cancel();
    }
  }

  #adopt(attempt: Attempt, pump: MessagePump): void {
    attempt.pump = pump;
    this.#pumps.set(pump, Promise.withResolvers<void>());
    pump.start({
      message: (bytes, isBinary) => this.#onMessage(attempt, bytes, isBinary),
      batchEnd: () => this.#workOf(attempt),
      drained: () => this.#workOf(attempt),
      closed: (end) => {
        this.#pumps.get(pump)?.resolve();
        this.#pumps.delete(pump);
        this.#onClosed(attempt, end);
      },
    });
    if (this.#isHeld) pump.pause();
  }

  #current(attempt: Attempt): boolean {
    return !this.#isOver && attempt === this.#attempt;
  }

  #workOf(attempt: Attempt): void {
    if (this.#current(attempt)) this.#work();
  }

  #onMessage(attempt: Attempt, bytes: Buffer, isBinary: boolean): void {
    if (!this.#current(attempt)) return;
    if (isBinary) this.session.receive(bytes, this.#parts.world.clock.now());
    else this.#fail(new CloudtunError('CT_PROTO_FRAME', 'the relay sent a text message'));
  }

  #onClosed(attempt: Attempt, end: PumpEnd): void {
    if (!this.#current(attempt)) return;
    // What came before the Close is delivered first.
    this.#work();
    if (!this.#current(attempt)) return;
    this.#disarm();
    this.session.lost();
    const { longClose } = attempt;
    const verdict = judgeClose({ ...end, ...(longClose && { longClose }) }, attempt.phase, attempt.name);
    if (attempt.phase === 'open') this.#lost(attempt, verdict);
    else attempt.settle(verdict);
  }

  #lost(attempt: Attempt, verdict: Verdict): void {
    this.#attempt = undefined;
    if (this.#parts.world.clock.now() - attempt.openedAt >= STEADY_MS) this.#moved();
    this.#comeBack(verdict).catch((thrown: unknown) => this.#fail(asCloudtunError(thrown)));
  }

  /** The session goes on: what went wrong before is past. */
  #moved(): void {
    if (this.#tries === 0) return;
    this.#tries = 0;
    this.#followed.clear();
  }

  #mayFollow(what: Exclude<Verdict['do'], 'end' | 'fail'>, how: keyof typeof ALLOWANCE): boolean {
    const count = (this.#followed.get(what) ?? 0) + 1;
    this.#followed.set(what, count);
    return count <= ALLOWANCE[how][what];
  }

  /** Gets the session back, or ends it. */
  async #comeBack(first: Verdict): Promise<void> {
    const { world, options } = this.#parts;
    const { signal } = this.#abort;
    const began = world.clock.now();
    if (this.#tries === 0) this.#troubleSince = began;
    for (let verdict: Verdict | undefined = first; verdict !== undefined; ) {
      if (verdict.do === 'end') return this.#finish(undefined, 'the far side closed the connection');
      const sid = this.#sid;
      if (verdict.do === 'fail' || sid === undefined) return this.#fail(errorOf(verdict));
      if (!this.#mayFollow(verdict.do, 'resume')) return this.#fail(verdict.error);
      const limit = options.reconnectLimit ?? RECONNECT_LIMIT_MS;
      if (world.clock.now() - this.#troubleSince > limit) return this.#fail(lostForGood(verdict.error, limit));
      this.#tries += 1;
      const reason = verdict.error.message;
      options.onEvent({ type: 'reconnecting', sessionId: this.#sessionId, reason, attempt: this.#tries });
      const delay = reconnectDelay(this.#tries + (verdict.do === 'wait' ? 1 : 0), world.random.fraction());
      try {
        if (delay > 0) await world.clock.sleep(delay, signal);
        const ticket = await this.#nextTicket(verdict.do === 'renew', signal);
        const { received } = this.session;
        verdict = await this.#tryOnce(ticket, { phase: 'reconnect', sid, received }, signal);
      } catch (thrown) {
        if (this.#isOver) return;
        const error = asCloudtunError(thrown);
        verdict = { do: error.retryable ? 'again' : 'fail', error };
      }
    }
    if (this.#isOver) return;
    this.#followed.delete('renew');
    const downtime = world.clock.now() - began;
    options.onEvent({ type: 'renewed', sessionId: this.#sessionId, how: 'resumed', downtime });
    this.#handler.progressed();
    this.wake();
  }

  async #nextTicket(isTokenRefused: boolean, signal: AbortSignal): Promise<IapRelayTicket> {
    const { source, to } = this.#parts;
    const renewed = isTokenRefused && this.#ticket ? await source.renew(this.#ticket, signal) : undefined;
    return renewed ?? (await source.issue(to, signal));
  }

  /** Does what the session wants done: deliver, acknowledge, send. */
  #work(): void {
    const attempt = this.#attempt;
    if (this.#isOver || attempt?.pump === undefined) return;
    const { pump } = attempt;
    const now = this.#parts.world.clock.now();
    this.session.tick(now);
    const pieces: Buffer[] = [];
    let byteCount = 0;
    let sent = 0;
    let failure: CloudtunError | undefined;
    for (;;) {
      const maySend = sent < SEND_BURST && pump.isOpen && pump.hasRoom;
      const step: RelayStep | undefined = this.session.next(now, maySend);
      if (step === undefined) break;
      switch (step.do) {
        case 'deliver':
          pieces.push(step.payload);
          byteCount += step.payload.length;
          break;
        case 'send':
          pump.transmitParts(step.header, step.pieces);
          if (step.pieces.length > 0) sent += 1;
          break;
        case 'opened':
          this.#onOpened(attempt, step.sid, now);
          break;
        case 'resumed':
          this.#carries(attempt, now);
          this.#handler.resumed();
          break;
        case 'remember':
          attempt.longClose = step;
          break;
        case 'note':
          this.#parts.world.log.info(step.message);
          break;
        case 'fail':
          failure = step.error;
          break;
      }
    }
    if (byteCount > 0) this.#handler.deliver(pieces, byteCount);
    pump.flush();
    if (failure) return this.#fail(failure, attempt);
    if (this.#isOver) return;
    const isConfirmed = this.session.confirmed > this.#confirmed;
    this.#confirmed = this.session.confirmed;
    if (byteCount > 0 || isConfirmed) this.#moved();
    if (sent > 0 || isConfirmed) this.#handler.progressed();
    if (sent === SEND_BURST) this.#parts.world.clock.soon(() => this.#work());
    this.#schedule();
  }

  #onOpened(attempt: Attempt, sid: Buffer, now: Millis): void {
    // Together with a token it is enough to take the session over, so journal and log get a digest.
    if (sid.length > 0) this.#sid = new Secret(sid.toString('latin1'));
    this.#sessionId = `iap-${createHash('sha256').update(sid).digest('hex').slice(0, 12)}`;
    this.#carries(attempt, now);
  }

  #carries(attempt: Attempt, now: Millis): void {
    attempt.phase = 'open';
    attempt.openedAt = now;
    attempt.settle(undefined);
  }

  #schedule(): void {
    const { wakeAt } = this.session;
    if (this.#isOver || wakeAt === undefined || (this.#timer && this.#timerAt <= wakeAt)) return;
    this.#timer?.cancel();
    this.#timerAt = wakeAt;
    const { clock } = this.#parts.world;
    const delay = Math.max(1, Math.ceil(wakeAt - clock.now()) + TIMER_SLACK_MS);
    this.#timer = clock.after(
      delay,
      () => {
        this.#timer = undefined;
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#work();
      },
      { background: true },
    );
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** A websocket that did not come to carry the session. */
  #discard(attempt: Attempt): void {
    if (this.#attempt === attempt) this.#attempt = undefined;
    this.session.lost();
    attempt.pump?.terminate();
  }

  #fail(error: CloudtunError, attempt = this.#attempt): void {
    if (this.#isOver) return;
    // Before the session was open, whoever asked for it hears of it.
    if (attempt !== undefined && attempt.phase !== 'open') return attempt.settle({ do: 'fail', error });
    this.#finish(error, error.message);
    attempt?.pump?.close(1000);
  }

  #finish(error: CloudtunError | undefined, reason: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#tellEnd(reason, error);
    this.#handler.over(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#disarm();
    this.session.end();
    this.#abort.abort(new CloudtunError('CT_TUNNEL_LOST', 'the connection was closed'));
  }

  #tellEnd(reason: string, error?: CloudtunError): void {
    if (this.#sessionId === '') return;
    this.#parts.options.onEvent({ type: 'session-ended', sessionId: this.#sessionId, reason, ...(error && { error }) });
  }
}

function errorOf(verdict: Verdict): CloudtunError {
  return verdict.do === 'end'
    ? new CloudtunError('CT_SESSION_ENDED', 'the far side closed the connection')
    : verdict.error;
}

function lostForGood(cause: CloudtunError, limit: Millis): CloudtunError {
  return new CloudtunError(
    'CT_TUNNEL_LOST',
    `the connection could not be resumed in ${Math.round(limit / 1000)} s: ${cause.message}`,
    { cause, hint: cause.hints },
  );
}
