/** One websocket of the relay with the faults of the plan on it: latency, cuts, a freeze. What messages mean is for the session. */
import type { Duplex } from 'node:stream';
import type { World } from '../../../runtime/world.ts';
import type { CutSchedule, CutVerdict } from '../../core/cut-schedule.ts';
import { ABRUPT, ClientSocket } from '../../websocket/client-socket.ts';
import { describeFrame, type FrameJournal } from './core/frame-journal.ts';
import type { RelayCounters } from './core/relay-counters.ts';
import { longCloseFrame } from './core/relay-frame.ts';
import { DelayLine } from './delay-line.ts';
import type { RelayPlan } from './relay-faults.ts';

export interface LinkEvents {
  message(message: Buffer): void;
  /** A cut in the middle of a message: what came of it. */
  partOfMessage(part: Buffer): void;
  drained(): void;
  /** `closed`: the client sent a Close; `lost`: without one, or cut by a fault. The last event; none after `close`. */
  gone(how: 'closed' | 'lost'): void;
}

/** What outlives a websocket: counted over the whole session. */
export interface LinkLedger {
  readonly counters: RelayCounters;
  readonly journal: FrameJournal;
  readonly cuts: { readonly input: CutSchedule; readonly output: CutSchedule };
  violation(what: string): void;
}

export interface RelayLinkOptions {
  readonly world: Pick<World, 'clock'>;
  readonly plan: () => RelayPlan;
  readonly ledger: LinkLedger;
  readonly socket: Duplex;
  readonly head: Buffer;
  /** Ends the TCP connection with a reset. */
  readonly reset: () => void;
}

const NO_BYTES = Buffer.alloc(0);
/** Of the payload's length in a DATA frame. */
const LENGTH_AT = 2;

export class RelayLink {
  readonly #options: RelayLinkOptions;
  readonly #client: ClientSocket;
  readonly #input: DelayLine;
  readonly #output: DelayLine;
  #ledger: LinkLedger;
  #events: LinkEvents | undefined;
  #isFrozen = false;
  #isOver = false;

