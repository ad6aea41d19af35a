import { Duplex } from 'node:stream';
import type { ByteCarver } from '../../domain/byte-carver.ts';
import type { Borrow, TunnelStream } from '../../domain/dialer.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { HalfClose } from './core/half-close.ts';
import type { MemoryBudget } from './core/memory-budget.ts';
import { DueTimer } from './due-timer.ts';
import { RelayLink } from './relay-link.ts';
import type { RelayLinkParts } from './relay-link-parts.ts';

/**
 * What one stream may hold for a slow reader before its websocket is not read any more. A service that keeps its window stops before, at
 * about 1.5 MB, because nothing is acknowledged that was not taken; so acknowledges of the upload still come.
 */
export const MOST_HELD_BYTES = 4 * 1024 * 1024;
const RESUME_SHARE = 0.5;

/** What a stream shares with its siblings. */
export interface RelayStreamParts extends RelayLinkParts {
  /** For bytes that may wait for their reader. */
  readonly memory: ByteCarver;
  readonly downloads: MemoryBudget;
  moved(bytesUp: number, bytesDown: number): void;
  /** Nobody uses it any more. */
  released(stream: RelayStream): void;
}

interface PendingWrite {
  readonly rest: Buffer;
  readonly taken: (error?: Error | null) => void;
}

/** One byte conversation through the relay: one session, as a Node Duplex. Made by RelayTunnel only. */
export class RelayStream extends Duplex implements TunnelStream {
  /** A stream is handed out when the service has said so. */
  readonly accepted = Promise.resolve('connected' as const);
  readonly #parts: RelayStreamParts;
  readonly #link: RelayLink;
  readonly #halfClose: HalfClose;
  readonly #timer: DueTimer;
  #isOver = false;
  #received = 0;
  #held = 0;
  #isHolding = false;
  #pending: PendingWrite | undefined;
  #uploadOver: (() => void) | undefined;
  #borrow: Borrow | undefined;

