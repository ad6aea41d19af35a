import type { TunnelStream } from '../domain/dialer.ts';

/** What is read from the far side before a client has it; more stays in the stream, whose own flow control holds it back. */
const MAX_SEEN_LENGTH = 65_536;

/**
 * A stream whose first bytes are looked at and can be put back, so that a client later finds it untouched. Reads at most 64 KiB; it
 * reads at all, and goes on reading, because a stream that nobody reads does not tell that the far side has closed it.
 */
export class ProbedStream {
  /** Called with each chunk that arrives. */
  onBytes: (bytes: Buffer) => void = () => {};
  /** Called once when the far side has closed or the stream broke; with the error, if there was one. */
  onEnd: (error: Error | undefined) => void = () => {};
  readonly #stream: TunnelStream;
  readonly #seen: Buffer[] = [];
  #seenLength = 0;
  #isOver = false;

  constructor(stream: TunnelStream) {
    this.#stream = stream;
    // Its failure arrives as the stream's own error as well, which is where it is looked at.
    stream.accepted.catch(() => {});
    // This one stays on for good: between `detach` and the new owner's listener an error must not end the process.
    stream.on('error', () => {});
    stream.on('readable', this.#read);
    stream.on('end', this.#end);
    stream.on('close', this.#end);
    // What happened before anybody listened is not told again.
    if (stream.readableEnded || stream.destroyed) queueMicrotask(this.#end);
  }

  get accepted(): TunnelStream['accepted'] {
    return this.#stream.accepted;
  }

  /** Everything that was read so far. */
  get seen(): Buffer {
    return Buffer.concat(this.#seen, this.#seenLength);
  }

  /** True when the far side has closed or the stream broke: of no use to a client any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  write(bytes: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(bytes);
  }

  destroy(): void {
    this.#stream.destroy();
  }

  /** Stops looking, puts back what was read, and gives the stream away. */
  detach(): TunnelStream {
    this.#stopListening();
    if (this.#seenLength > 0) this.#stream.unshift(this.seen);
    return this.#stream;
  }

  readonly #read = () => {
    while (this.#seenLength < MAX_SEEN_LENGTH) {
      const bytes = this.#stream.read() as Buffer | null;
      if (bytes === null) return;
      this.#seen.push(bytes);
      this.#seenLength += bytes.length;
      this.onBytes(bytes);
    }
  };

  readonly #end = () => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopListening();
    this.onEnd(this.#stream.errored ?? undefined);
  };

  #stopListening(): void {
    this.#stream.off('readable', this.#read);
    this.#stream.off('end', this.#end);
    this.#stream.off('close', this.#end);
  }
}