  constructor(options: RelayLinkOptions) {
    this.#options = options;
    this.#ledger = options.ledger;
    const { clock } = options.world;
    this.#input = new DelayLine(clock, () => options.plan().inputLatencyMs);
    this.#output = new DelayLine(clock, () => options.plan().outputLatencyMs);
    this.#client = new ClientSocket(options.socket, options.head, clock, {
      text: () => {
        const events = this.#events;
        this.#ledger.violation('a text message');
        this.close(4007, 'invalid websocket opcode');
        events?.gone('closed');
      },
      binary: (message) => this.#arrive(message),
      drained: () => this.#events?.drained(),
      peerClosed: (code) => {
        this.#record('up', 'CLOSE', code);
        if (code !== 1000 && code !== 1001) this.#ledger.violation(`a Close with code ${code}`);
        this.#gone('closed');
      },
      closed: () => this.#gone('lost'),
      violation: (what) => this.#ledger.violation(what),
      answersPings: () => {
        this.#ledger.counters.pings += 1;
        return options.plan().answerPings && !this.#isFrozen;
      },
    });
  }

  /** The session that this websocket carries from now on, and its ledger. */
  attach(events: LinkEvents, ledger: LinkLedger): void {
    this.#events = events;
    this.#ledger = ledger;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Enough waits in the socket. */
  get isFull(): boolean {
    return this.#client.isFull;
  }

  /** One binary message made of two parts. */
  send(head: Buffer, body: Buffer = NO_BYTES): void {
    if (this.#isOver || this.#isFrozen) return;
    const { cutOutput, journalFrames } = this.#options.plan();
    if (journalFrames > 0) {
      const { frame, value } =
        body.length === 0 ? describeFrame(head) : { frame: 'DATA', value: head.readUInt32BE(LENGTH_AT) };
      this.#record('down', frame, value);
    }
    const verdict = this.#cutVerdict('output', head.length + body.length, cutOutput);
    if (verdict !== 'none') {
      const whole = Buffer.concat([head, body]);
      this.#output.carry(() => this.#cut(() => this.#client.sendPart(whole, verdict === 'message' ? 0 : verdict)));
      return;
    }
    if (this.#output.isClear) this.#client.sendParts(head, body);
    else this.#output.carry(() => this.#client.sendParts(head, body));
  }

  sendAs(bytes: Buffer, as: 'binary' | 'text' | 'raw'): void {
    if (as === 'binary') return this.send(bytes);
    this.#output.carry(() => (as === 'text' ? this.#client.sendText(bytes.toString()) : this.#client.sendRaw(bytes)));
  }

  /** Ends it with a Close after what is under way; no event comes any more. */
  close(code: number, reason: string): void {
    if (this.#isOver) return;
    const { longClose, longCloseReason } = this.#options.plan();
    if (longClose) this.send(longCloseFrame(code, longCloseReason || reason));
    this.#record('down', 'CLOSE', code);
    this.#events = undefined;
    this.#isOver = true;
    this.#input.clear();
    if (!this.#isFrozen) this.#output.carry(() => this.#client.close(code, reason));
  }

  /** Nothing is read and nothing sent any more; TCP stays. */
  freeze(): void {
    this.#isFrozen = true;
    this.#client.pauseReading();
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    this.#client.resumeReading();
  }

  pauseReading(): void {
    this.#client.pauseReading();
  }

  resumeReading(): void {
    if (!this.#isFrozen) this.#client.resumeReading();
  }

  /** At once, without a word. */
  terminate(): void {
    this.#end();
    this.#client.terminate();
  }

  #arrive(message: Buffer): void {
    if (this.#isOver || this.#isFrozen) return;
    if (this.#input.isClear) this.#take(message);
    else this.#input.carry(() => this.#take(message));
  }

  #take(message: Buffer): void {
    const { cutInput, journalFrames } = this.#options.plan();
    if (journalFrames > 0) {
      const { frame, value } = describeFrame(message);
      this.#record('up', frame, value);
    }
    const verdict = this.#cutVerdict('input', message.length, cutInput);
    if (verdict === 'none') {
      if (this.#events !== undefined) this.#events.message(message);
      else if (!this.#isOver) this.#ledger.violation('a message before tag 1 or 2');
      return;
    }
    this.#cut(() => {
      if (verdict !== 'message' && this.#options.plan().takePartialInput) {
        this.#events?.partOfMessage(message.subarray(0, verdict));
      }
    });
  }

  #cutVerdict(way: 'input' | 'output', byteCount: number, cuts: RelayPlan['cutInput']): CutVerdict {
    const verdict = this.#ledger.cuts[way].next(byteCount, cuts);
    return verdict !== 'none' && this.#ledger.counters.cuts < cuts.atMost ? verdict : 'none';
  }

  /** @param last what still passes, in part */
  #cut(last: () => void): void {
    if (this.#isOver) return;
    const { cutAs, cutCode, cutReason } = this.#options.plan();
    this.#ledger.counters.cuts += 1;
    if (cutAs === 'close') {
      const events = this.#events;
      this.#output.clear();
      this.close(cutCode, cutReason);
      events?.gone('lost');
      return;
    }
    last();
    const events = this.#events;
    this.#end();
    // An orderly end of TLS before the reset would look like a FIN.
    if (cutAs === 'reset') this.#client.breakOff(this.#options.reset);
    else this.#client.close(ABRUPT, '');
    events?.gone('lost');
  }

  #gone(how: 'closed' | 'lost'): void {
    const events = this.#events;
    this.#end();
    events?.gone(how);
  }

  #end(): void {
    this.#isOver = true;
    this.#events = undefined;
    this.#input.clear();
    this.#output.clear();
  }

  #record(way: 'up' | 'down', frame: string, value: number): void {
    const { journalFrames } = this.#options.plan();
    this.#ledger.journal.record(journalFrames, { at: this.#options.world.clock.now(), way, frame, value });
  }
}
