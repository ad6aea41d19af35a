/**
 * One session of the relay: a connection to a backend, carried by one websocket after another (docs/protocol/iap.md, "Reconnect",
 * "Sessions and local connections"). Totals are kept by the core; here are the sockets, the timers and the faults of the plan.
 */
import type { Socket } from 'node:net';
import type { Timer } from '../../../runtime/clock.ts';
import type { World } from '../../../runtime/world.ts';
import { CutSchedule } from '../../core/cut-schedule.ts';
import { seededFractions } from '../../core/seeded.ts';
import { Backend } from './backend.ts';
import { AckPolicy } from './core/ack-policy.ts';
import { ByteSchedule } from './core/byte-schedule.ts';
import { FrameJournal, type JournalFrame } from './core/frame-journal.ts';
import { shapeBytes } from './core/frame-shaper.ts';
import { noRelayCounts } from './core/relay-counters.ts';
import { ackFrame, readFrame, reconnectedFrame, sidFrame } from './core/relay-frame.ts';
import type { RelayTarget } from './core/relay-request.ts';
import { ServiceSession } from './core/service-session.ts';
import type { RelayFaults, RelayPlan } from './relay-faults.ts';
import type { LinkLedger, RelayLink } from './relay-link.ts';

export interface RelaySessionOptions {
  readonly world: Pick<World, 'clock'>;
  readonly faults: RelayFaults;
  readonly sid: string;
  readonly target: RelayTarget;
  /** E-mail address of who opened it. */
  readonly owner: string;
  readonly ordinal: number;
  readonly violation: (what: string) => void;
  /** It is over; called once. */
  readonly over: (how: string) => void;
}

/** `open`: a websocket carries it; `lost`: it waits for one; `ended`. */
export type RelaySessionState = 'open' | 'lost' | 'ended';

const NO_BYTES = Buffer.alloc(0);

export class RelaySession {
  readonly sid: string;
  readonly target: RelayTarget;
  readonly owner: string;
  readonly core: ServiceSession;
  readonly counters = noRelayCounts();
  readonly ledger: LinkLedger;
  readonly #options: RelaySessionOptions;
  readonly #journal = new FrameJournal();
  readonly #acks: AckPolicy;
  readonly #schedule = new ByteSchedule();
  readonly #fraction: () => number;
  readonly #unfollow: () => void;
  #backend: Backend | undefined;
  #link: RelayLink | undefined;
  #state: RelaySessionState = 'lost';
  /** How it ended, for people. */
  end: string | undefined;
  /** From the backend, not sent yet. */
  #pending: Buffer = NO_BYTES;
  #backendEnd: 'finished' | 'failed' | undefined;
  #isBackendPaused = true;
  #isReadingPaused = false;
  #trafficAt: number;
  #injectionsDone = 0;
  #ackTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #reauthTimer: Timer | undefined;
  #resumeTimer: Timer | undefined;

  constructor(options: RelaySessionOptions) {
    this.#options = options;
    this.sid = options.sid;
    this.target = options.target;
    this.owner = options.owner;
    this.core = new ServiceSession({ violation: options.violation });
    this.#acks = new AckPolicy(this.core);
    this.#fraction = seededFractions(this.#plan.seed + options.ordinal * 7_919);
    this.#trafficAt = this.#clock.now();
    this.ledger = {
      counters: this.counters,
      journal: this.#journal,
      cuts: { input: new CutSchedule(), output: new CutSchedule() },
      violation: options.violation,
    };
    this.#unfollow = options.faults.onChange(() => this.#planChanged());
    this.#watchIdle();
  }

  get state(): RelaySessionState {
    return this.#state;
  }

  journal(): readonly JournalFrame[] {
    return this.#journal.list(this.#plan.journalFrames);
  }

