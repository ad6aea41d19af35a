/**
 * The service's end of one IAP session: byte totals in both directions, what has to be sent again, and the rules that the client must
 * keep (docs/protocol/iap.md, "Acknowledgements and flow control", "Reconnect"). Bytes and totals only: websockets, backends and
 * time belong to the driver.
 *
 *     received  payload bytes of the client, first sendings       acked      what our last ACK said
 *     taken     of those, what the backend's socket has taken: no ACK says more
 *     sent      payload bytes to the client, first sendings       confirmed  what the client's highest ACK said
 *
 * Always `confirmed <= sent`; the bytes between are kept. Nothing is reset at a reconnect.
 */
import { MAX_PAYLOAD, readFrame } from './relay-frame.ts';

/** What the driver is to do with a message of the client. */
export type Verdict =
  | { readonly do: 'deliver'; readonly payload: Buffer }
  | { readonly do: 'nothing' }
  /** An ACK made room in the window. */
  | { readonly do: 'more' }
  | { readonly do: 'close'; readonly code: number; readonly reason: string };

export interface SessionWitness {
  violation(what: string): void;
}

const NOTHING: Verdict = { do: 'nothing' };
const MORE: Verdict = { do: 'more' };
const close = (code: number, reason: string): Verdict => ({ do: 'close', code, reason });

export class ServiceSession {
  readonly #witness: SessionWitness;
  /** Chunks of `[confirmed, sent)`; of the first one `#offset` bytes are confirmed. */
  #kept: Buffer[] = [];
  #head = 0;
  #offset = 0;
  received = 0;
  taken = 0;
  acked = 0;
  sent = 0;
  confirmed = 0;
  /** DATA frames and ACKs of the client. */
  dataFrames = 0;
  ackFrames = 0;
  /** ACKs that said nothing new: allowed, and worth nothing. */
  idleAcks = 0;

  constructor(witness: SessionWitness) {
    this.#witness = witness;
  }

  /** Bytes sent that the client has not acknowledged. */
  get unacknowledged(): number {
    return this.sent - this.confirmed;
  }

  /** One message of the client, after tag 1 or 2 was sent to it. */
  receive(message: Buffer): Verdict {
    const frame = readFrame(message);
    switch (frame.kind) {
      case 'data':
        return this.#data(frame.payload, frame.trailing);
      case 'ack':
        if (frame.trailing > 0) this.#witness.violation(`${frame.trailing} bytes after an ACK`);
        return this.#ack(frame.total);
      case 'malformed':
        this.#witness.violation(frame.what);
        return close(4013, 'invalid data');
      case 'unknown':
        this.#witness.violation(`unknown tag ${frame.tag}`);
        return close(4008, 'invalid tag');
      default:
        this.#witness.violation(`${frame.kind} from the client`);
        return close(4008, 'invalid tag');
    }
  }

  /** Bytes of the backend that are about to be sent for the first time. */
  send(bytes: Buffer): void {
    this.sent += bytes.length;
    this.#kept.push(bytes);
  }

  /** What an ACK to the client says from now on. */
  acknowledge(total: number = this.taken): number {
    this.acked = total;
    return total;
  }

  /**
   * The client is back on a new websocket and has `ack` bytes.
   *
   * @returns the chunks to be sent again, or undefined when they cannot be had: 4074
   */
  resume(ack: bigint): readonly Buffer[] | undefined {
    if (ack < BigInt(this.confirmed) || ack > BigInt(this.sent)) {
      this.#witness.violation(`a reconnect with ack ${ack}, outside ${this.confirmed} to ${this.sent}`);
      return undefined;
    }
    this.#confirm(Number(ack));
    this.acked = this.received;
    const [first, ...rest] = this.#kept.slice(this.#head);
    return first === undefined ? [] : [first.subarray(this.#offset), ...rest];
  }

  #data(payload: Buffer, trailing: number): Verdict {
    this.dataFrames += 1;
    if (payload.length > MAX_PAYLOAD) {
      this.#witness.violation(`DATA of ${payload.length} bytes, more than ${MAX_PAYLOAD}`);
      return close(4013, 'invalid data');
    }
    if (trailing > 0) this.#witness.violation(`${trailing} bytes after DATA`);
    if (payload.length === 0) {
      this.#witness.violation('DATA without bytes');
      return NOTHING;
    }
    this.received += payload.length;
    return { do: 'deliver', payload };
  }

  #ack(total: bigint): Verdict {
    this.ackFrames += 1;
    if (total > BigInt(this.sent)) {
      this.#witness.violation(`ACK ${total}, of ${this.sent} bytes that were sent`);
      return close(4005, 'bad ack');
    }
    if (total < BigInt(this.confirmed)) {
      this.#witness.violation(`ACK ${total} after ${this.confirmed}`);
      return close(4005, 'bad ack');
    }
    if (total === BigInt(this.confirmed)) {
      this.idleAcks += 1;
      return NOTHING;
    }
    this.#confirm(Number(total));
    return MORE;
  }

  #confirm(total: number): void {
    let left = total - this.confirmed;
    this.confirmed = total;
    while (left > 0) {
      const chunk = this.#kept[this.#head]!;
      const rest = chunk.length - this.#offset;
      if (left < rest) {
        this.#offset += left;
        break;
      }
      left -= rest;
      this.#offset = 0;
      this.#head += 1;
    }
    if (this.#head === this.#kept.length || this.#head >= 256) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }
}
