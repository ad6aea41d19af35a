/**
 * The client's end of one session with the relay (docs/protocol/iap.md, "Acknowledgements and flow control", "Reconnect"): byte totals in
 * both directions, acknowledges that are owed, what has to be sent again. Frames and `now` go in, steps come out; websockets, timers and
 * the decision whether to come back belong to the driver.
 *
 *     up    log.confirmed <= log.cursor, log.confirmed <= log.sent <= log.written
 *     down  acked <= consumed <= received        (consumed may fall behind acked where a reader puts bytes back)
 *
 * Totals are payload bytes since the session began and are never reset, whatever becomes of the websockets.
 *
 * An acknowledge is credit here: the service stops at about 1.5 MB that are not acknowledged. So it says what the reader *took*, and a
 * reader that stands still stops the service by it.
 */
import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import type { SlabPool } from '../../../domain/slab-pool.ts';
import { MemoryBudget } from './memory-budget.ts';
import { dataHeader, decodeFrame, encodeAck } from './relay-frame.ts';
import { UploadLog } from './upload-log.ts';

/** Taken by the reader and not acknowledged yet: then an acknowledge is owed at once. Two full frames. */
export const ACK_BYTES = 32 * 1024;
/** … or so long after the first byte of them. */
export const ACK_DELAY_MS = 100;
/** Not confirmed: then no more is taken from the writer, until half of it is confirmed. */
export const UPLOAD_BYTES = 8 * 1024 * 1024;
/** The service's own spacing of acknowledges is not known: if none comes for this long, so much may wait instead. */
export const PATIENT_UPLOAD_BYTES = 64 * 1024 * 1024;
export const ACK_PATIENCE_MS = 30_000;
/** Not sent for the first time: more of it helps nobody. */
const UNSENT_BYTES = 1024 * 1024;
/** A writer of single bytes must not make more objects than bytes. */
const MOST_PIECES = 16 * 1024;

/** What the driver has to do, in this order. */
export type RelayStep =
  /** CONNECT_SUCCESS_SID: the far connection stands. */
  | { readonly do: 'opened'; readonly sid: Buffer }
  /** RECONNECT_SUCCESS_ACK: it goes on. */
  | { readonly do: 'resumed' }
  | { readonly do: 'deliver'; readonly payload: Buffer }
  /** One websocket message: `header`, then the pieces. */
  | { readonly do: 'send'; readonly header: Buffer; readonly pieces: readonly Buffer[] }
  /** A reason longer than the Close that will follow. */
  | { readonly do: 'remember'; readonly code: number; readonly reason: string }
  /** For people who ask. */
  | { readonly do: 'note'; readonly message: string }
  /** The session is over; nothing more comes. */
  | { readonly do: 'fail'; readonly error: CloudtunError };

type State = 'idle' | 'connecting' | 'resuming' | 'open' | 'over';

const NO_PIECES: readonly Buffer[] = [];

export interface RelaySessionOptions {
  readonly slabs?: SlabPool;
  /** For upload, shared by the sessions of a tunnel. */
  readonly budget?: MemoryBudget;
}

export class RelaySession {
  readonly #log: UploadLog;
  readonly #budget: MemoryBudget;
  #state: State = 'idle';
  #steps: RelayStep[] = [];
  #received = 0;
  #consumed = 0;
  #acked = 0;
  #ackDueAt: Millis | undefined;
  #uploadLimit = UPLOAD_BYTES;
  #isFull = false;
  /** When waiting for an acknowledge began, or the last one came; set while full. */
  #fullSince: Millis | undefined;
  #hasNotedTrailing = false;

