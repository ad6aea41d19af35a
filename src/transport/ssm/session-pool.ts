/**
 * Several sessions behind one tunnel. Usually there is one. Another one is started where a person asked for several or the load does
 * (core/session-placement.ts), when a slow reader makes a session pause (new connections must not wait behind it, spec section 5.5),
 * and for every further connection in basic mode. What the cloud does not give is done without.
 */
import type { TunnelStream } from '../../domain/dialer.ts';
import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import type { Timer } from '../../runtime/clock.ts';
import { unlessAborted, withDeadline } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import type { Tunnel, TunnelEnd, TunnelStats } from '../tunnel.ts';
import { type Placement, SessionPlacement, SPARE_LIFE, type StartCause } from './core/session-placement.ts';
import { PortSession } from './port-session.ts';
import type { SsmOptions } from './session-options.ts';

/** A connection that could go elsewhere waits so long for a session of its own. Guessed: three times what a start usually takes. */
const PATIENCE: Millis = 3_000;

/** A session, and since when nobody uses it. */
interface Member {
  readonly session: PortSession;
  idleSince: Millis | undefined;
}

export class SessionPool implements Tunnel {
  readonly #world: World;
  readonly #source: TicketSource<SsmSessionTicket>;
  readonly #to: RemoteEndpoint;
  readonly #options: SsmOptions;
  readonly #placement: SessionPlacement;
  readonly #members = new Set<Member>();
  readonly #closed = Promise.withResolvers<TunnelEnd>();
  readonly #abort = new AbortController();
  /** Sessions that are over here and not yet terminated in the cloud. */
  readonly #releasing = new Set<Promise<void>>();
  /** Told when a place may be free: a session is over, or will not come. */
  readonly #waiting = new Set<() => void>();
  /** The oldest first. */
  readonly #starts = new Set<Promise<void>>();
  #waitingForStart = 0;
  /** Sessions that the cloud has of us, those that are not ready yet included. */
  #cloudCount = 0;
  #spareTimer: Timer | undefined;
  #closing: Promise<void> | undefined;
  #lastError: CloudtunError | undefined;
  /** All sessions are lost; what is being started may still save the tunnel. */
  #lastHope: TunnelEnd | undefined;
  #pastBytes = { up: 0, down: 0 };

  private constructor(world: World, source: TicketSource<SsmSessionTicket>, to: RemoteEndpoint, options: SsmOptions) {
    this.#world = world;
    this.#source = source;
    this.#to = to;
    this.#options = options;
    this.#placement = new SessionPlacement(options.sessions ?? 1);
  }

  /** Starts the first session. @throws CloudtunError */
  static async open(
    world: World,
    source: TicketSource<SsmSessionTicket>,
    to: RemoteEndpoint,
    options: SsmOptions,
    signal: AbortSignal,
  ): Promise<SessionPool> {
    const pool = new SessionPool(world, source, to, options);
    await pool.#startSession(undefined, signal);
    return pool;
  }

  get closed(): Promise<TunnelEnd> {
    return this.#closed.promise;
  }