  /** The backend is there: tag 1 to the client that asked. */
  start(socket: Socket, link: RelayLink): void {
    this.counters.connects += 1;
    this.#backend = new Backend(socket, this.#clock, {
      data: (bytes) => {
        this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
        this.#pump();
      },
      taken: (byteCount) => {
        this.core.taken += byteCount;
        this.#acknowledge(false);
        this.#readOn();
      },
      ended: (how) => {
        this.#backendEnd = how;
        this.#pump();
      },
    });
    this.#attach(link);
    link.send(sidFrame(this.sid));
    this.#started();
  }

  /** A new websocket for it. @returns the Close code when it cannot have it */
  resume(ack: bigint, link: RelayLink): { readonly code: number; readonly reason: string } | undefined {
    if (this.#link !== undefined) {
      if (this.#plan.secondWebsocket === 'refuse') return { code: 4002, reason: 'sid in use' };
      const old = this.#link;
      this.#detach();
      old.terminate();
    }
    const chunks = this.core.resume(ack);
    if (chunks === undefined) return { code: 4074, reason: 'failed to rewind' };
    this.counters.reconnects += 1;
    this.#attach(link);
    link.send(reconnectedFrame(this.core.received));
    for (const chunk of chunks) {
      this.counters.repeatedBytesDown += chunk.length;
      this.#emit(chunk);
      if (this.#link !== link) return undefined;
    }
    this.#started();
    return undefined;
  }

  /** A Close for the websocket that carries it now; the session waits for the next one. */
  reauthenticate(reason = 'reauthentication required'): void {
    const link = this.#link;
    if (link === undefined) return;
    this.counters.reauthentications += 1;
    this.#detach();
    link.close(4004, reason);
  }

  /** Ends it with a Close. */
  close(code: number, reason: string): void {
    const link = this.#link;
    if (this.#state === 'ended') return;
    this.#finish(`${code}${reason === '' ? '' : ` ${reason}`}`, code === 1000);
    link?.close(code, reason);
  }

  [Symbol.dispose](): void {
    const link = this.#link;
    this.#finish('lab ended', false);
    link?.terminate();
  }

  get #clock() {
    return this.#options.world.clock;
  }

  get #plan(): RelayPlan {
    return this.#options.faults.plan();
  }

  #attach(link: RelayLink): void {
    this.#link = link;
    this.#state = 'open';
    this.#isReadingPaused = false;
    this.#resumeTimer?.cancel();
    link.attach(
      {
        message: (message) => this.#receive(message),
        partOfMessage: (part) => this.#receivePart(part),
        drained: () => this.#pump(),
        gone: (how) => this.#linkGone(how),
      },
      this.ledger,
    );
    const { reauthenticateAfterMs: limit } = this.#plan;
    this.#reauthTimer?.cancel();
    if (limit > 0) this.#reauthTimer = this.#clock.after(limit, () => this.reauthenticate(), { background: true });
  }

  /** Tag 1 or 2 is out: the rest may follow. */
  #started(): void {
    this.#inject();
    this.#planChanged();
    this.#pump();
  }

  #linkGone(how: 'closed' | 'lost'): void {
    if (how === 'closed') this.#finish('closed by the client', true);
    else this.#detach();
  }

  #detach(): void {
    this.#link = undefined;
    if (this.#state === 'ended') return;
    this.#state = 'lost';
    this.#pauseBackend();
    this.#cancelTimers();
    const limit = this.#plan.resumeLimitMs;
    this.#resumeTimer = this.#clock.after(limit, () => this.#finish('not resumed in time', false), {
      background: true,
    });
  }

  #finish(how: string, isOrderly: boolean): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.end = how;
    this.#link = undefined;
    this.#pending = NO_BYTES;
    this.#cancelTimers();
    this.#idleTimer?.cancel();
    this.#unfollow();
    if (isOrderly) this.#backend?.close();
    else this.#backend?.destroy();
    this.#options.over(how);
  }

  #cancelTimers(): void {
    for (const timer of [this.#ackTimer, this.#reauthTimer, this.#resumeTimer]) timer?.cancel();
    this.#ackTimer = undefined;
  }

  #receive(message: Buffer): void {
    const verdict = this.core.receive(message);
    this.#count();
    switch (verdict.do) {
      case 'deliver':
        this.#deliver(verdict.payload);
        return;
      case 'more':
        this.#pump();
        return;
      case 'close':
        this.close(verdict.code, verdict.reason);
        return;
      case 'nothing':
        return;
    }
  }

  get #isBackendFull(): boolean {
    return this.#backend?.isFull(this.core.received - this.core.acked) ?? false;
  }

  #deliver(payload: Buffer): void {
    this.#trafficAt = this.#clock.now();
    this.#backend?.write(payload);
    if (this.#isBackendFull) {
      this.#isReadingPaused = true;
      this.#link?.pauseReading();
    }
    this.#passed();
  }

  #readOn(): void {
    if (!this.#isReadingPaused || this.#isBackendFull) return;
    this.#isReadingPaused = false;
    this.#link?.resumeReading();
  }

  /** A cut in the middle of a frame; what came of its payload may count. */
  #receivePart(part: Buffer): void {
    if (part.length <= 6) return;
    const payload = part.subarray(6);
    const shortened = Buffer.concat([part.subarray(0, 6), payload]);
    shortened.writeUInt32BE(payload.length, 2);
    if (readFrame(shortened).kind !== 'data') return;
    this.core.receive(shortened);
    this.#count();
    this.#backend?.write(payload);
  }

  #acknowledge(isQuiet: boolean): void {
    const link = this.#link;
    if (link === undefined) return;
    const { total, wait } = this.#acks.next(this.#plan, isQuiet);
    if (total !== undefined) {
      for (let times = this.#plan.repeatAcks ? 2 : 1; times > 0; times--) {
        this.counters.acksDown += 1;
        link.send(ackFrame(total));
      }
    }
    if (wait === undefined || this.#ackTimer !== undefined) return;
    this.#ackTimer = this.#clock.after(
      wait,
      () => {
        this.#ackTimer = undefined;
        this.#acknowledge(true);
      },
      { background: true },
    );
  }

  /** Sends what the backend gave as far as the window allows, and lets it give more. */
  #pump(): void {
    for (;;) {
      const link = this.#link;
      if (link === undefined || this.#state !== 'open') return;
      const room = this.#plan.windowBytes - this.core.unacknowledged;
      if (this.#pending.length === 0) {
        if (this.#backendEnd !== undefined) return this.#backendOver(this.#backendEnd);
        if (room > 0 && !link.isFull) this.#resumeBackend();
        else this.#pauseBackend();
        return;
      }
      if (room <= 0 || link.isFull) return this.#pauseBackend();
      const bytes = this.#pending.subarray(0, room);
      this.#pending = this.#pending.subarray(bytes.length);
      this.core.send(bytes);
      this.#trafficAt = this.#clock.now();
      this.#emit(bytes);
      this.#count();
      this.#passed();
    }
  }

  /** Everything of the backend was sent; the service has no better word for it than a Close. */
  #backendOver(how: 'finished' | 'failed'): void {
    const { endCode, errorCode } = this.#plan;
    if (how === 'failed') this.close(errorCode, 'destination write failed');
    else this.close(endCode, endCode === 4010 ? 'destination read failed' : '');
  }

  #emit(bytes: Buffer): void {
    const link = this.#link;
    shapeBytes(bytes, this.#plan, this.#fraction, ({ head, body, payloadBytes }) => {
      if (payloadBytes > 0) this.counters.dataFramesDown += 1;
      link?.send(head, body);
      if (payloadBytes > 0) this.#inject();
    });
  }

  #inject(): void {
    const { injections } = this.#plan;
    for (; this.#injectionsDone < injections.length; this.#injectionsDone += 1) {
      const { afterOutput, hex, as } = injections[this.#injectionsDone]!;
      if (afterOutput > this.counters.dataFramesDown) return;
      this.#link?.sendAs(Buffer.from(hex, 'hex'), as);
    }
  }

  /** Payload went through: what is due by bytes. */
  #passed(): void {
    for (const event of this.#schedule.due(this.core.received + this.core.sent, this.#plan)) {
      if (event.do === 'freeze') this.#link?.freeze();
      else if (event.code === 4004) this.reauthenticate(event.reason);
      else this.close(event.code, event.reason);
    }
  }

  #planChanged(): void {
    const { freeze, freezeAfterBytes } = this.#plan;
    if (freeze) this.#link?.freeze();
    else if (freezeAfterBytes === 0) this.#link?.thaw();
    this.#acknowledge(false);
    this.#pump();
  }

  #watchIdle(): void {
    const { idleLimitMs, idleCode } = this.#plan;
    const left = this.#trafficAt + idleLimitMs - this.#clock.now();
    if (left <= 0) return this.close(idleCode, '');
    this.#idleTimer = this.#clock.after(left, () => this.#watchIdle(), { background: true });
  }

  #pauseBackend(): void {
    if (this.#isBackendPaused) return;
    this.#isBackendPaused = true;
    this.#backend?.pause();
  }

  #resumeBackend(): void {
    if (!this.#isBackendPaused) return;
    this.#isBackendPaused = false;
    this.#backend?.resume();
  }

  #count(): void {
    const { core, counters } = this;
    counters.bytesUp = core.received;
    counters.bytesDown = core.sent;
    counters.dataFramesUp = core.dataFrames;
    counters.acksUp = core.ackFrames;
    counters.idleAcks = core.idleAcks;
    if (core.unacknowledged > counters.maxUnacknowledgedDown) counters.maxUnacknowledgedDown = core.unacknowledged;
  }
}