  constructor(options: RelaySessionOptions = {}) {
    this.#log = new UploadLog(options.slabs);
    this.#budget = options.budget ?? new MemoryBudget(Number.POSITIVE_INFINITY, 0);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Payload bytes received: the `ack` of a reconnect. */
  get received(): number {
    return this.#received;
  }

  get acked(): number {
    return this.#acked;
  }

  get confirmed(): number {
    return this.#log.confirmed;
  }

  get written(): number {
    return this.#log.written;
  }

  /** Bytes taken from the writer that the service has not confirmed. */
  get unconfirmed(): number {
    return this.#log.written - this.#log.confirmed;
  }

  /** Whether bytes wait to be sent. */
  get hasOutput(): boolean {
    return this.#log.cursor < this.#log.written;
  }

  /** When `tick` should be called. */
  get wakeAt(): Millis | undefined {
    if (this.#state !== 'open') return undefined;
    const patienceAt = this.#isImpatient ? this.#fullSince! + ACK_PATIENCE_MS : undefined;
    if (this.#ackDueAt === undefined || patienceAt === undefined) return this.#ackDueAt ?? patienceAt;
    return Math.min(this.#ackDueAt, patienceAt);
  }

  /** A websocket is being opened for this session. From now on nothing of a former one may be given to `receive`. */
  begin(how: 'connect' | 'reconnect'): void {
    if (this.#state === 'over') return;
    this.#state = how === 'connect' ? 'connecting' : 'resuming';
    // The query of a reconnect says it.
    if (how === 'reconnect') this.#acked = this.#received;
    this.#ackDueAt = undefined;
  }

  /** The websocket is gone. */
  lost(): void {
    if (this.#state === 'over') return;
    this.#state = 'idle';
    this.#fullSince = undefined;
  }

  /** Nothing more is sent or received; memory is released. Idempotent. */
  end(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#budget.add(-this.unconfirmed);
    this.#log.clear();
  }

  /** One message of the present websocket. */
  receive(message: Buffer, now: Millis): void {
    if (this.#state === 'over' || this.#state === 'idle') return;
    try {
      this.#receive(message, now);
    } catch (thrown) {
      this.#fail(thrown as CloudtunError);
    }
  }

  #receive(message: Buffer, now: Millis): void {
    const frame = decodeFrame(message);
    if (frame.kind !== 'unknown' && frame.trailing > 0) this.#noteTrailing(frame.trailing);
    switch (frame.kind) {
      case 'data':
        this.#mustBeOpen('DATA');
        if (frame.payload.length === 0) return;
        this.#received = safe(this.#received + frame.payload.length);
        this.#steps.push({ do: 'deliver', payload: frame.payload });
        return;
      case 'ack':
        this.#mustBeOpen('ACK');
        this.#confirm(frame.total, 'acknowledged', now);
        return;
      case 'sid':
        if (this.#state !== 'connecting') throw broken('a session id, which was not asked for');
        this.#state = 'open';
        this.#steps.push({ do: 'opened', sid: frame.sid });
        return;
      case 'reconnected':
        if (this.#state !== 'resuming') throw broken('the answer to a reconnect, which was not asked for');
        this.#confirm(frame.total, 'told on a reconnect', now);
        this.#log.rewind(this.#log.confirmed);
        this.#state = 'open';
        if (this.#isFull) this.#fullSince = now;
        this.#oweAck(now);
        this.#steps.push({ do: 'resumed' });
        return;
      case 'long-close':
        this.#steps.push({ do: 'remember', code: frame.code, reason: frame.reason });
        return;
      case 'unknown':
        return;
    }
  }

  /** Takes bytes to be sent. Returns how many; fewer than given means that no more may be taken now. */
  write(bytes: Uint8Array, now: Millis): number {
    const room = this.#room();
    const taken = bytes.length <= room ? bytes.length : Math.max(0, room);
    if (taken > 0) {
      this.#log.append(taken === bytes.length ? bytes : bytes.subarray(0, taken));
      this.#budget.add(taken);
    }
    if (this.unconfirmed >= this.#uploadLimit) this.#isFull = true;
    if (this.#isFull) this.#fullSince ??= now;
    return taken;
  }

  /** Whether `write` would take anything. */
  get hasRoom(): boolean {
    return this.#room() > 0;
  }

  #room(): number {
    const { unconfirmed } = this;
    const log = this.#log;
    if (this.#state === 'over' || this.#isFull || log.pieceCount >= MOST_PIECES) return 0;
    if (!this.#budget.allows(unconfirmed)) return 0;
    return Math.min(this.#uploadLimit - unconfirmed, UNSENT_BYTES - (log.written - log.sent));
  }

  /** The reader has taken so many bytes in all, of those that were delivered. */
  consumed(total: number, now: Millis): void {
    this.#consumed = total;
    if (this.#state === 'open') this.#oweAck(now);
  }

  tick(now: Millis): void {
    if (!this.#isImpatient || now - this.#fullSince! < ACK_PATIENCE_MS) return;
    this.#uploadLimit = PATIENT_UPLOAD_BYTES;
    this.#isFull = false;
    this.#fullSince = undefined;
    this.#steps.push({
      do: 'note',
      message: `the relay acknowledged nothing for ${ACK_PATIENCE_MS / 1000} s: up to ${PATIENT_UPLOAD_BYTES / 2 ** 20} MiB may wait now`,
    });
  }

  /**
   * The next thing to do, undefined when there is none now. What came in goes first, then an acknowledge that is due, then bytes.
   *
   * @param maySend whether the websocket takes more bytes; acknowledges are made in any case
   */
  next(now: Millis, maySend: boolean): RelayStep | undefined {
    const step = this.#steps.shift();
    if (step !== undefined || this.#state !== 'open') return step;
    if (this.#isAckDue(now)) return this.#ack();
    if (!maySend) return undefined;
    const payload = this.#log.next();
    if (payload === undefined) return undefined;
    return { do: 'send', header: dataHeader(payload.byteCount), pieces: payload.pieces };
  }

  get #isImpatient(): boolean {
    return (
      this.#state === 'open' && this.#fullSince !== undefined && !this.hasOutput && this.#uploadLimit === UPLOAD_BYTES
    );
  }

  #isAckDue(now: Millis): boolean {
    // A reader may have put bytes back: an acknowledge must not go back with them.
    if (this.#ackDueAt === undefined || this.#consumed <= this.#acked) return false;
    return this.#consumed - this.#acked >= ACK_BYTES || now >= this.#ackDueAt;
  }

  #ack(): RelayStep {
    this.#acked = this.#consumed;
    this.#ackDueAt = undefined;
    return { do: 'send', header: encodeAck(BigInt(this.#acked)), pieces: NO_PIECES };
  }

  #oweAck(now: Millis): void {
    if (this.#consumed > this.#acked) this.#ackDueAt ??= now + ACK_DELAY_MS;
    else this.#ackDueAt = undefined;
  }

  #confirm(total: bigint, how: string, now: Millis): void {
    const log = this.#log;
    if (total < BigInt(log.confirmed) || total > BigInt(log.sent)) {
      throw broken(`${total} bytes ${how}, where ${log.confirmed} were confirmed and ${log.sent} sent`);
    }
    const progress = Number(total) - log.confirmed;
    if (progress === 0) return;
    log.confirm(Number(total));
    if (this.#fullSince !== undefined) this.#fullSince = now;
    if (this.#isFull && this.unconfirmed <= this.#uploadLimit / 2) {
      this.#isFull = false;
      this.#fullSince = undefined;
    }
    this.#budget.add(-progress);
  }

  #mustBeOpen(what: string): void {
    if (this.#state !== 'open') throw broken(`${what} before the session was open`);
  }

  #noteTrailing(byteCount: number): void {
    if (this.#hasNotedTrailing) return;
    this.#hasNotedTrailing = true;
    this.#steps.push({ do: 'note', message: `the relay sent ${byteCount} bytes after a frame; they are dropped` });
  }

  #fail(error: CloudtunError): void {
    this.end();
    this.#steps.push({ do: 'fail', error });
  }
}

/** Totals stay where JavaScript counts without gaps. */
function safe(total: number): number {
  if (total > Number.MAX_SAFE_INTEGER) throw broken('more than 2^53 bytes in one session');
  return total;
}

function broken(what: string): CloudtunError {
  return new CloudtunError('CT_PROTO_FRAME', `the relay broke its protocol: ${what}`);
}