  async open(signal: AbortSignal): Promise<TunnelStream> {
    /** Why a session that was waited for did not come, or did not come in time. */
    let disappointment: CloudtunError | 'late' | undefined;
    for (;;) {
      signal.throwIfAborted();
      if (this.#closing) throw closed();
      const members = [...this.#members].filter(({ session }) => !session.isOver);
      const step = this.#placement.place(
        members.map(({ session }) => session.placeable()),
        { starting: this.#starts.size, waiting: this.#waitingForStart },
        this.#world.clock.now(),
      );
      if (step.do === 'use') return this.#openOn(members[step.index]!);
      if (step.do === 'wait') {
        await this.#placeFree(signal);
        continue;
      }
      if (disappointment && step.orUse !== undefined) return this.#openOn(members[step.orUse]!);
      if (disappointment instanceof CloudtunError) throw disappointment;
      disappointment = await this.#awaitStart(step, signal);
    }
  }

  #openOn(member: Member): TunnelStream {
    const stream = member.session.carrier.open();
    member.idleSince = undefined;
    stream.once('close', () => {
      if (member.session.carrier.openCount > 0) return;
      member.idleSince = this.#world.clock.now();
      this.#watchSpares();
    });
    return stream;
  }

  /** Until a session was started, which may be taken by another connection by then. Resolves with why none came for this one. */
  async #awaitStart(
    step: Extract<Placement, { do: 'start' | 'join' }>,
    signal: AbortSignal,
  ): Promise<CloudtunError | 'late' | undefined> {
    const [oldest] = this.#starts;
    const start = step.do === 'start' ? this.#begin(step.because) : oldest!;
    // Behind a slow reader is worse than late, and without another session there is no choice.
    const isWillingToWait = step.orUse === undefined || (step.do === 'start' && step.because === 'stalled');
    this.#waitingForStart += 1;
    try {
      if (isWillingToWait) await unlessAborted(start, signal);
      else await withDeadline(this.#world.clock, PATIENCE, (late) => unlessAborted(start, late), signal);
      return undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      return thrown instanceof DOMException ? 'late' : asCloudtunError(thrown);
    } finally {
      this.#waitingForStart -= 1;
    }
  }

  /** Starts a further session, which goes on when those who wait for it leave. */
  #begin(because: StartCause): Promise<void> {
    const start = this.#startSession(because, this.#abort.signal).finally(() => {
      this.#starts.delete(start);
      this.#wakeWaiting();
    });
    this.#starts.add(start);
    start.catch((thrown: unknown) => this.#notStarted(because, asCloudtunError(thrown)));
    return start;
  }

  #notStarted(because: StartCause, error: CloudtunError): void {
    if (this.#closing) return;
    const { clock, random } = this.#world;
    const isNews = because !== 'connection' && this.#placement.startFailed(clock.now(), random.fraction());
    if (isNews && this.#members.size > 0) {
      const message = `no further session for now, connections share what there is: ${error.message} (${error.code})`;
      this.#options.onEvent({ type: 'warning', message });
    }
    if (this.#lastHope && this.#members.size + this.#starts.size === 0) this.#closed.resolve(this.#lastHope);
  }

  async #startSession(because: StartCause | undefined, signal: AbortSignal): Promise<void> {
    const options: SsmOptions = {
      ...this.#options,
      onEvent: (event) => {
        if (event.type === 'session-started') this.#cloudCount += 1;
        if (event.type === 'session-ended') this.#cloudCount -= 1;
        const isNamed = because !== undefined && event.type === 'session-started';
        this.#options.onEvent(isNamed ? { ...event, further: { because, count: this.#cloudCount } } : event);
      },
    };
    const onTraffic = () => this.#observe();
    const session = await PortSession.start(this.#world, this.#source, this.#to, { ...options, onTraffic }, signal);
    if (this.#closing) {
      await session.close();
      throw closed();
    }
    this.#adopt(session);
  }

  #adopt(session: PortSession): void {
    const now = this.#world.clock.now();
    const member: Member = { session, idleSince: now };
    this.#members.add(member);
    this.#placement.started(now);
    this.#lastHope = undefined;
    this.#watchSpares();
    void session.ended.then((end) => {
      this.#members.delete(member);
      const released = session.close().finally(() => this.#releasing.delete(released));
      this.#releasing.add(released);
      this.#pastBytes.up += session.carrier.bytesUp;
      this.#pastBytes.down += session.carrier.bytesDown;
      this.#lastError = end.error;
      this.#wakeWaiting();
      // A basic session ends with its connection; the tunnel goes on.
      if (this.#members.size > 0 || end.error === undefined || this.#closing) return;
      const isByService = end.error.code === 'CT_SESSION_ENDED';
      const tunnelEnd: TunnelEnd = { reason: isByService ? 'ended-by-service' : 'lost', error: end.error };
      if (this.#starts.size === 0) this.#closed.resolve(tunnelEnd);
      else this.#lastHope = tunnelEnd;
    });
  }

  #observe(): void {
    const sharing = this.#placement.observe(
      [...this.#members].map(({ session }) => session.placeable()),
      this.#world.clock.now(),
    );
    if (sharing === undefined) return;
    const message =
      sharing === 1
        ? 'one connection goes through one session, about 0.7 MB/s; several connections can use --sessions'
        : `${sharing} connections share one session, about 0.7 MB/s in all; --sessions auto spreads new ones`;
    this.#options.onEvent({ type: 'hint', message });
  }

  /** Sessions beyond those that were asked for are ended when nobody used them for a while. */
  #watchSpares(): void {
    if (this.#spareTimer !== undefined || this.#closing) return;
    const [longestIdle] = this.#spares();
    if (longestIdle === undefined) return;
    const { clock } = this.#world;
    const delay = Math.max(0, longestIdle.idleSince! + SPARE_LIFE - clock.now());
    this.#spareTimer = clock.after(delay, () => this.#endSpares(), { background: true });
  }

  #endSpares(): void {
    this.#spareTimer = undefined;
    const now = this.#world.clock.now();
    for (const { session, idleSince } of this.#spares()) {
      if (now - idleSince! >= SPARE_LIFE) void session.close(undefined, 'not needed any more');
    }
    this.#watchSpares();
  }

  /** Those that may be ended, the one that was unused for the longest time first. */
  #spares(): readonly Member[] {
    const open = [...this.#members].filter(({ session }) => !session.isEnding);
    const surplus = Math.max(0, open.length - this.#placement.spareCount);
    return open
      .filter(({ session, idleSince }) => idleSince !== undefined && session.mode === 'mux')
      .sort((one, other) => one.idleSince! - other.idleSince!)
      .slice(0, surplus);
  }

  async #placeFree(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await unlessAborted(promise, signal);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting) wake();
  }

  stats(): TunnelStats {
    const each = [...this.#members].map(({ session }) => session.figures());
    const sum = (key: 'openStreams' | 'bytesUp' | 'bytesDown' | 'rateUp' | 'rateDown') =>
      each.reduce((total, figures) => total + figures[key], 0);
    const roundTrips = each.flatMap(({ roundTripMs }) => (roundTripMs === undefined ? [] : [roundTripMs]));
    return {
      openStreams: sum('openStreams'),
      sessions: each.length,
      bytesUp: this.#pastBytes.up + sum('bytesUp'),
      bytesDown: this.#pastBytes.down + sum('bytesDown'),
      rateUp: sum('rateUp'),
      rateDown: sum('rateDown'),
      roundTripMs: roundTrips.length === 0 ? undefined : Math.max(...roundTrips),
      each,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort(closed());
    this.#spareTimer?.cancel();
    this.#wakeWaiting();
    await Promise.allSettled([...[...this.#members].map(({ session }) => session.close()), ...this.#starts]);
    await Promise.allSettled(this.#releasing);
    this.#closed.resolve({ reason: 'closed-by-us', ...(this.#lastError ? { error: this.#lastError } : {}) });
  }
}

function closed(): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', 'the tunnel is closed');
}
