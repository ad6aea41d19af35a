/**
 * Drives one session over websockets that come and go (docs/protocol/iap.md, "Reconnect"): opens, sends, acknowledges, resumes. Knows no
 * stream; RelayStream stands on it. Every event of a websocket is tied to the attempt that opened it, so what an old one still says is
 * not heard.
 */
import { createHash } from 'node:crypto';
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import { INTERVALS } from '../../domain/intervals.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import { SignInWait } from '../../domain/sign-in-wait.ts';
import type { IapRelayTicket } from '../../domain/ticket.ts';
import { unlessAborted } from '../../runtime/deadline.ts';
import { pauseUnlessWoken } from '../../runtime/wake-watch.ts';
import { MessagePump, type PumpEnd } from '../ws/message-pump.ts';
import { judgeClose, type LinkEnd, silent, type Verdict } from './core/close-codes.ts';
import { type NextTry, Perseverance } from './core/perseverance.ts';
import { RelaySession, type RelayStep } from './core/relay-session.ts';
import { DueTimer } from './due-timer.ts';
import { relayEnding } from './relay-ending.ts';
import type { Attempt, RelayLinkHandler, RelayLinkParts, Turn } from './relay-link-parts.ts';
import { farEndName, openRelaySocket, type RelayRequest } from './relay-socket.ts';

/** From the upgrade to tag 1 or 2; the service may still be waiting for the far side's TCP. */
export const FIRST_FRAME_LIMIT_MS = 60_000;
/** Frames made in one go before the event loop gets its turn: 1 MiB. */
const SEND_BURST = 64;

export class RelayLink {
  readonly session: RelaySession;
  readonly #parts: RelayLinkParts;
  readonly #handler: RelayLinkHandler;
  readonly #perseverance: Perseverance;
  readonly #timer: DueTimer;
  readonly #abort = new AbortController();
  /** Websockets that are not closed yet: the present one, and those that still say goodbye. */
  readonly #pumps = new Map<MessagePump, PromiseWithResolvers<void>>();
  #ticket: IapRelayTicket | undefined;
  #sid: Secret | undefined;
  #sessionId = '';
  #attempt: Attempt | undefined;
  #isOver = false;
  #isHeld = false;
  #sendSoon = false;
  #isWorking = false;
  /** As it was when the handler was told last. */
  #confirmed = 0;
  #lastClose: LinkEnd | undefined;

  constructor(parts: RelayLinkParts, handler: RelayLinkHandler) {
    this.#parts = parts;
    this.#handler = handler;
    this.#perseverance = new Perseverance(parts.options.reconnectLimit);
    this.#timer = new DueTimer(parts.world.clock, () => this.#work());
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
      for (;;) {
        const verdict = await this.#tryOnce(ticket, { phase: 'connect' }, either);
        if (verdict === undefined) break;
        const next = this.#next(verdict, 'connect');
        if (next.do === 'give-up') throw next.error;
        if (next.delay > 0) await world.clock.sleep(next.delay, either);
        ticket = await this.#nextTicket(next.wantsNewToken, either);
      }
    } catch (thrown) {
      this.#end();
      // It may have come to carry the session in the moment in which nobody wanted it any more.
      this.#attempt?.pump?.close(1000);
      throw thrown;
    }
    this.#perseverance.moved();
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
    if (this.#sendSoon || this.#isOver || this.#isWorking) return;
    this.#sendSoon = true;
    queueMicrotask(() => {
      this.#sendSoon = false;
      this.#work();
    });
  }

  /** Sends what still can be sent, closes the session, and resolves when the websocket is closed. Idempotent. */
  async close(reason = 'closed'): Promise<void> {
    if (!this.#isOver) {
      // Also in the middle of a go: a reader may close when it has heard enough.
      this.#isWorking = false;
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
    const attempt: Attempt = { phase, name, pump: undefined, longClose: undefined, settle };
    this.#attempt = attempt;
    this.session.begin(phase);
    try {
      const { world, options, spares } = this.#parts;
      const opened = await openRelaySocket(world, ticket, request, options, spares, signal);
      if (!(opened instanceof MessagePump)) return opened;
      this.#adopt(attempt, opened);
      return await this.#firstFrame(attempt, promise, signal);
    } finally {
      if (attempt.phase === 'open') this.#parts.spares.prepare(ticket);
      else this.#discard(attempt);
    }
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
      signal.throwIfAborted();
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
    this.#timer.cancel();
    this.session.lost();
    const { longClose } = attempt;
    this.#lastClose = { ...end, ...(longClose && { longClose }) };
    const verdict = judgeClose(this.#lastClose, attempt.phase, attempt.name);
    if (attempt.phase === 'open') this.#lost(verdict);
    else attempt.settle(verdict);
  }

  #lost(verdict: Verdict): void {
    this.#attempt = undefined;
    this.#perseverance.lost(this.#parts.world.clock.now());
    this.#comeBack(verdict).catch((thrown: unknown) => this.#fail(asCloudtunError(thrown)));
  }

  #next(verdict: Verdict, how: 'connect' | 'resume'): NextTry {
    const { clock, random } = this.#parts.world;
    if (verdict.do === 'end') return { do: 'give-up', error: overAlready() };
    return this.#perseverance.next(verdict, how, clock.now(), random.fraction());
  }

