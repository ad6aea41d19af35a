/**
 * A Port session in basic mode, for agents that know no mux: raw bytes, one connection (docs/protocol/ssm.md, "Basic mode").
 *
 * A session is used for one connection only and then ended: the agent would redial for the next one, but bytes of the old
 * connection may still come and carry no mark, and a database must not read a stranger's answer. The agent dials at the start, so a
 * greeting may be here before a client is. It does not tell when the remote end closes.
 */
import { Duplex } from 'node:stream';
import type { TunnelStream } from '../../domain/dialer.ts';
import type { PortCarrier } from './port-session.ts';

/** Held for a slow reader before the session stops reading its websocket. */
const MAX_HELD_BYTES = 4 * 1024 * 1024;

export interface BasicPortOwner {
  outputWaiting(): void;
  pause(): void;
  resume(): void;
  /** Its only connection is over. */
  closed(): void;
}

export class BasicPort implements PortCarrier {
  readonly #owner: BasicPortOwner;
  readonly #stream: BasicStream;
  #isUsed = false;
  #isStalled = false;
  bytesUp = 0;
  bytesDown = 0;

  constructor(owner: BasicPortOwner) {
    this.#owner = owner;
    this.#stream = new BasicStream({
      outputWaiting: () => owner.outputWaiting(),
      closed: () => owner.closed(),
      wasRead: () => {
        if (!this.#isStalled) return;
        this.#isStalled = false;
        // Not from inside a read.
        queueMicrotask(() => owner.resume());
      },
    });
  }

  get canOpen(): boolean {
    return !this.#isUsed;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  get openCount(): number {
    return this.#isUsed && !this.#stream.destroyed ? 1 : 0;
  }

  open(): TunnelStream {
    this.#isUsed = true;
    // The agent connected before HandshakeComplete was of any use to us, or the session would be over.
    this.#stream.acknowledged();
    return this.#stream;
  }

  pull(target: Buffer, offset: number, maxBytes: number): number {
    const taken = this.#stream.pullInto(target, offset, maxBytes);
    this.bytesUp += taken;
    return taken;
  }

  deliver(payload: Buffer): boolean {
    this.bytesDown += payload.length;
    this.#stream.receive(payload);
    return true;
  }

  connectFailed(): void {}

  batchEnd(): void {
    if (this.#isStalled || this.#stream.readableLength < MAX_HELD_BYTES) return;
    this.#isStalled = true;
    this.#owner.pause();
  }

  abort(error: Error | undefined): void {
    this.#stream.destroy(error);
  }
}

interface BasicStreamOwner {
  outputWaiting(): void;
  closed(): void;
  /** The reader took all that was held. */
  wasRead(): void;
}

class BasicStream extends Duplex implements TunnelStream {
  readonly accepted: Promise<'acknowledged' | 'answered'>;
  readonly #settle: { resolve: (how: 'acknowledged' | 'answered') => void; reject: (error: Error) => void };
  readonly #owner: BasicStreamOwner;
  #waiting: { bytes: Buffer; taken: () => void } | undefined;

  constructor(owner: BasicStreamOwner) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    this.#owner = owner;
    const { promise, resolve, reject } = Promise.withResolvers<'acknowledged' | 'answered'>();
    this.accepted = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => {});
  }

  acknowledged(): void {
    this.#settle.resolve(this.readableLength > 0 ? 'answered' : 'acknowledged');
  }

  receive(payload: Buffer): void {
    // A copy: the payload is a view into a far larger receive buffer, and may wait.
    if (!this.destroyed) this.push(Buffer.from(payload));
  }

  pullInto(target: Buffer, offset: number, maxBytes: number): number {
    const waiting = this.#waiting;
    if (waiting === undefined) return 0;
    const taken = waiting.bytes.copy(target, offset, 0, maxBytes);
    if (taken === waiting.bytes.length) {
      this.#waiting = undefined;
      waiting.taken();
    } else {
      waiting.bytes = waiting.bytes.subarray(taken);
    }
    return taken;
  }

  override _read(): void {
    this.#owner.wasRead();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#waiting = { bytes: chunk, taken: () => callback() };
    this.#owner.outputWaiting();
  }

  // A half close cannot be carried: nothing is told to the agent until the session ends.
  override _final(callback: (error?: Error | null) => void): void {
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.taken();
    if (error) this.#settle.reject(error);
    else this.#settle.resolve('acknowledged');
    this.#owner.closed();
    callback(error);
  }
}