  constructor(parts: RelayStreamParts) {
    // Not half-open: a Close of the service ends both ways. Ours is held back, see _final.
    super({ allowHalfOpen: false, emitClose: true, highWaterMark: 64 * 1024 });
    this.#parts = parts;
    this.#halfClose = new HalfClose(parts.options.halfCloseGrace);
    this.#timer = new DueTimer(parts.world.clock, () => this.#judgeEnd());
    // What breaks it right behind tag 1 comes before whoever opens it can listen, and an error that nobody listens to ends the process.
    this.on('error', () => {});
    this.#link = new RelayLink(parts, {
      deliver: (pieces, byteCount) => this.#deliver(pieces, byteCount),
      progressed: () => this.#onProgress(),
      resumed: () => this.#halfClose.heard(this.#now()),
      over: (error) => this.#onOver(error),
    });
  }

  /** Resolves when bytes may be written. @throws CloudtunError; the reason of `signal`; the stream is destroyed then */
  async connect(signal: AbortSignal): Promise<void> {
    try {
      await this.#link.open(signal);
    } catch (thrown) {
      this.destroy();
      throw thrown;
    }
  }

  lendTo(borrow: Borrow): void {
    this.#borrow = borrow;
  }

  /** Resolves when its websocket is closed. */
  async settled(): Promise<void> {
    await this.#link.close();
  }

  /** As the base class, and what the reader takes becomes credit for the service. */
  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    this.#account();
    return chunk;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#take({ rest: chunk, taken: callback });
  }

  // A Close would end both ways and lose the answer: docs/adr/0013-iap-half-close.md.
  override _final(callback: (error?: Error | null) => void): void {
    if (this.#isOver) return callback();
    this.#uploadOver = () => callback();
    this.#halfClose.ended(this.#now());
    this.#judgeEnd();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#isOver = true;
    this.#timer.cancel();
    this.#parts.uploads.forget(this.#onRoom);
    this.#parts.downloads.forget(this.#onRoom);
    this.#parts.downloads.add(-this.#held);
    this.#held = 0;
    void this.#link.close(error ? error.message : 'closed').finally(() => this.#parts.released(this));
    this.#dropPending(error);
    this.#endUpload();
    callback(error);
  }

  #now(): Millis {
    return this.#parts.world.clock.now();
  }

  #take({ rest, taken }: PendingWrite): void {
    if (this.#isOver) return taken();
    const byteCount = this.#link.write(rest);
    this.#parts.moved(byteCount, 0);
    if (byteCount === rest.length) return taken();
    this.#pending = { rest: rest.subarray(byteCount), taken };
    // An acknowledge makes room of our own; what the siblings hold may be in the way as well.
    this.#parts.uploads.wait(this.#onRoom);
  }

  readonly #onRoom = (): void => {
    this.#takePending();
    this.#judgeHolding();
  };

  #takePending(): void {
    const pending = this.#pending;
    if (pending === undefined || !this.#link.session.hasRoom) return;
    this.#pending = undefined;
    this.#take(pending);
  }

  #dropPending(error: Error | null = null): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.taken(error);
  }

  #deliver(pieces: readonly Buffer[], byteCount: number): void {
    if (this.destroyed || this.#isOver) return;
    this.#received += byteCount;
    this.#parts.moved(0, byteCount);
    this.#halfClose.heard(this.#now());
    this.#hand(pieces, byteCount);
    this.#account();
  }

  /** Copies, unless they are lent: the memory of the pieces is used again for what arrives next. */
  #hand(pieces: readonly Buffer[], byteCount: number): void {
    const { memory } = this.#parts;
    if (this.#borrow && this.#takesAtOnce) return this.#borrow(pieces, byteCount);
    let left = byteCount;
    for (const [index, piece] of pieces.entries()) {
      if (this.destroyed) return;
      if (!this.#takesAtOnce) {
        this.push(memory.concat(pieces.slice(index), left));
        return;
      }
      this.push(memory.copy(piece));
      left -= piece.length;
    }
  }

  get #takesAtOnce(): boolean {
    return this.readableFlowing === true && this.readableLength === 0;
  }

  /** What the reader has not taken is not acknowledged; when it is too much, the websocket is not read. */
  #account(): void {
    if (this.#isOver) return;
    const held = this.readableLength;
    if (held !== this.#held) {
      const change = held - this.#held;
      this.#held = held;
      this.#parts.downloads.add(change);
    }
    this.#link.consumed(this.#received - held);
    this.#judgeHolding();
  }

  #judgeHolding(): void {
    const { downloads } = this.#parts;
    const bound = MOST_HELD_BYTES * (this.#isHolding ? RESUME_SHARE : 1);
    const isHolding = !this.#isOver && (this.#held >= bound || !downloads.allows(this.#held));
    if (isHolding) downloads.wait(this.#onRoom);
    if (isHolding === this.#isHolding) return;
    this.#isHolding = isHolding;
    this.#link.hold(isHolding);
  }

  #onProgress(): void {
    this.#takePending();
    this.#judgeEnd();
  }

  #onOver(error: CloudtunError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer.cancel();
    if (error) {
      this.destroy(error);
      return;
    }
    this.#dropPending();
    this.#endUpload();
    this.push(null);
    // A reader that has stopped on purpose still gets what waits; one that never began must not keep the end from being seen.
    if (this.readableLength === 0) this.read(0);
  }

  /** The client has sent its last byte: is its upload confirmed, and does anybody still answer? */
  #judgeEnd(): void {
    const { wakeAt } = this.#halfClose;
    if (this.#isOver || wakeAt === undefined) return;
    const now = this.#now();
    if (this.#link.isOpen) this.#halfClose.tick(now, this.#link.session.unconfirmed, this.readableLength > 0);
    else this.#halfClose.heard(now);
    if (this.#halfClose.isUploadOver) this.#endUpload();
    if (this.#halfClose.isOver) {
      this.#parts.world.log.info(
        'nothing came for a while after the client had sent everything: the session is closed',
      );
      void this.#link.close('nothing came after the last byte of the client');
      this.#onOver(undefined);
      return;
    }
    this.#timer.by(this.#halfClose.wakeAt);
  }

  #endUpload(): void {
    const uploadOver = this.#uploadOver;
    this.#uploadOver = undefined;
    uploadOver?.();
  }
}