  /** Gets the session back, or ends it. */
  async #comeBack(first: Verdict): Promise<void> {
    const { world, options } = this.#parts;
    const { signal } = this.#abort;
    const began = world.clock.now();
    const { wake, intervals = INTERVALS } = options;
    const watch = wake && { watch: wake, every: intervals.wake };
    const signIn = new SignInWait(intervals, options.onEvent);
    wake?.look();
    for (let verdict: Verdict | undefined = first; verdict !== undefined; ) {
      if (verdict.do === 'end') return this.#finish(undefined, 'the far side closed the connection');
      const sid = this.#sid;
      const next = sid === undefined ? undefined : this.#next(verdict, 'resume');
      if (sid === undefined || next === undefined) return this.#fail(verdict.error);
      if (next.do === 'give-up') return this.#fail(next.error);
      const told = { sessionId: this.#sessionId, reason: verdict.error.message, attempt: next.attempt };
      options.onEvent({ type: 'reconnecting', ...told });
      try {
        const delay = Math.max(next.delay, signIn.pause);
        if (delay > 0) await pauseUnlessWoken(world.clock, delay, watch, signal);
        const ticket = await this.#nextTicket(next.wantsNewToken, signal);
        signIn.passed(world.clock.now());
        const { received } = this.session;
        verdict = await this.#tryOnce(ticket, { phase: 'reconnect', sid, received }, signal);
      } catch (thrown) {
        if (this.#isOver) return;
        const error = asCloudtunError(thrown);
        const mayTry = error.retryable || signIn.isWorthIt(error, world.clock.now());
        verdict = { do: mayTry ? 'again' : 'fail', error };
      }
    }
    if (this.#isOver) return;
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
    if (this.#isOver || this.#isWorking || attempt?.pump === undefined) return;
    const { pump } = attempt;
    const now = this.#parts.world.clock.now();
    const turn: Turn = { pieces: [], byteCount: 0, sent: 0, failure: undefined };
    let delivered = 0;
    this.#isWorking = true;
    this.session.tick(now);
    this.#drain(attempt, pump, now, turn);
    // What is taken at once may owe an acknowledge at once.
    while (turn.byteCount > 0) {
      const { pieces, byteCount } = turn;
      delivered += byteCount;
      turn.pieces = [];
      turn.byteCount = 0;
      this.#handler.deliver(pieces, byteCount);
      if (this.#isOver) return;
      this.#drain(attempt, pump, now, turn);
    }
    this.#isWorking = false;
    pump.flush();
    if (turn.failure) return this.#fail(turn.failure, attempt);
    if (this.#isOver) return;
    const isConfirmed = this.session.confirmed > this.#confirmed;
    this.#confirmed = this.session.confirmed;
    if (delivered > 0 || isConfirmed) this.#perseverance.moved();
    if (turn.sent > 0 || isConfirmed) this.#handler.progressed();
    if (turn.sent === SEND_BURST) this.#parts.world.clock.soon(() => this.#work());
    this.#timer.by(this.session.wakeAt);
  }

  #drain(attempt: Attempt, pump: MessagePump, now: Millis, turn: Turn): void {
    for (;;) {
      const maySend = turn.sent < SEND_BURST && pump.isOpen && pump.hasRoom;
      const step: RelayStep | undefined = this.session.next(now, maySend);
      if (step === undefined) return;
      switch (step.do) {
        case 'deliver':
          turn.pieces.push(step.payload);
          turn.byteCount += step.payload.length;
          break;
        case 'send':
          pump.transmitParts(step.header, step.pieces);
          if (step.pieces.length > 0) turn.sent += 1;
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
          turn.failure = step.error;
          break;
      }
    }
  }

  #onOpened(attempt: Attempt, sid: Buffer, now: Millis): void {
    // Together with a token it is enough to take the session over, so journal and log get a digest.
    if (sid.length > 0) this.#sid = new Secret(sid.toString('latin1'));
    this.#sessionId = `iap-${createHash('sha256').update(sid).digest('hex').slice(0, 12)}`;
    this.#carries(attempt, now);
  }

  #carries(attempt: Attempt, now: Millis): void {
    attempt.phase = 'open';
    this.#perseverance.opened(now);
    attempt.settle(undefined);
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
    this.#end(error);
    this.#tellEnd(reason, error);
    this.#handler.over(error);
  }

  /** @param error what whoever still waits in `open` is told */
  #end(error?: CloudtunError): void {
    this.#isOver = true;
    this.#timer.cancel();
    this.session.end();
    this.#abort.abort(error ?? new CloudtunError('CT_TUNNEL_LOST', 'the connection was closed'));
  }

  #tellEnd(reason: string, error?: CloudtunError): void {
    if (this.#sessionId === '') return;
    const told = { sessionId: this.#sessionId, reason, ending: relayEnding(this.session, error, this.#lastClose) };
    this.#parts.options.onEvent({ type: 'session-ended', ...told, ...(error && { error }) });
  }
}

function overAlready(): CloudtunError {
  return new CloudtunError('CT_SESSION_ENDED', 'the far side closed the connection');
}
