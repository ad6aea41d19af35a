/** A local client of a congested tunnel. */
export interface CongestionListener {
  /** Enough waits to be sent: do not read now. */
  congested(): void;
  /** It is your turn to read again. */
  relieved(): void;
}

/**
 * What may wait to be sent before clients are not read any more, and when they are read again. A thousand clients bring 64 KiB each in
 * one turn of the event loop otherwise.
 */
const CONGESTED_BYTES = 1024 * 1024;
const RELIEVED_BYTES = 512 * 1024;
/** Clients that may read again in one turn of the event loop: each may bring 64 KiB before it is told to stop. */
const RELIEVED_AT_ONCE = 8;

/**
 * Whether a tunnel has enough waiting to be sent: then its local clients should not be read, however many they are. Memory is bounded
 * for a whole tunnel this way, where a high-water mark bounds one stream. Clients are stopped together and go on a few at a time, in
 * the order in which they came.
 */
export class Congestion {
  readonly #soon: (call: () => void) => void;
  readonly #listeners = new Set<CongestionListener>();
  readonly #stopped = new Set<CongestionListener>();
  readonly #onReleased: () => void;
  #isCongested = false;
  #isRelieving = false;
  #heldBytes = 0;
  #waitingBytes = 0;

  /**
   * @param soon runs a call in the next turn of the event loop, after pending I/O
   * @param onReleased some of the held bytes were taken
   */
  constructor(soon: (call: () => void) => void, onReleased: () => void = () => {}) {
    this.#soon = soon;
    this.#onReleased = onReleased;
  }

  /** Bytes that clients were given and whose sockets have not taken yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes were given to a client's socket. Each call is answered by one `release`, on every path. */
  hold(byteCount: number): void {
    this.#heldBytes += byteCount;
  }

  /** The next hop took them, or is gone. */
  release(byteCount: number): void {
    this.#heldBytes -= byteCount;
    this.#onReleased();
  }

  /** Whether a client must wait: the tunnel is congested, or others wait for their turn. */
  get isCongested(): boolean {
    return this.#isCongested || this.#stopped.size > 0;
  }

  /** Bytes of a client wait to be sent. Each call is answered by one `sent`, on every path. */
  waiting(byteCount: number): void {
    this.#waitingBytes += byteCount;
    if (this.#waitingBytes > CONGESTED_BYTES) this.#set(true);
  }

  /** The tunnel took them, or is gone. */
  sent(byteCount: number): void {
    this.#waitingBytes -= byteCount;
    if (this.#waitingBytes < RELIEVED_BYTES) this.#set(false);
  }

  #set(isCongested: boolean): void {
    if (isCongested === this.#isCongested) return;
    this.#isCongested = isCongested;
    if (!isCongested) return this.#relieve();
    for (const listener of this.#listeners) {
      if (this.#stopped.has(listener)) continue;
      this.#stopped.add(listener);
      listener.congested();
    }
  }

  /** A newcomer waits for its turn if the others do. Returns the way to leave. */
  join(listener: CongestionListener): () => void {
    if (this.isCongested) this.#stopped.add(listener);
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#stopped.delete(listener);
    };
  }

  /** Whether this client is stopped. */
  stops(listener: CongestionListener): boolean {
    return this.#stopped.has(listener);
  }

  #relieve(): void {
    if (this.#isRelieving || this.#isCongested) return;
    let relieved = 0;
    for (const listener of this.#stopped) {
      if (relieved === RELIEVED_AT_ONCE) break;
      relieved++;
      this.#stopped.delete(listener);
      listener.relieved();
    }
    if (this.#stopped.size === 0) return;
    this.#isRelieving = true;
    this.#soon(() => {
      this.#isRelieving = false;
      this.#relieve();
    });
  }
}
